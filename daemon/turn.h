/* turn.h - whose turn it is: what is due, what must wait for others, and who may have a worker.
 *
 * Order: members first, then encounters, then transactions and claims, once after the start: a fact whose
 * members are there is written once, not again by settle. Two jobs of one group (a feed; settle, publish and
 * kpi) never run at once.
 *
 * Workers: a source's second run begins only when a worker stays free for every other source that has none
 * running, and one for settle and its like: a hospital that answers nothing any more keeps nobody else's feeds
 * waiting, as long as `workers` is greater than the number of sources. Who has waited longest comes first.
 *
 * Reads what job_table.h, lease.h and recent.h say, and the clock; decides nothing and starts nothing. Loop thread
 * only. */
#pragma once
#include "lease.h"
#include "recent.h"

/* All borrowed. */
typedef struct Turns {
    const JobTable *table;
    const Leases *leases;
    const Recent *recent;
    size_t n_workers;
    bool is_started; /* the schedule runs; without it only what was triggered does */
} Turns;

/* When the job is due by its schedule, on the monotonic clock; SCHEDULE_NEVER while it may not run. */
int64_t turn_due_us(const Turns *turns, const Job *job);
/* Of those that may start now, who has waited longest; NULL: nobody. *ret_next_us: when the next one is due, or
 * SCHEDULE_NEVER. */
Job *turn_find_startable(const Turns *turns, int64_t now_us, int64_t *ret_next_us);
/* True when it is due and all workers that it may have are taken. */
bool turn_awaits_worker(const Turns *turns, const Job *job);
/* True when it waits for the first turn, since the start, of a job whose rows its own name. */
bool turn_is_behind(const Turns *turns, const Job *job);
