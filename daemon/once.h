/* once.h - runs that a command line asks for: every job once in the order of what names what, one job, or a
 * reconcile; then the end.
 *
 * Phases, one after the other: members, encounters, transactions and claims, settle, reference, publish, kpi, retention. A
 * reconcile begins with its own phase and goes on likewise. Jobs that are paused, or that another daemon holds, are said
 * and passed over. jobs_start() is not called: nothing else runs. jobs_drain() ends it without a `done`.
 * Loop thread only. */
#pragma once
#include "job.h"

/* The caller's, from the start of one to the end of the jobs; `status` is for reading. */
typedef struct Once {
    Jobs *jobs;
    int phase;
    int status; /* of all: 0: all succeeded, 1: some failed or could not run, 3: some held */
    bool is_reconcile; /* of `feed`, NULL: of all */
    bool is_dry;
    const char *feed;
    LoopCall done;
    void *context;
} Once;

/* Every job once, in dependency order; then `done(context)`. */
void once_run_all(Once *once, Jobs *jobs, LoopCall done, void *context);
/* One job once; then `done(context)`. */
void once_run_job(Once *once, Jobs *jobs, Job *job, RunMode mode, LoopCall done, void *context);
/* Every reconcile job once, or that of one feed; then settle, publish and a comparison of all that BigQuery
 * holds. `is_dry`: what differs is counted, not mended. */
void once_run_reconcile(Once *once, Jobs *jobs, const char *feed, bool is_dry, LoopCall done, void *context);
