/* job.c - see job.h.
 *
 * A run goes: made (queued) -> submitted to a worker (running) -> judged -> ended, or waiting to be submitted
 * again. plan() is called after whatever may have changed what can start, or whether all is at rest. */
#include "job.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "course.h"
#include "lease.h"
#include "recent.h"
#include "schedule.h"
#include "storage/kpi.h"
#include "storage/run_store.h"
#include "storage/settle.h"
#include "storage/state.h"
#include "turn.h"

#include <stdlib.h>

enum { LEASE_RENEWALS = 3 /* in the time of a lease */ };
static const char LOOK_PATIENCE[] = "3s";

/* Another configuration on its way in: its jobs, made and leased before they replace the old ones. */
typedef struct Reload {
    Jobs *jobs;
    JobTable *table;
    Leases *leases;
    JobsReloaded done;
    void *context;
    bool is_claiming; /* on a worker */
    bool ok;
    Error error;
} Reload;

struct Jobs {
    JobsOptions options;
    JobTable *table;
    Leases *leases;
    LoopTimer *due_timer, *lease_timer;
    Recent recent;
    Course course; /* it is ending while this drains */
    bool is_started;
    bool is_looking; /* for news of others */
    size_t n_guests; /* that entered and did not leave */
    LoopCall drained;
    void *drain_context;
    Reload *reload; /* on its way, or NULL */
    JobsFollower follower;
    RunListener listener;
    void *listener_context;
};

static void plan(void *context);
static void on_held(void *context, const HeldRun *held);

static Turns turns_of(const Jobs *jobs) {
    return (Turns){.table = jobs->table, .leases = jobs->leases, .recent = &jobs->recent,
                   .n_workers = pool_workers(jobs->options.pool), .is_started = jobs->is_started};
}

/* ---- the leases ---- */

static void on_lease_gained(void *context, Job *job) { jobs_wake(context, job); }

/* What a person decides on it is asked of the daemon that has it now. */
static void on_lease_lost(void *context, Job *job) {
    Jobs *jobs = context;
    Run *held = recent_find_held(&jobs->recent, job);
    if (job->current)
        course_cancel(&jobs->course, job->current);
    if (held)
        recent_drop(&jobs->recent, held);
}

/* What others placed, settled, or had decided, on the same store, and what a settle that failed left: who has settle, or the
 * figures, looks for it as often as leases are renewed. */
static const JobKind LOOKED_FOR[] = {JOB_SETTLE, JOB_KPI};
enum { N_LOOKED_FOR = sizeof LOOKED_FOR / sizeof *LOOKED_FOR };
typedef struct Look {
    Jobs *jobs;
    int64_t begun_us;
    bool is_wanted[N_LOOKED_FOR], has_news[N_LOOKED_FOR];
} Look;

static bool find_news(Pg *pg, JobKind kind, bool *ret_has_news, Error *err) {
    return kind == JOB_SETTLE ? settle_is_called(pg, ret_has_news, err) : kpi_is_due(pg, ret_has_news, err);
}

/* A stop and a reload wait for it. */
static bool look_on(Look *look, Pg *pg, Error *err) {
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    TRY(tx && state_haste(tx, LOOK_PATIENCE, err));
    for (size_t i = 0; i < N_LOOKED_FOR; i++)
        TRY(!look->is_wanted[i] || find_news(tx, LOOKED_FOR[i], &look->has_news[i], err));
    return true;
}

static void look_work(void *context) {
    Look *look = context;
    Error err = {0};
    Pg *pg = pg_pool_take(look->jobs->options.pg_pool, &err);
    if (!pg || !look_on(look, pg, &err))
        LOG_FAILURE(LOG_LEVEL_WARN, "news of other daemons were not looked for", &err);
    pg_pool_give(look->jobs->options.pg_pool, pg);
}

/* What lists tell page by page, figures are asked for at the end of the run. */
static bool wants_news(const Jobs *jobs, JobKind kind) {
    const Job *job = job_table_find_kind(jobs->table, kind), *lists = job_table_find_kind(jobs->table, JOB_REFERENCE);
    bool is_told = kind == JOB_KPI && lists && lists->current;
    return job->has_lease && !job->current && !job->is_woken && !is_told;
}

/* A run that began meanwhile may have seen them: the next look tells. */
static void look_done(void *context) {
    Look *look = context;
    Jobs *jobs = look->jobs;
    jobs->is_looking = false;
    for (size_t i = 0; i < N_LOOKED_FOR; i++) {
        Job *job = job_table_find_kind(jobs->table, LOOKED_FOR[i]);
        if (look->has_news[i] && wants_news(jobs, LOOKED_FOR[i]) && job->finished_us < look->begun_us)
            jobs_wake(jobs, job);
    }
    free(look);
    plan(jobs);
}

static void look_for_news(Jobs *jobs) {
    Look *look = calloc(1, sizeof *look);
    if (!look)
        abort();
    *look = (Look){.jobs = jobs, .begun_us = clock_monotonic_us()};
    for (size_t i = 0; i < N_LOOKED_FOR; i++)
        look->is_wanted[i] = wants_news(jobs, LOOKED_FOR[i]);
    jobs->is_looking = true;
    pool_submit(jobs->options.urgent, (PoolWork){look_work, look_done, look});
}

static void on_leases_renewed(void *context) {
    Jobs *jobs = context;
    if (jobs->is_started && !jobs->is_looking && leases_are_current(jobs->leases) && !jobs->course.is_ending)
        look_for_news(jobs);
    plan(jobs);
}

static void keep_leases(void *context) {
    Jobs *jobs = context;
    leases_sever_overdue(jobs->leases);
    if (!jobs->course.is_ending)
        leases_renew(jobs->leases);
}

static Leases *make_leases(Jobs *jobs, JobTable *table) {
    return leases_make(&(LeasesOptions){
        .table = table, .pg_pool = jobs->options.pg_pool, .urgent = jobs->options.urgent,
        .owner = jobs->options.owner, .lease_ms = jobs->options.lease_ms,
        .events = {on_held, on_lease_gained, on_lease_lost, on_leases_renewed, jobs}});
}

static bool claim_on(Pg *pg, const char *owner, JobTable *table, Leases *leases, Error *err) {
    return lease_end_overdue(pg, owner, err) && job_table_take_hospitals(table, pg, owner, err) &&
           leases_claim(leases, pg, err) && job_table_take_ages(table, pg, err) &&
           job_table_take_news(table, pg, err);
}

/* Blocking: what the store has for these jobs. */
static bool claim(const Jobs *jobs, JobTable *table, Leases *leases, Error *err) {
    Pg *pg = pg_pool_take(jobs->options.pg_pool, err);
    bool ok = pg && claim_on(pg, jobs->options.owner, table, leases, err);
    pg_pool_give(jobs->options.pg_pool, pg);
    return ok;
}

/* ---- runs ---- */

static void tell(void *context, const Run *run) {
    const Jobs *jobs = context;
    if (jobs->listener)
        jobs->listener(jobs->listener_context, run);
}

/* What a run has from its job, which another configuration may have made anew. */
static void bind(Jobs *jobs, Run *run, Job *job) {
    run->kind = job->kind;
    run->config = jobs->table->config;
    run->feed = job->feed;
    run->claims = job->claims;
    run->pg_pool = jobs->options.pg_pool;
    run->epoch = job->epoch;
    run->owner = job;
}

static Run *new_run(Jobs *jobs, Job *job, int64_t id) {
    Run *run = run_make(id, job->name);
    bind(jobs, run, job);
    return run;
}

/* One that was held before this start, or by a daemon that is gone, waits on. */
static void on_held(void *context, const HeldRun *held) {
    Jobs *jobs = context;
    Job *job = job_table_find(jobs->table, held->row.job);
    if (!job || jobs_run_find(jobs, held->row.id))
        return;
    Run *run = new_run(jobs, job, held->row.id);
    run->state = run->outcome = RUN_HELD;
    run_mode_find(held->row.mode, &run->mode);
    snprintf(run->trigger, sizeof run->trigger, "%s", held->row.trigger);
    run->was_asked = true;
    run->attempt = held->row.attempt;
    run->queued_us = held->row.queued_us;
    run->started_us = held->row.started_us;
    run->finished_us = held->row.finished_us;
    run->error = held->error;
    recent_keep(&jobs->recent, run);
    job->last = run;
}

static Run *make_run(Jobs *jobs, Job *job, const TriggerRequest *request, bool was_asked) {
    Run *run = new_run(jobs, job, leases_take_id(jobs->leases));
    Run *held = recent_find_held(&jobs->recent, job);
    if (held && !request->is_dry && !request->is_plan) /* it finds anew what that one was held for */
        course_refuse(&jobs->course, held);
    run->mode = request->mode;
    run->was_asked = was_asked;
    run->is_dry = request->is_dry;
    run->is_plan = request->is_plan;
    run->attempt = 1;
    run->queued_us = clock_wall_us();
    snprintf(run->trigger, sizeof run->trigger, "%s", request->by);
    snprintf(run->range_from, sizeof run->range_from, "%s", request->from ? request->from : "");
    snprintf(run->range_to, sizeof run->range_to, "%s", request->to ? request->to : "");
    job->current = run;
    job->begun_us = 0;
    job->is_woken = job->is_woken && run->is_plan; /* a plan answers no call */
    return run;
}

/* Rows that came are news for who looks at all rows once they are settled, whether or not a settle found something to write,
 * and whose it was: a publication settles first. */
static void wake_followers(Jobs *jobs, const Job *job, const Run *run) {
    bool has_placed = job->kind <= JOB_RECONCILE && (run->counts.batches > 0 || run->counts.rows_changed > 0);
    bool has_told = job->kind == JOB_REFERENCE && run->counts.rows_changed > 0; /* payers' types, which figures go by */
    const struct {
        bool has_news;
        JobKind next;
    } FOLLOWERS[] = {
        {has_placed, JOB_SETTLE},
        {has_placed, JOB_REFERENCE}, /* numbers that nobody has asked for yet */
        {run->has_settled || has_told, JOB_KPI},
        {run->has_settled, JOB_QUALITY},
    };
    for (size_t i = 0; i < sizeof FOLLOWERS / sizeof *FOLLOWERS; i++) {
        Job *next = FOLLOWERS[i].has_news ? job_table_find_kind(jobs->table, FOLLOWERS[i].next) : NULL;
        if (next)
            jobs_wake(jobs, next);
    }
}

/* What polling alone may have missed is looked for now, where the feed is reconciled at all. */
static void wake_reconcile(Jobs *jobs, const Job *job) {
    if (job->feed)
        jobs_wake(jobs, job_table_find_of_feed(jobs->table, JOB_RECONCILE, job->feed));
}

static void take_cursor_report(Jobs *jobs, Job *job, const Run *run) {
    if (run->wants_reconcile)
        wake_reconcile(jobs, job);
    if (run->wants_full || run->wants_more)
        jobs_wake(jobs, job);
    job->is_full_due = run->wants_full;
    if (!run->cursor.is_known)
        return;
    job->cursor = run->cursor;
    METRIC_SET(METRIC_FEED_CURSOR_HELD, (double)run->cursor.held_us / 1e6, job->name);
}

static void count_run(const Job *job, const Run *run) {
    METRIC_ADD(METRIC_RUNS, 1, job->name, run_state_name(run->state));
    METRIC_OBSERVE(METRIC_RUN_DURATION, (double)(run->finished_us - run->started_us) / 1e6, job->name);
    if (run->state == RUN_SUCCEEDED && job_is_place(job))
        METRIC_SET(METRIC_FEED_LAST_SUCCESS, (double)run->finished_us / 1e6, job->name);
}

static void on_run_ended(void *context, Run *run) {
    Jobs *jobs = context;
    Job *job = run->owner;
    job->current = NULL;
    if (run->is_plan) { /* nothing happened; no ledger has it, so it is kept before who waits is told */
        recent_keep(&jobs->recent, run);
        tell(jobs, run);
        return;
    }
    job->finished_us = clock_monotonic_us();
    job->took_us = job->begun_us ? job->finished_us - job->begun_us : 0; /* canceled before it began */
    job->failures = run->state == RUN_FAILED ? job->failures + 1 : 0;
    if (run->state == RUN_SUCCEEDED)
        job->last_success_us = run->finished_us;
    if (run->state == RUN_FAILED && error_class(&run->error) == ERROR_CONFIGURATION)
        job->is_stopped = true;
    count_run(job, run);
    take_cursor_report(jobs, job, run);
    if (jobs->follower.ended)
        jobs->follower.ended(jobs->follower.context, run);
    wake_followers(jobs, job, run);
    tell(jobs, run);
    if (!run_leaves_trace(run) && leases_return_id(jobs->leases, run->id)) { /* a quiet poll; its id is used again */
        run_free(run);
        return;
    }
    job->last = run;
    if (!run->is_kept)
        recent_keep(&jobs->recent, run);
}

/* ---- starting what is due ---- */

static void start_scheduled(Jobs *jobs, Job *job) {
    bool is_full = job->kind == JOB_EXTRACT && job->is_full_due;
    TriggerRequest request = {.mode = job->kind == JOB_RECONCILE ? RUN_RECONCILE
                                      : is_full                  ? RUN_FULL
                                                                 : RUN_INCREMENTAL,
                              .by = is_full ? "schema drift" : "schedule"};
    Interrupted again = job->interrupted;
    job->interrupted.is_asked = false;
    if (again.is_asked)
        request = (TriggerRequest){.mode = again.mode, .by = again.by, .from = again.from, .to = again.to};
    course_submit(&jobs->course, make_run(jobs, job, &request, is_full || again.is_asked));
}

/* Starts what waits and what is due, as workers allow; arms the timer for what comes next. */
static void start_due(Jobs *jobs) {
    const Turns turns = turns_of(jobs);
    int64_t now_us = clock_monotonic_us(), next_us;
    for (Job *job; (job = turn_find_startable(&turns, now_us, &next_us));) {
        if (job->current)
            course_submit(&jobs->course, job->current);
        else
            start_scheduled(jobs, job);
    }
    if (next_us != SCHEDULE_NEVER)
        loop_timer_start(jobs->due_timer, (next_us - now_us) / 1000 + 1, 0);
}

static size_t count_unfinished(const Jobs *jobs) {
    size_t n = 0;
    for (size_t i = 0; i < jobs->table->n; i++)
        n += jobs->table->jobs[i].current != NULL;
    return n;
}

/* Once every job is at rest, every guest gone, and the leases too. */
static void end_drain(Jobs *jobs) {
    bool is_claiming = jobs->reload && jobs->reload->is_claiming;
    if (count_unfinished(jobs) > 0 || jobs->n_guests > 0 || !jobs->drained || leases_are_renewing(jobs->leases) ||
        jobs->is_looking || is_claiming)
        return;
    LoopCall drained = jobs->drained;
    jobs->drained = NULL;
    drained(jobs->drain_context);
}

static void plan(void *context) {
    Jobs *jobs = context;
    if (jobs->course.is_ending) {
        end_drain(jobs);
        return;
    }
    start_due(jobs);
    if (leases_want_ids(jobs->leases))
        keep_leases(jobs);
    if (jobs->follower.idle && count_unfinished(jobs) == 0)
        jobs->follower.idle(jobs->follower.context);
}

/* ---- another configuration ---- */

static void drop_tables(JobTable *table, Leases *leases) {
    leases_free(leases);
    job_table_free(table);
}

static void reload_drop(Reload *reload) {
    drop_tables(reload->table, reload->leases);
    reload->jobs->reload = NULL;
    free(reload);
}

static void swap_tables(Jobs *jobs, Reload *reload) {
    JobTable *fresh = reload->table;
    job_table_inherit(fresh, jobs->table);
    for (size_t i = 0; i < recent_count(&jobs->recent); i++) {
        Run *run = recent_at(&jobs->recent, i);
        char name[RUN_JOB_BYTES];
        job_table_name_now(fresh, run->job, name);
        memcpy(run->job, name, sizeof name);
        run->owner = job_table_find(fresh, name);
    }
    drop_tables(jobs->table, jobs->leases);
    jobs->table = fresh;
    jobs->leases = reload->leases;
    jobs->reload = NULL;
    free(reload);
}

static void reload_work(void *context) {
    Reload *reload = context;
    reload->ok = claim(reload->jobs, reload->table, reload->leases, &reload->error);
}

static void reload_done(void *context) {
    Reload *reload = context;
    Jobs *jobs = reload->jobs;
    Reload told = *reload;
    bool is_stopping = jobs->drained != NULL;
    if (reload->ok && !is_stopping) {
        swap_tables(jobs, reload);
        leases_tell_held(jobs->leases);
    } else {
        reload_drop(reload);
    }
    jobs->course.is_ending = is_stopping;
    if (!is_stopping)
        told.done(told.context, told.ok ? NULL : &told.error);
    plan(jobs);
}

static void reload_claim(void *context) {
    Jobs *jobs = context;
    jobs->reload->is_claiming = true; /* a stop waits for it */
    pool_submit(jobs->options.urgent, (PoolWork){reload_work, reload_done, jobs->reload});
}

/* ---- public ---- */

Jobs *jobs_open(const JobsOptions *options, Error *err) {
    Jobs *jobs = calloc(1, sizeof *jobs);
    if (!jobs)
        abort();
    jobs->options = *options;
    jobs->course = (Course){.loop = options->loop, .pool = options->pool, .urgent = options->urgent, .changed = tell,
                            .ended = on_run_ended, .moved = plan, .context = jobs};
    jobs->table = job_table_make(options->config);
    jobs->leases = make_leases(jobs, jobs->table);
    if (!claim(jobs, jobs->table, jobs->leases, err)) {
        drop_tables(jobs->table, jobs->leases);
        free(jobs);
        return NULL;
    }
    leases_tell_held(jobs->leases);
    jobs->due_timer = loop_timer_open(options->loop, plan, jobs);
    jobs->lease_timer = loop_timer_open(options->loop, keep_leases, jobs);
    int64_t renew_ms = jobs->options.lease_ms / LEASE_RENEWALS;
    loop_timer_start(jobs->lease_timer, renew_ms, renew_ms);
    return jobs;
}

void jobs_close(Jobs *jobs) {
    leases_release(jobs->leases);
    loop_timer_close(jobs->due_timer);
    loop_timer_close(jobs->lease_timer);
    recent_done(&jobs->recent);
    drop_tables(jobs->table, jobs->leases);
    free(jobs);
}

void jobs_start(Jobs *jobs) {
    jobs->is_started = true;
    plan(jobs);
}

void jobs_follow(Jobs *jobs, const JobsFollower *follower) {
    jobs->follower = follower ? *follower : (JobsFollower){0};
}

static void cancel_all(Jobs *jobs) {
    jobs->course.is_ending = true;
    loop_timer_stop(jobs->due_timer);
    for (size_t i = 0; i < jobs->table->n; i++) {
        Run *run = jobs->table->jobs[i].current;
        if (run)
            course_cancel(&jobs->course, run);
    }
}

void jobs_drain(Jobs *jobs, LoopCall done, void *context) {
    if (jobs->reload && !jobs->reload->is_claiming)
        reload_drop(jobs->reload);
    jobs_follow(jobs, NULL);
    jobs->drained = done;
    jobs->drain_context = context;
    loop_timer_stop(jobs->lease_timer);
    cancel_all(jobs);
    plan(jobs);
}

/* Whatever the reload comes to, what it ends is to begin again. */
static void note_interrupted(Jobs *jobs) {
    for (size_t i = 0; i < jobs->table->n; i++) {
        Job *job = &jobs->table->jobs[i];
        const Run *run = job->current;
        if (!run || run->is_plan)
            continue;
        job->is_woken = true;
        job->interrupted = (Interrupted){.is_asked = run->was_asked, .mode = run->mode};
        memcpy(job->interrupted.by, run->trigger, sizeof run->trigger);
        memcpy(job->interrupted.from, run->range_from, sizeof run->range_from);
        memcpy(job->interrupted.to, run->range_to, sizeof run->range_to);
    }
}

bool jobs_reload(Jobs *jobs, const Config *config, JobsReloaded done, void *context) {
    if (jobs->course.is_ending || jobs->follower.idle)
        return false;
    Reload *reload = calloc(1, sizeof *reload);
    if (!reload)
        abort();
    JobTable *table = job_table_make(config);
    *reload = (Reload){.jobs = jobs, .table = table, .leases = make_leases(jobs, table), .done = done,
                       .context = context};
    jobs->reload = reload;
    jobs->drained = reload_claim;
    jobs->drain_context = jobs;
    note_interrupted(jobs);
    cancel_all(jobs);
    plan(jobs);
    return true;
}

const Config *jobs_config(const Jobs *jobs) { return jobs->table->config; }
size_t jobs_retired_count(const Jobs *jobs) { return jobs->table->n_retired; }

void jobs_retired_at(const Jobs *jobs, size_t index, const char **ret_source, int64_t *ret_since_us) {
    *ret_source = jobs->table->retired[index].name;
    *ret_since_us = jobs->table->retired[index].retired_us;
}

size_t jobs_count(const Jobs *jobs) { return jobs->table->n; }
Job *jobs_at(Jobs *jobs, size_t index) { return &jobs->table->jobs[index]; }

Job *jobs_find(Jobs *jobs, const char *name) { return job_table_find(jobs->table, name); }
bool jobs_are_idle(const Jobs *jobs) { return count_unfinished(jobs) == 0; }

int64_t jobs_next_due_us(const Jobs *jobs, const Job *job) {
    const Turns turns = turns_of(jobs);
    int64_t due = turn_due_us(&turns, job);
    if (due == SCHEDULE_NEVER)
        return 0;
    int64_t now_us = clock_monotonic_us();
    return clock_wall_us() + (due > now_us ? due - now_us : 0);
}

bool jobs_is_behind(const Jobs *jobs, const Job *job) {
    const Turns turns = turns_of(jobs);
    return turn_is_behind(&turns, job);
}

bool jobs_awaits_worker(const Jobs *jobs, const Job *job) {
    const Turns turns = turns_of(jobs);
    return turn_awaits_worker(&turns, job);
}

static bool may_trigger(const Jobs *jobs, const Job *job) {
    return job->has_lease && leases_are_current(jobs->leases) && !jobs->course.is_ending &&
           leases_id_count(jobs->leases) > 0;
}

TriggerResult jobs_trigger(Jobs *jobs, Job *job, const TriggerRequest *asked, const Run **ret_run) {
    TriggerRequest wish = *asked, *request = &wish;
    if (job->kind == JOB_EXTRACT && wish.mode == RUN_RECONCILE)
        job = job_table_find_of_feed(jobs->table, JOB_RECONCILE, job->feed);
    if (job->kind == JOB_RECONCILE)
        wish.mode = RUN_RECONCILE;
    if (!may_trigger(jobs, job))
        return TRIGGER_NO_LEASE;
    if (job->current) {
        *ret_run = job->current;
        return TRIGGER_RUNNING;
    }
    job->is_stopped = job->is_stopped && request->is_plan;
    Run *run = make_run(jobs, job, request, true);
    *ret_run = run;
    tell(jobs, run);
    start_due(jobs);
    return TRIGGER_STARTED;
}

typedef struct PauseWork {
    Jobs *jobs;
    char job[RUN_JOB_BYTES]; /* a copy: a reload frees the job meanwhile */
    bool paused;
    char by[64];
} PauseWork;

static void pause_work(void *context) {
    PauseWork *work = context;
    Error err = {0};
    Pg *pg = pg_pool_take(work->jobs->options.pg_pool, &err);
    if (!pg || !job_store_pause(pg, work->job, work->paused, work->by, &err))
        LOG_FAILURE(LOG_LEVEL_ERROR, "a pause was not stored", &err, LOG_TEXT("job", work->job));
    pg_pool_give(work->jobs->options.pg_pool, pg);
}

void jobs_pause(Jobs *jobs, Job *job, bool paused, const char *by) {
    job->is_paused = paused;
    snprintf(job->paused_by, sizeof job->paused_by, "%s", paused ? by : "");
    PauseWork *work = calloc(1, sizeof *work);
    if (!work)
        abort();
    *work = (PauseWork){.jobs = jobs, .paused = paused};
    snprintf(work->job, sizeof work->job, "%s", job->name);
    snprintf(work->by, sizeof work->by, "%s", by);
    pool_submit(jobs->options.urgent, (PoolWork){pause_work, free, work});
    plan(jobs);
}

void jobs_wake(Jobs *jobs, Job *job) {
    if (!job->is_woken)
        job->woken_us = clock_monotonic_us();
    job->is_woken = true;
    if (jobs->is_started && !jobs->course.is_ending)
        loop_timer_start(jobs->due_timer, 0, 0);
}

size_t jobs_waiting_count(const Jobs *jobs) {
    const Turns turns = turns_of(jobs);
    size_t n = 0;
    for (size_t i = 0; i < jobs->table->n; i++) {
        const Job *job = &jobs->table->jobs[i];
        n += (job->current && job->current->state == RUN_QUEUED) || turn_awaits_worker(&turns, job);
    }
    return n;
}

bool jobs_enter(Jobs *jobs, const Job *job) {
    bool may_enter = job->has_lease && leases_are_current(jobs->leases) && !jobs->course.is_ending;
    jobs->n_guests += may_enter;
    return may_enter;
}

void jobs_leave(Jobs *jobs, bool has_news) {
    jobs->n_guests--;
    Job *settle = job_table_find_kind(jobs->table, JOB_SETTLE);
    if (has_news && settle)
        jobs_wake(jobs, settle);
    plan(jobs);
}

size_t jobs_run_count(const Jobs *jobs) { return recent_count(&jobs->recent); }
const Run *jobs_run_at(const Jobs *jobs, size_t index) { return recent_at(&jobs->recent, index); }

static Run *find_run(const Jobs *jobs, int64_t id) {
    for (size_t i = 0; i < jobs->table->n; i++)
        if (jobs->table->jobs[i].current && jobs->table->jobs[i].current->id == id)
            return jobs->table->jobs[i].current;
    return recent_find(&jobs->recent, id);
}

const Run *jobs_run_find(const Jobs *jobs, int64_t id) { return find_run(jobs, id); }

/* A job that is no more is nobody else's. */
static bool may_decide(const Jobs *jobs, const Run *run) {
    const Job *job = run->owner;
    return !job || (job->has_lease && leases_are_current(jobs->leases));
}

bool jobs_run_cancel(Jobs *jobs, int64_t id) {
    Run *run = find_run(jobs, id);
    if (!run || run_state_is_final(run->state) || (run->state == RUN_HELD && !may_decide(jobs, run)))
        return false;
    if (run->state == RUN_HELD)
        course_refuse(&jobs->course, run);
    else
        course_cancel(&jobs->course, run);
    plan(jobs);
    return true;
}

TriggerResult jobs_run_approve(Jobs *jobs, int64_t id) {
    Run *run = find_run(jobs, id);
    Job *job = run ? run->owner : NULL;
    if (!job || run->state != RUN_HELD || !may_decide(jobs, run) || jobs->course.is_ending)
        return TRIGGER_NO_LEASE;
    if (job->current)
        return TRIGGER_RUNNING;
    bind(jobs, run, job);
    run->is_approved = run->was_asked = true;
    run->attempt = 1;
    run->state = RUN_QUEUED;
    job->current = run;
    job->begun_us = 0;
    tell(jobs, run);
    plan(jobs);
    return TRIGGER_STARTED;
}

void jobs_listen(Jobs *jobs, RunListener listener, void *context) {
    jobs->listener = listener;
    jobs->listener_context = context;
}
