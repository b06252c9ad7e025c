/* mysql.h - MySQL and MariaDB, by libmysqlclient; the only file that knows it.
 *
 * Blocking calls for worker threads; a My belongs to one thread at a time, my_cancel() alone may come
 * from another. Sessions are READ ONLY, utf8mb4, READ COMMITTED, autocommit, lock_wait_timeout 2 s.
 *
 * Nothing waits without an end: a server that does not take a connection is given up after ten seconds; one that is
 * silent in a statement for `timeout_s` and one second; a connection whose other end is gone is found while nobody
 * asks, by keepalive. The server ends our statement itself after `timeout_s`, and the session after ten idle minutes:
 * nothing of ours is left running there when this process or the network between goes away.
 *
 * Binary columns come as hex, upper case. Client-side failures (2002-2013, 2055) become class 08, 1205 and 1213 class 40,
 * refused accounts 28, missing tables and columns 42: "may I try again?" has one answer, error_class().
 * Not a query layer: what is asked of a hospital stands in source.c. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

typedef struct My My;

typedef struct MyOptions {
    const char *host, *socket, *user, *password, *database;
    int port;
    bool tls;           /* required, with the server's certificate checked against tls_ca */
    const char *tls_ca; /* file; NULL: the system's */
    int timeout_s;      /* for one statement */
} MyOptions;

/* Around everything else: before the first thread, after the last, and per worker thread. */
bool my_library_open(Error *err);
void my_library_close(void);
void my_thread_open(void);
void my_thread_close(void);

My *my_open(const MyOptions *options, Error *err);
void my_close(My *my);
static inline void my_drop(My **owner) {
    if (*owner)
        my_close(*owner);
}
bool my_is_alive(My *my);
/* What its session was set to for one statement may still be in force: it is alive no more. */
void my_spoil(My *my);
/* Ends the statement that `my` runs, on a second connection, which is given three seconds a step; the call there
 * fails with 57014. */
void my_cancel(My *my);
bool my_is_mariadb(const My *my);

/* Rows of texts as the server rendered them, row by row; fields of row r at fields[r * n_fields]. */
typedef struct MyPage {
    Str *fields;
    size_t n_rows, n_fields;
    size_t size_bytes;
    uint64_t shape; /* of the columns: another one when a name or type of theirs, or a key, is another */
    bool is_cut; /* max_bytes was reached; rows after the last one are still to be asked for */
} MyPage;

/* Runs one statement and takes its rows whole into `arena`, up to `max_bytes` but at least one row; what
 * lies beyond is read and dropped, so that no statement stays open. `max_rows` sizes the page. */
bool my_read(My *my, const char *sql, size_t max_rows, size_t max_bytes, Arena *arena,
             MyPage *ret_page, Error *err);

/* A column of a statement's result, as the server describes it. */
typedef struct MyColumn {
    const char *name;
    const char *type;  /* in the words of information_schema: bigint, varchar, datetime, … */
    const char *shape; /* the whole type: "bigint unsigned", "decimal(14,2)"; a text's with its bytes */
    int digits;       /* of a time's fraction */
    bool may_be_null;
} MyColumn;
/* Runs a statement and takes its columns alone, *ret_n of them, into `arena`. */
bool my_describe(My *my, const char *sql, Arena *arena, MyColumn **ret_columns, size_t *ret_n, Error *err);

/* A statement without rows, SET. */
bool my_exec(My *my, const char *sql, Error *err);

/* `name`, with backticks doubled. */
void my_put_ident(Buf *sql, const char *name);
/* A text as a literal that can be nothing else: _utf8mb4 X'…'. */
void my_put_text(Buf *sql, Str value);
/* A number's own digits; false, and nothing written, when it is not a plain decimal number. */
bool my_put_number(Buf *sql, Str value);
