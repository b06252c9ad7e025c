/* extract.h - what extract shares with reconcile. */
#pragma once
#include "steps/place.h"
#include "storage/source.h"

/* The feed's connection to its source, which outlives a run: kept in *run->session, checked, made anew. NULL and an
 * error when the source cannot be reached. */
My *feed_connection(RunContext *run, Error *err);
/* step_extract(), whose error does not name the feed. */
bool feed_extract(RunContext *run, Error *err);
/* place_open() for rows of that table; it must outlive `ret_place`. */
bool feed_open_place(RunContext *run, const SourceTable *table, PlaceFeed *ret_place, Error *err);
