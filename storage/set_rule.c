/* set_rule.c - see set_rule.h. */
#include "storage/set_rule.h"

#include "base/failpoint.h"
#include "base/own.h"
#include "sql.h"
#include "storage/template.h"

typedef struct Applying {
    Pg *pg;
    const SetRules *rules;
    int64_t n_changed;
} Applying;

/* ---- filling in ---- */

/* Rows in force, and those that somebody may name: of members that facts alone tell of there is none. */
static const struct {
    const char *in_force, *there;
} CURRENT[] = {
    [ENTITY_HISTORY] = {"t.is_current AND NOT t.is_deleted", "p.is_current AND NOT p.is_deleted AND NOT p.is_inferred"},
    [ENTITY_MEMBER] = {"NOT t.is_deleted", "NOT p.is_deleted AND NOT p.is_inferred"},
    [ENTITY_FACT] = {"NOT t.is_deleted", "NOT p.is_deleted"},
    [ENTITY_CLAIM] = {"t.is_final AND NOT t.is_deleted", "p.is_final AND NOT p.is_deleted"},
};

const char *set_rule_in_force(const Entity *entity) { return CURRENT[entity->kind].in_force; }

static const char *columns_of(const Applying *a, const RuleSpec *rule, const char *alias) {
    const char *list = "";
    for (size_t i = 0; i < rule->n_columns; i++)
        list = arena_printf(a->rules->arena, "%s%s%s.%s", list, i > 0 ? ", " : "", alias,
                            pg_quote_ident(a->rules->arena, rule->columns[i]));
    return list;
}

static const char *total_of(const Applying *a, const RuleSpec *rule) {
    if (!rule->total)
        return "";
    const char *column = rule->attribute ? pg_quote_ident(a->rules->arena, rule->attribute) : "";
    if (strcmp(rule->total, "count") == 0)
        return "count(*)";
    if (strcmp(rule->total, "distinct") == 0)
        return arena_printf(a->rules->arena, "count(DISTINCT t.%s)", column);
    return arena_printf(a->rules->arena, "%s(t.%s)", rule->total, column);
}

static const char *quoted_or_empty(const Applying *a, const char *name) {
    return name ? pg_quote_ident(a->rules->arena, name) : "";
}

static const char *fill(const Applying *a, const RuleSpec *rule, const char *sql) {
    Arena *arena = a->rules->arena;
    const Entity *entity = entity_find(str_of(rule->entity));
    RuleOther other = rule_spec_other(rule);
    const Entity *parent = other.entity ? other.entity : entity;
    const char *other_column = quoted_or_empty(a, other.column == COLUMN_NONE ? NULL : parent->columns[other.column].name);
    const char *bound = rule->limit ? "$1::numeric" : arena_printf(arena, "t.%s", other_column);
    return sql_fill(arena, sql, {"table", entity->name}, {"key", entity->key},
                    {"current", set_rule_in_force(entity)}, {"columns", columns_of(a, rule, "t")},
                    {"group_columns", columns_of(a, rule, "g")}, {"column", quoted_or_empty(a, rule->attribute)},
                    {"other", parent->name}, {"other_id", parent->id}, {"other_current", CURRENT[parent->kind].there},
                    {"other_column", other_column}, {"compare", rule->compare ? rule->compare : ""},
                    {"total", total_of(a, rule)}, {"bound", bound});
}

/* ---- one rule ---- */

static bool is_touched(const Applying *a, const Entity *entity, bool *ret_is, Error *err) {
    const char *sql = entity->kind == ENTITY_HISTORY ? SQL_SET_RULE_TOUCHED : SQL_SET_RULE_TOUCHED_PAST;
    CLEANUP(pg_result_drop) PgResult *found = pg_query(a->pg, sql_fill(a->rules->arena, sql, {"table", entity->name}),
                                                       PG_PARAMS(a->rules->first_batch), err);
    TRY(found);
    *ret_is = pg_bool(found, 0, 0);
    return true;
}

static bool is_due(const Applying *a, const RuleSpec *rule, bool *ret_is, Error *err) {
    bool is_known = true;
    const Entity *other = rule_spec_other(rule).entity;
    if (a->rules->other_book)
        TRY(rule_book_knows(a->pg, rule, a->rules->arena, &is_known, err));
    *ret_is = !is_known;
    if (!*ret_is)
        TRY(is_touched(a, entity_find(str_of(rule->entity)), ret_is, err));
    return *ret_is || !other || is_touched(a, other, ret_is, err);
}

static const char *statement_of(const RuleSpec *rule) {
    switch (rule->kind) {
    case RULE_UNIQUE:
        return SQL_SET_RULE_UNIQUE;
    case RULE_REFERENCE:
        return SQL_SET_RULE_REFERENCE;
    case RULE_CROSS_TABLE:
        return SQL_SET_RULE_CROSS_TABLE;
    case RULE_CROSS_ROW:
        return rule_spec_other(rule).entity ? SQL_SET_RULE_CROSS_ROW_OTHER : SQL_SET_RULE_CROSS_ROW;
    default:
        return SQL_SET_RULE_NONE;
    }
}

/* From what is broken to the rows that say so. */
static bool write_flags(Applying *a, const RuleSpec *rule, Error *err) {
    int64_t n = 0;
    const Entity *entity = entity_find(str_of(rule->entity));
    TRY(pg_exec(a->pg, fill(a, rule, SQL_SET_RULE_DIFFERING), PG_PARAMS(rule->name), NULL, err));
    if (entity->kind != ENTITY_HISTORY && entity->kind != ENTITY_MEMBER)
        TRY(pg_exec(a->pg, SQL_SET_RULE_PLACED, PG_PARAMS(entity->name), NULL, err));
    TRY(pg_exec(a->pg, fill(a, rule, SQL_SET_RULE_WRITE), PG_PARAMS(rule->name), &n, err));
    a->n_changed += n;
    return true;
}

static bool apply_one(Applying *a, const RuleSpec *rule, Error *err) {
    const PgParams *limit = rule->limit ? PG_PARAMS(rule->limit) : PG_NONE;
    if (!pg_exec(a->pg, fill(a, rule, statement_of(rule)), limit, NULL, err))
        return error_context(err, "rule %s", rule->name);
    TRY(write_flags(a, rule, err));
    TRY(pg_exec(a->pg, fill(a, rule, SQL_SET_RULE_RESULT), PG_PARAMS(rule->name), NULL, err));
    return pg_exec(a->pg, SQL_SET_RULE_DROP, PG_NONE, NULL, err);
}

/* Looked up first: what one rule writes is no news to the next. */
static bool find_due(const Applying *a, bool *are_due, Error *err) {
    TRY(pg_exec(a->pg, SQL_SETTLE_SESSION_BY_INDEX, PG_NONE, NULL, err));
    for (size_t i = 0; i < a->rules->n_rules; i++)
        if (rule_scope(a->rules->rules[i].kind) == RULE_OF_SET)
            TRY(is_due(a, &a->rules->rules[i], &are_due[i], err));
    return pg_exec(a->pg, SQL_SETTLE_SESSION_BY_ANY_WAY, PG_NONE, NULL, err);
}

static bool apply_all(Applying *a, Error *err) {
    bool *are_due = ARENA_ARRAY(a->rules->arena, bool, a->rules->n_rules + 1);
    TRY(find_due(a, are_due, err));
    for (size_t i = 0; i < a->rules->n_rules; i++)
        if (are_due[i])
            TRY(apply_one(a, &a->rules->rules[i], err));
    return true;
}

/* ---- rules that went ---- */

static bool take_flags_away(Applying *a, const RuleBook *book, Error *err) {
    CLEANUP(pg_result_drop) PgResult *gone = rule_book_gone(book, a->pg, err);
    TRY(gone);
    for (int r = 0; r < pg_rows(gone); r++) {
        RuleSpec rule = {.entity = pg_text(gone, r, 0), .name = pg_text(gone, r, 1)};
        TRY(pg_exec(a->pg, fill(a, &rule, SQL_SET_RULE_NONE), PG_NONE, NULL, err) && write_flags(a, &rule, err) &&
            pg_exec(a->pg, SQL_SET_RULE_DROP, PG_NONE, NULL, err));
    }
    return true;
}

bool set_rules_apply(Pg *pg, const SetRules *rules, int64_t *ret_changed, Error *err) {
    Applying a = {.pg = pg, .rules = rules};
    TRY(!rules->other_book || take_flags_away(&a, rules->other_book, err));
    TRY(apply_all(&a, err));
    TRY(!rules->other_book || rule_book_write(rules->other_book, pg, err));
    FAILPOINT("settle.after_rules");
    *ret_changed = a.n_changed;
    return true;
}
