/* source_table.h - one table of a hospital's: its columns, and how each is written in a statement.
 *
 * Rows come as texts, rendered so that the same row always gives the same bytes: FLOAT as DOUBLE,
 * binary as hex, BIT as a number, TIMESTAMP in UTC, DATE and DATETIME as the civil time they are. */
#pragma once
#include "storage/mysql.h"
#include "transform/mapping.h"

enum { SOURCE_KEY_MAX = 8 };

typedef enum CursorKind {
    CURSOR_NONE,   /* read whole, compare by hash */
    CURSOR_DATE,   /* the day is read again */
    CURSOR_CIVIL,  /* DATETIME(n): the server's civil time */
    CURSOR_INSTANT, /* TIMESTAMP(n): UTC */
    CURSOR_COUNTER /* a whole number that only grows */
} CursorKind;

typedef struct SourceTable {
    const char *name;
    bool is_query; /* no table: nobody vouches for an index or a clock behind its columns */
    Field *fields;
    const char **types;  /* data_type as the server names it; same order as fields */
    const char **shapes; /* the whole type, with what changes when somebody alters it */
    size_t *told;        /* where SourceColumns has it */
    size_t n_fields;
    int key[SOURCE_KEY_MAX]; /* indexes into fields */
    size_t n_key;
    int cursor; /* index into fields, or -1 */
    CursorKind cursor_kind;
    int cursor_digits;          /* fraction digits of the cursor's type */
    const char *select_list;    /* quoted, rendered */
    const char *quoted, *quoted_key, *quoted_cursor;
    bool key_is_unique;         /* else pages begin with the last key read: several rows may have it */
    bool key_may_be_null;       /* then rows without a key are read apart: no key is behind NULL */
    const char *keyed, *keyless; /* conditions: every column of the key is there, one is not */
} SourceTable;

/* What the server says of a table: every column, and its unique indexes. Of a query: what its result is. */
typedef struct SourceColumns {
    const char *table;
    const char *quoted; /* source_from() */
    bool is_query;
    const char **names, **shapes; /* "decimal(14,2)", "int unsigned", "varchar(50) utf8mb4_general_ci" */
    size_t n;
    const char **primary_key;
    size_t n_primary_key;
    MyPage rows, keys; /* source_table.c's */
} SourceColumns;
/* `query` takes the table's place when it is not NULL: one SELECT (daemon/config_query.h), called `table`.
 * Allocates in `arena`; 42P01 when there is no such table. */
bool source_columns(My *my, Arena *arena, const char *table, const char *query, SourceColumns *ret_columns,
                    Error *err);
/* What stands behind FROM: the table's name, quoted, or the query as a derived table. */
const char *source_from(Arena *arena, const char *table, const char *query);
/* Whether no two rows can have the same `key`: an index that allows no double lies within it. */
bool source_key_is_unique(const SourceColumns *columns, const char *const *key, size_t n_key);
/* The table with these of its columns, in this order. */
bool source_bind(Arena *arena, const SourceColumns *columns, const char *const *names, size_t n_names,
                 const char *const *key, size_t n_key, const char *cursor, SourceTable *ret_table, Error *err);
/* Whether every column of `table` is still there, with the type it had. */
bool source_is_still(const SourceTable *table, const SourceColumns *now);
/* Both, with every column. Names what is missing: the table, a key column, the cursor. Allocates in
 * `arena`. `cursor` may be NULL. */
bool source_describe(My *my, Arena *arena, const char *table, const char *query, const char *const *key,
                     size_t n_key, const char *cursor, SourceTable *ret_table, Error *err);

/* The column as it was when its shape was noted: its kind, and whether its collation ignores case. */
Field source_field_of(const char *name, const char *shape);

/* Parts of statements; what is taken lives in `arena`, and the Buf is done with. */
const char *source_take(Arena *arena, Buf *buf);
const char *source_literal(Arena *arena, Str value);
const char *source_quote(Arena *arena, const char *name);
/* Index of the column of that name, in any case; -1. */
int source_find_field(const SourceTable *table, const char *name);
/* A comma or an AND, unless the list is empty. */
void source_put_between(Buf *list, const char *between);
/* The column as a row's text is made of it, and as the key is ordered and compared by it. */
void source_put_rendered(Buf *list, const SourceTable *table, size_t index);
void source_put_key_column(Buf *sql, const SourceTable *table, int index);
