#include "test.h"

#include "base/metrics.h"

#include <pthread.h>
#include <stdio.h>

static int forget(void **state) {
    (void)state;
    metrics_reset();
    return 0;
}

/* The rendering, terminated; valid until the next call. */
static const char *render(MetricsFormat format) {
    static Buf out;
    buf_done(&out);
    buf_init(&out, 8u << 20);
    metrics_render(format, &out);
    buf_put_byte(&out, 0);
    assert_false(buf_overflowed(&out));
    return out.data;
}

static void a_counter_grows_per_series(void **state) {
    (void)state;
    METRIC_ADD(METRIC_FEED_ROWS_READ, 3, "a.patients");
    METRIC_ADD(METRIC_FEED_ROWS_READ, 4, "a.patients");
    METRIC_ADD(METRIC_FEED_ROWS_READ, 1, "b.patients");
    assert_true(metrics_value(METRIC_FEED_ROWS_READ, METRIC_LABELS_("a.patients")) == 7);
    const char *text = render(METRICS_TEXT);
    assert_non_null(strstr(text, "# TYPE revcycle_feed_rows_read_total counter\n"
                                 "revcycle_feed_rows_read_total{feed=\"a.patients\"} 7.0\n"
                                 "revcycle_feed_rows_read_total{feed=\"b.patients\"} 1.0\n"));
}

static void a_histogram_cumulates_its_buckets(void **state) {
    (void)state;
    METRIC_OBSERVE(METRIC_HTTP_REQUEST_DURATION, 0.004, "/x");
    METRIC_OBSERVE(METRIC_HTTP_REQUEST_DURATION, 0.005, "/x");
    METRIC_OBSERVE(METRIC_HTTP_REQUEST_DURATION, 99, "/x");
    const char *text = render(METRICS_TEXT);
    assert_non_null(strstr(text, "_bucket{route=\"/x\",le=\"0.001\"} 0\n"));
    assert_non_null(strstr(text, "_bucket{route=\"/x\",le=\"0.005\"} 2\n"));
    assert_non_null(strstr(text, "_bucket{route=\"/x\",le=\"1.0\"} 2\n"));
    assert_non_null(strstr(text, "_bucket{route=\"/x\",le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(text, "_sum{route=\"/x\"} 99.009\n"));
    assert_non_null(strstr(text, "_count{route=\"/x\"} 3.0\n"));
}

static bool is_not_b(const void *context, const char *const *labels) {
    (*(int *)(uintptr_t)context)++;
    return strcmp(labels[0], "b.f") != 0;
}

static void series_of_what_went_are_forgotten_and_may_come_again(void **state) {
    (void)state;
    int n_asked = 0;
    METRIC_SET(METRIC_FEED_RULE_BROKEN, 1, "a.f", "r");
    METRIC_SET(METRIC_FEED_RULE_BROKEN, 1, "b.f", "r");
    METRIC_SET(METRIC_FEED_RULE_BROKEN, 1, "b.f", "s");
    METRIC_SET(METRIC_FEED_RULE_BROKEN, 1, "c.f", "r");
    metrics_keep(METRIC_FEED_RULE_BROKEN, is_not_b, &n_asked);
    assert_int_equal(n_asked, 4);
    const char *text = render(METRICS_TEXT);
    assert_non_null(strstr(text, "gauge\nrevcycle_feed_rule_broken{feed=\"a.f\",rule=\"r\"} 1.0\n"
                                 "revcycle_feed_rule_broken{feed=\"c.f\",rule=\"r\"} 1.0\n#"));
    METRIC_SET(METRIC_FEED_RULE_BROKEN, 0, "b.f", "r");
    assert_non_null(strstr(render(METRICS_TEXT), "revcycle_feed_rule_broken{feed=\"b.f\",rule=\"r\"} 0.0\n"));
}

static void label_values_are_escaped(void **state) {
    (void)state;
    METRIC_SET(METRIC_FEED_LAG, 1.5, "a\\b\"c\nd");
    assert_non_null(strstr(render(METRICS_TEXT),
                           "revcycle_feed_lag_seconds{feed=\"a\\\\b\\\"c\\nd\"} 1.5\n"));
}

static void openmetrics_names_families_without_suffix_and_ends(void **state) {
    (void)state;
    const char *text = render(METRICS_OPENMETRICS);
    assert_non_null(strstr(text, "# TYPE revcycle_build info\nrevcycle_build_info{version=\""));
    assert_non_null(strstr(text, "# TYPE process_cpu_seconds counter\nprocess_cpu_seconds_total "));
    assert_string_equal(text + strlen(text) - 6, "# EOF\n");
    text = render(METRICS_TEXT);
    assert_non_null(strstr(text, "# TYPE revcycle_build_info gauge\n"));
    assert_null(strstr(text, "# EOF"));
}

static void the_accept_header_chooses_the_format(void **state) {
    (void)state;
    assert_int_equal(metrics_format_for(NULL), METRICS_TEXT);
    assert_int_equal(metrics_format_for("*/*"), METRICS_TEXT);
    assert_int_equal(metrics_format_for("application/openmetrics-text; version=1.0.0,*/*;q=0.1"),
                     METRICS_OPENMETRICS);
}

static void the_process_measures_itself(void **state) {
    (void)state;
    render(METRICS_TEXT);
    assert_true(metrics_value(METRIC_PROCESS_RESIDENT_MEMORY, METRIC_LABELS_()) > 100000);
    assert_true(metrics_value(METRIC_PROCESS_START_TIME, METRIC_LABELS_()) > 1.6e9);
    assert_true(metrics_value(METRIC_PROCESS_OPEN_FDS, METRIC_LABELS_()) >= 3);
    assert_true(metrics_value(METRIC_PROCESS_THREADS, METRIC_LABELS_()) >= 1);
}

static void too_many_series_are_dropped_and_counted(void **state) {
    (void)state;
    for (int i = 0; i < METRICS_SERIES_MAX + 5; i++) {
        char label[16];
        snprintf(label, sizeof label, "%d", i);
        METRIC_ADD(METRIC_FILE, 1, label);
    }
    assert_true(metrics_value(METRIC_METRICS_DROPPED, METRIC_LABELS_()) == 5);
    assert_true(metrics_value(METRIC_FILE, METRIC_LABELS_("4096")) == 0);
}

static void *add_many(void *unused) {
    (void)unused;
    for (int i = 0; i < 10000; i++)
        METRIC_ADD(METRIC_RUNS, 1, "publish", i % 2 ? "failed" : "succeeded");
    return NULL;
}

static void threads_lose_no_update(void **state) {
    (void)state;
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, NULL), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_true(metrics_value(METRIC_RUNS, METRIC_LABELS_("publish", "failed")) == 20000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_counter_grows_per_series, forget),
        cmocka_unit_test_setup(a_histogram_cumulates_its_buckets, forget),
        cmocka_unit_test_setup(series_of_what_went_are_forgotten_and_may_come_again, forget),
        cmocka_unit_test_setup(label_values_are_escaped, forget),
        cmocka_unit_test_setup(openmetrics_names_families_without_suffix_and_ends, forget),
        cmocka_unit_test_setup(the_accept_header_chooses_the_format, forget),
        cmocka_unit_test_setup(the_process_measures_itself, forget),
        cmocka_unit_test_setup(too_many_series_are_dropped_and_counted, forget),
        cmocka_unit_test_setup(threads_lose_no_update, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
