/* schedule.h - what is due, as pure functions of what happened: no clock of its own, no state. Times are
 * microseconds of the monotonic clock. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

typedef struct DueInput {
    int64_t every_us;       /* the job's interval; 0: only when there is work */
    int64_t finished_us;    /* of the last run; 0: never ran */
    int failures;           /* runs in a row that failed for good */
    bool is_paused, is_running, has_lease, is_stopped;
    bool is_behind;         /* a job whose rows its own name has not had its first turn */
    bool is_woken;          /* a file arrived, a batch was committed: without waiting for the interval */
    int64_t woken_us;       /* when */
    int64_t quiet_us;       /* wait this long after waking, so that work comes in bundles */
    int64_t rest_us;        /* and this long after its own end: what takes long comes less often */
} DueInput;

enum { SCHEDULE_BACKOFF_MAX_S = 300 };
#define SCHEDULE_NEVER INT64_MAX

/* When the job is due, SCHEDULE_NEVER while it may not run. */
int64_t schedule_due_us(const DueInput *in);
