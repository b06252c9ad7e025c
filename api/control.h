/* control.h - what the API asks of the daemon: its jobs, its runs, its configuration.
 *
 * main.c fills one Control from job.c and run.c; tests fill one of their own. All functions run on
 * the loop thread and return at once: status and job lists are answered from
 * memory, however busy PostgreSQL is. Texts in views are borrowed until the loop goes on.
 * Instants are microseconds since 1970 UTC, 0: none. */
#pragma once
#include "base/error.h"
#include "reload.h"
#include "steps/steps.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct AttributeView {
    const char *name;
    int64_t versions, corrected;
} AttributeView;
enum { ATTRIBUTES_SHOWN_MAX = 24 };

typedef struct RunView {
    int64_t id; /* of ops.run; 0: no run */
    const char *job;
    const char *mode, *trigger, *state; /* the words of interfaces.md */
    const char *from, *to; /* backfill: ISO dates, or NULL */
    bool is_plan; /* a dry run, also of reconcile */
    int attempt;
    int64_t queued_us, started_us, finished_us;
    int64_t rows_read, rows_new, rows_changed, rows_quarantined;
    int64_t bytes_read, bytes_sent, pages;
    AttributeView attributes[ATTRIBUTES_SHOWN_MAX]; /* what changed of patients or providers */
    int n_attributes;
    const char *note;                      /* what a person should know of it; NULL: nothing */
    const char *step;                      /* what the job does: extract, settle, … */
    const char *error_code, *error, *hint; /* NULL: none */
} RunView;

typedef struct JobView {
    const char *name, *kind;
    const char *feed; /* NULL when the job has none */
    const char *schedule;
    int64_t next_due_us;
    bool paused;
    const char *paused_by;
    const char *state;   /* idle queued running waiting held paused */
    const char *owner;   /* the daemon that has its lease; NULL: none */
    const char *why_not; /* why it is not running, for a person; NULL when it runs or is just not due */
    int64_t last_success_us;
    CursorReport cursor; /* of the last poll; extract alone */
    RunView last_run; /* running, or the last that ended */
} JobView;

typedef struct ControlTrigger {
    const char *job;
    const char *mode;      /* incremental full backfill remap reconcile rebuild */
    const char *from, *to; /* ISO dates or NULL */
    bool dry_run;
    const char *actor;     /* token's name */
} ControlTrigger;

typedef enum ControlOutcome {
    CONTROL_DONE,
    CONTROL_UNKNOWN, /* no such job, or the run is not in memory */
    CONTROL_BUSY,    /* trigger: a run of this job is queued or running, *ret_run_id says which */
    CONTROL_REFUSED  /* not possible in its state; err says why */
} ControlOutcome;

struct Config;
/* Who places rows beside a feed's runs: what it needs until it leaves. The lease may be lost meanwhile: its epoch is the
 * fence. */
typedef struct ControlGuest {
    const struct Config *config; /* stays until it leaves */
    const ClaimsConfig *claims;
    int64_t epoch;
} ControlGuest;

typedef struct Control {
    void *ctx;
    const struct Config *(*config)(void *ctx); /* the one in force */
    size_t (*n_jobs)(void *ctx);
    void (*job_at)(void *ctx, size_t index, JobView *ret_job);
    bool (*find_job)(void *ctx, const char *name, JobView *ret_job);
    ControlOutcome (*trigger)(void *ctx, const ControlTrigger *request, int64_t *ret_run_id,
                              Error *err);
    ControlOutcome (*pause)(void *ctx, const char *job, bool paused, const char *actor, Error *err);
    bool (*find_run)(void *ctx, int64_t run_id, RunView *ret_run);
    ControlOutcome (*cancel)(void *ctx, int64_t run_id, const char *actor, Error *err);
    ControlOutcome (*approve)(void *ctx, int64_t run_id, Error *err); /* a held run goes on */
    /* Rows of a claims feed are placed beside its runs; a stop and a reload wait until all have left. */
    ControlOutcome (*enter)(void *ctx, const char *feed, ControlGuest *ret_guest, Error *err);
    void (*leave)(void *ctx, bool has_news);
    void (*wake)(void *ctx, const char *job); /* there may be something for it; a run that has begun already goes first */
    size_t (*queue_depth)(void *ctx);
    size_t (*n_runs)(void *ctx, const char *state); /* in memory, in this state */

    size_t (*n_retired)(void *ctx); /* sources that no configuration reads any more */
    void (*retired_at)(void *ctx, size_t index, const char **ret_source, int64_t *ret_since_us);

    Reloads *reloads; /* the configuration: reload.h is its own interface */
} Control;

/* The daemon's own, over job.h. Both must outlive it. */
Control control_of(Jobs *jobs, Reloads *reloads);
