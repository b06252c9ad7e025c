/* drift.h - a feed's table against what was agreed, at the start of every run that reads it.
 *
 * drift_look() compares, and stops the run when the contract says so; drift_agree() writes down what is read from
 * now on. Both tell a difference once: a line of the log marked `alert`, a metric, the run's note, the ledger
 * that /v1/feeds shows. A run that finds nothing new writes nothing. Used by extract. */
#pragma once
#include "steps/place.h"
#include "storage/feed_schema.h"
#include "storage/source_table.h"

typedef struct DriftLook {
    const SourceColumns *seen;
    FeedAgreed agreed;
    DriftAnswer answer;
    const char *read_by;  /* the feed's key and cursor */
    bool cursor_is_other; /* another column, or one of another type: positions mean something else */
} DriftLook;

/* False when the table is gone or the contract freezes; the cursor stays. Lives in the run's arena. */
bool drift_look(RunContext *run, My *my, SourceColumns *ret_columns, DriftLook *ret_look, Error *err);
/* After place_open(), before the first page: `place` reads by the new list. A cursor of another type starts
 * anew, as in a first load. */
bool drift_agree(RunContext *run, const DriftLook *look, PlaceFeed *place, Error *err);
