/* course.h - a run's way through the workers: submitted, perhaps interrupted, judged, repeated, ended.
 *
 * Whose turn it is is not decided here (turn.h), nor what an end means to other jobs (job.h). Loop thread only. */
#pragma once
#include "job_table.h"
#include "pool.h"

typedef struct Course {
    Loop *loop;
    Pool *pool;    /* for runs */
    Pool *urgent;  /* for what must not wait behind them */
    bool is_ending; /* nothing is repeated any more */
    void (*changed)(void *context, const Run *run); /* at every change of its state, but for the last */
    void (*ended)(void *context, Run *run);         /* its last state; it may be freed */
    void (*moved)(void *context);                   /* something else may be able to start, or all is at rest */
    void *context;
} Course;

/* A queued run that is its job's current one goes to a worker. */
void course_submit(Course *course, Run *run);
/* One that runs ends with its statement; one that only waits ends at once. */
void course_cancel(Course *course, Run *run);
/* Of a held run: what it is held for does not happen. It has ended. */
void course_refuse(Course *course, Run *run);
