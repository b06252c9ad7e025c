/* whose.h - which source a claims file belongs to, by its name (rules, section 7).
 *
 * Hospitals use the same ids, so nothing is guessed: a name that matches no pattern of the feed, or two, belongs to
 * nobody, and the sentence says so. Names are matched without .gz or .zip. Pure. */
#pragma once
#include "base/arena.h"
#include "config.h"

/* NULL, and an Error of class data with the sentence and what mends it. */
const FilePattern *whose_file(const ClaimsConfig *claims, const char *name, Error *err);
/* What the pattern's `period` captures of the name; NULL: nothing. In `arena`. */
bool whose_period(const ClaimsConfig *claims, const FilePattern *pattern, const char *name, Arena *arena,
                  const char **ret_period, Error *err);
