#include "test.h"

#include "schedule.h"

#define S INT64_C(1000000)

static void a_job_is_due_when_its_table_says(void **state) {
    (void)state;
    static const struct {
        const char *why;
        DueInput in;
        int64_t expected;
    } CASES[] = {
        {"never ran: at once", {.every_us = 30 * S, .has_lease = true}, 0},
        {"an interval after its end", {.every_us = 30 * S, .finished_us = 100 * S, .has_lease = true}, 130 * S},
        {"paused", {.every_us = 30 * S, .has_lease = true, .is_paused = true}, SCHEDULE_NEVER},
        {"running", {.every_us = 30 * S, .has_lease = true, .is_running = true}, SCHEDULE_NEVER},
        {"another daemon's", {.every_us = 30 * S}, SCHEDULE_NEVER},
        {"stopped by its configuration", {.every_us = 30 * S, .has_lease = true, .is_stopped = true}, SCHEDULE_NEVER},
        {"no interval, nothing to do", {.has_lease = true, .finished_us = 5 * S}, SCHEDULE_NEVER},
        {"woken, after the quiet time",
         {.has_lease = true, .is_woken = true, .woken_us = 50 * S, .quiet_us = S}, 51 * S},
        {"woken before its interval",
         {.every_us = 30 * S, .finished_us = 40 * S, .has_lease = true, .is_woken = true, .woken_us = 50 * S}, 50 * S},
        {"woken soon after a long run: rests first",
         {.finished_us = 40 * S, .has_lease = true, .is_woken = true, .woken_us = 41 * S, .rest_us = 20 * S}, 60 * S},
        {"its interval is over before it has rested",
         {.every_us = 60 * S, .finished_us = 100 * S, .has_lease = true, .rest_us = 120 * S}, 220 * S},
        {"rests shorter than its interval",
         {.every_us = 60 * S, .finished_us = 100 * S, .has_lease = true, .rest_us = 20 * S}, 160 * S},
        {"woken for the first time: nothing to rest from",
         {.has_lease = true, .is_woken = true, .woken_us = 41 * S, .quiet_us = S}, 42 * S},
        {"what its rows name has not been read yet",
         {.every_us = 30 * S, .has_lease = true, .is_behind = true}, SCHEDULE_NEVER},
        {"failed once: two seconds at least",
         {.every_us = S, .finished_us = 100 * S, .failures = 1, .has_lease = true}, 102 * S},
        {"failed often: five minutes",
         {.every_us = S, .finished_us = 100 * S, .failures = 60, .has_lease = true}, 400 * S},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        if (schedule_due_us(&CASES[i].in) != CASES[i].expected)
            fail_msg("%s: %lld", CASES[i].why, (long long)schedule_due_us(&CASES[i].in));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_due_when_its_table_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
