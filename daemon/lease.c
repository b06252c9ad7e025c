/* lease.c - see lease.h. */
#include "lease.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"

enum { IDS_KEPT = 256, IDS_LOW = 64 };

struct Leases {
    LeasesOptions options;
    LeaseJob *jobs; /* one for each of the table's, as are `leases` */
    Lease *leases;
    int64_t *runs_out_us; /* monotonic: until when each was renewed */
    size_t n_locked;      /* that could not be renewed or taken, at the last look */
    HeldRun *waiting; /* as of the claim; in the table's arena */
    size_t n_waiting;
    int64_t until_us; /* monotonic, from before the leases were taken: behind it others may have them */
    int64_t severed_us;
    int64_t ids[IDS_KEPT];
    int n_ids;
    bool is_renewing;
};

Leases *leases_make(const LeasesOptions *options) {
    Leases *leases = calloc(1, sizeof *leases);
    if (!leases)
        abort();
    const JobTable *table = options->table;
    leases->options = *options;
    leases->jobs = ARENA_ARRAY(table->arena, LeaseJob, table->n);
    leases->leases = ARENA_ARRAY(table->arena, Lease, table->n);
    leases->runs_out_us = ARENA_ARRAY(table->arena, int64_t, table->n);
    for (size_t i = 0; i < table->n; i++) {
        const Job *job = &table->jobs[i];
        leases->jobs[i] = (LeaseJob){job->name, job_kind_name(job->kind),
                                     job->feed || job->claims ? job->group : NULL, job->schedule};
    }
    return leases;
}

void leases_free(Leases *leases) { free(leases); }

/* ---- claiming ---- */

/* A reconcile's is that of its feed's job, which stands before it. */
static const Lease *lease_of(const Leases *leases, const Lease *held, size_t i) {
    return &held[leases->options.table->jobs[i].kind == JOB_RECONCILE ? i - 1 : i];
}

static void tell_jobs(Leases *leases) {
    JobTable *table = leases->options.table;
    for (size_t i = 0; i < table->n; i++) {
        const Lease *lease = lease_of(leases, leases->leases, i);
        table->jobs[i].has_lease = lease->is_held;
        table->jobs[i].is_lease_locked = lease->is_locked;
        table->jobs[i].epoch = lease->epoch;
        table->jobs[i].owner = lease->owner;
    }
}

/* Until when which are ours, and how many are in somebody's way: told when it begins. */
static void note(Leases *leases, const Lease *held, int64_t begun_us) {
    const JobTable *table = leases->options.table;
    size_t n = 0, first = 0;
    for (size_t i = table->n; i-- > 0;) {
        if (held[i].is_held && !held[i].is_locked)
            leases->runs_out_us[i] = begun_us + leases->options.lease_ms * 1000;
        if (held[i].is_locked)
            n++, first = i;
    }
    if (n > 0 && leases->n_locked == 0)
        LOG_WARN("leases can be neither taken nor renewed: another session holds their rows of ops.job",
                 LOG_TEXT("job", table->jobs[first].name), LOG_INT("jobs", n));
    leases->n_locked = n;
}

static void tell_pause(Job *job, const Lease *lease) {
    job->is_paused = lease->is_paused;
    snprintf(job->paused_by, sizeof job->paused_by, "%s", lease->paused_by);
}

bool leases_claim(Leases *leases, Pg *pg, Error *err) {
    const LeasesOptions *options = &leases->options;
    leases->until_us = clock_monotonic_us() + options->lease_ms * 1000;
    TRY(lease_claim(pg, options->owner, options->lease_ms, leases->jobs, options->table->n, leases->leases, err));
    TRY(run_close_orphans(pg, options->owner, NULL, 0, options->table->config->lineage.enabled, err));
    TRY(run_find_held(pg, options->owner, options->table->arena, &leases->waiting, &leases->n_waiting, err));
    TRY(run_reserve_ids(pg, IDS_KEPT, leases->ids, err));
    leases->n_ids = IDS_KEPT;
    note(leases, leases->leases, leases->until_us - options->lease_ms * 1000);
    tell_jobs(leases);
    for (size_t i = 0; i < options->table->n; i++)
        tell_pause(&options->table->jobs[i], &leases->leases[i]);
    return true;
}

static void tell_held(const Leases *leases, const HeldRun *runs, size_t n) {
    for (size_t i = 0; i < n; i++)
        leases->options.events.held(leases->options.events.context, &runs[i]);
}

void leases_tell_held(const Leases *leases) { tell_held(leases, leases->waiting, leases->n_waiting); }

void leases_release(Leases *leases) {
    Error err = {0};
    Pg *pg = pg_pool_take(leases->options.pg_pool, &err);
    if (!pg || !lease_release(pg, leases->options.owner, &err))
        LOG_FAILURE(LOG_LEVEL_WARN, "leases were not released", &err);
    pg_pool_give(leases->options.pg_pool, pg);
}

/* ---- renewing ---- */

/* Renewing and reserving ids, on a worker, with a copy of what the loop owns. */
typedef struct Renewal {
    Leases *leases;
    Lease *held;
    Arena *arena;
    HeldRun *waiting; /* of jobs that were taken over; in the arena */
    size_t n_waiting;
    int64_t ids[IDS_KEPT];
    int n_ids; /* wanted, then had */
    int64_t begun_us;
    bool ok;
} Renewal;

/* What the owner before left: runs that ended with it, and runs that wait for a person. */
static bool take_runs(Renewal *renewal, Pg *pg, const char *const *jobs, size_t n, Error *err) {
    const LeasesOptions *options = &renewal->leases->options;
    const char *owner = options->owner;
    return n == 0 || (run_close_orphans(pg, owner, jobs, n, options->table->config->lineage.enabled, err) &&
                      run_find_held(pg, owner, renewal->arena, &renewal->waiting, &renewal->n_waiting, err));
}

/* The jobs of an owner whose lease has run out become ours. */
static bool take_over(Renewal *renewal, Pg *pg, Error *err) {
    const Leases *leases = renewal->leases;
    const LeasesOptions *options = &leases->options;
    Lease *held = renewal->held;
    Arena *arena = renewal->arena;
    size_t n_jobs = options->table->n, n_taken = 0;
    const char **names = ARENA_ARRAY(arena, const char *, n_jobs);
    LeaseJob *wanted = ARENA_ARRAY(arena, LeaseJob, n_jobs);
    Lease *taken = ARENA_ARRAY(arena, Lease, n_jobs);
    size_t *index = ARENA_ARRAY(arena, size_t, n_jobs), n = 0;
    for (size_t i = 0; i < n_jobs; i++)
        if (!held[i].is_held)
            wanted[n] = leases->jobs[i], index[n++] = i;
    if (n == 0)
        return lease_end_overdue(pg, options->owner, err);
    TRY(lease_claim(pg, options->owner, options->lease_ms, wanted, n, taken, err));
    for (size_t i = 0; i < n; i++) {
        held[index[i]] = taken[i];
        if (!taken[i].is_held)
            continue;
        names[n_taken++] = wanted[i].name;
        LOG_INFO("lease taken", LOG_TEXT("job", wanted[i].name), LOG_INT("epoch", taken[i].epoch));
    }
    return take_runs(renewal, pg, names, n_taken, err);
}

/* One whose row somebody holds stays ours as long as it was renewed for. */
static void give_up_run_out(Renewal *renewal) {
    const Leases *leases = renewal->leases;
    for (size_t i = 0; i < leases->options.table->n; i++)
        if (renewal->held[i].is_locked && renewal->begun_us >= leases->runs_out_us[i])
            renewal->held[i].is_held = false;
}

static bool renewal_try(Renewal *renewal, Error *err) {
    const Leases *leases = renewal->leases;
    const LeasesOptions *options = &leases->options;
    Pg *pg = pg_pool_take(options->pg_pool, err);
    TRY(pg);
    bool ok = lease_renew(pg, options->owner, options->lease_ms, leases->jobs, options->table->n, renewal->held, err);
    if (ok)
        give_up_run_out(renewal);
    ok = ok && lease_free_others(pg, options->owner, leases->jobs, options->table->n, err) && take_over(renewal, pg, err);
    if (ok && renewal->n_ids > 0)
        ok = run_reserve_ids(pg, renewal->n_ids, renewal->ids, err);
    pg_pool_give(options->pg_pool, pg);
    return ok;
}

static void renewal_work(void *context) {
    Renewal *renewal = context;
    Error err = {0};
    renewal->ok = renewal_try(renewal, &err);
    if (!renewal->ok)
        LOG_FAILURE(LOG_LEVEL_WARN, "leases were not renewed", &err);
}

/* What was another's may have been left half done: every job that was taken over has its turn now. A run of a job
 * that was lost cannot commit any more. */
static void exchange(Leases *leases, const Lease *held) {
    const LeasesOptions *options = &leases->options;
    for (size_t i = 0; i < options->table->n; i++) {
        Job *job = &options->table->jobs[i];
        const Lease *lease = lease_of(leases, held, i);
        if (lease->is_held && !job->has_lease) {
            tell_pause(job, &held[i]);
            options->events.gained(options->events.context, job);
        }
        if (!lease->is_held && job->has_lease)
            LOG_WARN("lease lost", LOG_TEXT("job", job->name), LOG_TEXT("owner", lease->owner));
        if (!lease->is_held && (job->has_lease || job->current))
            options->events.lost(options->events.context, job);
    }
    memcpy(leases->leases, held, sizeof *held * options->table->n);
    tell_jobs(leases);
}

static void renewal_done(void *context) {
    Renewal *renewal = context;
    Leases *leases = renewal->leases;
    leases->is_renewing = false;
    if (renewal->ok) {
        leases->until_us = renewal->begun_us + leases->options.lease_ms * 1000;
        for (int i = 0; i < renewal->n_ids && leases->n_ids < IDS_KEPT; i++)
            leases->ids[leases->n_ids++] = renewal->ids[i];
        tell_held(leases, renewal->waiting, renewal->n_waiting);
        note(leases, renewal->held, renewal->begun_us);
        exchange(leases, renewal->held);
    }
    arena_free(renewal->arena);
    free(renewal->held);
    free(renewal);
    leases->options.events.renewed(leases->options.events.context);
}

void leases_renew(Leases *leases) {
    if (leases->is_renewing)
        return;
    leases->is_renewing = true;
    size_t n = leases->options.table->n;
    Renewal *renewal = calloc(1, sizeof *renewal);
    Lease *held = calloc(n, sizeof *held);
    if (!renewal || !held)
        abort();
    memcpy(held, leases->leases, sizeof *held * n);
    *renewal = (Renewal){.leases = leases, .held = held, .arena = arena_open(), .n_ids = IDS_KEPT - leases->n_ids,
                         .begun_us = clock_monotonic_us()};
    pool_submit(leases->options.urgent, (PoolWork){renewal_work, renewal_done, renewal});
}

bool leases_are_renewing(const Leases *leases) { return leases->is_renewing; }

/* ---- running out ---- */

bool leases_are_current(const Leases *leases) { return clock_monotonic_us() < leases->until_us; }

/* Nothing of ours is to commit any more. A PostgreSQL that took our words and says nothing would keep its workers
 * for ever. */
void leases_sever_overdue(Leases *leases) {
    int64_t now_us = clock_monotonic_us(), lease_us = leases->options.lease_ms * 1000;
    if (now_us < leases->until_us || now_us - leases->severed_us < lease_us)
        return;
    LOG_WARN("the leases have run out; connections to the store are given up");
    leases->severed_us = now_us;
    pg_pool_sever(leases->options.pg_pool);
}

/* ---- ids ---- */

int leases_id_count(const Leases *leases) { return leases->n_ids; }
bool leases_want_ids(const Leases *leases) { return leases->n_ids < IDS_LOW; }
int64_t leases_take_id(Leases *leases) { return leases->ids[--leases->n_ids]; }

bool leases_return_id(Leases *leases, int64_t id) {
    if (leases->n_ids == IDS_KEPT)
        return false;
    leases->ids[leases->n_ids++] = id;
    return true;
}
