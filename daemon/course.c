/* course.c - see course.h. */
#include "course.h"

#include "base/clock.h"
#include "base/metrics.h"

#include <stdlib.h>

enum { INTERRUPT_AGAIN_MS = 1000 };

typedef struct Ticket {
    Course *course;
    Run *run;
} Ticket;

static void send(Course *course, Pool *pool, Run *run, void (*work)(void *), void (*done)(void *)) {
    Ticket *ticket = malloc(sizeof *ticket);
    if (!ticket)
        abort();
    *ticket = (Ticket){course, run};
    pool_submit(pool, (PoolWork){work, done, ticket});
}

static Ticket take_ticket(void *context) {
    Ticket ticket = *(Ticket *)context;
    free(context);
    return ticket;
}

/* ---- its end ---- */

static void interrupt(Course *course, Run *run);

/* A run that waited: its group may be busy by now, so it queues like any other. One that was canceled and runs on. */
static void on_job_timer(void *context) {
    Job *job = context;
    Course *course = job->course;
    if (job->current && job->current->state == RUN_WAITING)
        job->current->state = RUN_QUEUED;
    else if (job->current && job->current->state == RUN_RUNNING && atomic_load(&job->current->canceled))
        interrupt(course, job->current);
    course->moved(course->context);
}

static void start_job_timer(Course *course, Job *job, int64_t delay_ms) {
    job->course = course;
    if (!job->timer)
        job->timer = loop_timer_open(course->loop, on_job_timer, job);
    loop_timer_start(job->timer, delay_ms, 0);
}

static void retry_later(Course *course, Run *run, int64_t delay_ms) {
    Job *job = run->owner;
    METRIC_ADD(METRIC_RUN_RETRIES, 1, job->name, run->error.state);
    run->state = RUN_WAITING;
    run->attempt++;
    course->changed(course->context, run);
    start_job_timer(course, job, delay_ms);
}

static void judge(Course *course, Run *run) {
    run->state = run->outcome;
    int64_t delay_ms = 0;
    Verdict verdict = run_judge(run, (uint32_t)random(), &delay_ms);
    if (verdict == VERDICT_FINAL || course->is_ending)
        course->ended(course->context, run);
    else
        retry_later(course, run, delay_ms);
    course->moved(course->context);
}

/* ---- on a worker ---- */

static void execute_work(void *context) { run_execute(((Ticket *)context)->run); }

static void execute_done(void *context) {
    Ticket ticket = take_ticket(context);
    ticket.run->is_over = true;
    if (!ticket.run->is_interrupting)
        judge(ticket.course, ticket.run);
}

void course_submit(Course *course, Run *run) {
    Job *job = run->owner;
    if (job->feed && !job->session)
        job->session = feed_session_open();
    run->session = job->session;
    run->epoch = job->epoch; /* the lease may have been lost and taken again while it waited */
    run->is_over = false;
    job->begun_us = clock_monotonic_us();
    run->state = RUN_RUNNING;
    course->changed(course->context, run);
    send(course, course->pool, run, execute_work, execute_done);
}

/* ---- interrupting ---- */

static void interrupt_work(void *context) { run_interrupt(((Ticket *)context)->run); }

/* A run ends only when its interruption has: one that comes late must not meet the next run's statement. One that
 * came between two statements met none. */
static void interrupt_done(void *context) {
    Ticket ticket = take_ticket(context);
    ticket.run->is_interrupting = false;
    if (ticket.run->is_over)
        judge(ticket.course, ticket.run);
    else
        start_job_timer(ticket.course, ticket.run->owner, INTERRUPT_AGAIN_MS);
}

/* Servers that do not answer take their time: not the loop's. */
static void interrupt(Course *course, Run *run) {
    if (run->is_interrupting || run->is_over)
        return;
    run->is_interrupting = true;
    send(course, course->urgent, run, interrupt_work, interrupt_done);
}

static void record_work(void *context) { run_record(context); }
static void record_done(void *context) { (void)context; }

static void record_canceled(Course *course, Run *run) {
    run->state = run->outcome = RUN_CANCELED;
    run->finished_us = clock_wall_us();
    if (!run->started_us)
        run->started_us = run->finished_us;
    pool_submit(course->urgent, (PoolWork){record_work, record_done, run});
}

void course_cancel(Course *course, Run *run) {
    run_cancel(run);
    if (run->state == RUN_RUNNING) {
        interrupt(course, run);
        return;
    }
    Job *job = run->owner;
    if (job->timer)
        loop_timer_stop(job->timer);
    record_canceled(course, run);
    course->ended(course->context, run);
}

void course_refuse(Course *course, Run *run) {
    record_canceled(course, run);
    course->changed(course->context, run);
}
