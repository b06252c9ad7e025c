/* reconcile.h - what extract asks of reconcile, for a table without a cursor that is too large to be read at every
 * poll: rows that are new or differ are found by buckets, and placed. What is gone is left to a reconcile. */
#pragma once
#include "steps/place.h"

/* More rows than `read_whole_rows` of the feed. */
bool reconcile_is_large(RunContext *run, bool *ret_is_large, Error *err);
/* With the run's PlaceFeed, as one poll. */
bool reconcile_poll(RunContext *run, PlaceFeed *place, Error *err);
