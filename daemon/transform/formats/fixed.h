/* fixed.h - a line of fixed width, cut into its columns.
 *
 * Places count characters of UTF-8, from 1, as people count them in an editor. The blanks that fill a column up are no
 * part of it. What stands between or behind the columns is not read. Pure; any thread. */
#pragma once
#include "base/str.h"

typedef struct FixedColumn {
    const char *name;
    int start, width; /* in characters; 0 and 0 where columns have no place (csv) */
} FixedColumn;

/* Texts that point into `line`, one per column; those that begin behind its end are NULL. Returns how many are not. */
size_t fixed_cut(Str line, const FixedColumn *columns, size_t n_columns, Str *ret_fields);
