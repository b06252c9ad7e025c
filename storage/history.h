/* history.h - versions of patients and providers (rules, section 7).
 *
 * What a live table shows is true now: a change of a `history` attribute closes the current version and opens the
 * next, at the source's modification time; when that time is missing, later than the source's clock, or not later than
 * the current version's start, at max(received, current start + 1 us), flagged time_inferred. A change of `overwrite`
 * attributes corrects every version; one of `ignore` attributes is no change. A row that disappeared gets a tombstone: a
 * version with the attributes of the last, is_deleted, its start inferred; its return is the next version. An inferred
 * member is filled: version 1, same key. Equal text with other content comes from a mended mapping and corrects in
 * place.
 * What tells the past (TELLS_PAST) goes between the versions where its time belongs and renumbers them; an instant that
 * is there is corrected, what equals its predecessor makes no version but is remembered (silver.member_seen), so that
 * the versions do not depend on the order of deliveries (timeline.h). Every row of such a page counts, also several of
 * one id. Its `overwrite` attributes count when it is the newest that is known. Attributes it does not map stay as they
 * were. A row without a usable time is rejected.
 * What is cleaned anew (TELLS_AGAIN) corrects the versions that bear its source hash, and makes none.
 * In the caller's transaction; intervals are half-open, gapless, one current. Pages of one entity and source wait for
 * each other: a live table and its history may be read at a time. */
#pragma once
#include "storage/silver.h"

/* Fills `known` from the current versions. */
bool history_look_up(Pg *pg, SilverPage *page, Error *err);
/* After cleaning: what the page's rows come to. Sets their fates, counts attributes in page->attributes. */
bool history_decide(Pg *pg, SilverPage *page, Error *err);
/* Writes what was decided, and rows of fate NEW and TOUCHED. */
bool history_write(Pg *pg, SilverPage *page, Error *err);
