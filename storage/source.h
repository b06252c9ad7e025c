/* source.h - what is asked of a hospital's database: columns, clock, and pages of rows.
 *
 * Rows come as texts, rendered so that the same row always gives the same bytes: FLOAT as DOUBLE,
 * binary as hex, TIMESTAMP in UTC, DATE and DATETIME as the civil time they are. The server's collation
 * gives the order of keys. Every read is one short LIMIT statement, taken whole. */
#pragma once
#include "storage/mysql.h"
#include "transform/mapping.h"
#include "transform/zone.h"

enum { SOURCE_KEY_MAX = 8 };

typedef enum CursorKind {
    CURSOR_NONE,   /* read whole, compare by hash */
    CURSOR_DATE,   /* the day is read again */
    CURSOR_CIVIL,  /* DATETIME(n): the server's civil time */
    CURSOR_INSTANT /* TIMESTAMP(n): UTC */
} CursorKind;

typedef struct SourceTable {
    const char *name;
    Field *fields;
    const char **types; /* data_type as the server names it; same order as fields */
    size_t n_fields;
    int key[SOURCE_KEY_MAX]; /* indexes into fields */
    size_t n_key;
    int cursor; /* index into fields, or -1 */
    CursorKind cursor_kind;
    int cursor_digits;          /* fraction digits of the cursor's type */
    const char *select_list;    /* quoted, rendered */
    const char *quoted, *quoted_key, *quoted_cursor;
    bool key_may_be_null;       /* then rows without a key are read apart: no key is behind NULL */
    const char *keyed, *keyless; /* conditions: every column of the key is there, one is not */
} SourceTable;

/* Finds the table's columns; names what is missing: the table, a key column, the cursor. Allocates in
 * `arena`. `cursor` may be NULL. */
bool source_describe(My *my, Arena *arena, const char *table, const char *const *key, size_t n_key,
                     const char *cursor, SourceTable *ret_table, Error *err);

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
