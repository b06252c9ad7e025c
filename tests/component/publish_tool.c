/* publish_tool - one run of the publish step, for tests/component/test_publish.py.
 *
 *     publish_tool DSN ENDPOINT PROJECT PROFILE [rebuild | load-jobs=N | bytes-billed=N | timeout-ms=N]
 *
 * Settling is left out: the tests make silver's rows settled. Exit 0, 1 (the error on stderr) or 3
 * (held). Prints what the run counted: "rows_read rows_changed bytes_sent". */
#include "base/clock.h"
#include "base/own.h"
#include "steps/steps.h"
#include "storage/http.h"
#include "storage/pg.h"

#include <stdio.h>

bool step_settle(RunContext *run, Error *err) {
    (void)run;
    (void)err;
    return true;
}

static int report(const Error *err) {
    fprintf(stderr, "%s %s\n%s\n", err->state, err->text, err->hint);
    return strcmp(err->state, STATE_HELD) == 0 ? 3 : 1;
}

int main(int argc, char **argv) {
    Error err = {0};
    if (argc < 5 || !http_global_init(&err))
        return 2;
    Config config = {.bigquery = {
        .enabled = true, .endpoint = argv[2], .project = argv[3], .dataset = "healthcare_rcm",
        .location = "US", .profile = strcmp(argv[4], "full") == 0 ? PROFILE_FULL : PROFILE_LIMITED,
        .compare_every_ms = 24 * 3600 * 1000, .max_load_jobs_per_day = 20000, .max_bytes_billed_per_day = 1LL << 40}};
    CLEANUP(arena_drop) Arena *arena = arena_open();
    CLEANUP(pg_drop) Pg *pg = pg_open(argv[1], "publish_tool", 0, &err);
    if (!pg)
        return report(&err);
    atomic_bool canceled = false;
    RunContext run = {.config = &config, .pg = pg, .arena = arena, .canceled = &canceled};
    for (int i = 5; i < argc; i++) {
        if (strcmp(argv[i], "rebuild") == 0)
            run.mode = RUN_REBUILD;
        else if (strncmp(argv[i], "load-jobs=", 10) == 0)
            config.bigquery.max_load_jobs_per_day = strtoll(argv[i] + 10, NULL, 10);
        else if (strncmp(argv[i], "bytes-billed=", 13) == 0)
            config.bigquery.max_bytes_billed_per_day = strtoll(argv[i] + 13, NULL, 10);
        else if (strncmp(argv[i], "timeout-ms=", 11) == 0)
            config.bigquery.timeout_ms = strtoll(argv[i] + 11, NULL, 10);
    }
    if (!step_publish(&run, &err))
        return report(&err);
    printf("%lld %lld %lld\n", (long long)run.counts.rows_read, (long long)run.counts.rows_changed,
           (long long)run.counts.bytes_sent);
    return 0;
}
