/* pg.h - PostgreSQL, by libpq; the only file that knows it.
 *
 * Blocking calls for worker threads: a Pg belongs to one thread at a time, pg_cancel() alone may come
 * from another. Statements are prepared once per connection and found again by their text. Errors
 * carry PostgreSQL's SQLSTATE and its primary message, never DETAIL (it quotes rows); class 22 gets our
 * own words. A failed connection is 08006.
 * Not an ORM and not a pool: the verbs over it live one subject a file (state, bronze, silver, …). */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

typedef struct Pg Pg;
typedef struct PgResult PgResult;

/* What a connection is for shows in pg_stat_activity. `statement_timeout_ms` 0: none. The dsn must outlive it. */
Pg *pg_open(const char *dsn, const char *application_name, int statement_timeout_ms, Error *err);
void pg_close(Pg *pg);
static inline void pg_drop(Pg **owner) {
    if (*owner)
        pg_close(*owner);
}
/* Whom a connection string means, as "postgres://host:port" and the database's name, without connecting and without
 * a secret; of a string that is none, "postgres://localhost:5432" and "". Lives in `arena`. */
void pg_dsn_place(const char *dsn, Arena *arena, const char **ret_address, const char **ret_database);
/* True when the connection still answers; false means: close and open anew. */
bool pg_is_alive(Pg *pg);
/* From any thread while another one is in a call on `pg`: that call fails with 57014. Gives up after three seconds a
 * step where PostgreSQL does not answer. */
void pg_cancel(Pg *pg);

/* From any thread: the connection ends, at once and whatever `pg` waits for. Not while it is being closed. */
void pg_sever(Pg *pg);

/* Parameters are texts in PostgreSQL's input form; NULL is NULL. At most 32. */
typedef struct PgParams {
    const char *values[32];
    int n;
} PgParams;
/* A whole number as a parameter: its text lives as long as the value does, in PG_PARAMS until the statement's end. */
typedef struct PgNumber {
    char text[24];
} PgNumber;
PgNumber pg_number(int64_t value);

#define PG_PARAMS(...)                                                     \
    (&(PgParams){.values = {__VA_ARGS__},                                  \
                 .n = (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *))})
#define PG_NONE (&(PgParams){.n = 0})

typedef enum PgFormat { PG_TEXT = 0, PG_BINARY = 1 } PgFormat;

/* Rows, or NULL and an error. */
PgResult *pg_query(Pg *pg, const char *sql, const PgParams *params, Error *err);
PgResult *pg_query_as(Pg *pg, PgFormat format, const char *sql, const PgParams *params, Error *err);
/* Row by row, where a result may be larger than what is to be held of it: each as a result of one row, gone when `take` returns.
 * False ends it with the error that `take` set. Nothing else may use the connection meanwhile. */
typedef bool (*PgTake)(void *ctx, const PgResult *row, Error *err);
bool pg_each(Pg *pg, PgFormat format, const char *sql, const PgParams *params, PgTake take, void *ctx, Error *err);
/* For what returns no rows of interest; `ret_count` (may be NULL) gets the rows affected. */
bool pg_exec(Pg *pg, const char *sql, const PgParams *params, int64_t *ret_count, Error *err);
/* Several statements, no parameters, not prepared: migrations. */
bool pg_script(Pg *pg, const char *sql, Error *err);

void pg_result_free(PgResult *result);
static inline void pg_result_drop(PgResult **owner) {
    if (*owner)
        pg_result_free(*owner);
}
int pg_rows(const PgResult *result);
int pg_columns(const PgResult *result);
/* Points into the result; STR_NULL for NULL. */
Str pg_value(const PgResult *result, int row, int column);
/* Terminated text of a text-format value, "" for NULL. */
const char *pg_text(const PgResult *result, int row, int column);
/* Binary dates and timestamps count from 2000-01-01; this much from 1970. */
enum { PG_EPOCH_DAYS = 10957 };
#define PG_EPOCH_US (INT64_C(86400000000) * PG_EPOCH_DAYS)
/* For integer and boolean columns of either format; 0 for NULL. */
int64_t pg_int(const PgResult *result, int row, int column);
bool pg_bool(const PgResult *result, int row, int column);

/* BEGIN; pg_tx_drop() rolls back what was not committed when the scope is left:
 *     CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
 *     …
 *     return pg_commit(&tx, PG_FLUSHED, err);
 * PG_RELAXED sets synchronous_commit = off for the transaction (rules, section 3). */
typedef enum PgCommit { PG_FLUSHED, PG_RELAXED } PgCommit;
Pg *pg_begin(Pg *pg, Error *err);
bool pg_commit(Pg **tx, PgCommit how, Error *err);
void pg_tx_drop(Pg **tx);

/* COPY … FROM STDIN. pg_copy_put() sends what `data` holds; the end of the stream belongs to the caller's
 * data (binary: header and trailer by pg_copy_header/pg_copy_trailer). Nothing else may use the connection
 * meanwhile. pg_copy_end() with a non-NULL `abort_reason` gives up. */
bool pg_copy_begin(Pg *pg, const char *sql, Error *err);
bool pg_copy_put(Pg *pg, const Buf *data, Error *err);
bool pg_copy_end(Pg *pg, const char *abort_reason, int64_t *ret_rows, Error *err);
void pg_copy_header(Buf *out);
void pg_copy_trailer(Buf *out);

/* "name", with quotes doubled. */
const char *pg_quote_ident(Arena *arena, const char *name);
/* An array literal for a parameter: texts with NULLs kept, bigints.
 *     CLEANUP(buf_drop) Buf ids = pg_array(MAX_BYTES);
 *     pg_array_text(&ids, …); …
 *     const char *array = pg_array_end(&ids, err);
 * The end gives it terminated, in `out`, or NULL when it outgrew the maximum. */
Buf pg_array(size_t max_bytes);
void pg_array_text(Buf *out, Str value);
void pg_array_int(Buf *out, int64_t value);
void pg_array_texts(Buf *out, const Str *values, size_t n);
void pg_array_names(Buf *out, const char *const *names, size_t n);
void pg_array_ints(Buf *out, const int64_t *values, size_t n);
const char *pg_array_end(Buf *out, Error *err);
