/* metrics.c - see metrics.h.
 *
 * Text format 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/
 * OpenMetrics 1.0: https://prometheus.io/docs/specs/om/open_metrics_spec/ . The two differ in the
 * family's name (OpenMetrics leaves "_total" and "_info" to the samples), in the type of *_info,
 * in the escaping of quotes in HELP, and in the closing "# EOF".
 *
 * One mutex guards all series. A page or a request touches a handful, so it is never contended;
 * a series is found by walking its metric's list, which is as long as the configuration. */
#include "base/metrics.h"

#include "base/clock.h"
#include "base/own.h"

#include <assert.h>
#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LABELS_MAX = 3, BUCKETS_MAX = 12 };

typedef enum MetricType { COUNTER, GAUGE, HISTOGRAM, INFO } MetricType;

typedef struct Metric {
    MetricType type;
    const char *name;
    const char *help;
    const char *labels[LABELS_MAX];
    const double *bounds; /* ascending, ends with INFINITY */
    bool is_absent_until_set; /* without labels: no 0 that nobody measured */
} Metric;

typedef struct Series {
    struct Series *next;
    char *labels[LABELS_MAX];
    double value; /* histogram: the sum */
    uint64_t buckets[BUCKETS_MAX]; /* not cumulated */
} Series;

static const double RUN_SECONDS[] = {0.01, 0.1, 0.5, 1, 5, 15, 60, 300, 1800, 7200, INFINITY};
static const double HTTP_SECONDS[] = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, INFINITY};

static const Metric METRICS[METRIC_COUNT] = {
    [METRIC_BUILD_INFO] = {INFO, "revcycle_build_info", "Version of the running daemon.",
                           {"version"}, NULL},
    [METRIC_UP_SINCE] = {GAUGE, "revcycle_up_since_seconds",
                         "Unix time at which the daemon became ready.", {NULL}, NULL},
    [METRIC_FEED_LAST_SUCCESS] = {GAUGE, "revcycle_feed_last_success_timestamp_seconds",
                                  "Unix time of the feed's last successful run.", {"feed"}, NULL},
    [METRIC_FEED_LAG] = {GAUGE, "revcycle_feed_lag_seconds",
                         "Age of the feed's last success, as of this scrape.", {"feed"}, NULL},
    [METRIC_FEED_CURSOR_HELD] = {GAUGE, "revcycle_feed_cursor_held_seconds",
                                 "How long a running statement of the source holds the cursor.",
                                 {"feed"}, NULL},
    [METRIC_FEED_ROWS_READ] = {COUNTER, "revcycle_feed_rows_read_total",
                               "Rows read from the source.", {"feed"}, NULL},
    [METRIC_FEED_DRIFT] = {COUNTER, "revcycle_feed_drift_total",
                           "Changes of a feed's table, and what the contract made of them.",
                           {"feed", "kind", "state"}, NULL},
    [METRIC_FEED_ROWS_CHANGED] = {COUNTER, "revcycle_feed_rows_changed_total",
                                  "Rows that changed the model.", {"feed", "op"}, NULL},
    [METRIC_FEED_ROWS_QUARANTINED] = {COUNTER, "revcycle_feed_rows_quarantined_total",
                                      "Rows kept out, by the rule that refused them.",
                                      {"feed", "rule"}, NULL},
    [METRIC_FEED_ROWS_FLAGGED] = {COUNTER, "revcycle_feed_rows_flagged_total",
                                  "Rows kept and marked, by rule.", {"feed", "rule"}, NULL},
    [METRIC_RUNS] = {COUNTER, "revcycle_runs_total", "Finished runs.", {"job", "outcome"}, NULL},
    [METRIC_RUN_RETRIES] = {COUNTER, "revcycle_run_retries_total",
                            "Attempts that failed for a passing reason and are repeated.",
                            {"job", "code"}, NULL},
    [METRIC_RUN_DURATION] = {HISTOGRAM, "revcycle_run_duration_seconds",
                             "Wall time of finished runs.", {"job"}, RUN_SECONDS},
    [METRIC_RUNS_RUNNING] = {GAUGE, "revcycle_runs_running", "Runs on a worker now.", {NULL}, NULL},
    [METRIC_RUNS_HELD] = {GAUGE, "revcycle_runs_held", "Runs that wait for a person.", {NULL}, NULL},
    [METRIC_QUEUE_DEPTH] = {GAUGE, "revcycle_queue_depth", "Runs that wait for a worker.",
                            {NULL}, NULL},
    [METRIC_STORE_REACHABLE] = {GAUGE, "revcycle_store_reachable",
                                "1 while PostgreSQL answers, as /readyz says.", {NULL}, NULL},
    [METRIC_FILE] = {COUNTER, "revcycle_file_total", "Claims files finished.", {"outcome"}, NULL},
    [METRIC_BIGQUERY_LOAD_JOBS] = {COUNTER, "revcycle_bigquery_load_jobs_total",
                                   "BigQuery load jobs seen to end.", {"table", "outcome"}, NULL},
    [METRIC_BIGQUERY_BYTES] = {COUNTER, "revcycle_bigquery_bytes_total",
                               "Bytes sent to BigQuery or billed by it.", {"kind"}, NULL},
    [METRIC_BIGQUERY_PUBLICATION_LAG] = {GAUGE, "revcycle_bigquery_publication_lag_seconds",
                                         "Age of the oldest change BigQuery does not hold yet.",
                                         {NULL}, NULL},
    [METRIC_RECONCILE_DIFFERENCES] = {GAUGE, "revcycle_reconcile_differences",
                                      "Rows that differed at the last reconcile.", {"feed"}, NULL},
    [METRIC_QUALITY_SCORE] = {GAUGE, "revcycle_quality_score_ratio",
                              "Share of checks passed.", {"feed", "dimension"}, NULL},
    [METRIC_FEED_RULE_BROKEN] = {GAUGE, "revcycle_feed_rule_broken",
                                 "1 while the feed breaks the rule: freshness, volume.", {"feed", "rule"}, NULL},
    [METRIC_ORPHANS] = {GAUGE, "revcycle_orphan_rows", "Rows that name a parent which is not there.", {"table", "rule"}, NULL},
    [METRIC_REFERENCE_LOOKUPS] = {COUNTER, "revcycle_reference_lookups_total",
                                  "Questions to registers, by what came of them.", {"service", "outcome"}, NULL},
    [METRIC_REFERENCE_AVAILABLE] = {GAUGE, "revcycle_reference_available",
                                    "1 when the register or file could be used the last time it was wanted.", {"service"}, NULL},
    [METRIC_RETENTION_DELETED] = {COUNTER, "revcycle_retention_deleted_total",
                                  "Rows deleted because they were old and nothing needed them.", {"table"}, NULL},
    [METRIC_LINEAGE_EVENTS] = {COUNTER, "revcycle_lineage_events_total",
                               "OpenLineage events, by what became of them.", {"outcome"}, NULL},
    [METRIC_HTTP_REQUESTS] = {COUNTER, "revcycle_http_requests_total", "HTTP requests answered.",
                              {"route", "method", "code"}, NULL},
    [METRIC_HTTP_REQUEST_DURATION] = {HISTOGRAM, "revcycle_http_request_duration_seconds",
                                      "Time from a whole request to its answer.", {"route"},
                                      HTTP_SECONDS},
    [METRIC_AUDIT_CHAIN_OK] = {GAUGE, "revcycle_audit_chain_ok",
                               "1 when the last verification found every seal whole.", {NULL},
                               NULL, true},
    [METRIC_AUDIT_LAST_SEAL] = {GAUGE, "revcycle_audit_last_seal",
                                "Number of the audit trail's newest seal; it never falls.", {NULL}, NULL, true},
    [METRIC_ALERTS_FIRING] = {GAUGE, "revcycle_alerts_firing", "Alerts that stand.", {NULL}, NULL},
    [METRIC_METRICS_DROPPED] = {COUNTER, "revcycle_metrics_dropped_total",
                                "Updates dropped because a metric had too many series.", {NULL},
                                NULL},
    [METRIC_PROCESS_CPU] = {COUNTER, "process_cpu_seconds_total",
                            "Total user and system CPU time spent in seconds.", {NULL}, NULL},
    [METRIC_PROCESS_OPEN_FDS] = {GAUGE, "process_open_fds", "Number of open file descriptors.",
                                 {NULL}, NULL},
    [METRIC_PROCESS_MAX_FDS] = {GAUGE, "process_max_fds",
                                "Maximum number of open file descriptors.", {NULL}, NULL},
    [METRIC_PROCESS_VIRTUAL_MEMORY] = {GAUGE, "process_virtual_memory_bytes",
                                       "Virtual memory size in bytes.", {NULL}, NULL},
    [METRIC_PROCESS_RESIDENT_MEMORY] = {GAUGE, "process_resident_memory_bytes",
                                        "Resident memory size in bytes.", {NULL}, NULL},
    [METRIC_PROCESS_START_TIME] = {GAUGE, "process_start_time_seconds",
                                   "Start time of the process since unix epoch in seconds.",
                                   {NULL}, NULL},
    [METRIC_PROCESS_THREADS] = {GAUGE, "process_threads", "Number of threads.", {NULL}, NULL},
};

static const char *const TYPE_NAMES[] = {"counter", "gauge", "histogram", "info"};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Series *series_of[METRIC_COUNT];
static size_t n_series_of[METRIC_COUNT];

/* ---- series ---------------------------------------------------------------------------- */

static size_t n_labels(const Metric *metric) {
    size_t n = 0;
    while (n < LABELS_MAX && metric->labels[n])
        n++;
    return n;
}

static bool labels_fit(MetricId id, const char *const *labels) {
    size_t n = 0;
    while (labels[n])
        n++;
    return n == n_labels(&METRICS[id]);
}

static Series *find_series(MetricId id, const char *const *labels) {
    size_t n = n_labels(&METRICS[id]);
    for (Series *series = series_of[id]; series; series = series->next) {
        size_t i = 0;
        while (i < n && strcmp(series->labels[i], labels[i]) == 0)
            i++;
        if (i == n)
            return series;
    }
    return NULL;
}

/* Found or made, NULL when the metric is full. New ones go to the end: scrapes keep their order. */
static Series *series_for(MetricId id, const char *const *labels) {
    assert(labels_fit(id, labels));
    Series *series = find_series(id, labels);
    if (series)
        return series;
    if (n_series_of[id] == METRICS_SERIES_MAX || !(series = calloc(1, sizeof *series)))
        return NULL;
    for (size_t i = 0; i < n_labels(&METRICS[id]); i++)
        if (!(series->labels[i] = strdup(labels[i])))
            abort();
    Series **end = &series_of[id];
    while (*end)
        end = &(*end)->next;
    *end = series;
    n_series_of[id]++;
    return series;
}

static void count_dropped(void) {
    Series *dropped = series_for(METRIC_METRICS_DROPPED, METRIC_LABELS_());
    if (dropped)
        dropped->value++;
}

void metrics_add(MetricId id, double amount, const char *const *labels) {
    assert(METRICS[id].type == GAUGE || (METRICS[id].type == COUNTER && amount >= 0));
    pthread_mutex_lock(&lock);
    Series *series = series_for(id, labels);
    if (series)
        series->value += amount;
    else
        count_dropped();
    pthread_mutex_unlock(&lock);
}

static void put_value(MetricId id, double value, const char *const *labels) {
    pthread_mutex_lock(&lock);
    Series *series = series_for(id, labels);
    if (series)
        series->value = value;
    else
        count_dropped();
    pthread_mutex_unlock(&lock);
}

void metrics_set(MetricId id, double value, const char *const *labels) {
    assert(METRICS[id].type == GAUGE || METRICS[id].type == INFO);
    put_value(id, value, labels);
}

void metrics_observe(MetricId id, double value, const char *const *labels) {
    const Metric *metric = &METRICS[id];
    assert(metric->type == HISTOGRAM);
    pthread_mutex_lock(&lock);
    Series *series = series_for(id, labels);
    if (series) {
        size_t bucket = 0;
        while (value > metric->bounds[bucket])
            bucket++;
        series->buckets[bucket]++;
        series->value += value;
    } else {
        count_dropped();
    }
    pthread_mutex_unlock(&lock);
}

static void free_series(Series *series, size_t n) {
    for (size_t i = 0; i < n; i++)
        free(series->labels[i]);
    free(series);
}

void metrics_keep(MetricId id, MetricsIsThere *is_there, const void *context) {
    assert(METRICS[id].type == GAUGE);
    pthread_mutex_lock(&lock);
    for (Series **at = &series_of[id]; *at;) {
        Series *series = *at;
        if (is_there(context, (const char *const *)series->labels)) {
            at = &series->next;
            continue;
        }
        *at = series->next;
        free_series(series, n_labels(&METRICS[id]));
        n_series_of[id]--;
    }
    pthread_mutex_unlock(&lock);
}

static uint64_t observations(const Series *series) {
    uint64_t count = 0;
    for (size_t i = 0; i < BUCKETS_MAX; i++)
        count += series->buckets[i];
    return count;
}

double metrics_value(MetricId id, const char *const *labels) {
    assert(labels_fit(id, labels));
    pthread_mutex_lock(&lock);
    const Series *series = find_series(id, labels);
    double value = 0;
    if (series)
        value = METRICS[id].type == HISTOGRAM ? (double)observations(series) : series->value;
    pthread_mutex_unlock(&lock);
    return value;
}

/* ---- the process itself ------------------------------------------------------------------ */

static double open_fds(void) {
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    double n = -3; /* ".", ".." and the descriptor of this very listing */
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

/* proc(5): fields 14 and 15 are CPU ticks, 20 threads, 22 start tick, 23 and 24 memory. */
static void read_stat(void) {
    CLEANUP(file_drop) FILE *stat = fopen("/proc/self/stat", "re");
    unsigned long long user, system, start, virtual_bytes;
    long threads, resident_pages;
    if (!stat || fscanf(stat, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu "
                              "%*d %*d %*d %*d %ld %*d %llu %llu %ld",
                        &user, &system, &threads, &start, &virtual_bytes, &resident_pages) != 6)
        return;
    double ticks = (double)sysconf(_SC_CLK_TCK);
    double boot_seconds =
        (double)clock_wall_us() / 1e6 - (double)clock_monotonic_us() / 1e6; /* near enough */
    put_value(METRIC_PROCESS_CPU, (double)(user + system) / ticks, METRIC_LABELS_());
    METRIC_SET(METRIC_PROCESS_THREADS, threads);
    METRIC_SET(METRIC_PROCESS_VIRTUAL_MEMORY, virtual_bytes);
    METRIC_SET(METRIC_PROCESS_RESIDENT_MEMORY, (double)resident_pages * (double)getpagesize());
    if (metrics_value(METRIC_PROCESS_START_TIME, METRIC_LABELS_()) == 0)
        METRIC_SET(METRIC_PROCESS_START_TIME, floor(boot_seconds + (double)start / ticks));
}

static void read_process(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        METRIC_SET(METRIC_PROCESS_MAX_FDS, limit.rlim_cur);
    METRIC_SET(METRIC_PROCESS_OPEN_FDS, open_fds());
    read_stat();
}

/* ---- rendering --------------------------------------------------------------------------- */

typedef enum Escaping { ESCAPE_QUOTES, KEEP_QUOTES } Escaping;

static void put_escaped(Buf *out, const char *text, Escaping quotes) {
    for (; *text; text++) {
        if (*text == '\n')
            buf_put_str(out, STR("\\n"));
        else if (*text == '\\' || (*text == '"' && quotes == ESCAPE_QUOTES))
            buf_printf(out, "\\%c", *text);
        else
            buf_put_byte(out, (uint8_t)*text);
    }
}

/* The shortest text that reads back as the same number, as Go prints it: OpenMetrics wants "1.0"
 * as the bound of a bucket. */
static void put_number(Buf *out, double value) {
    if (isnan(value) || isinf(value)) {
        buf_put_str(out, isnan(value) ? STR("NaN") : value > 0 ? STR("+Inf") : STR("-Inf"));
        return;
    }
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    buf_printf(out, "%s%s", text, strpbrk(text, ".e") ? "" : ".0");
}

static void put_labels(Buf *out, const Metric *metric, const Series *series, const double *bound) {
    const char *separator = "{";
    for (size_t i = 0; i < n_labels(metric); i++, separator = ",") {
        buf_printf(out, "%s%s=\"", separator, metric->labels[i]);
        put_escaped(out, series->labels[i], ESCAPE_QUOTES);
        buf_put_byte(out, '"');
    }
    if (bound) {
        buf_printf(out, "%sle=\"", separator);
        put_number(out, *bound);
        buf_put_byte(out, '"');
        separator = ",";
    }
    if (*separator == ',')
        buf_put_byte(out, '}');
}

static void put_sample(Buf *out, const Metric *metric, const Series *series, const char *suffix,
                       double value) {
    buf_printf(out, "%s%s", metric->name, suffix);
    put_labels(out, metric, series, NULL);
    buf_put_byte(out, ' ');
    put_number(out, value);
    buf_put_byte(out, '\n');
}

static void put_histogram(Buf *out, const Metric *metric, const Series *series) {
    uint64_t cumulated = 0;
    for (size_t i = 0;; i++) {
        cumulated += series->buckets[i];
        buf_printf(out, "%s_bucket", metric->name);
        put_labels(out, metric, series, &metric->bounds[i]);
        buf_printf(out, " %llu\n", (unsigned long long)cumulated);
        if (isinf(metric->bounds[i]))
            break;
    }
    put_sample(out, metric, series, "_sum", series->value);
    put_sample(out, metric, series, "_count", (double)cumulated);
}

/* OpenMetrics' family of a_total is a, of build_info is build. */
static int family_length(const Metric *metric, MetricsFormat format) {
    size_t length = strlen(metric->name);
    if (format == METRICS_OPENMETRICS && metric->type == COUNTER)
        length -= strlen("_total");
    if (format == METRICS_OPENMETRICS && metric->type == INFO)
        length -= strlen("_info");
    return (int)length;
}

static void put_header(Buf *out, const Metric *metric, MetricsFormat format) {
    int length = family_length(metric, format);
    MetricType type = metric->type == INFO && format == METRICS_TEXT ? GAUGE : metric->type;
    buf_printf(out, "# HELP %.*s ", length, metric->name);
    put_escaped(out, metric->help, format == METRICS_OPENMETRICS ? ESCAPE_QUOTES : KEEP_QUOTES);
    buf_printf(out, "\n# TYPE %.*s %s\n", length, metric->name, TYPE_NAMES[type]);
}

static void put_metric(Buf *out, MetricId id, MetricsFormat format) {
    static const Series UNTOUCHED;
    const Metric *metric = &METRICS[id];
    put_header(out, metric, format);
    if (!series_of[id] && n_labels(metric) == 0 && !metric->is_absent_until_set)
        put_sample(out, metric, &UNTOUCHED, "", 0);
    for (const Series *series = series_of[id]; series; series = series->next) {
        if (metric->type == HISTOGRAM)
            put_histogram(out, metric, series);
        else
            put_sample(out, metric, series, "", series->value);
    }
}

void metrics_render(MetricsFormat format, Buf *out) {
    read_process();
    METRIC_SET(METRIC_BUILD_INFO, 1, REVCYCLED_VERSION);
    pthread_mutex_lock(&lock);
    for (MetricId id = 0; id < METRIC_COUNT; id++)
        put_metric(out, id, format);
    pthread_mutex_unlock(&lock);
    if (format == METRICS_OPENMETRICS)
        buf_put_str(out, STR("# EOF\n"));
}

MetricsFormat metrics_format_for(const char *accept) {
    return accept && strstr(accept, "application/openmetrics-text") ? METRICS_OPENMETRICS
                                                                    : METRICS_TEXT;
}

const char *metrics_content_type(MetricsFormat format) {
    return format == METRICS_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}

void metrics_reset(void) {
    pthread_mutex_lock(&lock);
    for (MetricId id = 0; id < METRIC_COUNT; id++) {
        while (series_of[id]) {
            Series *series = TAKE(series_of[id]);
            series_of[id] = series->next;
            for (size_t i = 0; i < LABELS_MAX; i++)
                free(series->labels[i]);
            free(series);
        }
        n_series_of[id] = 0;
    }
    pthread_mutex_unlock(&lock);
}
