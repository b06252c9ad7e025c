/* rule_spec.c - see rule_spec.h. */
#include "transform/rule_spec.h"

#include "base/nearest.h"

#include <stdio.h>
#include <stdlib.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

enum { KEYS_MAX = 5 };

static const char *check_as_written(Arena *arena, const RuleSpec *rule);
static const char *check_not_null(Arena *arena, const RuleSpec *rule);
static const char *check_type(Arena *arena, const RuleSpec *rule);
static const char *check_range(Arena *arena, const RuleSpec *rule);
static const char *check_pattern(Arena *arena, const RuleSpec *rule);
static const char *check_list(Arena *arena, const RuleSpec *rule);
static const char *sentence_unique(Arena *arena, const RuleSpec *rule);
static const char *sentence_reference(Arena *arena, const RuleSpec *rule);
static const char *sentence_cross_row(Arena *arena, const RuleSpec *rule);
static const char *sentence_cross_table(Arena *arena, const RuleSpec *rule);
static const char *sentence_freshness(Arena *arena, const RuleSpec *rule);
static const char *sentence_volume(Arena *arena, const RuleSpec *rule);

typedef struct Kind {
    const char *name;
    RuleScope scope;
    QualityDimension dimension;
    const char *must[KEYS_MAX], *may[KEYS_MAX]; /* keys, besides those of all rules */
    const char *(*text)(Arena *arena, const RuleSpec *rule); /* of a row: its check; else its sentence */
} Kind;

static const Kind KINDS[] = {
    [RULE_CHECK] = {"check", RULE_OF_ROW, DIMENSION_CONSISTENCY, {"entity"}, {"check"}, check_as_written},
    [RULE_NOT_NULL] = {"not_null", RULE_OF_ROW, DIMENSION_COMPLETENESS, {"entity", "column"}, {0}, check_not_null},
    [RULE_TYPE] = {"type", RULE_OF_ROW, DIMENSION_VALIDITY, {"entity", "column", "type"}, {0}, check_type},
    [RULE_RANGE] = {"range", RULE_OF_ROW, DIMENSION_VALIDITY, {"entity", "column"}, {"min", "max"}, check_range},
    [RULE_PATTERN] = {"pattern", RULE_OF_ROW, DIMENSION_VALIDITY, {"entity", "column", "pattern"}, {0}, check_pattern},
    [RULE_LIST] = {"list", RULE_OF_ROW, DIMENSION_VALIDITY, {"entity", "column", "values"}, {0}, check_list},
    [RULE_UNIQUE] = {"unique", RULE_OF_SET, DIMENSION_UNIQUENESS, {"entity", "columns"}, {0}, sentence_unique},
    [RULE_REFERENCE] = {"reference", RULE_OF_SET, DIMENSION_INTEGRITY, {"entity", "column", "references"}, {0},
                        sentence_reference},
    [RULE_CROSS_ROW] = {"cross_row", RULE_OF_SET, DIMENSION_CONSISTENCY, {"entity", "columns", "total", "compare"},
                        {"column", "limit", "other"}, sentence_cross_row},
    [RULE_CROSS_TABLE] = {"cross_table", RULE_OF_SET, DIMENSION_CONSISTENCY, {"entity", "column", "compare", "other"}, {0},
                          sentence_cross_table},
    [RULE_FRESHNESS] = {"freshness", RULE_OF_FEED, DIMENSION_TIMELINESS, {"feed", "within"}, {0}, sentence_freshness},
    [RULE_VOLUME] = {"volume", RULE_OF_FEED, DIMENSION_COMPLETENESS, {"feed"}, {"percent", "runs"}, sentence_volume},
};

static const char *const EVERY_RULE[] = {"name", "kind", "severity", "stop_percent", "says"};
static const char *const DIMENSIONS[] = {"completeness", "validity", "uniqueness", "consistency", "timeliness", "integrity"};
static const char *const SEVERITIES[] = {"flag", "quarantine", "stop"};

const char *rule_kind_name(RuleKind kind) { return KINDS[kind].name; }
RuleScope rule_scope(RuleKind kind) { return KINDS[kind].scope; }
QualityDimension rule_dimension(RuleKind kind) { return KINDS[kind].dimension; }
const char *dimension_name(QualityDimension dimension) { return DIMENSIONS[dimension]; }
const char *severity_name(Severity severity) { return SEVERITIES[severity]; }

static bool is_among(const char *key, const char *const *keys, size_t n) {
    for (size_t i = 0; i < n && keys[i]; i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

RuleNeed rule_kind_needs(RuleKind kind, const char *key) {
    if (is_among(key, KINDS[kind].must, KEYS_MAX))
        return RULE_MUST;
    bool may = is_among(key, KINDS[kind].may, KEYS_MAX) || is_among(key, EVERY_RULE, COUNT(EVERY_RULE));
    return may ? RULE_MAY : RULE_NEEDS_NOT;
}

/* ---- rules over one row, as checks ---- */

/* Between quotes, those within doubled. */
static const char *quoted(Arena *arena, const char *text) {
    char *copy = ARENA_ARRAY(arena, char, 2 * strlen(text) + 3), *at = copy;
    *at++ = '\'';
    for (; *text; text++) {
        *at++ = *text;
        if (*text == '\'')
            *at++ = '\'';
    }
    *at++ = '\'';
    return copy;
}

/* As a check writes a value of the column: numbers bare, everything else between quotes. */
static const char *literal(Arena *arena, const RuleSpec *rule, const char *text) {
    const Entity *entity = entity_find(str_of(rule->entity));
    int column = entity ? entity_column(entity, str_of(rule->attribute)) : COLUMN_NONE;
    ColumnType type = column == COLUMN_NONE ? TYPE_TEXT : entity->columns[column].type;
    bool is_bare = type == TYPE_MONEY || type == TYPE_PERCENT || type == TYPE_INT || type == TYPE_BIGINT;
    return is_bare && text[strspn(text, "-0123456789.")] == '\0' ? text : quoted(arena, text);
}

static const char *check_as_written(Arena *arena, const RuleSpec *rule) {
    (void)arena;
    return rule->check;
}

static const char *check_not_null(Arena *arena, const RuleSpec *rule) {
    return arena_printf(arena, "%s is not null", rule->attribute);
}

static const char *check_type(Arena *arena, const RuleSpec *rule) {
    return arena_printf(arena, "%s is %s", rule->attribute, rule->form);
}

static const char *check_range(Arena *arena, const RuleSpec *rule) {
    const char *least = rule->min ? arena_printf(arena, "%s >= %s", rule->attribute, literal(arena, rule, rule->min)) : "";
    const char *most = rule->max ? arena_printf(arena, "%s <= %s", rule->attribute, literal(arena, rule, rule->max)) : "";
    return arena_printf(arena, "%s%s%s", least, rule->min && rule->max ? " and " : "", most);
}

static const char *check_pattern(Arena *arena, const RuleSpec *rule) {
    return arena_printf(arena, "%s matches %s", rule->attribute, quoted(arena, rule->pattern));
}

static const char *check_list(Arena *arena, const RuleSpec *rule) {
    const char *list = "";
    for (size_t i = 0; i < rule->n_values; i++)
        list = arena_printf(arena, "%s%s%s", list, i > 0 ? ", " : "", literal(arena, rule, rule->values[i]));
    return arena_printf(arena, "%s in (%s)", rule->attribute, list);
}

const char *rule_spec_check(Arena *arena, const RuleSpec *rule) {
    return rule_is_of_row(rule) ? KINDS[rule->kind].text(arena, rule) : NULL;
}

/* ---- sentences ---- */

static const char *list_of(Arena *arena, const char *const *names, size_t n) {
    const char *list = "";
    for (size_t i = 0; i < n; i++)
        list = arena_printf(arena, "%s%s%s", list, i > 0 ? ", " : "", names[i]);
    return list;
}

static const char *sentence_unique(Arena *arena, const RuleSpec *rule) {
    return arena_printf(arena, "no two rows of a source have the same %s",
                        list_of(arena, rule->columns, rule->n_columns));
}

static const char *sentence_reference(Arena *arena, const RuleSpec *rule) {
    return arena_printf(arena, "%s names a row of %s that is there", rule->attribute, rule->references);
}

static const char *sentence_cross_row(Arena *arena, const RuleSpec *rule) {
    return arena_printf(arena, "of the rows with the same %s, %s(%s) %s %s", list_of(arena, rule->columns, rule->n_columns),
                        rule->total, rule->attribute ? rule->attribute : "*", rule->compare,
                        rule->limit ? rule->limit : rule->other);
}

static const char *sentence_cross_table(Arena *arena, const RuleSpec *rule) {
    return arena_printf(arena, "%s %s %s", rule->attribute, rule->compare, rule->other);
}

/* In the largest unit that it is whole in. */
static const char *duration_text(Arena *arena, int64_t ms) {
    static const struct {
        const char *name;
        int64_t ms;
    } UNITS[] = {{"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}};
    size_t unit = 0;
    while (ms % UNITS[unit].ms != 0)
        unit++;
    return arena_printf(arena, "%lld %s", (long long)(ms / UNITS[unit].ms), UNITS[unit].name);
}

static const char *sentence_freshness(Arena *arena, const RuleSpec *rule) {
    return arena_printf(arena, "the newest change of %s is not older than %s", rule->feed, duration_text(arena, rule->within_ms));
}

static const char *sentence_volume(Arena *arena, const RuleSpec *rule) {
    return arena_printf(arena, "a run of %s brings between %d %% less and %d %% more rows than the median of its last %d",
                        rule->feed, rule->percent, rule->percent, rule->runs);
}

const char *rule_spec_sentence(Arena *arena, const RuleSpec *rule) {
    if (rule->says)
        return rule->says;
    const char *text = KINDS[rule->kind].text(arena, rule);
    return text ? text : rule->name;
}

static const char *put(Arena *arena, const char *definition, const char *key, const char *value) {
    return value ? arena_printf(arena, "%s %s=%s", definition, key, quoted(arena, value)) : definition;
}

const char *rule_spec_definition(Arena *arena, const RuleSpec *rule) {
    const char *all = KINDS[rule->kind].name;
    const struct {
        const char *key, *value;
    } PARTS[] = {
        {"check", rule_spec_check(arena, rule)}, {"column", rule->attribute}, {"references", rule->references},
        {"columns", rule->n_columns > 0 ? list_of(arena, rule->columns, rule->n_columns) : NULL},
        {"total", rule->total}, {"compare", rule->compare}, {"other", rule->other}, {"limit", rule->limit},
        {"within_ms", rule->within_ms > 0 ? arena_printf(arena, "%lld", (long long)rule->within_ms) : NULL},
        {"percent", rule->kind == RULE_VOLUME ? arena_printf(arena, "%d", rule->percent) : NULL},
        {"runs", rule->kind == RULE_VOLUME ? arena_printf(arena, "%d", rule->runs) : NULL},
    };
    for (size_t i = 0; i < COUNT(PARTS); i++)
        all = put(arena, all, PARTS[i].key, PARTS[i].value);
    return all;
}

/* ---- names of rules over several rows ---- */

/* A column that rows of the table are compared by: the mapping's, or derived from it. */
static const Column *compared_column(const Entity *entity, Str name) {
    int index = entity_column(entity, name);
    const Column *column = index == COLUMN_NONE ? NULL : &entity->columns[index];
    bool is_own = column && (column_is_mappable(column) || column->role == ROLE_DERIVED);
    return is_own && column_is_stored(column) ? column : NULL;
}

static const char *no_column(Arena *arena, const Entity *entity, Str name) {
    Nearest nearest = nearest_start(name);
    for (int i = 0; i < entity->n_columns; i++)
        if (compared_column(entity, str_of(entity->columns[i].name)))
            nearest_offer(&nearest, entity->columns[i].name);
    char suggestion[NEAREST_TEXT_BYTES];
    nearest_suggest(&nearest, suggestion);
    return arena_printf(arena, "%s has no column `%.*s` that rows could be compared by%s", entity->name, STR_ARG(name),
                        suggestion);
}

static const char *check_column(Arena *arena, const Entity *entity, const char *name) {
    return compared_column(entity, str_of(name)) ? NULL : no_column(arena, entity, str_of(name));
}

static const char *check_entity(Arena *arena, const char *name) {
    const Entity *entity = entity_find(str_of(name));
    bool is_fed = entity && entity->id && strcmp(name, "payers") != 0;
    if (is_fed)
        return NULL;
    if (entity)
        return arena_printf(arena, "`%s` is made of what names its rows: nothing can be missing there", name);
    char suggestion[NEAREST_TEXT_BYTES];
    entity_suggest(str_of(name), suggestion);
    return arena_printf(arena, "unknown entity `%s`%s", name, suggestion);
}

static bool goes_together(const Column *a, const Column *b) {
    bool a_is_whole = a->type == TYPE_INT || a->type == TYPE_BIGINT, b_is_whole = b->type == TYPE_INT || b->type == TYPE_BIGINT;
    return a->type == b->type || (a_is_whole && b_is_whole);
}

/* "entity.column" or "column". */
static const char *split_other(Arena *arena, const RuleSpec *rule, const Entity **ret_entity, Str *ret_column) {
    const char *dot = strchr(rule->other, '.');
    const char *name = dot ? arena_string(arena, (Str){rule->other, (size_t)(dot - rule->other)}) : rule->entity;
    const char *mistake = check_entity(arena, name);
    if (mistake)
        return mistake;
    *ret_entity = entity_find(str_of(name));
    *ret_column = str_of(dot ? dot + 1 : rule->other);
    return compared_column(*ret_entity, *ret_column) ? NULL : no_column(arena, *ret_entity, *ret_column);
}

static const char *check_other(Arena *arena, const RuleSpec *rule, const Entity *own, const Column *compared) {
    const Entity *other;
    Str name;
    const char *mistake = split_other(arena, rule, &other, &name);
    if (mistake)
        return mistake;
    if (other != own && entity_column(own, str_of(other->id)) == COLUMN_NONE)
        return arena_printf(arena, "rows of %s name none of %s: there is no `%s`", own->name, other->name, other->id);
    if (other == own && rule->kind == RULE_CROSS_TABLE)
        return arena_printf(arena, "`other` is a column of the same row: write `check: \"%s %s %.*s\"`", rule->attribute,
                            rule->compare, STR_ARG(name));
    const Column *column = compared_column(other, name);
    if (compared && !goes_together(compared, column))
        return arena_printf(arena, "`%s` and `%s` are of different types", compared->name, rule->other);
    return NULL;
}

/* As PostgreSQL's numeric takes it: -12, 12.5. */
static bool is_decimal(const char *text) {
    char *end = NULL;
    strtod(text, &end);
    return *text && !*end && text[strspn(text, "-0123456789.")] == 0;
}

static const char *check_total(Arena *arena, const RuleSpec *rule, const Entity *entity) {
    bool counts = strcmp(rule->total, "count") == 0;
    if (counts == (rule->attribute != NULL))
        return counts ? "`total: count` counts rows and has no `column`" : "`total` needs a `column`";
    const Column *column = counts ? NULL : compared_column(entity, str_of(rule->attribute));
    if (!counts && !column)
        return no_column(arena, entity, str_of(rule->attribute));
    bool is_number = column && (column->type == TYPE_MONEY || column->type == TYPE_PERCENT || column->type == TYPE_INT ||
                                column->type == TYPE_BIGINT);
    if (strcmp(rule->total, "sum") == 0 && !is_number)
        return arena_printf(arena, "`%s` cannot be added up", rule->attribute);
    if ((rule->limit != NULL) == (rule->other != NULL))
        return "a total is compared with a `limit` or with an `other`, one of them";
    if (rule->limit && !is_decimal(rule->limit))
        return arena_printf(arena, "`limit: %s` is no number", rule->limit);
    bool is_counted = counts || strcmp(rule->total, "distinct") == 0;
    if (rule->limit)
        return is_counted || is_number ? NULL : arena_printf(arena, "`limit` is a number, and `%s` is none", rule->attribute);
    return is_counted ? "a count is compared with a `limit`" : check_other(arena, rule, entity, column);
}

static const char *check_reference(Arena *arena, const RuleSpec *rule, const Entity *entity) {
    const char *mistake = check_entity(arena, rule->references);
    if (mistake)
        return mistake;
    const Column *column = compared_column(entity, str_of(rule->attribute));
    return column->type == TYPE_TEXT ? NULL : arena_printf(arena, "`%s` is no text and names no row", rule->attribute);
}

const char *rule_spec_mistake(Arena *arena, const RuleSpec *rule) {
    const char *mistake = check_entity(arena, rule->entity);
    if (mistake)
        return mistake;
    const Entity *entity = entity_find(str_of(rule->entity));
    for (size_t i = 0; i < rule->n_columns && !mistake; i++)
        mistake = check_column(arena, entity, rule->columns[i]);
    if (!mistake && rule->kind != RULE_CROSS_ROW && rule->attribute)
        mistake = check_column(arena, entity, rule->attribute);
    if (mistake)
        return mistake;
    if (rule->kind == RULE_CROSS_ROW)
        return check_total(arena, rule, entity);
    if (rule->kind == RULE_REFERENCE)
        return check_reference(arena, rule, entity);
    return rule->kind == RULE_CROSS_TABLE
               ? check_other(arena, rule, entity, compared_column(entity, str_of(rule->attribute)))
               : NULL;
}

RuleOther rule_spec_other(const RuleSpec *rule) {
    if (rule->references)
        return (RuleOther){entity_find(str_of(rule->references)), COLUMN_NONE};
    const char *dot = rule->other ? strchr(rule->other, '.') : NULL;
    if (!dot)
        return (RuleOther){NULL, rule->other ? entity_column(entity_find(str_of(rule->entity)), str_of(rule->other))
                                             : COLUMN_NONE};
    const Entity *entity = entity_find((Str){rule->other, (size_t)(dot - rule->other)});
    return (RuleOther){entity, entity_column(entity, str_of(dot + 1))};
}
