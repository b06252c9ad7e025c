#include "test.h"

#include "base/error.h"
#include "base/str.h"

static void each_state_has_its_class(void **state) {
    (void)state;
    static const struct {
        const char *state;
        ErrorClass expected;
    } CASES[] = {
        {"", ERROR_NONE},           {"08006", ERROR_TRANSIENT}, {"53300", ERROR_TRANSIENT},
        {"55P03", ERROR_TRANSIENT}, {"57P01", ERROR_TRANSIENT}, {"57014", ERROR_CANCELED},
        {"58030", ERROR_TRANSIENT}, {"40P01", ERROR_CONFLICT},  {"22P02", ERROR_DATA},
        {"23505", ERROR_DATA},      {"28P01", ERROR_CONFIGURATION},
        {"42P01", ERROR_CONFIGURATION}, {"F0000", ERROR_CONFIGURATION}, {"XX000", ERROR_BUG},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Error err = {0};
        error_set(&err, CASES[i].state, "x");
        assert_int_equal(error_class(&err), CASES[i].expected);
    }
}

static void context_stands_before_the_sentence(void **state) {
    (void)state;
    Error err = {0};
    error_set(&err, "08006", "cannot connect");
    error_hint(&err, "start it");
    error_context(&err, "feed %s", "a.b");
    assert_string_equal(err.text, "feed a.b: cannot connect");
    assert_string_equal(err.hint, "start it");
    assert_string_equal(err.state, "08006");
}

static void integers_are_read_whole_or_not_at_all(void **state) {
    (void)state;
    int64_t value = 7;
    assert_true(str_to_int64(STR("-9223372036854775808"), &value));
    assert_int_equal(value, INT64_MIN);
    assert_true(str_to_int64(STR("9223372036854775807"), &value));
    assert_int_equal(value, INT64_MAX);
    value = 7;
    static const char *const BAD[] = {"", "-", "+", "1x", " 1", "9223372036854775808",
                                      "-9223372036854775809", "33o6"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_false(str_to_int64(str_of(BAD[i]), &value));
    assert_int_equal(value, 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_state_has_its_class),
        cmocka_unit_test(context_stands_before_the_sentence),
        cmocka_unit_test(integers_are_read_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
