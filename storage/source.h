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
/* Rows in (cursor, key) order from `position` on; with `after_key` behind (position, key); up to `until`, which
 * is not reached, unless it is NULL. */
bool source_read_follow(My *my, const SourceTable *table, Str position, const Str *after_key, Str until,
                        SourceLimits limits, Arena *arena, MyPage *ret_page, Error *err);
/* Rows whose column holds a time of these days, by the calendar of its zone: a half-open range of its values. */
typedef struct SourceRange {
    const char *column;      /* quoted */
    const char *from, *until; /* as its type writes them; NULL: open */
} SourceRange;
/* Both days belong to the range; NULL: open. Only columns of dates and times can be asked so. */
bool source_range_of_days(const SourceTable *table, const char *column, const char *first_day, const char *last_day,
                          const Zone *zone, Arena *arena, SourceRange *ret_range, Error *err);
/* In key order, as source_read_load(). */
bool source_read_range(My *my, const SourceTable *table, const SourceRange *range, const Str *after_key,
                       SourceLimits limits, Arena *arena, MyPage *ret_page, Error *err);
/* Statements for asking again and again, in `arena`: 0 when no row lies at `position` or behind it, and none has no
 * cursor or no key; else 1. And no row, but every column that the table has. */
const char *source_has_rows(Arena *arena, const SourceTable *table, Str position);
const char *source_every_column(Arena *arena, const char *table, const char *query);
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

/* What a page of source_read_follow() is compared with: the key's columns, the cursor and, where the cursor is
 * coarse, the source hash of the same rows as they stand now, committed or not. The bounds are the page's:
 * `position` and `after_key` as they were asked, `last_value` and `last_key` of its last row, or NULL where
 * nothing is behind it. */
bool source_read_dirty(My *my, const SourceTable *table, Str position, const Str *after_key, Str last_value,
                       const Str *last_key, size_t max_rows, Arena *arena, MyPage *ret_page, Error *err);
/* Whether a row may change twice within its cursor's precision, so that only its content tells. */
bool source_cursor_is_coarse(const SourceTable *table);

/* The server's time: UTC, and as the clock on its wall shows it, both in microseconds since 1970. */
typedef struct SourceClock {
    int64_t now_us, civil_us;
} SourceClock;
bool source_clock(My *my, Arena *arena, SourceClock *ret_clock, Error *err);
/* "2026-03-01 12:00:00.123456" as microseconds, taken for UTC; false when it is no such text. */
bool source_parse_time(Str text, int64_t *ret_us);
/* The time as a literal of the cursor's type, its fraction cut to the type's digits, never rounded up. */
const char *source_format_position(Arena *arena, const SourceTable *table, int64_t us);
/* Order of two positions, or values of the cursor: below, equal, above 0. */
int source_compare_positions(const SourceTable *table, Str a, Str b);
/* Parts of statements, for reconcile.c: hash_source() of the row (transform/hash.h), computed by the server, NULL
 * where it joins no texts as long as those together; and a value as the i-th column of the key is compared with it. */
const char *source_hash(Arena *arena, const SourceTable *table);
/* How many bytes of a row are hashed together, at most: where the server's max_allowed_packet is less, rows may be that
 * have no hash there. */
size_t source_hashed_bytes(const SourceTable *table);
void source_put_key_value(Buf *sql, const SourceTable *table, size_t i, Str value);
