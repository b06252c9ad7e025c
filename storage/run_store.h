/* run_store.h - jobs' leases and runs, as PostgreSQL keeps them. */
#pragma once
#include "storage/pg.h"

typedef struct LeaseJob {
    const char *name, *kind, *feed, *schedule; /* feed may be NULL */
} LeaseJob;
enum { LEASE_OWNER_BYTES = 320 };
typedef struct Lease {
    bool is_held;
    bool is_locked; /* somebody holds its row: held, and not renewed; or not taken, though nobody else has it */
    int64_t epoch;
    bool is_paused;
    char paused_by[64];
    char owner[LEASE_OWNER_BYTES]; /* who has it; "" nobody */
} Lease;

/* What an owner's sessions are called in pg_stat_activity, or how their names begin. */
enum { LEASE_SESSION_BYTES = 32 };
void lease_session_name(const char *owner, char ret_name[LEASE_SESSION_BYTES]);

/* One process per owner: holds as long as `pg` is connected, so that a process that died holds nothing.
 * Waits up to the connection's statement timeout, then 55P03. */
bool instance_lock(Pg *pg, const char *owner, Error *err);

/* Ends the sessions of every other owner all of whose leases have run out: it was not heard of any more, and may have been
 * stopped with locks in its hands that somebody waits for, be it not for a job of its own. */
bool lease_end_overdue(Pg *pg, const char *owner, Error *err);
/* That, and takes the lease of every job that is free, ours, or such an owner's; each taking raises the epoch, which fences
 * pages of whoever held it before. Waits for no row that somebody holds. `ret_leases` has one entry per job, and says of one
 * that is not held who has it. */
bool lease_claim(Pg *pg, const char *owner, int64_t lease_ms, const LeaseJob *jobs, size_t n, Lease *ret_leases,
                 Error *err);
/* Renews in one statement, which waits for no row; clears is_held of those that somebody else took. */
bool lease_renew(Pg *pg, const char *owner, int64_t lease_ms, const LeaseJob *jobs, size_t n, Lease *leases,
                 Error *err);
/* Of the owner's jobs those that are none of its any more, and could not be freed when that became so. */
bool lease_free_others(Pg *pg, const char *owner, const LeaseJob *jobs, size_t n, Error *err);
bool lease_release(Pg *pg, const char *owner, Error *err);

/* What a run that places no pages is fenced by: the lease of its job, as it was when the run began. */
typedef struct LeaseFence {
    const char *job; /* NULL: it goes by no lease */
    int64_t epoch;
} LeaseFence;
/* Last in the run's transaction, which holds a lock that the job's next run waits for: nothing of that run can have been
 * committed before it unseen. When the lease has moved: 40001, what was written is to be dropped. */
bool lease_check(Pg *pg, const LeaseFence *fence, Error *err);

/* Runs that a crash left unfinished become failed: those of the owner's jobs, or only of `n` of them. `jobs` NULL: of all.
 * `are_untold`: somebody is to be told of them. */
bool run_close_orphans(Pg *pg, const char *owner, const char *const *jobs, size_t n, bool are_untold, Error *err);
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
    const char *range_from, *range_to; /* ISO dates, or NULL */
    bool is_dry;
    bool is_untold; /* somebody is to be told that it ended */
    const Error *error; /* NULL or empty: none */
} RunRow;
/* Inserts or updates by id. */
bool run_write(Pg *pg, const RunRow *row, Error *err);

/* In the transaction of the first thing that it commits. A run that is known already stays as it is. */
bool run_begun(Pg *pg, const RunRow *row, Error *err);

/* What was asked for, and what became of it; times, counts, steps and error are left out. Texts live in `arena`. */
bool run_find(Pg *pg, int64_t id, Arena *arena, RunRow *ret_row, bool *ret_found, Error *err);

/* A run that waits for a person, or for being told of; counts and steps are left out. Texts live in `arena`. */
typedef struct HeldRun {
    RunRow row;
    Error error;
} HeldRun;
/* Of the owner's jobs, oldest first. */
bool run_find_held(Pg *pg, const char *owner, Arena *arena, HeldRun **ret_runs, size_t *ret_n, Error *err);

/* Ended runs of the owner's jobs that somebody is still to be told of, oldest first, `n_max` at most: job, state, counts of
 * changed rows, times and error alone. */
bool run_find_untold(Pg *pg, const char *owner, int n_max, Arena *arena, HeldRun **ret_runs, size_t *ret_n, Error *err);
bool run_told(Pg *pg, int64_t id, Error *err);
