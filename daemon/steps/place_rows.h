/* place_rows.h - from a reader's rows to a page of silver: ids, hashes, the cleaning. No database.
 *
 * place_prepare() and place_new_page() of place.h stand here too. place_prepare() on any thread, for what it is given is the
 * caller's alone; the others where the page is placed, for a plan's page is told what was remembered (plan.h). */
#pragma once
#include "steps/place.h"

/* The page of these rows, prepared or made now; those that were found unfit are marked. Lives in `arena`. */
SilverPage *place_rows_page(const PlaceFeed *feed, const RawRows *rows, Arena *arena);
bool place_row_is_rejected(const RawRows *rows, size_t i);
/* Makes the row's record, whatever was there. */
void place_row_clean(const PlaceFeed *feed, SilverPage *page, SilverRow *row);
