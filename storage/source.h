/* source.h - what is asked of a hospital's database: clock, and pages of rows.
 *
 * Rows come as texts (source_table.h). The server's collation gives the order of keys. Every read is one
 * short LIMIT statement, taken whole. */
#pragma once
#include "storage/source_table.h"
#include "transform/zone.h"

typedef struct SourceLimits {
    size_t rows, bytes;
} SourceLimits;

/* Rows in key order behind `after_key` (n_key values; NULL: from the start). */
bool source_read_load(My *my, const SourceTable *table, const Str *after_key, SourceLimits limits,
                      Arena *arena, MyPage *ret_page, Error *err);
/* Rows in (cursor, key) order from `position` on; with `after_key` behind (position, key). */
bool source_read_follow(My *my, const SourceTable *table, Str position, const Str *after_key,
                        SourceLimits limits, Arena *arena, MyPage *ret_page, Error *err);
/* Rows without a key, whatever their cursor, behind the first `n_before`; those that change meanwhile may be
 * passed over, so they are read at every poll. The reads above and below leave them out. */
bool source_read_keyless(My *my, const SourceTable *table, size_t n_before, SourceLimits limits,
                         Arena *arena, MyPage *ret_page, Error *err);
/* Rows whose cursor is NULL, in key order. */
bool source_read_null_cursor(My *my, const SourceTable *table, const Str *after_key,
                             SourceLimits limits, Arena *arena, MyPage *ret_page, Error *err);

/* Of these texts, those that a column of texts has, as it spells them: equal is what its collation takes for
 * equal. One field a row. */
bool source_find_texts(My *my, const SourceTable *table, int field, const Str *texts, size_t n,
                       Arena *arena, MyPage *ret_page, Error *err);

/* Now, and the position behind which no row can still appear: now less `margin_us`, and less the age of
 * the oldest running statement or writing transaction; in the cursor's own clock and precision.
 * The oldest age needs PROCESS; without it a minute is taken. A civil clock that `zone` sets back within
 * hours counts as set back already: what it will show again can still be written. */
typedef struct SourceClock {
    int64_t now_us;       /* UTC, microseconds since the epoch */
    const char *position; /* in the cursor's form, "" without a cursor */
} SourceClock;
bool source_clock(My *my, const SourceTable *table, const Zone *zone, int64_t margin_us, Arena *arena,
                  SourceClock *ret_clock, Error *err);
