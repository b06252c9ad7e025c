/* rule_book.c - see rule_book.h. */
#include "storage/rule_book.h"

#include "base/own.h"
#include "sql.h"
#include "transform/rule_built_in.h"

enum { BOOK_MAX_BYTES = 4 << 20, N_COLUMNS = 8 };

typedef struct Line {
    const char *subject, *name, *kind, *scope, *dimension, *severity, *says, *definition;
} Line;

struct RuleBook {
    Arena *arena;
    Line *lines;
    size_t n;
    PgParams params;
};

static const char *const SCOPES[] = {"row", "set", "feed"};

static Line *find_line(const RuleBook *book, const char *subject, const char *name) {
    for (size_t i = 0; i < book->n; i++)
        if (strcmp(book->lines[i].subject, subject) == 0 && strcmp(book->lines[i].name, name) == 0)
            return &book->lines[i];
    return NULL;
}

static void add_built_in(RuleBook *book, const BuiltInRule *rule) {
    for (int i = 0; i < N_ENTITIES; i++)
        if (built_in_is_for(rule, &ENTITIES[i]))
            book->lines[book->n++] = (Line){
                ENTITIES[i].name, rule->name, "built_in", SCOPES[RULE_OF_ROW], dimension_name(rule->dimension),
                severity_name(rule->severity), rule->says,
                rule->check ? arena_printf(book->arena, "check %s", rule->check) : "built in"};
}

/* A check of another name's rule is changed, one more of the same name is added. */
static void change_line(RuleBook *book, Line *line, const RuleSpec *rule) {
    bool has_check = rule->kind != RULE_CHECK || rule->check;
    const char *definition = rule_spec_definition(book->arena, rule);
    line->severity = severity_name(rule->severity);
    if (rule->says)
        line->says = rule->says;
    if (!has_check)
        return;
    bool was_built_in = strcmp(line->kind, "built_in") == 0;
    if (!rule->says)
        line->says = rule_spec_sentence(book->arena, rule);
    line->kind = rule_kind_name(rule->kind);
    line->definition = was_built_in ? definition : arena_printf(book->arena, "%s; %s", line->definition, definition);
}

static void add_rule(RuleBook *book, const RuleSpec *rule) {
    RuleScope scope = rule_scope(rule->kind);
    const char *subject = scope == RULE_OF_FEED ? rule->feed : rule->entity;
    Line *line = find_line(book, subject, rule->name);
    if (line) {
        change_line(book, line, rule);
        return;
    }
    book->lines[book->n++] = (Line){
        subject, rule->name, rule_kind_name(rule->kind), SCOPES[scope], dimension_name(rule_dimension(rule->kind)),
        severity_name(rule->severity), rule_spec_sentence(book->arena, rule), rule_spec_definition(book->arena, rule)};
}

static const char *column_of(const Line *line, int column) {
    const char *const columns[N_COLUMNS] = {line->subject,   line->name,     line->kind, line->scope,
                                            line->dimension, line->severity, line->says, line->definition};
    return columns[column];
}

static bool make_params(RuleBook *book, Error *err) {
    book->params.n = N_COLUMNS;
    for (int column = 0; column < N_COLUMNS; column++) {
        CLEANUP(buf_drop) Buf list = pg_array(BOOK_MAX_BYTES);
        for (size_t i = 0; i < book->n; i++)
            pg_array_text(&list, str_of(column_of(&book->lines[i], column)));
        const char *literal = pg_array_end(&list, err);
        TRY(literal);
        book->params.values[column] = arena_string(book->arena, str_of(literal));
    }
    return true;
}

RuleBook *rule_book_make(Arena *arena, const RuleSpec *rules, size_t n_rules, Error *err) {
    RuleBook *book = ARENA_NEW(arena, RuleBook);
    book->arena = arena;
    book->lines = ARENA_ARRAY(arena, Line, N_BUILT_IN_RULES * (size_t)N_ENTITIES + n_rules);
    for (size_t i = 0; i < N_BUILT_IN_RULES; i++)
        add_built_in(book, &BUILT_IN_RULES[i]);
    for (size_t i = 0; i < n_rules; i++)
        add_rule(book, &rules[i]);
    return make_params(book, err) ? book : NULL;
}

bool rule_book_differs(const RuleBook *book, Pg *pg, bool *ret_differs, Error *err) {
    CLEANUP(pg_result_drop) PgResult *compared = pg_query(pg, SQL_RULE_BOOK_DIFFERS, &book->params, err);
    TRY(compared);
    *ret_differs = pg_bool(compared, 0, 0);
    return true;
}

PgResult *rule_book_gone(const RuleBook *book, Pg *pg, Error *err) {
    return pg_query(pg, SQL_RULE_BOOK_GONE,
                    PG_PARAMS(book->params.values[0], book->params.values[1], book->params.values[3]), err);
}

bool rule_book_marks_rows(const RuleBook *book, Pg *pg, bool *ret_marks, Error *err) {
    CLEANUP(pg_result_drop) PgResult *gone = rule_book_gone(book, pg, err);
    TRY(gone);
    *ret_marks = pg_rows(gone) > 0;
    for (size_t i = 0; i < book->n; i++)
        *ret_marks |= book->lines[i].scope == SCOPES[RULE_OF_SET];
    return true;
}

bool rule_book_knows(Pg *pg, const RuleSpec *rule, Arena *arena, bool *ret_knows, Error *err) {
    CLEANUP(pg_result_drop) PgResult *known = pg_query(
        pg, SQL_RULE_BOOK_KNOWS, PG_PARAMS(rule->entity, rule->name, rule_spec_definition(arena, rule)), err);
    TRY(known);
    *ret_knows = pg_bool(known, 0, 0);
    return true;
}

bool rule_book_write(const RuleBook *book, Pg *tx, Error *err) {
    return pg_exec(tx, SQL_RULE_BOOK_FORGET, &book->params, NULL, err) &&
           pg_exec(tx, SQL_RULE_BOOK_WRITE, &book->params, NULL, err) &&
           pg_exec(tx, SQL_RULE_BOOK_FEED_RULES_FORGET, PG_NONE, NULL, err);
}
