/* turn.c - see turn.h. */
#include "turn.h"

#include "base/clock.h"
#include "schedule.h"

enum {
    SETTLE_QUIET_US = 1000000, /* batches that come close together are settled together */
    FIGURES_REST = 10,         /* figures rest ten times as long as they took: at most a tenth of the time */
};

/* ---- who comes before whom ---- */

/* Not had its first turn since the start, and about to have it: what is paused, stopped, somebody else's or
 * trying again keeps nobody waiting. */
static bool awaits_first_turn(const Job *job) {
    return job_is_place(job) && job->finished_us == 0 && job->has_lease && !job->is_paused && !job->is_stopped &&
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

bool turn_is_behind(const Turns *turns, const Job *job) {
    if (job->kind > JOB_RECONCILE || job->finished_us != 0)
        return false;
    for (size_t i = 0; i < turns->table->n; i++) {
        const Job *other = &turns->table->jobs[i];
        if (other->rank < job->rank && may_name(job, other) && awaits_first_turn(other))
            return true;
    }
    return false;
}

static bool is_group_busy(const Turns *turns, const Job *job) {
    for (size_t i = 0; i < turns->table->n; i++) {
        const Job *other = &turns->table->jobs[i];
        if (other->current && other->current->state == RUN_RUNNING && strcmp(other->group, job->group) == 0)
            return true;
    }
    return false;
}

/* ---- workers ---- */

/* Which parties have something running, and which want to run something now or later. */
static void count_parties(const JobTable *table) {
    size_t n = job_table_parties(table);
    memset(table->n_running, 0, n * sizeof *table->n_running);
    memset(table->is_wanted, 0, n * sizeof *table->is_wanted);
    for (size_t i = 0; i < table->n; i++) {
        const Job *job = &table->jobs[i];
        table->n_running[job->party] += job->current && job->current->state == RUN_RUNNING;
        table->is_wanted[job->party] |= job->has_lease && !job->is_paused && !job->is_stopped;
    }
}

/* A party's first run needs a worker; a further one leaves one for each party that has none running. */
static bool has_worker(const Turns *turns, const Job *job) {
    const JobTable *table = turns->table;
    size_t n_running = 0, n_reserved = 0;
    count_parties(table);
    for (size_t i = 0; i < job_table_parties(table); i++) {
        n_running += table->n_running[i];
        n_reserved += i != job->party && table->is_wanted[i] && table->n_running[i] == 0;
    }
    return n_running + (table->n_running[job->party] > 0 ? n_reserved : 0) < turns->n_workers;
}

/* ---- when ---- */

int64_t turn_due_us(const Turns *turns, const Job *job) {
    bool waits_for_person = job->kind == JOB_RECONCILE && recent_find_held(turns->recent, job);
    DueInput in = {
        .every_us = job->every_us, .finished_us = job->finished_us, .failures = job->failures,
        .is_paused = job->is_paused, .is_running = job->current != NULL, .has_lease = job->has_lease,
        .is_stopped = job->is_stopped || waits_for_person, .is_woken = job->is_woken, .woken_us = job->woken_us,
        .is_behind = turn_is_behind(turns, job),
        .quiet_us = job->kind == JOB_SETTLE ? SETTLE_QUIET_US : 0,
        .rest_us = job->kind == JOB_KPI || job->kind == JOB_QUALITY ? FIGURES_REST * job->took_us : 0,
    };
    return schedule_due_us(&in);
}

/* Since when the job wants to run, on the monotonic clock: in the future when it is not due yet. */
static int64_t wanted_since_us(const Turns *turns, const Job *job) {
    if (!leases_are_current(turns->leases))
        return SCHEDULE_NEVER;
    if (job->current && job->current->state == RUN_QUEUED && job->has_lease)
        return clock_monotonic_us() - (clock_wall_us() - job->current->queued_us);
    return turns->is_started && leases_id_count(turns->leases) > 0 ? turn_due_us(turns, job) : SCHEDULE_NEVER;
}

Job *turn_find_startable(const Turns *turns, int64_t now_us, int64_t *ret_next_us) {
    Job *first = NULL;
    int64_t first_us = SCHEDULE_NEVER;
    *ret_next_us = SCHEDULE_NEVER;
    for (size_t i = 0; i < turns->table->n; i++) {
        Job *job = &turns->table->jobs[i];
        int64_t since_us = wanted_since_us(turns, job);
        if (since_us > now_us)
            *ret_next_us = since_us < *ret_next_us ? since_us : *ret_next_us;
        else if (since_us < first_us && !is_group_busy(turns, job) && has_worker(turns, job)) {
            first = job;
            first_us = since_us;
        }
    }
    return first;
}

bool turn_awaits_worker(const Turns *turns, const Job *job) {
    return wanted_since_us(turns, job) <= clock_monotonic_us() && !has_worker(turns, job);
}
