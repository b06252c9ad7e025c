/* settle_tool - one settle, for tests/component/test_settle.py and test_settle_order.py.
 *
 *     settle_tool DSN [FISCAL_YEAR_START_MONTH]
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

int main(int argc, char **argv) {
    Error err = {0};
    CLEANUP(arena_drop) Arena *arena = arena_open();
    CLEANUP(pg_drop) Pg *pg = argc >= 2 ? pg_open(argv[1], "settle_tool", 0, &err) : NULL;
    SettleOptions options = {.fiscal_year_start_month = argc > 2 ? atoi(argv[2]) : 10,
                             .person_rules = PERSON_RULES, .n_person_rules = N_PERSON_RULES, .arena = arena};
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
