#include "test.h"

#include "storage/http.h"

static void retry_after_is_seconds_or_a_date(void **state) {
    (void)state;
    static const struct {
        const char *value;
        int64_t expected;
    } CASES[] = {
        {"0", 0}, {"120", 120}, {"-1", -1}, {"soon", -1}, {"", -1},
        {"Fri, 31 Dec 1999 23:59:59 GMT", 59}, {"Fri, 31 Dec 1999 23:58:00 GMT", 0},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_int_equal(http_parse_retry_after(str_of(CASES[i].value), 946684740),
                         CASES[i].expected); /* 23:59:00 that day */
}

static void each_status_has_its_class(void **state) {
    (void)state;
    static const struct {
        int status;
        ErrorClass expected;
    } CASES[] = {
        {400, ERROR_CONFIGURATION}, {401, ERROR_CONFIGURATION}, {403, ERROR_CONFIGURATION},
        {404, ERROR_CONFIGURATION}, {408, ERROR_TRANSIENT},     {409, ERROR_CONFLICT},
        {413, ERROR_CONFIGURATION}, {429, ERROR_TRANSIENT},     {500, ERROR_TRANSIENT},
        {503, ERROR_TRANSIENT},     {599, ERROR_TRANSIENT},     {302, ERROR_CONFIGURATION},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Error err = {0};
        assert_false(http_status_error(CASES[i].status, "x", &err));
        assert_int_equal(error_class(&err), CASES[i].expected);
    }
}

static void a_pause_ends_when_canceled(void **state) {
    (void)state;
    atomic_bool cancel = true;
    Error err = {0};
    assert_false(http_pause(60 * 1000, &cancel, &err));
    assert_string_equal(err.state, STATE_CANCELED);
    assert_true(http_pause(1, NULL, &err));
}

static void an_unreachable_server_is_a_connection_error_without_its_address(void **state) {
    (void)state;
    Error err = {0};
    assert_true(http_global_init(&err));
    CLEANUP(http_drop) HttpClient *http = http_open(&(HttpLimits){0}, NULL, &err);
    assert_non_null(http);
    CLEANUP(http_reply_done) HttpReply reply = {0};
    HttpRequest request = {.method = "GET", .url = "http://127.0.0.1:1/secret?key=s3cret",
                           .subject = "BigQuery", .bearer = "t0ken", .body = STR_NULL};
    assert_false(http_send(http, &request, &reply, &err));
    assert_int_equal(error_class(&err), ERROR_TRANSIENT);
    assert_null(strstr(err.text, "s3cret"));
    assert_null(strstr(err.text, "t0ken"));
    assert_null(strstr(err.text, "127.0.0.1"));
}

static void only_http_is_spoken(void **state) {
    (void)state;
    Error err = {0};
    CLEANUP(http_drop) HttpClient *http = http_open(&(HttpLimits){0}, NULL, &err);
    CLEANUP(http_reply_done) HttpReply reply = {0};
    HttpRequest request = {.method = "GET", .url = "file:///etc/passwd", .subject = "BigQuery",
                           .body = STR_NULL};
    assert_false(http_send(http, &request, &reply, &err));
    assert_int_equal(error_class(&err), ERROR_CONFIGURATION);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retry_after_is_seconds_or_a_date),
        cmocka_unit_test(each_status_has_its_class),
        cmocka_unit_test(a_pause_ends_when_canceled),
        cmocka_unit_test(an_unreachable_server_is_a_connection_error_without_its_address),
        cmocka_unit_test(only_http_is_spoken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
