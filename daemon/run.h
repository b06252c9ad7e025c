/* run.h - walking one run, and deciding what its error means.
 *
 * A Run is made on the loop thread, executed on a worker by run_execute(), and judged on the loop thread
 * by run_judge(). While a worker has it, the loop touches only `canceled`, and another worker, by run_interrupt(),
 * the statements it waits for. */
#pragma once
#include "job_kind.h"
#include "steps/steps.h"
#include "storage/pg_pool.h"

#include <pthread.h>

typedef enum RunState {
    RUN_QUEUED,
    RUN_RUNNING,
    RUN_WAITING, /* will be tried again */
    RUN_HELD,    /* a person must approve */
    RUN_SUCCEEDED,
    RUN_FAILED,
    RUN_CANCELED
} RunState;
const char *run_state_name(RunState state);
const char *run_mode_name(RunMode mode);
/* False when there is no such mode. */
bool run_mode_find(const char *name, RunMode *ret_mode);
static inline bool run_state_is_final(RunState state) { return state >= RUN_SUCCEEDED; }

/* Whether a job of this kind may be asked to run in the mode. */
bool job_kind_takes(JobKind kind, RunMode mode);
/* Whether what such a job would do can be told without doing it. */
bool job_kind_can_plan(JobKind kind);

enum { RUN_JOB_BYTES = 96, RUN_DATE_BYTES = 16, RUN_ATTEMPTS_MAX = 5 };

typedef struct Run {
    int64_t id;
    char job[RUN_JOB_BYTES]; /* name; outlives the configuration */
    JobKind kind;
    const Config *config;
    const FeedConfig *feed;
    const ClaimsConfig *claims;
    FeedSession *session;
    PgPool *pg_pool;
    int64_t epoch;
    RunMode mode;
    bool is_plan;     /* a dry run: read-only, recorded nowhere, changes nothing of its job */
    char trigger[64]; /* "schedule", "once", a token's name */
    bool was_asked;   /* by a person: recorded even when it did nothing */
    bool is_dry;      /* reconcile: says what differs, mends nothing */
    bool is_approved; /* a person released what it was held for */
    bool is_kept;     /* among the last runs, recent.h */
    char range_from[RUN_DATE_BYTES], range_to[RUN_DATE_BYTES];
    RunState state;   /* the loop's */
    RunState outcome; /* the worker's, for the loop to take over when the work is done */
    int attempt;
    int64_t queued_us, started_us, finished_us;
    RunCounts counts;
    CursorReport cursor;
    bool wants_reconcile, wants_full, wants_more, has_settled;
    char note[RUN_NOTE_BYTES];
    Error error;
    atomic_bool canceled;
    pthread_mutex_t pg_mutex; /* guards `pg`: the statement in flight may be canceled from elsewhere */
    Pg *pg;
    void *owner; /* its Job, job_table.h */
    /* The loop's: an interruption is on its way; the work is done meanwhile. Beside nothing that a worker writes: a compiler
     * reads both by one wider load, which ThreadSanitizer would take for a race. */
    bool is_interrupting, is_over;
} Run;

/* Queued nowhere yet; everything else is the caller's to fill. */
Run *run_make(int64_t id, const char *job);
void run_free(Run *run);

/* On a worker: connects, runs the step, records the run when it did something, failed, or was asked for.
 * Sets counts, error, and an outcome of SUCCEEDED, FAILED or CANCELED. */
void run_execute(Run *run);

/* On a worker: records a run that ended without being executed, also one that was held and is refused. */
void run_record(Run *run);

/* False: it may leave no trace, and its id be used again. A reconcile's proof bears its id. */
bool run_leaves_trace(const Run *run);

/* On any thread, at once: the run ends at its next page. */
void run_cancel(Run *run);
/* On another worker: what it waits for ends, at the source and in the store. Takes some seconds when one of them
 * does not answer; the run must not be freed meanwhile, nor its session be another run's. */
void run_interrupt(Run *run);

typedef enum Verdict {
    VERDICT_FINAL,      /* the state stands */
    VERDICT_AGAIN_NOW,  /* conflict: at once, three times */
    VERDICT_AGAIN_LATER /* transient: with back-off and jitter */
} Verdict;
/* `ret_delay_ms` for AGAIN_LATER. `random` is any number, for the jitter. */
Verdict run_judge(const Run *run, uint32_t random, int64_t *ret_delay_ms);
