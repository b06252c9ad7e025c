/* health.c - alive, ready, and what Prometheus scrapes. */
#include "api/dispatch.h"
#include "api/resources.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/own.h"

Handling health_alive(Call *call, Error *err) {
    (void)err;
    reply_text(&call->reply, 200, "text/plain; charset=utf-8", STR("alive\n"));
    return CALL_ANSWERED;
}

/* That this is answered at all says that the loop turns. */
Handling health_ready(Call *call, Error *err) {
    (void)err;
    const Api *api = call->api;
    if (api->stopping)
        reply_problem(&call->reply, 503, "the daemon is stopping");
    else if (!api->store_is_reachable)
        reply_problem(&call->reply, 503, "the store (PostgreSQL) is not reachable");
    else
        reply_text(&call->reply, 200, "text/plain; charset=utf-8", STR("ready\n"));
    return CALL_ANSWERED;
}

/* Gauges that follow from what is in memory are set when somebody looks. */
static void refresh_gauges(const Control *control) {
    METRIC_SET(METRIC_RUNS_RUNNING, control->n_runs(control->ctx, "running"));
    METRIC_SET(METRIC_RUNS_HELD, control->n_runs(control->ctx, "held"));
    METRIC_SET(METRIC_QUEUE_DEPTH, control->queue_depth(control->ctx));
    for (size_t i = 0; i < control->n_jobs(control->ctx); i++) {
        JobView job;
        control->job_at(control->ctx, i, &job);
        bool is_own = job.feed && strcmp(job.feed, job.name) == 0; /* that reads it, not the one that reconciles it */
        if (!is_own || !job.last_success_us)
            continue;
        METRIC_SET(METRIC_FEED_LAST_SUCCESS, (double)job.last_success_us / 1e6, job.feed);
        METRIC_SET(METRIC_FEED_LAG, (double)(clock_wall_us() - job.last_success_us) / 1e6, job.feed);
    }
}

Handling health_metrics(Call *call, Error *err) {
    (void)err;
    refresh_gauges(call->control);
    MetricsFormat format = metrics_format_for(call->accept);
    CLEANUP(buf_done) Buf text;
    buf_init(&text, REPLY_MAX_BYTES);
    metrics_render(format, &text);
    reply_text(&call->reply, 200, metrics_content_type(format), buf_str(&text));
    call->reply.caching = REPLY_NO_STORE;
    return CALL_ANSWERED;
}
