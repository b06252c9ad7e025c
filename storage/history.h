/* history.h - versions of patients and providers (rules, section 7).
 *
 * A change of a `history` attribute closes the current version and opens the next, at the source's
 * modification time; when that time is missing, later than the source's clock, or not later than the
 * current version's start, at max(received, current start + 1 us), flagged time_inferred. A change of
 * `overwrite` attributes corrects every version. A row that disappeared gets a tombstone: a version with the
 * attributes of the last, is_deleted, from max(received, current start + 1 us) on, time_inferred; its return is the
 * next version. An inferred member is filled: version 1, same key.
 * In the caller's transaction; intervals are half-open, gapless, one current. */
#pragma once
#include "storage/silver.h"

/* Fills `known` from the current versions. */
bool history_look_up(Pg *pg, SilverPage *page, Error *err);
/* Writes rows of fate NEW, CHANGED, TOUCHED and GONE. Rows that turn out to differ in no stored attribute
 * become TOUCHED. */
bool history_write(Pg *pg, SilverPage *page, Error *err);
