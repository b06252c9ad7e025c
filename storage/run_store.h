/* run_store.h - jobs' leases and runs, as PostgreSQL keeps them. */
#pragma once
#include "storage/pg.h"

typedef struct LeaseJob {
    const char *name, *kind, *feed, *schedule; /* feed may be NULL */
} LeaseJob;
typedef struct Lease {
    bool is_held;
    int64_t epoch;
    bool is_paused;
    char paused_by[64];
} Lease;

/* One process per owner: holds as long as `pg` is connected, so that a process that died holds nothing.
 * Waits up to the connection's statement timeout, then 55P03. */
bool instance_lock(Pg *pg, const char *owner, Error *err);

/* Takes the lease of every job that is free, ours, or whose owner's lease has run out; each taking raises
 * the epoch, which fences pages of whoever held it before. `ret_leases` has one entry per job. */
bool lease_claim(Pg *pg, const char *owner, int lease_s, const LeaseJob *jobs, size_t n, Lease *ret_leases,
                 Error *err);
/* Renews in one statement; clears is_held of those that somebody else took. */
bool lease_renew(Pg *pg, const char *owner, int lease_s, const LeaseJob *jobs, size_t n, Lease *leases,
                 Error *err);
bool lease_release(Pg *pg, const char *owner, Error *err);
/* Runs of ours that a crash left unfinished become failed. */
bool run_close_orphans(Pg *pg, const char *owner, Error *err);
bool job_store_pause(Pg *pg, const char *job, bool paused, const char *by, Error *err);

/* n ids of runs that may be used or not. */
bool run_reserve_ids(Pg *pg, int n, int64_t *ret_ids, Error *err);

typedef struct RunRow {
    int64_t id;
    const char *job, *mode, *trigger, *state;
    int attempt;
    int64_t queued_us, started_us, finished_us; /* 0: not yet */
    int64_t rows_read, rows_changed, rows_quarantined;
    const char *steps; /* JSON array */
    const char *range_from, *range_to;
    const Error *error; /* NULL or empty: none */
} RunRow;
/* Inserts or updates by id. */
bool run_write(Pg *pg, const RunRow *row, Error *err);

/* A run that waits for a person; counts and steps are left out. Texts live in `arena`. */
typedef struct HeldRun {
    RunRow row;
    Error error;
} HeldRun;
/* Of the owner's jobs, oldest first. */
bool run_find_held(Pg *pg, const char *owner, Arena *arena, HeldRun **ret_runs, size_t *ret_n, Error *err);
