/* retention.h - what is old enough to go and needed by nobody, and its deletion (rules, section 10).
 *
 * Counting and choosing are one statement, so that a plan says what the run then does. Deleting happens in the
 * caller's transaction, under retention_lock(): nobody sets a hold meanwhile, and no second retention runs.
 * What is never chosen, whatever its age, stands in docs/architecture.md. Verbs of one step; blocking. */
#pragma once
#include "storage/pg.h"
#include "transform/entity.h"

/* The instant `age_ms` ago, as a parameter for the others. */
bool retention_before(Pg *pg, int64_t age_ms, Arena *arena, const char **ret_before, Error *err);
/* The holds in force, as a text that is another one when they are others. */
bool retention_holds(Pg *pg, Arena *arena, const char **ret_holds, Error *err);
/* In a transaction, first of all. False in *ret_is_same: the holds are not `holds` any more, what was chosen under them
 * is to be chosen anew. */
bool retention_lock(Pg *tx, const char *holds, Arena *arena, bool *ret_is_same, Error *err);

/* ---- raw rows: of one feed, received before an instant ---- */

typedef struct RetentionFeed {
    const char *feed;
    const Entity *entity;
    const char *before;
} RetentionFeed;
/* Feeds of whose raw rows a newer one replaces the older; `before` is not set. */
bool retention_feeds(Pg *pg, Arena *arena, RetentionFeed **ret_feeds, size_t *ret_n, Error *err);
bool retention_raw_count(Pg *pg, const RetentionFeed *feed, Arena *arena, int64_t *ret_n, Error *err);
/* Numbers them 1 to *ret_n in a temporary table of the session, in place of what stood there. */
bool retention_raw_choose(Pg *pg, const RetentionFeed *feed, Arena *arena, int64_t *ret_n, Error *err);
/* In a transaction: those of `first` to `last`, but for what is needed by now. Holds up the feed's pages till its end. */
bool retention_raw_delete(Pg *tx, const RetentionFeed *feed, int64_t first, int64_t last, Arena *arena, int64_t *ret_n,
                          Error *err);

/* ---- ledgers ---- */

typedef enum RetentionLedger {
    RETENTION_QUARANTINE, /* entries that were replayed or superseded */
    RETENTION_PROOFS,     /* reports of reconciles */
    RETENTION_RUNS,       /* after the proofs, which name them */
    RETENTION_LEDGERS
} RetentionLedger;
bool retention_count(Pg *pg, RetentionLedger ledger, const char *before, Arena *arena, int64_t *ret_n, Error *err);
/* In a transaction: the next `max` behind *after, which becomes the last one's; 0 in *ret_n: there are no more. */
bool retention_delete(Pg *tx, RetentionLedger ledger, const char *before, int64_t max, Arena *arena, int64_t *after,
                      int64_t *ret_n, Error *err);

/* ---- the audit trail: whole months, sealed, by the owner's function; none while a hold is in force ---- */

typedef struct RetentionMonth {
    const char *partition;
    int64_t lines;
} RetentionMonth;
/* *ret_unsealed: how many more would be old enough. */
bool retention_months(Pg *pg, int64_t age_ms, Arena *arena, RetentionMonth **ret_months, size_t *ret_n,
                      int64_t *ret_unsealed, Error *err);
/* In a transaction. Writes its own line into the trail. 55P03 when somebody is in the way. */
bool retention_month_drop(Pg *tx, const RetentionMonth *month, int64_t age_ms, Error *err);
