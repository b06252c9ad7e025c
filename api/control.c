/* control.c - the API's view of job.h and run.h; see control.h.
 *
 * While a worker has a run, the loop reads of it only what was set before: counts and times of its
 * end are shown when it has ended. */
#include "api/control.h"

#include "base/own.h"
#include "job.h"

#include <stdio.h>
#include <string.h>

static const char *text_or_null(const char *text) { return text && *text ? text : NULL; }

static void view_run(const Run *run, RunView *ret_run) {
    *ret_run = (RunView){
        .id = run->id,
        .job = run->job,
        .mode = run_mode_name(run->mode),
        .trigger = run->trigger,
        .from = text_or_null(run->range_from),
        .to = text_or_null(run->range_to),
        .is_plan = run->is_plan || run->is_dry,
        .state = run_state_name(run->state),
        .attempt = run->attempt,
        .queued_us = run->queued_us,
        .step = job_kind_name(run->kind),
    };
    if (run->state == RUN_RUNNING || run->state == RUN_QUEUED)
        return;
    ret_run->started_us = run->started_us;
    ret_run->finished_us = run_state_is_final(run->state) ? run->finished_us : 0;
    ret_run->rows_read = run->counts.rows_read;
    ret_run->rows_new = run->counts.rows_new;
    ret_run->rows_changed = run->counts.rows_changed;
    ret_run->rows_quarantined = run->counts.rows_quarantined;
    ret_run->bytes_read = run->counts.bytes_read;
    ret_run->bytes_sent = run->counts.bytes_sent;
    ret_run->pages = run->counts.pages;
    for (int i = 0; i < run->counts.n_attributes && i < ATTRIBUTES_SHOWN_MAX; i++) {
        const RunAttribute *attribute = &run->counts.attributes[i];
        ret_run->attributes[ret_run->n_attributes++] =
            (AttributeView){attribute->name, attribute->versions, attribute->corrected};
    }
    ret_run->note = text_or_null(run->note);
    ret_run->error_code = text_or_null(run->error.state);
    ret_run->error = text_or_null(run->error.text);
    ret_run->hint = text_or_null(run->error.hint);
}

static const char *state_of(const Job *job) {
    if (job->current)
        return run_state_name(job->current->state);
    if (job->is_paused)
        return "paused";
    if (!job->has_lease)
        return "elsewhere";
    if (job->is_stopped)
        return "stopped";
    return job->last && job->last->state == RUN_HELD ? "held" : "idle";
}

/* The first that holds is the reason. */
static const char *why_not(const Jobs *jobs, const Job *job) {
    if (job->current && job->current->state == RUN_RUNNING)
        return NULL;
    if (job->current && job->current->state == RUN_WAITING)
        return "the last attempt failed for a passing reason and will be repeated";
    if (job->current)
        return "it is queued and waits for a worker or for another run of its group";
    if (job->is_paused)
        return "it is paused";
    if (!job->has_lease && job->is_lease_locked)
        return "its lease cannot be taken: another session of PostgreSQL holds its row of ops.job";
    if (!job->has_lease)
        return "another daemon holds its lease";
    if (job->is_stopped)
        return "its configuration is wrong; mend it and trigger the job, or reload";
    if (job->last && job->last->state == RUN_HELD)
        return "its last run waits for a person's approval";
    if (job->failures > 0)
        return "its last run failed; it is tried again later and later";
    if (jobs_awaits_worker(jobs, job))
        return "it is due and waits for a worker; one is kept for every other source";
    if (jobs_is_behind(jobs, job))
        return "its first turn comes after that of the feeds whose rows its own name";
    return NULL;
}

static void view_job(const Jobs *jobs, const Job *job, JobView *ret_job) {
    *ret_job = (JobView){
        .name = job->name,
        .kind = job_kind_name(job->kind),
        .feed = job->feed ? job->feed->name : job->claims ? job->name : NULL,
        .schedule = job->schedule,
        .next_due_us = jobs_next_due_us(jobs, job),
        .paused = job->is_paused,
        .paused_by = text_or_null(job->paused_by),
        .state = state_of(job),
        .owner = text_or_null(job->owner),
        .why_not = why_not(jobs, job), .cursor = job->cursor,
        .last_success_us = job->last_success_us,
    };
    const Run *last = job->current ? job->current : job->last;
    if (last)
        view_run(last, &ret_job->last_run);
}

static const struct Config *config(void *ctx) { return jobs_config(ctx); }

static size_t n_jobs(void *ctx) { return jobs_count(ctx); }

static void job_at(void *ctx, size_t index, JobView *ret_job) {
    view_job(ctx, jobs_at(ctx, index), ret_job);
}

static bool find_job(void *ctx, const char *name, JobView *ret_job) {
    const Job *job = jobs_find(ctx, name);
    if (job)
        view_job(ctx, job, ret_job);
    return job != NULL;
}

static ControlOutcome trigger(void *ctx, const ControlTrigger *request, int64_t *ret_run_id,
                              Error *err) {
    Job *job = jobs_find(ctx, request->job);
    if (!job)
        return CONTROL_UNKNOWN;
    bool is_reconcile = strcmp(request->mode, "reconcile") == 0; /* which has a dry run of its own */
    TriggerRequest wish = {.by = request->actor, .from = request->from, .to = request->to,
                           .is_dry = request->dry_run && is_reconcile, .is_plan = request->dry_run && !is_reconcile};
    if (!run_mode_find(request->mode, &wish.mode)) {
        error_set(err, STATE_DATA, "unknown mode");
        return CONTROL_REFUSED;
    }
    if (!job_kind_takes(job->kind, wish.mode)) {
        error_set(err, STATE_DATA, "job %s does not run in the mode %s", job->name, request->mode);
        return CONTROL_REFUSED;
    }
    if (wish.is_plan && !job_kind_can_plan(job->kind)) {
        error_set(err, STATE_DATA, "what job %s would do cannot be told without doing it", request->job);
        return CONTROL_REFUSED;
    }
    const Run *run = NULL;
    switch (jobs_trigger(ctx, job, &wish, &run)) {
    case TRIGGER_STARTED:
        *ret_run_id = run->id;
        return CONTROL_DONE;
    case TRIGGER_RUNNING:
        *ret_run_id = run->id;
        return CONTROL_BUSY;
    case TRIGGER_NO_LEASE:
        error_set(err, STATE_BUSY, "another daemon holds the lease of this job%s%s", job->has_lease ? "" : ": ",
                  job->has_lease ? "" : job->owner);
        return CONTROL_REFUSED;
    }
    return CONTROL_REFUSED;
}

static ControlOutcome pause_job(void *ctx, const char *name, bool paused, const char *actor,
                                Error *err) {
    (void)err;
    Job *job = jobs_find(ctx, name);
    if (!job)
        return CONTROL_UNKNOWN;
    jobs_pause(ctx, job, paused, actor);
    return CONTROL_DONE;
}

static bool find_run(void *ctx, int64_t run_id, RunView *ret_run) {
    const Run *run = jobs_run_find(ctx, run_id);
    if (run)
        view_run(run, ret_run);
    return run != NULL;
}

static ControlOutcome cancel(void *ctx, int64_t run_id, const char *actor, Error *err) {
    (void)actor;
    const Run *run = jobs_run_find(ctx, run_id);
    if (!run)
        return CONTROL_UNKNOWN;
    if (jobs_run_cancel(ctx, run_id))
        return CONTROL_DONE;
    error_set(err, STATE_BUSY, "%s", run->state == RUN_HELD ? "another daemon holds the lease of this job"
                                                            : "the run has ended");
    return CONTROL_REFUSED;
}

static ControlOutcome approve(void *ctx, int64_t run_id, Error *err) {
    const Run *run = jobs_run_find(ctx, run_id);
    if (!run)
        return CONTROL_UNKNOWN;
    if (run->state != RUN_HELD) {
        error_set(err, STATE_BUSY, "the run is not held: there is nothing to approve");
        return CONTROL_REFUSED;
    }
    switch (jobs_run_approve(ctx, run_id)) {
    case TRIGGER_STARTED:
        return CONTROL_DONE;
    case TRIGGER_RUNNING:
        error_set(err, STATE_BUSY, "another run of this job is under way");
        return CONTROL_REFUSED;
    case TRIGGER_NO_LEASE:
        error_set(err, STATE_BUSY, "another daemon holds the lease of this job");
        return CONTROL_REFUSED;
    }
    return CONTROL_REFUSED;
}

static ControlOutcome enter(void *ctx, const char *feed, ControlGuest *ret_guest, Error *err) {
    const Job *job = jobs_find(ctx, feed);
    if (!job || !job->claims)
        return CONTROL_UNKNOWN;
    if (job->is_paused) {
        error_set(err, STATE_CONFLICT, "job %s is paused: its feed takes nothing", job->name);
        return CONTROL_REFUSED;
    }
    if (!jobs_enter(ctx, job)) {
        error_set(err, STATE_BUSY, "this daemon has not the lease of job %s now", job->name);
        return CONTROL_REFUSED;
    }
    *ret_guest = (ControlGuest){jobs_config(ctx), job->claims, job->epoch};
    return CONTROL_DONE;
}

static void wake(void *ctx, const char *name) {
    Job *job = jobs_find(ctx, name);
    if (job)
        jobs_wake(ctx, job);
}

static void leave(void *ctx, bool has_news) { jobs_leave(ctx, has_news); }

/* Those that ended are kept, and of the others every job has one at most; a held one that goes on is both. */
static size_t n_runs(void *ctx, const char *state) {
    size_t n = 0;
    for (size_t i = 0; i < jobs_run_count(ctx); i++)
        n += strcmp(run_state_name(jobs_run_at(ctx, i)->state), state) == 0;
    for (size_t i = 0; i < jobs_count(ctx); i++) {
        const Run *run = jobs_at(ctx, i)->current;
        n += run && !run->is_kept && strcmp(run_state_name(run->state), state) == 0;
    }
    return n;
}

static size_t n_retired(void *ctx) { return jobs_retired_count(ctx); }

static void retired_at(void *ctx, size_t index, const char **ret_source, int64_t *ret_since_us) {
    jobs_retired_at(ctx, index, ret_source, ret_since_us);
}

static size_t queue_depth(void *ctx) { return jobs_waiting_count(ctx); }

Control control_of(Jobs *jobs, Reloads *reloads) {
    return (Control){
        .ctx = jobs,
        .config = config,
        .n_jobs = n_jobs,
        .job_at = job_at,
        .find_job = find_job,
        .trigger = trigger,
        .pause = pause_job,
        .find_run = find_run,
        .cancel = cancel,
        .approve = approve,
        .enter = enter,
        .leave = leave,
        .wake = wake,
        .queue_depth = queue_depth,
        .n_runs = n_runs,
        .n_retired = n_retired,
        .retired_at = retired_at,
        .reloads = reloads,
    };
}
