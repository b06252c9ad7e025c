/* schedule.c - see schedule.h. */
#include "schedule.h"

/* After failures the interval doubles, from one second, up to five minutes: a source that is down is not
 * hammered, and comes back without anyone's doing. */
static int64_t backoff_us(int failures) {
    int64_t seconds = failures > 8 ? SCHEDULE_BACKOFF_MAX_S : INT64_C(1) << failures;
    return (seconds > SCHEDULE_BACKOFF_MAX_S ? SCHEDULE_BACKOFF_MAX_S : seconds) * 1000000;
}

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

int64_t schedule_due_us(const DueInput *in) {
    if (in->is_paused || in->is_running || !in->has_lease || in->is_stopped || in->is_behind)
        return SCHEDULE_NEVER;
    int64_t due = SCHEDULE_NEVER;
    if (in->every_us > 0)
        due = in->finished_us ? in->finished_us + (in->rest_us > in->every_us ? in->rest_us : in->every_us) : 0;
    if (in->is_woken)
        due = earlier(due, later(in->woken_us + in->quiet_us, in->finished_us + in->rest_us));
    if (in->failures > 0 && due != SCHEDULE_NEVER)
        due = later(due, in->finished_us + backoff_us(in->failures));
    return due;
}
