/* feed_schema.h - what a feed's table is agreed to be, and the ledger of its drift (transform/drift.h).
 *
 * The agreed columns are those that rows are read with; ops.feed_schema has every list there ever was. A drift that
 * was evolved is told and over; one that is discarded or frozen stands until it is no more. */
#pragma once
#include "storage/pg.h"
#include "transform/drift.h"

typedef struct FeedAgreed {
    bool is_known; /* false: the feed was never read */
    int64_t schema_id;
    TableShape shape;
    const char *read_by; /* the feed's key and cursor; "" is not known */
    bool full_due; /* rows of an earlier list are to be read again */
    DriftEvent *standing;
    size_t n_standing;
} FeedAgreed;

/* Allocates in `arena`. */
bool feed_agreed_read(Pg *pg, const char *feed, Arena *arena, FeedAgreed *ret_agreed, Error *err);
bool feed_agree(Pg *pg, const char *feed, int64_t schema_id, const char *const *primary_key, size_t n_key,
                const char *read_by, bool full_due, Error *err);
/* Every row was read again under this schema. */
bool feed_full_done(Pg *pg, const char *feed, int64_t schema_id, Error *err);

/* The same difference with the same consequence. */
bool feed_drift_is_same(const DriftEvent *a, const DriftEvent *b);
bool feed_drift_add(Pg *pg, const char *feed, int64_t run_id, const DriftEvent *event, Error *err);
bool feed_drift_end(Pg *pg, const char *feed, const DriftEvent *event, Error *err);
