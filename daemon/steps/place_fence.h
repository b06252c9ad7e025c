/* place_fence.h - how a page's transaction begins and ends: whose it is, and how far the feed is with it.
 *
 * The feed's cursor is locked, and its epoch compared with the run's: whoever lost the lease places nothing any more.
 * Rows that are placed beside the run (PlaceEntry) have no part in the cursor. A plan locks nothing. */
#pragma once
#include "steps/placing.h"

bool placing_lock(Placing *placing, Error *err);
/* Where others may wait for the page's rows: fails rather than wait. */
bool placing_lock_now(Placing *placing, Error *err);
/* What its step puts beside the page's rows (PlaceEntry), before and behind them. */
bool placing_enter(Placing *placing, Error *err);
bool placing_conclude(Placing *placing, Error *err);
/* Where there is anything to commit, and moves the cursor with it. */
bool placing_commit(Placing *placing, Error *err);
