/* status.c - /v1/status: one page for a person in a hurry. From memory. */
#include "api/dispatch.h"
#include "api/resources.h"
#include "base/clock.h"

static json_t *feed_json(const JobView *job, int64_t now_us) {
    json_t *lag = job->last_success_us
                      ? json_integer((now_us - job->last_success_us) / 1000000)
                      : json_null();
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "job", job->name, "kind", job->kind,
                     "state", job->state, "why_not", json_text(job->why_not), "last_success_at",
                     json_instant(job->last_success_us), "lag_seconds", lag, "next_due_at",
                     json_instant(job->next_due_us), "last_error", json_text(job->last_run.error));
}

/* Rows of theirs stay in every figure; nothing of theirs is read. */
static json_t *retired_json(const Control *control) {
    json_t *retired = json_array();
    for (size_t i = 0; i < control->n_retired(control->ctx); i++) {
        const char *source;
        int64_t since_us;
        control->retired_at(control->ctx, i, &source, &since_us);
        json_array_append_new(retired, json_pack("{s:s, s:s, s:o}", "source", source, "state", "retired", "since",
                                                 json_instant(since_us)));
    }
    return retired;
}

Handling status_get(Call *call, Error *err) {
    (void)err;
    const Control *control = call->control;
    int64_t now_us = clock_wall_us();
    json_t *feeds = json_array();
    bool all_well = call->api->store_is_reachable;
    for (size_t i = 0; i < control->n_jobs(control->ctx); i++) {
        JobView job;
        control->job_at(control->ctx, i, &job);
        json_array_append_new(feeds, feed_json(&job, now_us));
        all_well = all_well && !job.why_not && !job.last_run.error;
    }
    reply_json(&call->reply, 200,
               json_pack("{s:s, s:s, s:o, s:s, s:I, s:I, s:o, s:o}", "state",
                         all_well ? "well" : "attention", "version", REVCYCLED_VERSION, "now",
                         json_instant(now_us), "store",
                         call->api->store_is_reachable ? "reachable" : "unreachable",
                         "runs_running", (json_int_t)control->n_runs(control->ctx, "running"),
                         "runs_held", (json_int_t)control->n_runs(control->ctx, "held"), "feeds",
                         feeds, "retired", retired_json(control)));
    return CALL_ANSWERED;
}
