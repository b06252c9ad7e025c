/* command.c - see command.h. */
#include "command.h"

#include "base/own.h"
#include "doctor.h"
#include "job_table.h"
#include "sealer.h"
#include "storage/migrate.h"
#include "storage/token.h"

#include <stdio.h>

int command_migrate(const Options *options, Config *config) {
    (void)options;
    Error err = {0};
    int n_applied = 0;
    CLEANUP(pg_drop) Pg *owner = pg_open(config->store_owner_dsn, "revcycled migrate", 0, &err);
    if (!owner || !migrate_apply(owner, &n_applied, &err)) {
        options_print_error(&err);
        return EXIT_FAILED;
    }
    printf("%d migrations applied\n", n_applied);
    return EXIT_DONE;
}

int command_token(const Options *options, Config *config) {
    char **args = options->args;
    if (options->n_args != 4 || strcmp(args[0], "add") != 0 || strcmp(args[2], "--scope") != 0) {
        fputs("revcycled: token add NAME --scope read,operate,phi,admin\n", stderr);
        return EXIT_USAGE;
    }
    Error err = {0};
    char text[TOKEN_TEXT_BYTES];
    CLEANUP(pg_drop) Pg *pg = pg_open(config->store_dsn, "revcycled token", 0, &err);
    if (!pg || !token_add(pg, args[1], args[3], text, &err)) {
        options_print_error(&err);
        return EXIT_FAILED;
    }
    puts(text);
    return EXIT_DONE;
}

int command_verify(const Options *options, Config *config) {
    Error err = {0};
    AuditWalk walk = {.next_seal = 1};
    if (options->n_args > 1 || (options->n_args == 1 && !audit_head_parse(options->args[0], &walk.known))) {
        fputs("revcycled: verify [SEAL:HMAC], as the log line \"audit trail sealed\" gave them\n", stderr);
        return EXIT_USAGE;
    }
    if (!config->audit_key_file) {
        fputs("revcycled: the configuration names no audit.key_file: nothing is sealed\n", stderr);
        return EXIT_USAGE;
    }
    CLEANUP(audit_keys_wipe) AuditKeys keys = {.n = 0};
    CLEANUP(pg_drop) Pg *pg = pg_open(config->store_dsn, "revcycled verify", 0, &err);
    bool ok = pg && sealer_keys(config->audit_key_file, &keys, &err);
    while (ok && !walk.is_done)
        ok = audit_walk_step(pg, &keys, &walk, &err);
    if (!ok) {
        options_print_error(&err);
        return EXIT_FAILED;
    }
    CLEANUP(arena_drop) Arena *arena = arena_open();
    char hmac[2 * AUDIT_HMAC_BYTES + 1];
    audit_put_hex(walk.last.hmac, AUDIT_HMAC_BYTES, hmac);
    printf("%s\n%lld seals, %lld lines; %lld lines dropped by retention, %lld not sealed yet; newest seal %lld:%s\n",
           audit_walk_sentence(&walk, arena), (long long)walk.n_seals, (long long)walk.n_lines,
           (long long)walk.n_retired, (long long)walk.n_unsealed, (long long)walk.last.seal_id, hmac);
    return walk.fault == AUDIT_WHOLE ? EXIT_DONE : EXIT_FAILED;
}

int command_doctor(const Options *options, Config *config) {
    (void)options;
    return doctor_run(config, stdout) ? EXIT_DONE : EXIT_FAILED;
}

void command_print_failure(const Run *run) {
    if (run->state == RUN_SUCCEEDED || !run->error.text[0])
        return;
    printf("%s: %s\n", run->job, run->error.text);
    if (run->error.hint[0])
        printf("  hint: %s\n", run->error.hint);
}

/* One line a job; false when it could not be told. */
static bool print_plan(Run *run) {
    pthread_mutex_init(&run->pg_mutex, NULL);
    run_execute(run);
    pthread_mutex_destroy(&run->pg_mutex);
    bool ok = run->outcome == RUN_SUCCEEDED;
    if (ok)
        printf("%-32s %10lld %10lld %12lld\n", run->job, (long long)run->counts.rows_read,
               (long long)run->counts.rows_changed, (long long)run->counts.rows_quarantined);
    else
        command_print_failure(run);
    if (ok && run->note[0])
        printf("    %s\n", run->note);
    return ok;
}

static bool is_wanted(const Options *options, const char *job) {
    return options->n_args == 0 || strcmp(options->args[0], job) == 0;
}

int command_plan(const Options *options, Config *config) {
    PgPool *pool = pg_pool_open(config->store_dsn, "revcycled plan");
    JobTable *table = job_table_make(config);
    size_t n_wanted = 0, n_told = 0;
    printf("%-32s %10s %10s %12s\n", "job", "read", "changed", "quarantined");
    for (size_t i = 0; i < table->n; i++) {
        const Job *job = &table->jobs[i];
        if (!job_kind_can_plan(job->kind) || !is_wanted(options, job->name))
            continue;
        Run run = {.kind = job->kind, .config = config, .feed = job->feed, .claims = job->claims, .pg_pool = pool,
                   .is_plan = true};
        snprintf(run.job, sizeof run.job, "%s", job->name);
        n_wanted++;
        n_told += print_plan(&run);
    }
    job_table_free(table);
    pg_pool_close(pool);
    if (n_wanted == 0)
        fprintf(stderr, "revcycled: there is no job %s whose work can be told before\n", options->args[0]);
    return n_wanted == 0 ? EXIT_USAGE : n_told == n_wanted ? EXIT_DONE : EXIT_FAILED;
}
