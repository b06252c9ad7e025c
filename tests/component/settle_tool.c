/* settle_tool - one settle, for tests/component/test_settle.py and test_settle_order.py.
 *
 *     settle_tool DSN [FISCAL_YEAR_START_MONTH [RULE …]]
 *
 * A RULE is "name kind entity key=value …", as the configuration has them; lists part their elements by commas.
 *
 * Prints "rows_read rows_changed", or "nothing" when no batch was due. Exit 0 or 1: also when settle left a table or a
 * view of its own in the session, where the next one would find it. */
#include "base/own.h"
#include "storage/settle.h"

#include <stdio.h>

static bool is_session_clean(Pg *pg, Error *err) {
    CLEANUP(pg_result_drop) PgResult *left = pg_query(
        pg, "SELECT relname FROM pg_class WHERE relnamespace = pg_my_temp_schema() AND relname LIKE 'settle_%'", PG_NONE, err);
    TRY(left);
    return pg_rows(left) == 0 || error_set(err, STATE_BUG, "settle left %s behind", pg_text(left, 0, 0));
}

/* The texts of a list; its size_t stands behind the pointer. */
static void put_list(Arena *arena, char *value, const char *const **ret_list, size_t *ret_n) {
    const char **list = ARENA_ARRAY(arena, const char *, 8);
    for (char *at = strtok(value, ","); at && *ret_n < 8; at = strtok(NULL, ","))
        list[(*ret_n)++] = at;
    *ret_list = list;
}

static void put_key(Arena *arena, RuleSpec *rule, const char *key, char *value) {
    const struct {
        const char *key;
        const char **target;
    } TEXTS[] = {{"column", &rule->attribute}, {"references", &rule->references}, {"total", &rule->total},
                 {"compare", &rule->compare}, {"other", &rule->other}, {"limit", &rule->limit}, {"says", &rule->says}};
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
        if (strcmp(TEXTS[i].key, key) == 0)
            *TEXTS[i].target = value;
    if (strcmp(key, "columns") == 0)
        put_list(arena, value, &rule->columns, &rule->n_columns);
}

static RuleSpec rule_of(Arena *arena, const char *text) {
    RuleSpec rule = {0};
    char *rest, *copy = arena_string(arena, str_of(text));
    rule.name = strtok_r(copy, " ", &rest);
    const char *kind = strtok_r(NULL, " ", &rest);
    for (RuleKind i = RULE_CHECK; i <= RULE_VOLUME; i++)
        if (strcmp(rule_kind_name(i), kind) == 0)
            rule.kind = i;
    rule.entity = strtok_r(NULL, " ", &rest);
    for (char *part; (part = strtok_r(NULL, " ", &rest));) {
        char *value = strchr(part, '=');
        *value++ = '\0';
        put_key(arena, &rule, part, value);
    }
    const char *mistake = rule_spec_mistake(arena, &rule);
    if (mistake)
        fprintf(stderr, "%s: %s\n", rule.name, mistake);
    return rule;
}

int main(int argc, char **argv) {
    Error err = {0};
    CLEANUP(arena_drop) Arena *arena = arena_open();
    CLEANUP(pg_drop) Pg *pg = argc >= 2 ? pg_open(argv[1], "settle_tool", 0, &err) : NULL;
    SettleOptions options = {.fiscal_year_start_month = argc > 2 ? atoi(argv[2]) : 10,
                             .person_rules = PERSON_RULES, .n_person_rules = N_PERSON_RULES, .arena = arena};
    RuleSpec *rules = ARENA_ARRAY(arena, RuleSpec, (size_t)argc);
    for (int i = 3; i < argc; i++)
        rules[options.n_rules++] = rule_of(arena, argv[i]);
    options.rules = rules;
    SettleOutcome outcome;
    if (!pg || !settle(pg, &options, &outcome, &err) || !is_session_clean(pg, &err)) {
        fprintf(stderr, "%s %s\n%s\n", err.state, err.text, err.hint);
        return 1;
    }
    if (outcome.was_due)
        printf("%lld %lld\n", (long long)outcome.rows_read, (long long)outcome.rows_changed);
    else
        printf("nothing\n");
    return 0;
}
