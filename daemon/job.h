/* job.h - the jobs that exist, what is due, and the runs in memory.
 *
 * Built from the configuration: `<source>.<feed>` extracts, `reconcile.<source>.<feed>` compares the whole
 * table, `claims.<name>` receives, `settle`, `publish` and `kpi` follow. Everything here is called on the loop thread and answers from memory, so that a busy
 * PostgreSQL does not slow a list of jobs. What must survive a restart (paused, leases, runs) is written
 * by workers.
 *
 * Order: members first, then encounters, then transactions and claims, once after the start: a fact whose
 * members are there is written once, not again by settle. A place job that changed rows wakes settle; settle
 * wakes kpi, which rests between two runs; publish comes by its own interval and settles first itself. Two
 * jobs of one group (a feed; settle, publish and kpi) never run at once.
 *
 * Workers: a source's second run begins only when a worker stays free for every other source that has none
 * running, and one for settle and its like: a hospital that answers nothing any more keeps nobody else's feeds
 * waiting, as long as `workers` is greater than the number of sources. Who has waited longest comes first. */
#pragma once
#include "loop.h"
#include "pool.h"
#include "run.h"

typedef struct Jobs Jobs;

/* A run that a person asked for and a reload ended: it is begun again as it was asked for. */
typedef struct Interrupted {
    bool is_asked;
    RunMode mode;
    char by[64], from[RUN_DATE_BYTES], to[RUN_DATE_BYTES]; /* "": none */
} Interrupted;

typedef struct Job {
    const char *name;
    JobKind kind;
    const FeedConfig *feed;     /* extract */
    const ClaimsConfig *claims; /* receive */
    int rank;                   /* of place jobs: those of a lower rank come first */
    size_t party;               /* who shares workers: 1 + index of its source; 0: everything else */
    const char *group;
    const char *schedule;       /* for people: "every 30 s", "after settle" */
    int64_t every_us;
    bool is_paused;
    char paused_by[64];
    bool has_lease;
    const char *owner;          /* whose the lease is, as of the last look; "": nobody's */
    int64_t epoch;
    bool is_stopped;            /* a configuration error: until triggered or reloaded */
    int failures;               /* in a row */
    bool is_woken;
    bool is_full_due;           /* the next turn reads everything: the table changed */
    int64_t woken_us, finished_us; /* monotonic */
    Interrupted interrupted;
    int64_t begun_us, took_us;  /* of the last run; monotonic, and how long */
    int64_t last_success_us;    /* wall; 0: never */
    Run *current;               /* queued, running or waiting; NULL */
    const Run *last;            /* the last that ended; NULL */
    FeedSession *session;
    CursorReport cursor;        /* of the last poll */
    LoopTimer *timer;           /* job.c's, as is `jobs` */
    Jobs *jobs;
} Job;

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
/* Every job once, in dependency order; then `done(context)`. */
void jobs_run_once(Jobs *jobs, LoopCall done, void *context);
/* One job once; then `done(context)`. */
void jobs_run_one(Jobs *jobs, Job *job, RunMode mode, LoopCall done, void *context);
/* Every reconcile job once, or that of one feed; then settle, publish and a comparison of all that BigQuery
 * holds. `is_dry`: what differs is counted, not mended. */
void jobs_run_reconcile(Jobs *jobs, const char *feed, bool is_dry, LoopCall done, void *context);
/* Of all: 0: all succeeded, 1: some failed, 3: some held. */
int jobs_once_status(const Jobs *jobs);
/* No new runs; running ones are canceled; `done(context)` when the last has ended. */
void jobs_drain(Jobs *jobs, LoopCall done, void *context);

/* Cancels what runs, then goes on with the jobs of another configuration, which must live as long as they
 * do; what was canceled for it begins again, also when the old jobs stay. `done(context, NULL)` afterwards, and then the old configuration is in no use; or with the error
 * that left the old jobs in place. False when a stop or another reload is on its way. */
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
/* A file arrived: run soon, without waiting for the interval. */
void jobs_wake(Jobs *jobs, Job *job);

/* The last thousand runs, newest first. */
size_t jobs_run_count(const Jobs *jobs);
const Run *jobs_run_at(const Jobs *jobs, size_t index);
const Run *jobs_run_find(const Jobs *jobs, int64_t id);
/* A held run is refused: what it was held for does not happen. False when it has ended already. */
bool jobs_run_cancel(Jobs *jobs, int64_t id);
/* A held run goes on: a reconcile deletes exactly what it found, once it has looked at it again; any other tries
 * again. TRIGGER_RUNNING: another run of the job is on its way. */
TriggerResult jobs_run_approve(Jobs *jobs, int64_t id);
/* Called at every change of state of a run; one listener. */
typedef void (*RunListener)(void *context, const Run *run);
void jobs_listen(Jobs *jobs, RunListener listener, void *context);
