/* metrics.h - what Prometheus reads, one table of metrics.
 *
 *     METRIC_ADD(METRIC_FEED_ROWS_READ, page.n_rows, feed->name);
 *     METRIC_SET(METRIC_RUNS_RUNNING, n);
 *     METRIC_OBSERVE(METRIC_RUN_DURATION, seconds, job->name);
 *
 * A metric is an id, and its name, type, help and label names stand in one line of the table in
 * metrics.c. Label values come from configuration, routes and our own constants only, never from
 * data: that keeps the number of series bounded (METRICS_SERIES_MAX per metric; more are dropped
 * and counted in revcycle_metrics_dropped_total) and patients out of the scrape. A "feed" label is
 * the job's name: hospital_a.patients, claims.monthly.
 *
 * Any thread; values are kept for the life of the process, but for gauges of what a reload took away: metrics_keep().
 * Seconds are seconds, instants are Unix
 * seconds, sizes bytes. */
#pragma once
#include "base/buf.h"

typedef enum MetricId {
    METRIC_BUILD_INFO,              /* version */
    METRIC_UP_SINCE,                /* - */
    METRIC_FEED_LAST_SUCCESS,       /* feed */
    METRIC_FEED_LAG,                /* feed */
    METRIC_FEED_CURSOR_HELD,        /* feed */
    METRIC_FEED_DRIFT,              /* feed, kind: column_added …, state: evolved discarded frozen */
    METRIC_FEED_ROWS_READ,          /* feed */
    METRIC_FEED_ROWS_CHANGED,       /* feed, op: insert update delete */
    METRIC_FEED_ROWS_QUARANTINED,   /* feed, rule */
    METRIC_FEED_ROWS_FLAGGED,       /* feed, rule */
    METRIC_RUNS,                    /* job, outcome: succeeded failed canceled held */
    METRIC_RUN_RETRIES,             /* job, code: the SQLSTATE-like class of the failure */
    METRIC_RUN_DURATION,            /* job */
    METRIC_RUNS_RUNNING,            /* - */
    METRIC_RUNS_HELD,               /* - */
    METRIC_QUEUE_DEPTH,             /* - */
    METRIC_STORE_REACHABLE,         /* - */
    METRIC_FILE,                    /* outcome: done failed duplicate */
    METRIC_BIGQUERY_LOAD_JOBS,      /* table, outcome: done failed */
    METRIC_BIGQUERY_BYTES,          /* kind: uploaded billed */
    METRIC_BIGQUERY_PUBLICATION_LAG,/* - */
    METRIC_RECONCILE_DIFFERENCES,   /* feed */
    METRIC_QUALITY_SCORE,           /* feed, dimension */
    METRIC_FEED_RULE_BROKEN,        /* feed, rule */
    METRIC_ORPHANS,                 /* table, rule */
    METRIC_REFERENCE_LOOKUPS,       /* service: npi icd10 hcpcs; outcome: found not_found unchanged unusable further failed */
    METRIC_REFERENCE_AVAILABLE,     /* service */
    METRIC_RETENTION_DELETED,       /* table: bronze quarantine reconciliations runs audit */
    METRIC_LINEAGE_EVENTS,          /* outcome: sent refused dropped */
    METRIC_HTTP_REQUESTS,           /* route, method, code */
    METRIC_HTTP_REQUEST_DURATION,   /* route */
    METRIC_AUDIT_CHAIN_OK,          /* - */
    METRIC_AUDIT_LAST_SEAL,         /* - */
    METRIC_ALERTS_FIRING,           /* - */
    METRIC_METRICS_DROPPED,         /* - */
    METRIC_PROCESS_CPU,             /* the process_ metrics are read at each rendering */
    METRIC_PROCESS_OPEN_FDS,
    METRIC_PROCESS_MAX_FDS,
    METRIC_PROCESS_VIRTUAL_MEMORY,
    METRIC_PROCESS_RESIDENT_MEMORY,
    METRIC_PROCESS_START_TIME,
    METRIC_PROCESS_THREADS,
    METRIC_COUNT
} MetricId;

#define METRICS_SERIES_MAX 4096

/* The labels, as many as the table names for the metric, in its order, then NULL. */
#define METRIC_LABELS_(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
#define METRIC_ADD(id, amount, ...) \
    metrics_add((id), (double)(amount), METRIC_LABELS_(__VA_ARGS__))
#define METRIC_SET(id, value, ...) metrics_set((id), (double)(value), METRIC_LABELS_(__VA_ARGS__))
#define METRIC_OBSERVE(id, value, ...) \
    metrics_observe((id), (double)(value), METRIC_LABELS_(__VA_ARGS__))

void metrics_add(MetricId id, double amount, const char *const *labels);      /* counter, gauge */
void metrics_set(MetricId id, double value, const char *const *labels);       /* gauge */
void metrics_observe(MetricId id, double value, const char *const *labels);   /* histogram */
/* The value of a counter or gauge, the count of a histogram; 0 for a series nobody touched. */
double metrics_value(MetricId id, const char *const *labels);

/* Series of a gauge whose labels `is_there` says no to are forgotten: what nobody measures any more must not stand at its last
 * value for ever. It is called under the lock and calls nothing of this header. */
typedef bool MetricsIsThere(const void *context, const char *const *labels);
void metrics_keep(MetricId id, MetricsIsThere *is_there, const void *context);

typedef enum MetricsFormat { METRICS_TEXT, METRICS_OPENMETRICS } MetricsFormat;

/* By the client's Accept header (NULL: none sent). */
MetricsFormat metrics_format_for(const char *accept);
const char *metrics_content_type(MetricsFormat format);
/* Reads the process's own figures, then writes every metric. */
void metrics_render(MetricsFormat format, Buf *out);
/* Forgets all series: for tests. */
void metrics_reset(void);
