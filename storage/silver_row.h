/* silver_row.h - rows of silver in PostgreSQL's binary forms, and the COPY that takes them.
 *
 * For those who write a page of silver.h: silver.c, history.c, claim.c, member.c. Blocking where a COPY is sent. */
#pragma once
#include "storage/silver.h"

/* What settle alone can tell of an old row, to stand in its successor until settle has looked. */
typedef struct Carried {
    Str person_id; /* in PostgreSQL's binary form */
    Str flags;     /* names of all flags, joined by commas */
} Carried;

/* One row of binary COPY into the entity's table. The caller has set every Value it owns in
 * record.values, interval and version included. */
void silver_put_row(Buf *out, const SilverPage *page, const Record *record, const Carried *carried);
/* COPY silver.<entity> (<stored columns>) FROM STDIN (FORMAT binary) */
const char *silver_copy_statement(Arena *arena, const char *table, const Entity *entity);

/* A COPY whose rows are sent while they are made, so that PostgreSQL works meanwhile and no page is held
 * twice. Nothing else may use the connection until the end.
 *     CLEANUP(row_stream_drop) RowStream out;
 *     TRY(row_stream_begin(&out, pg, statement, err));
 *     … put one row into out.rows; TRY(row_stream_next(&out, err)); …
 *     return row_stream_end(&out, err); */
typedef struct RowStream {
    Pg *pg;
    Buf rows;
    int64_t n_rows;
    bool is_open;
} RowStream;
bool row_stream_begin(RowStream *stream, Pg *pg, const char *statement, Error *err);
/* After each row. */
bool row_stream_next(RowStream *stream, Error *err);
/* Checks that PostgreSQL took as many rows. */
bool row_stream_end(RowStream *stream, Error *err);
/* Gives up a COPY that was begun and not ended. */
void row_stream_drop(RowStream *stream);
/* "a, b, c" of the stored columns. */
const char *silver_column_list(Arena *arena, const Entity *entity);
/* A day as an element of a date[] parameter. */
void silver_put_day(Buf *array, Value day);
void silver_put_value(Buf *out, ColumnType type, Value value);
/* The record's flags and, of the joined names of an old row, those that settle alone can tell. */
void silver_put_flags(Buf *out, const SilverPage *page, const Record *record, Str joined);
/* The names of the record's flags, and those of an old row that settle alone can tell, joined by commas. */
Str silver_join_flags(const SilverPage *page, const Record *record, Str joined);
/* Joined names as text[], with or without `time_inferred`. */
void silver_put_names(Buf *out, Str joined, bool is_time_inferred);
