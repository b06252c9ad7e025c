/* run.c - see run.h. */
#include "run.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "openlineage.h"
#include "steps/plan.h"
#include "storage/reconcile.h"
#include "storage/run_store.h"
#include "storage/state.h"

static const char *const STATE_NAMES[] = {"queued", "running", "waiting", "held",
                                          "succeeded", "failed", "canceled"};
static const char *const MODE_NAMES[] = {"incremental", "full", "backfill", "remap", "replay", "reconcile", "rebuild"};

/* What a job of each kind does, and the modes it may be asked for. */
#define MODE(mode) (1u << RUN_##mode)
static const struct {
    bool (*step)(RunContext *run, Error *err);
    unsigned modes;
    bool can_plan;
} KINDS[] = {
    [JOB_EXTRACT] = {step_extract,
                     MODE(INCREMENTAL) | MODE(FULL) | MODE(BACKFILL) | MODE(REMAP) | MODE(REPLAY) | MODE(RECONCILE),
                     true},
    [JOB_RECEIVE] = {step_receive, MODE(INCREMENTAL) | MODE(REMAP) | MODE(REPLAY), true},
    [JOB_RECONCILE] = {step_reconcile, MODE(INCREMENTAL) | MODE(RECONCILE)},
    [JOB_SETTLE] = {step_settle, MODE(INCREMENTAL), true},
    [JOB_REFERENCE] = {step_reference, MODE(INCREMENTAL)},
    [JOB_PUBLISH] = {step_publish, MODE(INCREMENTAL) | MODE(RECONCILE) | MODE(REBUILD), true},
    [JOB_KPI] = {step_kpi, MODE(INCREMENTAL)},
    [JOB_QUALITY] = {step_quality, MODE(INCREMENTAL)},
    [JOB_RETENTION] = {step_retention, MODE(INCREMENTAL), true},
};

const char *run_state_name(RunState state) { return STATE_NAMES[state]; }
const char *run_mode_name(RunMode mode) { return MODE_NAMES[mode]; }
bool job_kind_takes(JobKind kind, RunMode mode) { return KINDS[kind].modes >> mode & 1; }
bool job_kind_can_plan(JobKind kind) { return KINDS[kind].can_plan; }

bool run_mode_find(const char *name, RunMode *ret_mode) {
    for (size_t i = 0; i < sizeof MODE_NAMES / sizeof *MODE_NAMES; i++) {
        if (strcmp(MODE_NAMES[i], name) != 0)
            continue;
        *ret_mode = (RunMode)i;
        return true;
    }
    return false;
}

Run *run_make(int64_t id, const char *job) {
    Run *run = calloc(1, sizeof *run);
    if (!run)
        abort();
    pthread_mutex_init(&run->pg_mutex, NULL);
    run->id = id;
    snprintf(run->job, sizeof run->job, "%s", job);
    return run;
}

void run_free(Run *run) {
    pthread_mutex_destroy(&run->pg_mutex);
    free(run);
}

/* ---- on a worker ---- */

static void put_attributes(Buf *steps, const RunCounts *counts) {
    for (int i = 0; i < counts->n_attributes; i++) {
        const RunAttribute *attribute = &counts->attributes[i];
        buf_printf(steps, "%s{\"attribute\":\"%s\",\"versions\":%lld,\"corrected\":%lld}", i > 0 ? "," : "",
                   attribute->name, (long long)attribute->versions, (long long)attribute->corrected);
    }
}

static void put_steps(Buf *steps, const Run *run) {
    const RunCounts *counts = &run->counts;
    buf_printf(steps,
               "[{\"step\":\"%s\",\"rows_read\":%lld,\"rows_new\":%lld,\"rows_changed\":%lld,\"bytes_read\":%lld,"
               "\"bytes_sent\":%lld,\"pages\":%lld,\"ms\":%lld,\"note\":",
               job_kind_name(run->kind), (long long)counts->rows_read, (long long)counts->rows_new,
               (long long)counts->rows_changed, (long long)counts->bytes_read, (long long)counts->bytes_sent,
               (long long)counts->pages,
               (long long)(run->finished_us ? (run->finished_us - run->started_us) / 1000 : 0));
    if (run->note[0])
        buf_put_json(steps, run->note);
    else
        buf_put_str(steps, STR("null"));
    buf_put_str(steps, STR(",\"attributes\":["));
    put_attributes(steps, counts);
    buf_put(steps, "]}]", sizeof "]}]"); /* terminated */
}

static bool is_to_be_told(const Run *run, RunState state) {
    return run->config->lineage.enabled && openlineage_tells(run->kind) && run_state_is_final(state);
}

static bool record(const Run *run, Pg *pg, RunState state, Error *err) {
    enum { STEPS_MAX_BYTES = 8 << 10 };
    CLEANUP(buf_drop) Buf steps;
    buf_init(&steps, STEPS_MAX_BYTES);
    put_steps(&steps, run);
    RunRow row = {
        .id = run->id, .job = run->job, .mode = run_mode_name(run->mode), .trigger = run->trigger,
        .state = run_state_name(state), .attempt = run->attempt, .queued_us = run->queued_us,
        .started_us = run->started_us, .finished_us = run->finished_us,
        .rows_read = run->counts.rows_read, .rows_changed = run->counts.rows_changed,
        .rows_quarantined = run->counts.rows_quarantined, .steps = steps.data,
        .range_from = run->range_from[0] ? run->range_from : NULL,
        .range_to = run->range_to[0] ? run->range_to : NULL, .is_dry = run->is_dry,
        .is_untold = is_to_be_told(run, state), .error = &run->error,
    };
    return run_write(pg, &row, err);
}

static void session_drop(FeedSession **session) { feed_session_free(*session); }

/* The step, kept from writing. A job's session to the hospital serves; the command line has none. */
static bool take_plan(Run *run, Pg *pg, Arena *arena, Error *err) {
    CLEANUP(plan_drop) Plan *plan = plan_open();
    CLEANUP(session_drop) FeedSession *session = run->session ? NULL : feed_session_open();
    RunContext context = {
        .config = run->config, .feed = run->feed, .claims = run->claims, .pg = pg,
        .session = run->session ? run->session : session, .arena = arena, .run_id = run->id,
        .mode = run->mode, .plan = plan, .range_from = run->range_from[0] ? run->range_from : NULL,
        .range_to = run->range_to[0] ? run->range_to : NULL, .canceled = &run->canceled,
    };
    Error ignored = {0};
    TRY(state_read_only(pg, true, err));
    bool ok = KINDS[run->kind].step(&context, err);
    run->counts = context.counts;
    memcpy(run->note, context.note, sizeof run->note);
    return state_read_only(pg, false, ok ? err : &ignored) && ok;
}

static bool take_step(Run *run, Pg *pg, Arena *arena, Error *err) {
    if (run->is_plan)
        return take_plan(run, pg, arena, err);
    if (run->was_asked)
        TRY(record(run, pg, RUN_RUNNING, err));
    RunContext context = {
        .config = run->config, .feed = run->feed, .claims = run->claims, .pg = pg, .pg_pool = run->pg_pool,
        .session = run->session, .arena = arena, .run_id = run->id, .job = run->job,
        .trigger = run->trigger, .epoch = run->epoch, .mode = run->mode,
        .mode_name = run_mode_name(run->mode), .range_from = run->range_from[0] ? run->range_from : NULL,
        .range_to = run->range_to[0] ? run->range_to : NULL, .canceled = &run->canceled,
        .is_dry = run->is_dry, .is_approved = run->is_approved,
    };
    bool ok = KINDS[run->kind].step(&context, err);
    run->counts = context.counts;
    run->cursor = context.cursor;
    run->wants_reconcile = context.wants_reconcile;
    run->wants_full = context.wants_full;
    run->wants_more = context.wants_more;
    run->has_settled |= context.has_settled; /* in an attempt before this one, too */
    memcpy(run->note, context.note, sizeof run->note);
    return ok;
}

bool run_leaves_trace(const Run *run) {
    if (run->is_plan)
        return false;
    return run->was_asked || run->note[0] || run->attempt > 1 /* the ledger has the one before */ || run->kind == JOB_RECONCILE ||
           run->kind == JOB_KPI /* that nothing moved is an answer */ || run->has_settled /* that batch bears its id */ ||
           run->outcome != RUN_SUCCEEDED || run->counts.batches > 0 ||
           run->counts.rows_changed > 0 || run->counts.rows_quarantined > 0 || run->counts.bytes_sent > 0;
}

static void log_end(const Run *run) {
    int64_t ms = (run->finished_us - run->started_us) / 1000;
    if (run->outcome == RUN_SUCCEEDED && !run_leaves_trace(run)) {
        LOG_DEBUG("quiet poll", LOG_TEXT("job", run->job), LOG_INT("ms", ms));
        return;
    }
    if (run->outcome == RUN_SUCCEEDED)
        LOG_INFO("run succeeded", LOG_TEXT("job", run->job), LOG_INT("run", run->id),
                 LOG_INT("rows_read", run->counts.rows_read), LOG_INT("rows_changed", run->counts.rows_changed),
                 LOG_INT("rows_quarantined", run->counts.rows_quarantined),
                 LOG_INT("bytes_sent", run->counts.bytes_sent), LOG_INT("ms", ms));
    else if (run->outcome == RUN_HELD)
        LOG_FAILURE(LOG_LEVEL_ERROR, "run held until a person decides", &run->error, LOG_TEXT("job", run->job),
                    LOG_INT("run", run->id), LOG_INT("ms", ms));
    else if (run->outcome == RUN_CANCELED)
        LOG_INFO("run canceled", LOG_TEXT("job", run->job), LOG_INT("run", run->id), LOG_INT("ms", ms));
    else
        LOG_FAILURE(LOG_LEVEL_ERROR, "run failed", &run->error, LOG_TEXT("job", run->job),
                    LOG_INT("run", run->id), LOG_INT("attempt", run->attempt), LOG_INT("ms", ms));
}

static void lend_pg(Run *run, Pg *pg) {
    pthread_mutex_lock(&run->pg_mutex);
    run->pg = pg;
    pthread_mutex_unlock(&run->pg_mutex);
}

void run_cancel(Run *run) { atomic_store(&run->canceled, true); }

void run_interrupt(Run *run) {
    if (run->session)
        feed_session_cancel(run->session);
    pthread_mutex_lock(&run->pg_mutex);
    if (run->pg)
        pg_cancel(run->pg);
    pthread_mutex_unlock(&run->pg_mutex);
}

static RunState state_of_error(const Error *err) {
    if (strcmp(err->state, STATE_HELD) == 0)
        return RUN_HELD;
    return error_class(err) == ERROR_CANCELED ? RUN_CANCELED : RUN_FAILED;
}

void run_execute(Run *run) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    error_clear(&run->error);
    run->counts = (RunCounts){0};
    run->started_us = clock_wall_us();
    if (atomic_load(&run->canceled) && !run->was_asked)
        error_set(&run->error, STATE_CANCELED, "canceled before it began");
    Pg *pg = run->error.state[0] ? NULL : pg_pool_take(run->pg_pool, &run->error);
    lend_pg(run, pg);
    bool ok = pg && take_step(run, pg, arena, &run->error);
    run->finished_us = clock_wall_us();
    run->outcome = ok ? RUN_SUCCEEDED : state_of_error(&run->error);
    lend_pg(run, NULL);
    Error ignored = {0}; /* a run that cannot be recorded is in the log */
    if (pg && run_leaves_trace(run))
        record(run, pg, run->outcome, &ignored);
    pg_pool_give(run->pg_pool, pg);
    log_end(run);
}

void run_record(Run *run) {
    if (run->is_plan)
        return;
    Error err = {0};
    Pg *pg = pg_pool_take(run->pg_pool, &err);
    bool forgets = run->kind == JOB_RECONCILE; /* what it found is nobody's to delete any more */
    if (!pg || !record(run, pg, run->outcome, &err) || (forgets && !reconcile_forget_run(pg, run->id, &err)))
        LOG_FAILURE(LOG_LEVEL_WARN, "a canceled run was not recorded", &err, LOG_TEXT("job", run->job),
                    LOG_INT("run", run->id));
    pg_pool_give(run->pg_pool, pg);
}

/* ---- judging ---- */

Verdict run_judge(const Run *run, uint32_t random, int64_t *ret_delay_ms) {
    if (run->state != RUN_FAILED || run->attempt >= RUN_ATTEMPTS_MAX || atomic_load(&run->canceled))
        return VERDICT_FINAL;
    ErrorClass class = error_class(&run->error);
    if (class == ERROR_CONFLICT)
        return run->attempt <= 3 ? VERDICT_AGAIN_NOW : VERDICT_FINAL;
    if (class != ERROR_TRANSIENT)
        return VERDICT_FINAL;
    int64_t base_ms = INT64_C(500) << run->attempt; /* 1, 2, 4, 8 s */
    *ret_delay_ms = base_ms + (int64_t)random % base_ms;
    return VERDICT_AGAIN_LATER;
}
