/* once.c - see once.h. */
#include "once.h"

#include "base/log.h"

enum { STATUS_FAILED = 1, STATUS_HELD = 3 };

/* What runs together, one phase after the other. */
static const struct {
    bool kinds[JOB_RETENTION + 1];
    int rank;
} PHASES[] = {
    {{[JOB_EXTRACT] = true, [JOB_RECEIVE] = true}, RANK_MEMBERS},
    {{[JOB_EXTRACT] = true, [JOB_RECEIVE] = true}, RANK_ENCOUNTERS},
    {{[JOB_EXTRACT] = true, [JOB_RECEIVE] = true}, RANK_LAST},
    {{[JOB_RECONCILE] = true}, RANK_RECONCILE},
    {{[JOB_SETTLE] = true}, RANK_MEMBERS},
    {{[JOB_REFERENCE] = true}, RANK_MEMBERS},
    {{[JOB_PUBLISH] = true}, RANK_MEMBERS},
    {{[JOB_KPI] = true, [JOB_QUALITY] = true}, RANK_MEMBERS},
    {{[JOB_RETENTION] = true}, RANK_MEMBERS},
};
enum { N_PHASES = sizeof PHASES / sizeof *PHASES, PHASE_RECONCILE = 3 };

static void start(Once *once, Job *job, RunMode mode) {
    const Run *ignored;
    TriggerRequest request = {.mode = mode, .by = "once", .is_dry = once->is_dry && mode == RUN_RECONCILE};
    if (jobs_trigger(once->jobs, job, &request, &ignored) != TRIGGER_NO_LEASE)
        return;
    LOG_ERROR("another daemon holds this job", LOG_TEXT("job", job->name));
    once->status = STATUS_FAILED;
}

/* Publishing in that mode compares all that BigQuery holds. */
static RunMode mode_of(const Once *once, const Job *job) {
    bool compares = job->kind == JOB_RECONCILE || (job->kind == JOB_PUBLISH && once->is_reconcile);
    return compares ? RUN_RECONCILE : RUN_INCREMENTAL;
}

/* What cannot be read cannot be compared either, and that was said already. */
static bool is_unreadable(const Once *once, const FeedConfig *feed) {
    const Job *extract = jobs_find(once->jobs, feed->name);
    return extract && extract->failures > 0;
}

static bool is_in_phase(const Once *once, const Job *job) {
    if (!PHASES[once->phase].kinds[job->kind] || PHASES[once->phase].rank != job->rank)
        return false;
    if (job->kind != JOB_RECONCILE)
        return true;
    return !is_unreadable(once, job->feed) && (!once->feed || strcmp(job->feed->name, once->feed) == 0);
}

static void start_phase(Once *once) {
    for (size_t i = 0; i < jobs_count(once->jobs); i++) {
        Job *job = jobs_at(once->jobs, i);
        if (!is_in_phase(once, job))
            continue;
        if (job->is_paused)
            LOG_WARN("paused, not run", LOG_TEXT("job", job->name), LOG_TEXT("by", &job->paused_by[0]));
        else
            start(once, job, mode_of(once, job));
    }
}

static void on_idle(void *context) {
    Once *once = context;
    while (jobs_are_idle(once->jobs)) {
        if (++once->phase == N_PHASES) {
            jobs_follow(once->jobs, NULL);
            once->done(once->context);
            return;
        }
        start_phase(once);
    }
}

static void on_ended(void *context, const Run *run) {
    Once *once = context;
    if (run->state != RUN_SUCCEEDED && once->status != STATUS_FAILED)
        once->status = run->state == RUN_HELD ? STATUS_HELD : STATUS_FAILED;
}

static void begin(Once *once, Once with) {
    *once = with;
    jobs_follow(once->jobs, &(JobsFollower){.ended = on_ended, .idle = on_idle, .context = once});
}

void once_run_all(Once *once, Jobs *jobs, LoopCall done, void *context) {
    begin(once, (Once){.jobs = jobs, .phase = -1, .done = done, .context = context});
    on_idle(once);
}

void once_run_job(Once *once, Jobs *jobs, Job *job, RunMode mode, LoopCall done, void *context) {
    begin(once, (Once){.jobs = jobs, .phase = N_PHASES - 1, .done = done, .context = context});
    start(once, job, mode);
    on_idle(once);
}

void once_run_reconcile(Once *once, Jobs *jobs, const char *feed, bool is_dry, LoopCall done, void *context) {
    begin(once, (Once){.jobs = jobs, .phase = PHASE_RECONCILE - 1, .done = done, .context = context,
                       .is_reconcile = true, .is_dry = is_dry, .feed = feed});
    on_idle(once);
}
