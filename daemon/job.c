/* job.c - see job.h. */
#include "job.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "schedule.h"
#include "storage/hospitals.h"
#include "storage/reconcile.h"
#include "storage/run_store.h"

#include <stdlib.h>

enum {
    RUNS_KEPT = 1000,
    IDS_KEPT = 256,
    IDS_LOW = 64,
    LEASE_RENEWALS = 3, /* in the time of a lease */
    SETTLE_QUIET_US = 1000000, /* batches that come close together are settled together */
    INTERRUPT_AGAIN_MS = 1000,
    KPI_REST = 10,             /* figures rest ten times as long as they took: at most a tenth of the time */
};

/* Whose rows name whose: facts name members, transactions and claims name encounters. */
enum {
    RANK_MEMBERS, /* and whatever is no feed */
    RANK_ENCOUNTERS,
    RANK_LAST,
    RANK_RECONCILE, /* behind every feed of its source: what was never read is not compared, but read */
};

/* Another configuration on its way in: its jobs, made and leased before they replace the old ones. */
typedef struct Reload {
    Jobs *jobs, *fresh;
    JobsReloaded done;
    void *context;
    bool ok;
    Error error;
} Reload;

typedef struct Once {
    bool is_on;
    int phase; /* index into PHASES */
    int status;
    bool is_reconcile; /* of `feed`, NULL: of all */
    bool is_dry;
    const char *feed;
    LoopCall done;
    void *context;
} Once;

struct Jobs {
    JobsOptions options;
    Arena *arena;
    Job *jobs;
    size_t n_jobs;
    LeaseJob *lease_jobs;
    Lease *leases;
    size_t *n_running; /* by party; count_parties() */
    bool *is_wanted;   /* has something it may run */
    RetiredHospital *retired; /* as of the last start or reload */
    size_t n_retired;
    int64_t leased_until_us; /* monotonic, from before the leases were taken: behind it others may have them */
    int64_t severed_us;
    LoopTimer *due_timer, *lease_timer;
    Run *runs[RUNS_KEPT]; /* newest at [n_runs - 1 mod] */
    size_t n_runs;        /* ever made */
    int64_t ids[IDS_KEPT];
    int n_ids;
    bool refilling;
    bool is_started, is_draining;
    LoopCall drained;
    void *drain_context;
    struct Reload *reload; /* on its way, or NULL */
    Once once;
    RunListener listener;
    void *listener_context;
};

/* What `--once` runs together, one phase after the other. */
static const struct {
    bool kinds[JOB_KPI + 1];
    int rank;
} PHASES[] = {
    {{[JOB_EXTRACT] = true, [JOB_RECEIVE] = true}, RANK_MEMBERS},
    {{[JOB_EXTRACT] = true, [JOB_RECEIVE] = true}, RANK_ENCOUNTERS},
    {{[JOB_EXTRACT] = true, [JOB_RECEIVE] = true}, RANK_LAST},
    {{[JOB_RECONCILE] = true}, RANK_RECONCILE},
    {{[JOB_SETTLE] = true}, RANK_MEMBERS},
    {{[JOB_PUBLISH] = true}, RANK_MEMBERS},
    {{[JOB_KPI] = true}, RANK_MEMBERS},
};
enum { N_PHASES = sizeof PHASES / sizeof *PHASES, PHASE_RECONCILE = 3 };

static void plan(Jobs *jobs);
static void once_continue(Jobs *jobs);
static void cancel_run(Jobs *jobs, Run *run);
static void start_due(Jobs *jobs);

/* ---- what exists ---- */

static const char *every_text(Arena *arena, int64_t every_ms) {
    if (every_ms % 60000 == 0)
        return arena_printf(arena, "every %lld min", (long long)(every_ms / 60000));
    return arena_printf(arena, "every %g s", (double)every_ms / 1000);
}

static void add_job(Jobs *jobs, Job job) { jobs->jobs[jobs->n_jobs++] = job; }

static int rank_of(const Entity *entity) {
    if (entity->kind == ENTITY_HISTORY || entity->kind == ENTITY_MEMBER)
        return RANK_MEMBERS;
    return strcmp(entity->name, "encounters") == 0 ? RANK_ENCOUNTERS : RANK_LAST;
}

static void add_feeds(Jobs *jobs, const SourceConfig *source) {
    for (size_t i = 0; i < source->n_feeds; i++) {
        const FeedConfig *feed = &source->feeds[i];
        size_t party = 1 + (size_t)(source - jobs->options.config->sources);
        add_job(jobs, (Job){.name = feed->name, .party = party, .kind = JOB_EXTRACT, .feed = feed, .group = feed->name,
                            .rank = rank_of(feed->mapping.entity), .every_us = feed->every_ms * 1000,
                            .schedule = every_text(jobs->arena, feed->every_ms)});
        add_job(jobs, (Job){.name = arena_printf(jobs->arena, "reconcile.%s", feed->name),
                            .kind = JOB_RECONCILE, .feed = feed, .party = party, .group = feed->name,
                            .rank = RANK_RECONCILE, .every_us = feed->reconcile_ms * 1000,
                            .schedule = feed->reconcile_ms ? every_text(jobs->arena, feed->reconcile_ms)
                                                           : "on demand"});
    }
}

static void add_claims(Jobs *jobs, const ClaimsConfig *claims) {
    add_job(jobs, (Job){.name = claims->name, .kind = JOB_RECEIVE, .claims = claims,
                        .rank = rank_of(claims->mapping.entity), .group = claims->name,
                        .every_us = claims->every_ms * 1000,
                        .schedule = every_text(jobs->arena, claims->every_ms)});
}

static void add_store_jobs(Jobs *jobs) {
    const BigQueryConfig *bigquery = &jobs->options.config->bigquery;
    /* woken at the start: a crash may have left batches unsettled */
    add_job(jobs, (Job){.name = "settle", .kind = JOB_SETTLE, .group = "store", .is_woken = true,
                        .schedule = "after changes"});
    if (bigquery->enabled)
        add_job(jobs, (Job){.name = "publish", .kind = JOB_PUBLISH, .group = "store",
                            .every_us = bigquery->every_ms * 1000,
                            .schedule = every_text(jobs->arena, bigquery->every_ms)});
    add_job(jobs, (Job){.name = "kpi", .kind = JOB_KPI, .group = "store", .schedule = "after settle"});
}

static void make_jobs(Jobs *jobs) {
    const Config *config = jobs->options.config;
    size_t n_max = 3 + config->n_claims;
    for (size_t i = 0; i < config->n_sources; i++)
        n_max += 2 * config->sources[i].n_feeds;
    jobs->jobs = ARENA_ARRAY(jobs->arena, Job, n_max);
    jobs->n_running = ARENA_ARRAY(jobs->arena, size_t, config->n_sources + 1);
    jobs->is_wanted = ARENA_ARRAY(jobs->arena, bool, config->n_sources + 1);
    for (size_t i = 0; i < config->n_sources; i++)
        add_feeds(jobs, &config->sources[i]);
    for (size_t i = 0; i < config->n_claims; i++)
        add_claims(jobs, &config->claims[i]);
    add_store_jobs(jobs);
}

/* ---- leases ---- */

/* A reconcile places pages of its feed, so it goes by the lease of the feed's job, which stands before it: one
 * epoch fences both. */
static const Lease *lease_of(const Jobs *jobs, const Lease *leases, size_t i) {
    return &leases[jobs->jobs[i].kind == JOB_RECONCILE ? i - 1 : i];
}

static void take_leases(Jobs *jobs) {
    for (size_t i = 0; i < jobs->n_jobs; i++) {
        const Lease *lease = lease_of(jobs, jobs->leases, i);
        jobs->jobs[i].has_lease = lease->is_held;
        jobs->jobs[i].epoch = lease->epoch;
        jobs->jobs[i].owner = lease->owner;
    }
}

/* The store's sources as the configuration has them, before anything is read under their names. */
static bool take_hospitals(Jobs *jobs, Pg *pg, Error *err) {
    const Config *config = jobs->options.config;
    Hospital *hospitals = ARENA_ARRAY(jobs->arena, Hospital, config->n_sources + 1);
    const char **names = ARENA_ARRAY(jobs->arena, const char *, jobs->n_jobs);
    for (size_t i = 0; i < config->n_sources; i++)
        hospitals[i] = (Hospital){config->sources[i].name, config->sources[i].timezone, config->sources[i].renamed_from};
    for (size_t i = 0; i < jobs->n_jobs; i++)
        names[i] = jobs->jobs[i].name;
    return hospitals_take(pg, jobs->options.owner, hospitals, config->n_sources, names, jobs->n_jobs, err) &&
           hospitals_retired(pg, jobs->arena, &jobs->retired, &jobs->n_retired, err);
}

/* A table is compared so long after the last time, however often the daemon starts. */
static bool take_ages(Jobs *jobs, Pg *pg, Error *err) {
    int64_t now_us = clock_monotonic_us();
    for (size_t i = 0; i < jobs->n_jobs; i++) {
        Job *job = &jobs->jobs[i];
        int64_t age_us = 0;
        if (job->kind == JOB_RECONCILE)
            TRY(reconcile_find_age(pg, job->feed->name, &age_us, err));
        if (age_us > 0)
            job->finished_us = now_us > age_us ? now_us - age_us : 1;
    }
    return true;
}

static bool claim_on(Jobs *jobs, Pg *pg, Error *err) {
    TRY(take_hospitals(jobs, pg, err));
    jobs->leased_until_us = clock_monotonic_us() + jobs->options.lease_ms * 1000;
    TRY(lease_claim(pg, jobs->options.owner, jobs->options.lease_ms, jobs->lease_jobs, jobs->n_jobs, jobs->leases, err));
    TRY(run_close_orphans(pg, jobs->options.owner, err));
    TRY(run_reserve_ids(pg, IDS_KEPT, jobs->ids, err));
    jobs->n_ids = IDS_KEPT;
    TRY(take_ages(jobs, pg, err));
    take_leases(jobs);
    for (size_t i = 0; i < jobs->n_jobs; i++) {
        jobs->jobs[i].is_paused = jobs->leases[i].is_paused;
        snprintf(jobs->jobs[i].paused_by, sizeof jobs->jobs[i].paused_by, "%s", jobs->leases[i].paused_by);
    }
    return true;
}

static bool claim_leases(Jobs *jobs, Error *err) {
    Pg *pg = pg_pool_take(jobs->options.pg_pool, err);
    bool ok = pg && claim_on(jobs, pg, err);
    pg_pool_give(jobs->options.pg_pool, pg);
    return ok;
}

static void make_leases(Jobs *jobs) {
    jobs->lease_jobs = ARENA_ARRAY(jobs->arena, LeaseJob, jobs->n_jobs);
    jobs->leases = ARENA_ARRAY(jobs->arena, Lease, jobs->n_jobs);
    for (size_t i = 0; i < jobs->n_jobs; i++) {
        const Job *job = &jobs->jobs[i];
        jobs->lease_jobs[i] = (LeaseJob){job->name, job_kind_name(job->kind),
                                         job->feed || job->claims ? job->group : NULL, job->schedule};
    }
}

/* Renewing and reserving ids, on a worker, with a copy of what the loop owns. */
typedef struct Upkeep {
    Jobs *jobs;
    Lease *leases;
    int64_t ids[IDS_KEPT];
    int n_ids; /* wanted, then had */
    int64_t begun_us;
    bool ok;
} Upkeep;

/* The jobs of an owner whose lease has run out become ours. */
static bool take_over(Jobs *jobs, Pg *pg, Lease *leases, Error *err) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    LeaseJob *wanted = ARENA_ARRAY(arena, LeaseJob, jobs->n_jobs);
    Lease *taken = ARENA_ARRAY(arena, Lease, jobs->n_jobs);
    size_t *index = ARENA_ARRAY(arena, size_t, jobs->n_jobs), n = 0;
    for (size_t i = 0; i < jobs->n_jobs; i++)
        if (!leases[i].is_held)
            wanted[n] = jobs->lease_jobs[i], index[n++] = i;
    if (n == 0)
        return true;
    TRY(lease_claim(pg, jobs->options.owner, jobs->options.lease_ms, wanted, n, taken, err));
    for (size_t i = 0; i < n; i++) {
        leases[index[i]] = taken[i];
        if (taken[i].is_held)
            LOG_INFO("lease taken", LOG_TEXT("job", wanted[i].name), LOG_INT("epoch", taken[i].epoch));
    }
    return true;
}

static bool upkeep_try(Upkeep *upkeep, Error *err) {
    Jobs *jobs = upkeep->jobs;
    Pg *pg = pg_pool_take(jobs->options.pg_pool, err);
    TRY(pg);
    bool ok = lease_renew(pg, jobs->options.owner, jobs->options.lease_ms, jobs->lease_jobs, jobs->n_jobs, upkeep->leases, err) &&
              take_over(jobs, pg, upkeep->leases, err);
    if (ok && upkeep->n_ids > 0)
        ok = run_reserve_ids(pg, upkeep->n_ids, upkeep->ids, err);
    pg_pool_give(jobs->options.pg_pool, pg);
    return ok;
}

static void upkeep_work(void *context) {
    Upkeep *upkeep = context;
    Error err = {0};
    upkeep->ok = upkeep_try(upkeep, &err);
    if (!upkeep->ok)
        LOG_FAILURE(LOG_LEVEL_WARN, "leases were not renewed", &err);
}

/* What was another's may have been left half done: every job that was taken over has its turn now. A run of a job
 * that was lost cannot commit any more. */
static void exchange_leases(Jobs *jobs, const Lease *leases) {
    for (size_t i = 0; i < jobs->n_jobs; i++) {
        Job *job = &jobs->jobs[i];
        const Lease *lease = lease_of(jobs, leases, i);
        if (lease->is_held && !job->has_lease)
            jobs_wake(jobs, job);
        if (!lease->is_held && job->has_lease)
            LOG_WARN("lease lost", LOG_TEXT("job", job->name), LOG_TEXT("owner", lease->owner));
        if (!lease->is_held && job->current)
            cancel_run(jobs, job->current);
    }
    memcpy(jobs->leases, leases, sizeof *leases * jobs->n_jobs);
    take_leases(jobs);
}

static void upkeep_done(void *context) {
    Upkeep *upkeep = context;
    Jobs *jobs = upkeep->jobs;
    jobs->refilling = false;
    if (upkeep->ok) {
        jobs->leased_until_us = upkeep->begun_us + jobs->options.lease_ms * 1000;
        for (int i = 0; i < upkeep->n_ids && jobs->n_ids < IDS_KEPT; i++)
            jobs->ids[jobs->n_ids++] = upkeep->ids[i];
        exchange_leases(jobs, upkeep->leases);
    }
    free(upkeep->leases);
    free(upkeep);
    plan(jobs);
}

/* Others may have the jobs by now: nothing of ours is to commit any more. A PostgreSQL that took our words and says
 * nothing would keep its workers for ever. */
static void give_up_store(Jobs *jobs) {
    int64_t now_us = clock_monotonic_us(), lease_us = jobs->options.lease_ms * 1000;
    if (now_us < jobs->leased_until_us || now_us - jobs->severed_us < lease_us)
        return;
    LOG_WARN("the leases have run out; connections to the store are given up");
    jobs->severed_us = now_us;
    pg_pool_sever(jobs->options.pg_pool);
}

static void upkeep_start(void *context) {
    Jobs *jobs = context;
    give_up_store(jobs);
    if (jobs->refilling || jobs->is_draining)
        return;
    jobs->refilling = true;
    Upkeep *upkeep = calloc(1, sizeof *upkeep);
    Lease *leases = calloc(jobs->n_jobs, sizeof *leases);
    if (!upkeep || !leases)
        abort();
    memcpy(leases, jobs->leases, sizeof *leases * jobs->n_jobs);
    *upkeep = (Upkeep){.jobs = jobs, .leases = leases, .n_ids = IDS_KEPT - jobs->n_ids,
                        .begun_us = clock_monotonic_us()};
    pool_submit(jobs->options.urgent, (PoolWork){upkeep_work, upkeep_done, upkeep});
}

/* ---- runs ---- */

static void tell(Jobs *jobs, const Run *run) {
    if (jobs->listener)
        jobs->listener(jobs->listener_context, run);
}

static void record_work(void *context) { run_record(context); }
static void record_done(void *context) { (void)context; }

/* What a run is held for does not happen. */
static void refuse(Jobs *jobs, Run *run) {
    run->state = run->outcome = RUN_CANCELED;
    run->finished_us = clock_wall_us();
    pool_submit(jobs->options.urgent, (PoolWork){record_work, record_done, run});
    tell(jobs, run);
}

static void run_free(Run *run) {
    pthread_mutex_destroy(&run->pg_mutex);
    free(run);
}

/* Keeps the run among the last thousand; an older one goes, unless it waits for a person or has gone on. */
static void keep_run(Jobs *jobs, Run *run) {
    Run **slot = &jobs->runs[jobs->n_runs++ % RUNS_KEPT];
    Run *old = *slot;
    *slot = run;
    run->is_kept = true;
    if (!old)
        return;
    old->is_kept = false;
    Job *job = old->owner;
    if (old->state == RUN_HELD) {
        keep_run(jobs, old);
    } else if (!job || job->current != old) {
        if (job && job->last == old)
            job->last = NULL;
        run_free(old);
    }
}

/* What a run has from its job, which another configuration may have made anew. */
static void bind(Jobs *jobs, Run *run, Job *job) {
    run->kind = job->kind;
    run->config = jobs->options.config;
    run->feed = job->feed;
    run->claims = job->claims;
    run->pg_pool = jobs->options.pg_pool;
    run->epoch = job->epoch;
    run->owner = job;
}

static Run *new_run(Jobs *jobs, Job *job, int64_t id) {
    Run *run = calloc(1, sizeof *run);
    if (!run)
        abort();
    pthread_mutex_init(&run->pg_mutex, NULL);
    run->id = id;
    snprintf(run->job, sizeof run->job, "%s", job->name);
    bind(jobs, run, job);
    return run;
}

/* The job's run that waits for a person, or NULL. */
static Run *find_held(const Jobs *jobs, const Job *job) {
    for (size_t i = 0; i < jobs_run_count(jobs); i++)
        if (jobs->runs[i]->owner == job && jobs->runs[i]->state == RUN_HELD)
            return jobs->runs[i];
    return NULL;
}

static Run *make_run(Jobs *jobs, Job *job, const TriggerRequest *request, bool was_asked) {
    Run *run = new_run(jobs, job, jobs->ids[--jobs->n_ids]);
    Run *held = find_held(jobs, job);
    if (held && !request->is_dry && !request->is_plan) /* it finds anew what that one was held for */
        refuse(jobs, held);
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

static bool is_group_busy(const Jobs *jobs, const Job *job) {
    for (size_t i = 0; i < jobs->n_jobs; i++) {
        const Run *run = jobs->jobs[i].current;
        if (run && run->state == RUN_RUNNING && strcmp(jobs->jobs[i].group, job->group) == 0)
            return true;
    }
    return false;
}

/* Which parties have something running, and which want to run something now or later. */
static void count_parties(const Jobs *jobs) {
    size_t n = jobs->options.config->n_sources + 1;
    memset(jobs->n_running, 0, n * sizeof *jobs->n_running);
    memset(jobs->is_wanted, 0, n * sizeof *jobs->is_wanted);
    for (size_t i = 0; i < jobs->n_jobs; i++) {
        const Job *job = &jobs->jobs[i];
        jobs->n_running[job->party] += job->current && job->current->state == RUN_RUNNING;
        jobs->is_wanted[job->party] |= job->has_lease && !job->is_paused && !job->is_stopped;
    }
}

/* A party's first run needs a worker; a further one leaves one for each party that has none running. */
static bool has_worker(const Jobs *jobs, const Job *job) {
    size_t n_running = 0, n_reserved = 0;
    count_parties(jobs);
    for (size_t i = 0; i <= jobs->options.config->n_sources; i++) {
        n_running += jobs->n_running[i];
        n_reserved += i != job->party && jobs->is_wanted[i] && jobs->n_running[i] == 0;
    }
    return n_running + (jobs->n_running[job->party] > 0 ? n_reserved : 0) < pool_workers(jobs->options.pool);
}

static void run_done(void *context);

typedef struct Ticket {
    Jobs *jobs;
    Run *run;
} Ticket;

static void ticket_work(void *context) { run_execute(((Ticket *)context)->run); }

static void submit(Jobs *jobs, Run *run) {
    Ticket *ticket = malloc(sizeof *ticket);
    if (!ticket)
        abort();
    *ticket = (Ticket){jobs, run};
    Job *job = run->owner;
    if (job->feed && !job->session)
        job->session = feed_session_open();
    run->session = job->session;
    run->epoch = job->epoch; /* the lease may have been lost and taken again while it waited */
    run->is_over = false;
    job->begun_us = clock_monotonic_us();
    run->state = RUN_RUNNING;
    tell(jobs, run);
    pool_submit(jobs->options.pool, (PoolWork){ticket_work, run_done, ticket});
}

static Job *find_kind(Jobs *jobs, JobKind kind) {
    for (size_t i = 0; i < jobs->n_jobs; i++)
        if (jobs->jobs[i].kind == kind)
            return &jobs->jobs[i];
    return NULL;
}

static void wake_followers(Jobs *jobs, const Job *job, const Run *run) {
    bool has_news = run->counts.batches > 0 || run->counts.rows_changed > 0;
    Job *next = NULL;
    if (job->kind <= JOB_RECONCILE && has_news)
        next = find_kind(jobs, JOB_SETTLE);
    else if (job->kind == JOB_SETTLE && has_news)
        next = find_kind(jobs, JOB_KPI);
    if (next)
        jobs_wake(jobs, next);
}

/* What polling alone may have missed is looked for now, where the feed is reconciled at all. */
static void wake_reconcile(Jobs *jobs, const Job *job) {
    for (size_t i = 0; i < jobs->n_jobs; i++)
        if (jobs->jobs[i].kind == JOB_RECONCILE && jobs->jobs[i].feed == job->feed)
            jobs_wake(jobs, &jobs->jobs[i]);
}

static void take_cursor_report(Jobs *jobs, Job *job, const Run *run) {
    if (run->wants_reconcile)
        wake_reconcile(jobs, job);
    if (run->wants_full)
        jobs_wake(jobs, job);
    job->is_full_due = run->wants_full;
    if (!run->cursor.is_known)
        return;
    job->cursor = run->cursor;
    METRIC_SET(METRIC_FEED_CURSOR_HELD, (double)run->cursor.held_us / 1e6, job->name);
}

static bool is_place(const Job *job) { return job->kind == JOB_EXTRACT || job->kind == JOB_RECEIVE; }

static void count_run(const Job *job, const Run *run) {
    METRIC_ADD(METRIC_RUNS, 1, job->name, run_state_name(run->state));
    METRIC_OBSERVE(METRIC_RUN_DURATION, (double)(run->finished_us - run->started_us) / 1e6, job->name);
    if (run->state == RUN_SUCCEEDED && is_place(job))
        METRIC_SET(METRIC_FEED_LAST_SUCCESS, (double)run->finished_us / 1e6, job->name);
}

/* A quiet poll leaves nothing behind; its id is used again. */
static bool was_quiet(const Run *run) { return !run_leaves_trace(run) && run->counts.batches == 0; }

static void end_run(Jobs *jobs, Job *job, Run *run) {
    job->current = NULL;
    if (run->is_plan) { /* nothing happened; no ledger has it, so it is kept before who waits is told */
        keep_run(jobs, run);
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
    if (jobs->once.is_on && run->state != RUN_SUCCEEDED && jobs->once.status != 1)
        jobs->once.status = run->state == RUN_HELD ? 3 : 1;
    wake_followers(jobs, job, run);
    tell(jobs, run);
    if (was_quiet(run) && jobs->n_ids < IDS_KEPT) {
        jobs->ids[jobs->n_ids++] = run->id;
        run_free(run);
        return;
    }
    job->last = run;
    if (!run->is_kept)
        keep_run(jobs, run);
}

/* ---- interrupting ---- */

static void judge(Jobs *jobs, Run *run);
static void on_job_timer(void *context);

static void start_job_timer(Jobs *jobs, Job *job, int64_t delay_ms) {
    job->jobs = jobs;
    if (!job->timer)
        job->timer = loop_timer_open(jobs->options.loop, on_job_timer, job);
    loop_timer_start(job->timer, delay_ms, 0);
}

static void interrupt_work(void *context) { run_interrupt(((Ticket *)context)->run); }

/* A run ends only when its interruption has: one that comes late must not meet the next run's statement. One that
 * came between two statements met none. */
static void interrupt_done(void *context) {
    Ticket ticket = *(Ticket *)context;
    free(context);
    ticket.run->is_interrupting = false;
    if (ticket.run->is_over)
        judge(ticket.jobs, ticket.run);
    else
        start_job_timer(ticket.jobs, ticket.run->owner, INTERRUPT_AGAIN_MS);
}

/* Servers that do not answer take their time: not the loop's. */
static void interrupt(Jobs *jobs, Run *run) {
    if (run->is_interrupting || run->is_over)
        return;
    Ticket *ticket = malloc(sizeof *ticket);
    if (!ticket)
        abort();
    *ticket = (Ticket){jobs, run};
    run->is_interrupting = true;
    pool_submit(jobs->options.urgent, (PoolWork){interrupt_work, interrupt_done, ticket});
}

/* A run that waited: its group may be busy by now, so it queues like any other. One that was canceled and runs on. */
static void on_job_timer(void *context) {
    Job *job = context;
    if (job->current && job->current->state == RUN_WAITING)
        job->current->state = RUN_QUEUED;
    else if (job->current && job->current->state == RUN_RUNNING && atomic_load(&job->current->canceled))
        interrupt(job->jobs, job->current);
    plan(job->jobs);
}

static void retry_later(Jobs *jobs, Run *run, int64_t delay_ms) {
    Job *job = run->owner;
    METRIC_ADD(METRIC_RUN_RETRIES, 1, job->name, run->error.state);
    run->state = RUN_WAITING;
    run->attempt++;
    tell(jobs, run);
    start_job_timer(jobs, job, delay_ms);
}

/* One that runs ends with its statement; one that only waits ends at once. */
static void cancel_run(Jobs *jobs, Run *run) {
    run_cancel(run);
    if (run->state == RUN_RUNNING) {
        interrupt(jobs, run);
        return;
    }
    Job *job = run->owner;
    if (job->timer)
        loop_timer_stop(job->timer);
    run->state = run->outcome = RUN_CANCELED;
    run->finished_us = clock_wall_us();
    if (!run->started_us)
        run->started_us = run->finished_us;
    pool_submit(jobs->options.urgent, (PoolWork){record_work, record_done, run});
    end_run(jobs, job, run);
}

static void judge(Jobs *jobs, Run *run) {
    run->state = run->outcome;
    int64_t delay_ms = 0;
    Verdict verdict = run_judge(run, (uint32_t)random(), &delay_ms);
    if (verdict == VERDICT_FINAL || jobs->is_draining)
        end_run(jobs, run->owner, run);
    else
        retry_later(jobs, run, delay_ms);
    plan(jobs);
}

static void run_done(void *context) {
    Ticket ticket = *(Ticket *)context;
    free(context);
    ticket.run->is_over = true;
    if (!ticket.run->is_interrupting)
        judge(ticket.jobs, ticket.run);
}

/* ---- what is due ---- */

/* Not had its first turn since the start, and about to have it: what is paused, stopped, somebody else's or
 * trying again keeps nobody waiting. */
static bool awaits_first_turn(const Job *job) {
    return is_place(job) && job->finished_us == 0 && job->has_lease && !job->is_paused && !job->is_stopped &&
           !(job->current && job->current->attempt > 1);
}

/* Whether rows of `job` may name rows of the feed `other`. */
static bool may_name(const Job *job, const Job *other) {
    if (!other->feed || job->feed)
        return other->feed && job->feed->source == other->feed->source;
    for (size_t i = 0; i < job->claims->n_from; i++)
        if (strcmp(job->claims->from[i].source, other->feed->source->name) == 0)
            return true;
    return false;
}

static bool is_behind(const Jobs *jobs, const Job *job) {
    if (job->kind > JOB_RECONCILE || job->finished_us != 0)
        return false;
    for (size_t i = 0; i < jobs->n_jobs; i++) {
        const Job *other = &jobs->jobs[i];
        if (other->rank < job->rank && may_name(job, other) && awaits_first_turn(other))
            return true;
    }
    return false;
}

static int64_t due_us(const Jobs *jobs, const Job *job) {
    bool waits_for_person = job->kind == JOB_RECONCILE && find_held(jobs, job);
    DueInput in = {
        .every_us = job->every_us, .finished_us = job->finished_us, .failures = job->failures,
        .is_paused = job->is_paused, .is_running = job->current != NULL, .has_lease = job->has_lease,
        .is_stopped = job->is_stopped || waits_for_person, .is_woken = job->is_woken, .woken_us = job->woken_us,
        .is_behind = is_behind(jobs, job),
        .quiet_us = job->kind == JOB_SETTLE ? SETTLE_QUIET_US : 0,
        .rest_us = job->kind == JOB_KPI ? KPI_REST * job->took_us : 0,
    };
    return schedule_due_us(&in);
}

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
    submit(jobs, make_run(jobs, job, &request, is_full || again.is_asked));
}

/* Since when the job wants to run, on the monotonic clock: in the future when it is not due yet. */
static int64_t wanted_since_us(const Jobs *jobs, const Job *job) {
    if (clock_monotonic_us() >= jobs->leased_until_us)
        return SCHEDULE_NEVER;
    if (job->current && job->current->state == RUN_QUEUED && job->has_lease)
        return clock_monotonic_us() - (clock_wall_us() - job->current->queued_us);
    return jobs->is_started && jobs->n_ids > 0 ? due_us(jobs, job) : SCHEDULE_NEVER;
}

/* Of those that may start, who has waited longest; NULL: nobody. *ret_next_us: when the next one is due. */
static Job *find_startable(const Jobs *jobs, int64_t now_us, int64_t *ret_next_us) {
    Job *first = NULL;
    int64_t first_us = SCHEDULE_NEVER;
    *ret_next_us = SCHEDULE_NEVER;
    for (size_t i = 0; i < jobs->n_jobs; i++) {
        Job *job = &jobs->jobs[i];
        int64_t since_us = wanted_since_us(jobs, job);
        if (since_us > now_us)
            *ret_next_us = since_us < *ret_next_us ? since_us : *ret_next_us;
        else if (since_us < first_us && !is_group_busy(jobs, job) && has_worker(jobs, job)) {
            first = job;
            first_us = since_us;
        }
    }
    return first;
}

/* Starts what waits and what is due, as workers allow; arms the timer for what comes next. */
static void start_due(Jobs *jobs) {
    int64_t now_us = clock_monotonic_us(), next_us;
    for (Job *job; (job = find_startable(jobs, now_us, &next_us));) {
        if (job->current)
            submit(jobs, job->current);
        else
            start_scheduled(jobs, job);
    }
    if (next_us != SCHEDULE_NEVER)
        loop_timer_start(jobs->due_timer, (next_us - now_us) / 1000 + 1, 0);
}

static size_t count_unfinished(const Jobs *jobs) {
    size_t n = 0;
    for (size_t i = 0; i < jobs->n_jobs; i++)
        n += jobs->jobs[i].current != NULL;
    return n;
}

/* For a worker or for another run of their group. */
static size_t count_waiting(const Jobs *jobs) {
    size_t n = 0;
    for (size_t i = 0; i < jobs->n_jobs; i++)
        n += (jobs->jobs[i].current && jobs->jobs[i].current->state == RUN_QUEUED) ||
             jobs_awaits_worker(jobs, &jobs->jobs[i]);
    return n;
}

static void plan(Jobs *jobs) {
    METRIC_SET(METRIC_RUNS_RUNNING, count_unfinished(jobs));
    if (jobs->is_draining) {
        if (count_unfinished(jobs) == 0 && jobs->drained && !jobs->refilling) {
            LoopCall drained = jobs->drained;
            jobs->drained = NULL;
            drained(jobs->drain_context);
        }
        return;
    }
    start_due(jobs);
    METRIC_SET(METRIC_QUEUE_DEPTH, count_waiting(jobs));
    if (jobs->n_ids < IDS_LOW)
        upkeep_start(jobs);
    if (jobs->once.is_on)
        once_continue(jobs);
}

static void on_due(void *context) { plan(context); }

/* ---- once ---- */

static void once_start(Jobs *jobs, Job *job, RunMode mode) {
    const Run *ignored;
    TriggerRequest request = {.mode = mode, .by = "once", .is_dry = jobs->once.is_dry && mode == RUN_RECONCILE};
    if (jobs_trigger(jobs, job, &request, &ignored) != TRIGGER_NO_LEASE)
        return;
    LOG_ERROR("another daemon holds this job", LOG_TEXT("job", job->name));
    jobs->once.status = 1;
}

/* Publishing in that mode compares all that BigQuery holds. */
static RunMode once_mode(const Jobs *jobs, const Job *job) {
    bool compares = job->kind == JOB_RECONCILE || (job->kind == JOB_PUBLISH && jobs->once.is_reconcile);
    return compares ? RUN_RECONCILE : RUN_INCREMENTAL;
}

/* What cannot be read cannot be compared either, and that was said already. */
static bool is_unreadable(const Jobs *jobs, const FeedConfig *feed) {
    for (size_t i = 0; i < jobs->n_jobs; i++)
        if (jobs->jobs[i].kind == JOB_EXTRACT && jobs->jobs[i].feed == feed)
            return jobs->jobs[i].failures > 0;
    return false;
}

static void once_start_phase(Jobs *jobs) {
    for (size_t i = 0; i < jobs->n_jobs; i++) {
        Job *job = &jobs->jobs[i];
        if (!PHASES[jobs->once.phase].kinds[job->kind] || PHASES[jobs->once.phase].rank != job->rank)
            continue;
        if (job->kind == JOB_RECONCILE &&
            (is_unreadable(jobs, job->feed) || (jobs->once.feed && strcmp(job->feed->name, jobs->once.feed) != 0)))
            continue;
        if (job->is_paused)
            LOG_WARN("paused, not run", LOG_TEXT("job", job->name), LOG_TEXT("by", &job->paused_by[0]));
        else
            once_start(jobs, job, once_mode(jobs, job));
    }
}

static void once_continue(Jobs *jobs) {
    while (jobs->once.is_on && count_unfinished(jobs) == 0) {
        if (++jobs->once.phase == N_PHASES) {
            jobs->once.is_on = false;
            jobs->once.done(jobs->once.context);
            return;
        }
        once_start_phase(jobs);
    }
}

void jobs_run_once(Jobs *jobs, LoopCall done, void *context) {
    jobs->once = (Once){.is_on = true, .phase = -1, .done = done, .context = context};
    once_continue(jobs);
}

void jobs_run_one(Jobs *jobs, Job *job, RunMode mode, LoopCall done, void *context) {
    jobs->once = (Once){.is_on = true, .phase = N_PHASES - 1, .done = done, .context = context};
    once_start(jobs, job, mode);
    plan(jobs);
}

void jobs_run_reconcile(Jobs *jobs, const char *feed, bool is_dry, LoopCall done, void *context) {
    jobs->once = (Once){.is_on = true, .phase = PHASE_RECONCILE - 1, .done = done, .context = context,
                        .is_reconcile = true, .is_dry = is_dry, .feed = feed};
    once_continue(jobs);
}

int jobs_once_status(const Jobs *jobs) { return jobs->once.status; }

/* ---- the table of jobs ---- */

static Jobs *make_table(const JobsOptions *options) {
    Jobs *jobs = calloc(1, sizeof *jobs);
    if (!jobs)
        abort();
    jobs->options = *options;
    jobs->arena = arena_open();
    make_jobs(jobs);
    make_leases(jobs);
    return jobs;
}

/* What the jobs own, and the table they stand in. */
static void close_table(Jobs *jobs) {
    for (size_t i = 0; i < jobs->n_jobs; i++) {
        if (jobs->jobs[i].session)
            feed_session_free(jobs->jobs[i].session);
        loop_timer_close(jobs->jobs[i].timer);
    }
    arena_free(jobs->arena);
}

/* ---- another configuration ---- */

static void reload_drop(Reload *reload) {
    close_table(reload->fresh);
    free(reload->fresh);
    reload->jobs->reload = NULL;
    free(reload);
}

/* What the job is called in another configuration: its source may have been renamed. In `ret_name`. */
static void name_now(const Config *config, const char *name, char ret_name[RUN_JOB_BYTES]) {
    const char *prefix = strncmp(name, "reconcile.", strlen("reconcile.")) == 0 ? "reconcile." : "";
    const char *feed = name + strlen(prefix);
    snprintf(ret_name, RUN_JOB_BYTES, "%s", name);
    for (size_t i = 0; i < config->n_sources; i++) {
        const char *old = config->sources[i].renamed_from;
        if (old && strncmp(feed, old, strlen(old)) == 0 && feed[strlen(old)] == '.')
            snprintf(ret_name, RUN_JOB_BYTES, "%s%s%s", prefix, config->sources[i].name, feed + strlen(old));
    }
}

/* A job of the same name goes on where the old one was. */
static void inherit(Jobs *fresh, const Jobs *old) {
    for (size_t i = 0; i < old->n_jobs; i++) {
        const Job *from = &old->jobs[i];
        char name[RUN_JOB_BYTES];
        name_now(fresh->options.config, from->name, name);
        Job *to = jobs_find(fresh, name);
        if (!to)
            continue;
        to->last = from->last;
        to->last_success_us = from->last_success_us;
        to->finished_us = from->finished_us;
        to->is_woken |= from->is_woken;
        to->interrupted = from->interrupted;
    }
}

static void swap_tables(Jobs *jobs, Jobs *fresh) {
    inherit(fresh, jobs);
    for (size_t i = 0; i < RUNS_KEPT; i++)
        if (jobs->runs[i]) {
            char name[RUN_JOB_BYTES];
            name_now(fresh->options.config, jobs->runs[i]->job, name);
            memcpy(jobs->runs[i]->job, name, sizeof name);
            jobs->runs[i]->owner = jobs_find(fresh, name);
        }
    close_table(jobs);
    jobs->options.config = fresh->options.config;
    jobs->arena = fresh->arena;
    jobs->jobs = fresh->jobs;
    jobs->n_jobs = fresh->n_jobs;
    jobs->lease_jobs = fresh->lease_jobs;
    jobs->leases = fresh->leases;
    jobs->leased_until_us = fresh->leased_until_us;
    jobs->n_running = fresh->n_running;
    jobs->is_wanted = fresh->is_wanted;
    jobs->retired = fresh->retired;
    jobs->n_retired = fresh->n_retired;
    memcpy(jobs->ids, fresh->ids, sizeof jobs->ids);
    jobs->n_ids = fresh->n_ids;
    free(fresh);
}

static void reload_work(void *context) {
    Reload *reload = context;
    reload->ok = claim_leases(reload->fresh, &reload->error);
}

static void reload_done(void *context) {
    Reload *reload = context;
    Jobs *jobs = reload->jobs;
    Reload told = *reload;
    jobs->refilling = false;
    bool is_stopping = jobs->drained != NULL;
    if (reload->ok && !is_stopping) {
        swap_tables(jobs, reload->fresh);
        jobs->reload = NULL;
        free(reload);
    } else {
        reload_drop(reload);
    }
    jobs->is_draining = is_stopping;
    if (!is_stopping)
        told.done(told.context, told.ok ? NULL : &told.error);
    plan(jobs);
}

static void reload_claim(void *context) {
    Jobs *jobs = context;
    jobs->refilling = true; /* a stop waits for it */
    pool_submit(jobs->options.urgent, (PoolWork){reload_work, reload_done, jobs->reload});
}

/* ---- public ---- */

/* Runs that were held before this start wait on. */
static bool take_held(Jobs *jobs, Error *err) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    HeldRun *held;
    size_t n;
    Pg *pg = pg_pool_take(jobs->options.pg_pool, err);
    bool ok = pg && run_find_held(pg, jobs->options.owner, arena, &held, &n, err);
    pg_pool_give(jobs->options.pg_pool, pg);
    TRY(ok);
    for (size_t i = 0; i < n; i++) {
        Job *job = jobs_find(jobs, held[i].row.job);
        if (!job)
            continue;
        Run *run = new_run(jobs, job, held[i].row.id);
        run->state = run->outcome = RUN_HELD;
        run_mode_find(held[i].row.mode, &run->mode);
        snprintf(run->trigger, sizeof run->trigger, "%s", held[i].row.trigger);
        run->was_asked = true;
        run->attempt = held[i].row.attempt;
        run->queued_us = held[i].row.queued_us;
        run->started_us = held[i].row.started_us;
        run->finished_us = held[i].row.finished_us;
        run->error = held[i].error;
        keep_run(jobs, run);
        job->last = run;
    }
    return true;
}

Jobs *jobs_open(const JobsOptions *options, Error *err) {
    Jobs *jobs = make_table(options);
    if (!claim_leases(jobs, err) || !take_held(jobs, err)) {
        close_table(jobs);
        free(jobs);
        return NULL;
    }
    jobs->due_timer = loop_timer_open(options->loop, on_due, jobs);
    jobs->lease_timer = loop_timer_open(options->loop, upkeep_start, jobs);
    int64_t renew_ms = jobs->options.lease_ms / LEASE_RENEWALS;
    loop_timer_start(jobs->lease_timer, renew_ms, renew_ms);
    return jobs;
}

/* An orderly end frees the jobs for another daemon at once; a crash, when the leases run out. */
static void release_leases(Jobs *jobs) {
    Error err = {0};
    Pg *pg = pg_pool_take(jobs->options.pg_pool, &err);
    if (!pg || !lease_release(pg, jobs->options.owner, &err))
        LOG_FAILURE(LOG_LEVEL_WARN, "leases were not released", &err);
    pg_pool_give(jobs->options.pg_pool, pg);
}

void jobs_close(Jobs *jobs) {
    release_leases(jobs);
    loop_timer_close(jobs->due_timer);
    loop_timer_close(jobs->lease_timer);
    for (size_t i = 0; i < RUNS_KEPT; i++)
        if (jobs->runs[i])
            run_free(jobs->runs[i]);
    close_table(jobs);
    free(jobs);
}

void jobs_start(Jobs *jobs) {
    jobs->is_started = true;
    plan(jobs);
}

static void cancel_all(Jobs *jobs) {
    jobs->is_draining = true;
    loop_timer_stop(jobs->due_timer);
    for (size_t i = 0; i < jobs->n_jobs; i++) {
        Run *run = jobs->jobs[i].current;
        if (run)
            cancel_run(jobs, run);
    }
}

void jobs_drain(Jobs *jobs, LoopCall done, void *context) {
    if (jobs->reload && jobs->reload->fresh && !jobs->refilling)
        reload_drop(jobs->reload);
    jobs->once.is_on = false;
    jobs->drained = done;
    jobs->drain_context = context;
    loop_timer_stop(jobs->lease_timer);
    cancel_all(jobs);
    plan(jobs);
}

/* Whatever the reload comes to, what it ends is to begin again. */
static void note_interrupted(Jobs *jobs) {
    for (size_t i = 0; i < jobs->n_jobs; i++) {
        Job *job = &jobs->jobs[i];
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
    if (jobs->is_draining || jobs->once.is_on)
        return false;
    JobsOptions options = jobs->options;
    options.config = config;
    Reload *reload = calloc(1, sizeof *reload);
    if (!reload)
        abort();
    *reload = (Reload){.jobs = jobs, .fresh = make_table(&options), .done = done, .context = context};
    jobs->reload = reload;
    jobs->drained = reload_claim;
    jobs->drain_context = jobs;
    note_interrupted(jobs);
    cancel_all(jobs);
    plan(jobs);
    return true;
}

const Config *jobs_config(const Jobs *jobs) { return jobs->options.config; }
size_t jobs_retired_count(const Jobs *jobs) { return jobs->n_retired; }

void jobs_retired_at(const Jobs *jobs, size_t index, const char **ret_source, int64_t *ret_since_us) {
    *ret_source = jobs->retired[index].name;
    *ret_since_us = jobs->retired[index].retired_us;
}

size_t jobs_count(const Jobs *jobs) { return jobs->n_jobs; }
Job *jobs_at(Jobs *jobs, size_t index) { return &jobs->jobs[index]; }

Job *jobs_find(Jobs *jobs, const char *name) {
    for (size_t i = 0; i < jobs->n_jobs; i++)
        if (strcmp(jobs->jobs[i].name, name) == 0)
            return &jobs->jobs[i];
    return NULL;
}

int64_t jobs_next_due_us(const Jobs *jobs, const Job *job) {
    int64_t due = due_us(jobs, job);
    if (due == SCHEDULE_NEVER)
        return 0;
    int64_t now_us = clock_monotonic_us();
    return clock_wall_us() + (due > now_us ? due - now_us : 0);
}

bool jobs_is_behind(const Jobs *jobs, const Job *job) { return is_behind(jobs, job); }

bool jobs_awaits_worker(const Jobs *jobs, const Job *job) {
    return wanted_since_us(jobs, job) <= clock_monotonic_us() && !has_worker(jobs, job);
}

static Job *reconcile_job(Jobs *jobs, const Job *job) {
    size_t i = 0;
    while (jobs->jobs[i].kind != JOB_RECONCILE || jobs->jobs[i].feed != job->feed)
        i++;
    return &jobs->jobs[i];
}

TriggerResult jobs_trigger(Jobs *jobs, Job *job, const TriggerRequest *asked, const Run **ret_run) {
    TriggerRequest wish = *asked, *request = &wish;
    if (job->kind == JOB_EXTRACT && wish.mode == RUN_RECONCILE)
        job = reconcile_job(jobs, job);
    if (job->kind == JOB_RECONCILE)
        wish.mode = RUN_RECONCILE;
    if (!job->has_lease || clock_monotonic_us() >= jobs->leased_until_us || jobs->is_draining || jobs->n_ids == 0)
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
    const char *job;
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
    *work = (PauseWork){.jobs = jobs, .job = job->name, .paused = paused};
    snprintf(work->by, sizeof work->by, "%s", by);
    pool_submit(jobs->options.urgent, (PoolWork){pause_work, free, work});
    plan(jobs);
}

void jobs_wake(Jobs *jobs, Job *job) {
    if (!job->is_woken)
        job->woken_us = clock_monotonic_us();
    job->is_woken = true;
    if (jobs->is_started && !jobs->is_draining)
        loop_timer_start(jobs->due_timer, 0, 0);
}

size_t jobs_run_count(const Jobs *jobs) { return jobs->n_runs < RUNS_KEPT ? jobs->n_runs : RUNS_KEPT; }

const Run *jobs_run_at(const Jobs *jobs, size_t index) {
    return jobs->runs[(jobs->n_runs - 1 - index) % RUNS_KEPT];
}

static Run *find_run(const Jobs *jobs, int64_t id) {
    for (size_t i = 0; i < jobs->n_jobs; i++)
        if (jobs->jobs[i].current && jobs->jobs[i].current->id == id)
            return jobs->jobs[i].current;
    for (size_t i = 0; i < jobs_run_count(jobs); i++)
        if (jobs->runs[i]->id == id)
            return jobs->runs[i];
    return NULL;
}

const Run *jobs_run_find(const Jobs *jobs, int64_t id) { return find_run(jobs, id); }

bool jobs_run_cancel(Jobs *jobs, int64_t id) {
    Run *run = find_run(jobs, id);
    if (!run || run_state_is_final(run->state))
        return false;
    if (run->state == RUN_HELD)
        refuse(jobs, run);
    else
        cancel_run(jobs, run);
    plan(jobs);
    return true;
}

TriggerResult jobs_run_approve(Jobs *jobs, int64_t id) {
    Run *run = find_run(jobs, id);
    Job *job = run ? run->owner : NULL;
    if (!job || run->state != RUN_HELD || !job->has_lease || jobs->is_draining)
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
