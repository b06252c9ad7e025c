/* bronze.h - rows as the source sent them.
 *
 * Appends only. One table per feed, bronze."<source>__<feed>_raw"; a row's text fields stand in one
 * column, joined by tabs with COPY's escapes, and the column names once in ops.feed_schema: 1.7 times
 * faster than a column per field. The view bronze."<source>__<feed>" shows the columns by name.
 * A line of op `delete` says that a row was no longer at the source: it bears the row's key, the hash of
 * the content that went, and of its columns the id alone.
 * Rows become visible with their cursor, in the caller's transaction, or not at all.
 * Not a query layer: a new question about bronze is a new verb here. */
#pragma once
#include "storage/silver.h"

typedef struct BronzeFeed {
    const char *feed;      /* "hospital_a.patients" */
    const char *copy;      /* the COPY statement */
    int64_t schema_id;
    size_t n_fields;
} BronzeFeed;

/* SQLSTATEs of a schema that PostgreSQL cannot keep: with those before it, its columns are more than the feed's view has;
 * or two of them are one name to PostgreSQL. */
#define BRONZE_TOO_MANY "54011"
#define BRONZE_SAME_NAME "42701"
/* With `schema_is_new`, makes the feed's table unless it is there, and its view anew; in the caller's
 * transaction, which also holds state_schema(). */
bool bronze_open(Pg *pg, Arena *arena, const char *feed, int64_t schema_id, bool schema_is_new,
                 size_t n_fields, BronzeFeed *ret_bronze, Error *err);
/* Appends the page's rows whose content is not known yet: all but ROW_SAME, ROW_REPEATED and ROW_ABSORBED. */
bool bronze_write(Pg *pg, const BronzeFeed *bronze, const SilverPage *page, Error *err);
/* A text that bronze has as that of a row without an id, packed, and the id that today's mapping finds in it. */
typedef struct BronzeText {
    Str id, raw;
    int64_t source_hash, schema_id, file_id, line;
} BronzeText;
/* Appends them once more, for whatever goes by an id (cleaning again, retention, lineage) to find them. */
bool bronze_write_texts(Pg *pg, const char *feed, const SilverPage *page, const BronzeText *texts, size_t n, Error *err);
/* bronze."<source>__<feed>_raw" without the schema, quoted. */
const char *bronze_table(Arena *arena, const char *feed);
/* Lets the index know the pages that came since: then one key's rows cost milliseconds. Passes over a table that
 * somebody else works on, or that is not there. */
void bronze_summarize(Pg *pg, Arena *arena, const char *feed);
/* The packed form of one row; also what quarantine and the tests read. */
void bronze_pack(Buf *out, const Str *fields, size_t n_fields);
/* The fields of a packed row, byte for byte; what had no escapes points into `raw`. False when it does not hold
 * so many. */
bool bronze_unpack(Str raw, size_t n_fields, Arena *arena, Str *fields);
/* hospital_a__patients_raw, quoted. */
const char *bronze_raw_name(Arena *arena, const char *feed);
/* Of the newest content of each key some columns: all of them STR_NULL where one is, or is not among the columns that
 * the row was received with. */
typedef struct BronzeFields {
    Str *fields;   /* n_columns values per key */
    bool *is_seen; /* the feed has received a row of that key */
    int64_t *batch_ids; /* of that content; 0: none */
} BronzeFields;
/* Of a page's worth of keys. */
bool bronze_find_fields(Pg *pg, Arena *arena, const char *feed, const Str *keys, size_t n,
                        const char *const *columns, size_t n_columns, BronzeFields *ret_found, Error *err);
