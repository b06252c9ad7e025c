/* place_plan.h - a page of a run that writes nothing (plan.h): what the pages before it would have done counts for it.
 *
 * plan_tell_...() make it known to the page, placing_remember() keeps what this one would do. Nothing where there is no plan. */
#pragma once
#include "steps/placing.h"

/* Of claims what the file's rows without an id would be held by, and what a remap before it would have renewed. After it was
 * looked up what quarantine holds. */
void plan_tell_entries(const PlaceFeed *feed, SilverPage *page);
/* Rows that would have been placed by now, with this content. Of claims every delivery counts, whatever its content. */
void plan_tell_rows(const PlaceFeed *feed, SilverPage *page);
bool placing_remember(Placing *placing, Error *err);
