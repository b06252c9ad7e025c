/* extract.h - what extract shares with reconcile. */
#pragma once
#include "steps/place.h"
#include "storage/source.h"

/* step_extract(), whose error does not name the feed. */
bool feed_extract(RunContext *run, Error *err);
/* place_open() for rows of that table; it must outlive `ret_place`. */
bool feed_open_place(RunContext *run, const SourceTable *table, PlaceFeed *ret_place, Error *err);
