/* lease.h - what the store lends this daemon: leases on its jobs, with epochs, and ids for runs.
 *
 * A job with a lease is this daemon's to run, and every page that it commits bears the lease's epoch, so that
 * nothing of a former holder's can commit any more. A reconcile places pages of its feed and goes by the lease
 * of the feed's job: one epoch fences both. Claimed when a table of jobs is taken, then renewed; a renewal also
 * takes over the jobs of an owner whose leases have run out, with what a person has to decide on them, and ends that
 * owner's sessions. Neither waits for a job's row that somebody holds: that lease runs out, or is taken later, alone.
 *
 * When no renewal got through in time others may have the jobs: leases_are_current() is false, and
 * leases_sever_overdue() gives up the store's connections.
 *
 * Leases write has_lease, epoch and owner of the table's jobs, and what is paused when they are claimed.
 * Loop thread, but for leases_claim(). */
#pragma once
#include "job_table.h"
#include "pool.h"
#include "storage/run_store.h"

typedef struct Leases Leases;

/* On the loop thread. What changed stands in the job only after `gained` and `lost`. */
typedef struct LeaseEvents {
    /* A run of a job that was claimed or is about to be gained waits for a person; it may be known already. */
    void (*held)(void *context, const HeldRun *run);
    void (*gained)(void *context, Job *job); /* another left it, perhaps half done */
    void (*lost)(void *context, Job *job);   /* another's: what it was about here, a run or one held, is no more */
    void (*renewed)(void *context);          /* or failed to: after every leases_renew() */
    void *context;
} LeaseEvents;

typedef struct LeasesOptions {
    JobTable *table;
    PgPool *pg_pool;
    Pool *urgent;      /* where renewals run */
    const char *owner; /* this daemon's name on leases */
    int64_t lease_ms;
    LeaseEvents events;
} LeasesOptions;

/* Claims nothing yet. */
Leases *leases_make(const LeasesOptions *options);
/* None is being renewed any more. */
void leases_free(Leases *leases);

/* Blocking, on any thread: claims, closes runs that a crash left unfinished, reserves ids. */
bool leases_claim(Leases *leases, Pg *pg, Error *err);
/* On the loop thread, once the claimed table is the one in force: what waits for a person. */
void leases_tell_held(const Leases *leases);
/* On a worker; nothing when one is on its way. */
void leases_renew(Leases *leases);
bool leases_are_renewing(const Leases *leases);
/* Blocking. An orderly end frees the jobs for another daemon at once; a crash, when the leases run out. */
void leases_release(Leases *leases);

/* False: they have run out unrenewed. */
bool leases_are_current(const Leases *leases);
/* Once they have run out, ends what is under way to the store; at most once in the time of a lease. */
void leases_sever_overdue(Leases *leases);

/* Ids of runs in stock. */
int leases_id_count(const Leases *leases);
/* They are getting few: renew. */
bool leases_want_ids(const Leases *leases);
/* There must be one. */
int64_t leases_take_id(Leases *leases);
/* One that left no trace. False: the stock is full, and it is lost. */
bool leases_return_id(Leases *leases, int64_t id);
