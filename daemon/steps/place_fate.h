/* place_fate.h - what becomes of a page's rows: from what is known of each to its fate (storage/silver.h).
 *
 * The steps of rows as they come from the source, in their order: look up, clean, decide. Cleaned is only what is not
 * known to be the same. */
#pragma once
#include "steps/placing.h"

/* What silver and quarantine hold under the rows' ids; of an id that stands twice in the page, which row counts. */
bool placing_look_up(Placing *placing, Error *err);
bool placing_clean(Placing *placing, Error *err);
/* What hangs on more than the row itself, once all rows of the page have a fate; then counts, and whether any is news. */
bool placing_decide(Placing *placing, Error *err);

/* Of a row that was cleaned, by its content. */
RowFate fate_of(const SilverRow *row);
/* A row that is cleaned anew and is not the newest that was received. */
bool fate_is_outdated(const PlaceFeed *feed, const SilverRow *row);
