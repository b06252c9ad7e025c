/* lineage.c - see lineage.h. */
#include "lineage.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "base/own.h"
#include "openlineage.h"
#include "outbox.h"
#include "storage/run_store.h"

#include <stdlib.h>

/* Two events each: they fit into the outbox, and leave room. */
enum { LEFT_MAX = 400 };

struct Lineage {
    LineageHouse house;
    PgPool *pg_pool;
    Outbox *outbox;
};

/* The outbox's thread. */
static void note_told(void *context, int64_t run_id) {
    const Lineage *lineage = context;
    Error err = {0};
    FAILPOINT("lineage.after_sent");
    Pg *pg = pg_pool_take(lineage->pg_pool, &err);
    if (!pg || !run_told(pg, run_id, &err))
        LOG_FAILURE(LOG_LEVEL_WARN, "a run was told, and will be again", &err, LOG_INT("run", run_id));
    pg_pool_give(lineage->pg_pool, pg);
    FAILPOINT("lineage.after_told");
}

static void put_events(Lineage *lineage, const Run *run, bool may_stand) {
    outbox_put(lineage->outbox, openlineage_event(&lineage->house, run, LINEAGE_BEGIN), 0, may_stand);
    outbox_put(lineage->outbox, openlineage_event(&lineage->house, run, LINEAGE_END), run->id, may_stand);
}

/* ---- what an earlier process left ---- */

static void tell_left(Lineage *lineage, const Job *job, const Config *config, const HeldRun *left) {
    Run *run = run_make(left->row.id, left->row.job);
    run->kind = job->kind;
    run->config = config;
    run->feed = job->feed;
    run->claims = job->claims;
    run->state = strcmp(left->row.state, run_state_name(RUN_SUCCEEDED)) == 0  ? RUN_SUCCEEDED
                 : strcmp(left->row.state, run_state_name(RUN_CANCELED)) == 0 ? RUN_CANCELED
                                                                              : RUN_FAILED;
    run->queued_us = left->row.queued_us;
    run->started_us = left->row.started_us;
    run->finished_us = left->row.finished_us;
    run->counts.rows_changed = left->row.rows_changed;
    run->error = left->error;
    put_events(lineage, run, true);
    run_free(run);
}

/* Of a job that is no more nothing can be told: what it read stands in no configuration. */
static bool tell_all_left(Lineage *lineage, Jobs *jobs, const char *owner, Error *err) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    HeldRun *left;
    size_t n;
    Pg *pg = pg_pool_take(lineage->pg_pool, err);
    bool ok = pg && run_find_untold(pg, owner, LEFT_MAX, arena, &left, &n, err);
    pg_pool_give(lineage->pg_pool, pg);
    TRY(ok);
    for (size_t i = 0; i < n; i++) {
        const Job *job = jobs_find(jobs, left[i].row.job);
        if (job && openlineage_tells(job->kind))
            tell_left(lineage, job, jobs_config(jobs), &left[i]);
        else
            note_told(lineage, left[i].row.id);
    }
    return true;
}

/* ---- public ---- */

Lineage *lineage_open(const Config *config, Jobs *jobs, PgPool *pg_pool, const char *owner, Error *err) {
    const LineageConfig *wanted = &config->lineage;
    if (!wanted->enabled)
        return NULL;
    Lineage *lineage = calloc(1, sizeof *lineage);
    if (!lineage)
        abort();
    lineage->pg_pool = pg_pool;
    lineage->house.namespace = wanted->namespace;
    pg_dsn_place(config->store_dsn, config->arena, &lineage->house.store, &lineage->house.database);
    lineage->outbox = outbox_open(&(OutboxOptions){.file = wanted->file, .file_bytes_max = wanted->file_bytes_max,
                                                   .url = wanted->url, .token_file = wanted->token_file,
                                                   .sent = note_told, .context = lineage}, err);
    if (lineage->outbox && tell_all_left(lineage, jobs, owner, err))
        return lineage;
    lineage_close(lineage);
    return NULL;
}

void lineage_tell(Lineage *lineage, const Run *run) {
    if (run_state_is_final(run->state) && openlineage_tells(run->kind) && run_leaves_trace(run))
        put_events(lineage, run, false);
}

void lineage_close(Lineage *lineage) {
    if (lineage->outbox)
        outbox_close(lineage->outbox);
    free(lineage);
}
