/* job.h - the jobs of a daemon and their runs: what is asked, what happens, what is told.
 *
 * Walks the table of jobs (job_table.h): when it is a job's turn (turn.h) and the store has lent this daemon its
 * lease (lease.h), a run of it goes to a worker (course.h), and what ended is remembered (recent.h). A place job
 * that changed rows wakes settle; a settle that had batches to look at wakes kpi and quality, which rest between two runs;
 * what other daemons on the store place wakes settle, what they settle, or people decide there, kpi, at a look, as often as
 * leases are renewed;
 * publish comes by its own interval and settles first itself.
 *
 * Everything here is called on the loop thread and answers from memory, so that a busy PostgreSQL does not slow a
 * list of jobs. What must survive a restart (paused, leases, runs) is written by workers. */
#pragma once
#include "job_table.h"
#include "pool.h"

typedef struct Jobs Jobs;

typedef struct JobsOptions {
    const Config *config;
    Loop *loop;
    Pool *pool;   /* for runs */
    Pool *urgent; /* for what must not wait behind them: leases, cancels, pauses */
    PgPool *pg_pool;
    const char *owner; /* this daemon's name on leases */
    int64_t lease_ms;
} JobsOptions;

/* Claims leases and finds the runs that are held (blocking; before the loop runs). NULL when PostgreSQL cannot be
 * reached. */
Jobs *jobs_open(const JobsOptions *options, Error *err);
/* Nothing may be running any more. */
void jobs_close(Jobs *jobs);

/* Lets the schedule run. */
void jobs_start(Jobs *jobs);
/* Who starts runs in an order of its own, as once.h does: told of every end of a run, but for plans, and when no
 * job has a run any more. There is one, and while there is, the configuration stays. NULL: none, as after
 * jobs_drain(). */
typedef struct JobsFollower {
    void (*ended)(void *context, const Run *run);
    void (*idle)(void *context);
    void *context;
} JobsFollower;
void jobs_follow(Jobs *jobs, const JobsFollower *follower);
/* No job has a run that is queued, running or waiting. */
bool jobs_are_idle(const Jobs *jobs);

/* No new runs; running ones are canceled; `done(context)` when the last has ended. */
void jobs_drain(Jobs *jobs, LoopCall done, void *context);

/* Cancels what runs, then goes on with the jobs of another configuration, which must live as long as they do; what was
 * canceled for it begins again, also when the old jobs stay. `done(context, NULL)` afterwards, and then the old
 * configuration is in no use; or with the error that left the old jobs in place. False when a stop or another reload is on
 * its way. */
typedef void (*JobsReloaded)(void *context, const Error *err);
bool jobs_reload(Jobs *jobs, const Config *config, JobsReloaded done, void *context);

/* The configuration in force; until the next reload is done. */
const Config *jobs_config(const Jobs *jobs);
/* Sources whose rows are here and that no configuration reads any more, as of the start or the last reload. */
size_t jobs_retired_count(const Jobs *jobs);
void jobs_retired_at(const Jobs *jobs, size_t index, const char **ret_source, int64_t *ret_since_us);

size_t jobs_count(const Jobs *jobs);
Job *jobs_at(Jobs *jobs, size_t index);
Job *jobs_find(Jobs *jobs, const char *name);
/* Wall time of the next start, 0 when it is not planned. */
int64_t jobs_next_due_us(const Jobs *jobs, const Job *job);
/* True when it is due and all workers that it may have are taken. */
bool jobs_awaits_worker(const Jobs *jobs, const Job *job);
/* Those that wait for a worker, or for another run of their group. */
size_t jobs_waiting_count(const Jobs *jobs);
/* True when it waits for the first turn, since the start, of a job whose rows its own name. */
bool jobs_is_behind(const Jobs *jobs, const Job *job);

typedef enum TriggerResult {
    TRIGGER_STARTED, /* queued: *ret_run */
    TRIGGER_RUNNING, /* one is on its way already: *ret_run */
    TRIGGER_NO_LEASE /* another daemon has the job, or this one is stopping or reloading */
} TriggerResult;
typedef struct TriggerRequest {
    RunMode mode;
    bool is_plan;           /* count only */
    const char *by;         /* a token's name, "command line" */
    const char *from, *to;  /* ISO dates or NULL */
    bool is_dry;            /* reconcile */
} TriggerRequest;
/* Mode reconcile of a feed's job is the run of its reconcile job. */
TriggerResult jobs_trigger(Jobs *jobs, Job *job, const TriggerRequest *request, const Run **ret_run);
void jobs_pause(Jobs *jobs, Job *job, bool paused, const char *by);
/* Who places rows of the job's feed beside its runs enters first, and leaves when the page is committed or dropped: the
 * configuration stays until then. False without the lease, or when this daemon stops or reloads. `has_news`: settle
 * is woken. */
bool jobs_enter(Jobs *jobs, const Job *job);
void jobs_leave(Jobs *jobs, bool has_news);
/* A file arrived: run soon, without waiting for the interval. */
void jobs_wake(Jobs *jobs, Job *job);

/* The last thousand runs, newest first. */
size_t jobs_run_count(const Jobs *jobs);
const Run *jobs_run_at(const Jobs *jobs, size_t index);
const Run *jobs_run_find(const Jobs *jobs, int64_t id);
/* A held run is refused: what it was held for does not happen. False when it has ended already, or is held and another
 * daemon has the job. */
bool jobs_run_cancel(Jobs *jobs, int64_t id);
/* A held run goes on: a reconcile deletes exactly what it found, once it has looked at it again; any other tries
 * again. TRIGGER_RUNNING: another run of the job is on its way. */
TriggerResult jobs_run_approve(Jobs *jobs, int64_t id);
/* Called at every change of state of a run; one listener. */
typedef void (*RunListener)(void *context, const Run *run);
void jobs_listen(Jobs *jobs, RunListener listener, void *context);
