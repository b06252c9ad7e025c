#include "test.h"

#include "run.h"

static Run failed(const char *state, int attempt) {
    Run run = {.state = RUN_FAILED, .attempt = attempt};
    error_set(&run.error, state, "the attempt failed");
    return run;
}

static void an_errors_class_decides_whether_a_run_is_tried_again(void **state) {
    (void)state;
    static const struct {
        const char *sqlstate;
        int attempt;
        Verdict expected;
    } CASES[] = {
        {STATE_CONNECTION, 1, VERDICT_AGAIN_LATER}, {STATE_RESOURCES, 4, VERDICT_AGAIN_LATER},
        {STATE_BUSY, 1, VERDICT_AGAIN_LATER},       {"57P01", 1, VERDICT_AGAIN_LATER},
        {STATE_IO, 1, VERDICT_AGAIN_LATER},         {STATE_CONNECTION, RUN_ATTEMPTS_MAX, VERDICT_FINAL},
        {STATE_CONFLICT, 1, VERDICT_AGAIN_NOW},     {"40P01", 3, VERDICT_AGAIN_NOW},
        {STATE_CONFLICT, 4, VERDICT_FINAL},         {STATE_DATA, 1, VERDICT_FINAL},
        {STATE_INTEGRITY, 1, VERDICT_FINAL},        {STATE_CANCELED, 1, VERDICT_FINAL},
        {STATE_AUTH, 1, VERDICT_FINAL},             {STATE_CONFIG, 1, VERDICT_FINAL},
        {STATE_MISSING, 1, VERDICT_FINAL},          {STATE_BUG, 1, VERDICT_FINAL},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Run run = failed(CASES[i].sqlstate, CASES[i].attempt);
        int64_t delay_ms = 0;
        if (run_judge(&run, 0, &delay_ms) != CASES[i].expected)
            fail_msg("%s at attempt %d", CASES[i].sqlstate, CASES[i].attempt);
    }
}

static void pauses_double_and_jitter_stays_below_twice(void **state) {
    (void)state;
    int64_t least = 0, most = 0;
    for (int attempt = 1; attempt < RUN_ATTEMPTS_MAX; attempt++) {
        Run run = failed(STATE_CONNECTION, attempt);
        int64_t before = least;
        run_judge(&run, 0, &least);
        run_judge(&run, UINT32_MAX, &most);
        assert_true(attempt == 1 || least == 2 * before);
        assert_true(most >= least && most < 2 * least);
    }
}

static void what_was_canceled_or_succeeded_is_final(void **state) {
    (void)state;
    int64_t delay_ms;
    Run run = failed(STATE_CONNECTION, 1);
    atomic_store(&run.canceled, true);
    assert_int_equal(run_judge(&run, 0, &delay_ms), VERDICT_FINAL);
    run = (Run){.state = RUN_SUCCEEDED, .attempt = 1};
    assert_int_equal(run_judge(&run, 0, &delay_ms), VERDICT_FINAL);
}

/* The ledger has its first attempt: the id is not another run's. */
static void a_run_that_was_tried_again_leaves_a_trace(void **state) {
    (void)state;
    Run run = {.state = RUN_SUCCEEDED, .outcome = RUN_SUCCEEDED, .attempt = 1};
    assert_false(run_leaves_trace(&run));
    run.attempt = 2;
    assert_true(run_leaves_trace(&run));
}

static void names_of_modes_are_found_again(void **state) {
    (void)state;
    RunMode mode;
    for (RunMode m = RUN_INCREMENTAL; m <= RUN_REBUILD; m++) {
        assert_true(run_mode_find(run_mode_name(m), &mode));
        assert_int_equal(mode, m);
    }
    assert_false(run_mode_find("everything", &mode));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_errors_class_decides_whether_a_run_is_tried_again),
        cmocka_unit_test(pauses_double_and_jitter_stays_below_twice),
        cmocka_unit_test(what_was_canceled_or_succeeded_is_final),
        cmocka_unit_test(a_run_that_was_tried_again_leaves_a_trace),
        cmocka_unit_test(names_of_modes_are_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
