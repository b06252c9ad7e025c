/* refused.h - the rows of a page that PostgreSQL will not have.
 *
 * Rows are cleaned so that their values fit. When one does not all the same (SQLSTATE class 22 or 23, or 54000: an id
 * that is too large for an index), its page is
 * rolled back, and would be at every attempt: the file behind it, and all files behind that, would never come. So the
 * rows are found that are refused by themselves, by placing halves of the page for trial, and go to quarantine as they
 * are; the others are placed. Nothing is committed here. A row that was refused is tried again when it comes again. */
#pragma once
#include "steps/place.h"
#include "storage/quarantine.h"

/* True when `why` is the store's word on what a page says, not ours on the page. */
bool refused_is_likely(const Error *why);
/* For people, in the arena. */
const char *refused_reason(Arena *arena, const Error *why);
/* In `ret_rejects`, of the page's arena: those that the rows had, and one for each refused row. Too many of them, or
 * none that is refused by itself, and `why` stands: an Error of class data. */
bool refused_find(PlaceFeed *feed, const RawRows *rows, const Error *why, Arena *page, RawReject **ret_rejects,
                  Error *err);
