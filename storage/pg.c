/* pg.c - see pg.h. */
#include "storage/pg.h"

#include "base/own.h"
#include "base/words.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xxhash.h>

enum { PREPARED_SLOTS = 512, CANCEL_MS = 3000 };

struct Pg {
    PGconn *conn;
    const char *dsn;
    int backend_pid;
    int socket; /* a descriptor of our own: libpq closes its one when it likes */
    uint64_t prepared[PREPARED_SLOTS]; /* open addressing by hash of the statement's text */
    int n_prepared;
};

struct PgResult {
    PGresult *rows;
    PgFormat format;
};

static void pg_raw_drop(PGresult **owner) { PQclear(*owner); }

/* PostgreSQL's primary message names objects, never rows, except in class 22, where it quotes the input. */
static bool fail_result(Pg *pg, const PGresult *result, const char *what, Error *err) {
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    if (PQstatus(pg->conn) == CONNECTION_BAD)
        return error_set(err, state && strncmp(state, "57P", 3) == 0 ? state : STATE_CONNECTION,
                         "%s: the connection to PostgreSQL was lost", what);
    if (!state)
        return error_set(err, STATE_CONNECTION, "%s: PostgreSQL gave no answer", what);
    if (strncmp(state, "22", 2) == 0)
        return error_set(err, state, "%s: PostgreSQL refused a value (SQLSTATE %s)", what, state);
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    return error_set(err, state, "%s: %s", what, primary ? primary : "unknown error");
}

/* Connection errors carry no SQLSTATE; the server's words tell a wrong password from a closed door. */
static bool fail_connect(PGconn *conn, Error *err) {
    static const struct {
        const char *words, *state, *sentence, *hint;
    } CASES[] = {
        {"password authentication failed", "28P01", "PostgreSQL refused the password of `store.dsn`",
         "check the account and its password (~/.pgpass, PGPASSFILE or the dsn's passfile)"},
        {"no password supplied", "28P01", "PostgreSQL wants a password and `store.dsn` has none",
         "give a passfile in the dsn"},
        {"no pg_hba.conf entry", "28000", "PostgreSQL does not let this account in from here",
         "add a line to pg_hba.conf"},
        {"role \"", "28000", "the account of `store.dsn` does not exist in PostgreSQL",
         "create it and grant it revcycle_daemon"},
        {"database \"", "3D000", "the database of `store.dsn` does not exist",
         "create it, then run `revcycled migrate`"},
        {"invalid connection option", "F0000", "`store.dsn` is not a libpq connection string",
         "see libpq's connection parameters"},
    };
    const char *text = conn ? PQerrorMessage(conn) : "";
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        if (!strstr(text, CASES[i].words))
            continue;
        error_set(err, CASES[i].state, "%s", CASES[i].sentence);
        return error_hint(err, "%s", CASES[i].hint);
    }
    error_set(err, STATE_CONNECTION, "cannot connect to PostgreSQL");
    return error_hint(err, "is it running, and does `store.dsn` name its host and port?");
}

static void ignore_notice(void *context, const PGresult *result) {
    (void)context;
    (void)result; /* notices may quote rows */
}

static PGconn *connect_with(const char *dsn, const char *application_name, const char *timeout_s, const char *options) {
    /* The dsn comes first and is expanded, so that what follows it counts. */
    const char *keys[] = {"dbname", "application_name", "connect_timeout", "keepalives_idle",
                          "keepalives_interval", "keepalives_count", "tcp_user_timeout",
                          "client_encoding", "options", NULL};
    const char *values[] = {dsn, application_name, timeout_s, "30", "10", "3", "60000", "UTF8", options, NULL};
    return PQconnectdbParams(keys, values, 1);
}

static const char *option_of(const PQconninfoOption *options, const char *keyword) {
    for (; options && options->keyword; options++)
        if (strcmp(options->keyword, keyword) == 0)
            return options->val && *options->val ? options->val : NULL;
    return NULL;
}

void pg_dsn_place(const char *dsn, Arena *arena, const char **ret_address, const char **ret_database) {
    PQconninfoOption *options = PQconninfoParse(dsn, NULL);
    const char *host = option_of(options, "host"), *port = option_of(options, "port"), *database = option_of(options, "dbname");
    bool is_socket = !host || host[0] == '/';
    *ret_address = arena_printf(arena, "postgres://%s:%s", is_socket ? "localhost" : host, port ? port : "5432");
    *ret_database = arena_string(arena, str_of(database ? database : ""));
    PQconninfoFree(options);
}

Pg *pg_open(const char *dsn, const char *application_name, int statement_timeout_ms, Error *err) {
    char options[320];
    /* The last three are PostgreSQL's to count: of a client whose machine is gone it would hold the locks for hours. One that
     * stands still in a transaction is ended by those that take its jobs over; without any, by the time. */
    snprintf(options, sizeof options,
             "-c statement_timeout=%d -c timezone=UTC -c datestyle=ISO -c intervalstyle=postgres "
             "-c lock_timeout=600000 -c extra_float_digits=1 -c idle_in_transaction_session_timeout=600000 "
             "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3", statement_timeout_ms);
    PGconn *conn = connect_with(dsn, application_name, "10", options);
    if (!conn || PQstatus(conn) != CONNECTION_OK) {
        fail_connect(conn, err);
        PQfinish(conn);
        return NULL;
    }
    PQsetNoticeReceiver(conn, ignore_notice, NULL);
    Pg *pg = calloc(1, sizeof *pg);
    if (!pg)
        abort();
    pg->conn = conn;
    pg->dsn = dsn;
    pg->backend_pid = PQbackendPID(conn);
    pg->socket = fcntl(PQsocket(conn), F_DUPFD_CLOEXEC, 0);
    return pg;
}

void pg_close(Pg *pg) {
    PQfinish(pg->conn);
    close(pg->socket);
    free(pg);
}

bool pg_is_alive(Pg *pg) {
    CLEANUP(pg_raw_drop) PGresult *answer = PQexec(pg->conn, "");
    return PQresultStatus(answer) == PGRES_EMPTY_QUERY &&
           PQtransactionStatus(pg->conn) == PQTRANS_IDLE;
}

/* Not by PQcancel(): that waits without an end for a server that took the connection and says nothing. */
void pg_cancel(Pg *pg) {
    char sql[64];
    PGconn *second = connect_with(pg->dsn, "revcycled cancel", "3", "");
    snprintf(sql, sizeof sql, "SELECT pg_cancel_backend(%d)", pg->backend_pid);
    if (PQstatus(second) == CONNECTION_OK && PQsendQuery(second, sql) == 1)
        poll(&(struct pollfd){.fd = PQsocket(second), .events = POLLIN}, 1, CANCEL_MS);
    PQfinish(second);
}

void pg_sever(Pg *pg) { shutdown(pg->socket, SHUT_RDWR); }

/* The slot of a statement: its own, or the free one where it belongs. */
static uint64_t *prepared_slot(Pg *pg, uint64_t hash) {
    size_t i = hash % PREPARED_SLOTS;
    while (pg->prepared[i] && pg->prepared[i] != hash)
        i = (i + 1) % PREPARED_SLOTS;
    return &pg->prepared[i];
}

static void statement_name(uint64_t hash, char ret_name[24]) {
    snprintf(ret_name, 24, "s%016llx", (unsigned long long)hash);
}

/* Prepares `sql` unless this connection already has it. */
static bool prepare(Pg *pg, const char *sql, char ret_name[24], Error *err) {
    uint64_t hash = XXH3_64bits(sql, strlen(sql));
    uint64_t *slot = prepared_slot(pg, hash);
    statement_name(hash, ret_name);
    if (*slot)
        return true;
    if (pg->n_prepared >= PREPARED_SLOTS / 2) {
        PQclear(PQexec(pg->conn, "DEALLOCATE ALL"));
        memset(pg->prepared, 0, sizeof pg->prepared);
        pg->n_prepared = 0;
        slot = prepared_slot(pg, hash);
    }
    CLEANUP(pg_raw_drop) PGresult *answer = PQprepare(pg->conn, ret_name, sql, 0, NULL);
    if (PQresultStatus(answer) != PGRES_COMMAND_OK)
        return fail_result(pg, answer, "cannot prepare a statement", err);
    *slot = hash;
    pg->n_prepared++;
    return true;
}

static PGresult *execute(Pg *pg, PgFormat format, const char *sql, const PgParams *params,
                         Error *err) {
    char name[24];
    if (!prepare(pg, sql, name, err))
        return NULL;
    PGresult *answer = PQexecPrepared(pg->conn, name, params->n, params->values, NULL, NULL,
                                      (int)format);
    ExecStatusType status = PQresultStatus(answer);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return answer;
    fail_result(pg, answer, "a statement failed", err);
    PQclear(answer);
    return NULL;
}

PgResult *pg_query_as(Pg *pg, PgFormat format, const char *sql, const PgParams *params, Error *err) {
    PGresult *rows = execute(pg, format, sql, params, err);
    if (!rows)
        return NULL;
    PgResult *result = malloc(sizeof *result);
    if (!result)
        abort();
    *result = (PgResult){.rows = rows, .format = format};
    return result;
}

PgResult *pg_query(Pg *pg, const char *sql, const PgParams *params, Error *err) {
    return pg_query_as(pg, PG_TEXT, sql, params, err);
}

/* Until the answer ends all of it is read, or the connection could not be used again. */
static bool take_rows(Pg *pg, PgFormat format, PgTake take, void *ctx, Error *err) {
    bool ok = true;
    for (PGresult *answer; (answer = PQgetResult(pg->conn)); PQclear(answer)) {
        PgResult row = {.rows = answer, .format = format};
        ExecStatusType status = PQresultStatus(answer);
        if (ok && status == PGRES_SINGLE_TUPLE)
            ok = take(ctx, &row, err);
        else if (ok && status != PGRES_SINGLE_TUPLE && status != PGRES_TUPLES_OK)
            ok = fail_result(pg, answer, "a statement failed", err);
    }
    return ok;
}

bool pg_each(Pg *pg, PgFormat format, const char *sql, const PgParams *params, PgTake take, void *ctx, Error *err) {
    char name[24];
    TRY(prepare(pg, sql, name, err));
    if (!PQsendQueryPrepared(pg->conn, name, params->n, params->values, NULL, NULL, (int)format))
        return error_set(err, STATE_CONNECTION, "the connection to PostgreSQL was lost");
    PQsetSingleRowMode(pg->conn);
    return take_rows(pg, format, take, ctx, err);
}

bool pg_exec(Pg *pg, const char *sql, const PgParams *params, int64_t *ret_count, Error *err) {
    CLEANUP(pg_raw_drop) PGresult *answer = execute(pg, PG_TEXT, sql, params, err);
    if (!answer)
        return false;
    if (ret_count)
        *ret_count = strtoll(PQcmdTuples(answer), NULL, 10);
    return true;
}

bool pg_script(Pg *pg, const char *sql, Error *err) {
    CLEANUP(pg_raw_drop) PGresult *answer = PQexec(pg->conn, sql);
    ExecStatusType status = PQresultStatus(answer);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY)
        return true;
    return fail_result(pg, answer, "a statement failed", err);
}

void pg_result_free(PgResult *result) {
    PQclear(result->rows);
    free(result);
}

int pg_rows(const PgResult *result) { return PQntuples(result->rows); }
int pg_columns(const PgResult *result) { return PQnfields(result->rows); }

Str pg_value(const PgResult *result, int row, int column) {
    if (PQgetisnull(result->rows, row, column))
        return STR_NULL;
    return (Str){PQgetvalue(result->rows, row, column),
                 (size_t)PQgetlength(result->rows, row, column)};
}

const char *pg_text(const PgResult *result, int row, int column) {
    return PQgetvalue(result->rows, row, column);
}

static int64_t binary_int(Str value) {
    uint64_t number = 0;
    for (size_t i = 0; i < value.size; i++)
        number = number << 8 | (uint8_t)value.at[i];
    switch (value.size) { /* widths PostgreSQL has; sign extended */
    case 2:
        return (int16_t)number;
    case 4:
        return (int32_t)number;
    default:
        return (int64_t)number;
    }
}

int64_t pg_int(const PgResult *result, int row, int column) {
    Str value = pg_value(result, row, column);
    if (str_is_null(value))
        return 0;
    return result->format == PG_BINARY ? binary_int(value) : strtoll(value.at, NULL, 10);
}

bool pg_bool(const PgResult *result, int row, int column) {
    Str value = pg_value(result, row, column);
    return value.size == 1 && (value.at[0] == 't' || value.at[0] == 1);
}

Pg *pg_begin(Pg *pg, Error *err) {
    PGTransactionStatusType status = PQtransactionStatus(pg->conn);
    if (status == PQTRANS_INTRANS || status == PQTRANS_INERROR) {
        error_set(err, STATE_BUG, "cannot begin: there is a transaction already, which the inner commit would end");
        return NULL;
    }
    return pg_script(pg, "BEGIN", err) ? pg : NULL;
}

bool pg_commit(Pg **tx, PgCommit how, Error *err) {
    static const char *const WORDS[] = {[PG_FLUSHED] = "COMMIT", [PG_RELAXED] = "SET LOCAL synchronous_commit = off; COMMIT"};
    CLEANUP(pg_raw_drop) PGresult *answer = PQexec((*tx)->conn, WORDS[how]);
    if (PQresultStatus(answer) != PGRES_COMMAND_OK)
        return fail_result(*tx, answer, "cannot commit", err);
    bool committed = strcmp(PQcmdStatus(answer), "COMMIT") == 0;
    *tx = NULL;
    if (!committed) /* PostgreSQL answers ROLLBACK when an earlier statement had failed */
        return error_set(err, STATE_BUG, "cannot commit: the transaction had already failed");
    return true;
}

void pg_tx_drop(Pg **tx) {
    if (!*tx || PQtransactionStatus((*tx)->conn) == PQTRANS_IDLE)
        return;
    PQclear(PQexec((*tx)->conn, "ROLLBACK"));
}

bool pg_copy_begin(Pg *pg, const char *sql, Error *err) {
    CLEANUP(pg_raw_drop) PGresult *answer = PQexec(pg->conn, sql);
    if (PQresultStatus(answer) == PGRES_COPY_IN)
        return true;
    return fail_result(pg, answer, "cannot start COPY", err);
}

bool pg_copy_put(Pg *pg, const Buf *data, Error *err) {
    if (buf_overflowed(data))
        return error_set(err, STATE_RESOURCES, "a page is larger than its buffer may grow");
    enum { CHUNK = 1 << 20 };
    for (size_t sent = 0; sent < data->size; sent += CHUNK) {
        size_t left = data->size - sent;
        if (PQputCopyData(pg->conn, data->data + sent, (int)(left < CHUNK ? left : CHUNK)) != 1)
            return error_set(err, STATE_CONNECTION, "the connection to PostgreSQL was lost in COPY");
    }
    return true;
}

bool pg_copy_end(Pg *pg, const char *abort_reason, int64_t *ret_rows, Error *err) {
    if (PQputCopyEnd(pg->conn, abort_reason) != 1)
        return error_set(err, STATE_CONNECTION, "the connection to PostgreSQL was lost in COPY");
    CLEANUP(pg_raw_drop) PGresult *answer = PQgetResult(pg->conn);
    PQclear(PQgetResult(pg->conn)); /* the NULL that ends the command */
    if (abort_reason)
        return true;
    if (PQresultStatus(answer) != PGRES_COMMAND_OK)
        return fail_result(pg, answer, "COPY failed", err);
    if (ret_rows)
        *ret_rows = strtoll(PQcmdTuples(answer), NULL, 10);
    return true;
}

void pg_copy_header(Buf *out) {
    buf_put(out, "PGCOPY\n\377\r\n\0", 11);
    buf_put_i32(out, 0); /* flags */
    buf_put_i32(out, 0); /* no header extension */
}

void pg_copy_trailer(Buf *out) { buf_put_i16(out, -1); }

const char *pg_quote_ident(Arena *arena, const char *name) {
    size_t length = strlen(name);
    char *quoted = arena_alloc(arena, 2 * length + 3), *out = quoted;
    *out++ = '"';
    for (const char *c = name; *c; c++) {
        if (*c == '"')
            *out++ = '"';
        *out++ = *c;
    }
    *out++ = '"';
    *out = '\0';
    return quoted;
}

PgNumber pg_number(int64_t value) {
    PgNumber number;
    snprintf(number.text, sizeof number.text, "%lld", (long long)value);
    return number;
}

Buf pg_array(size_t max_bytes) {
    Buf array;
    buf_init(&array, max_bytes);
    buf_put_byte(&array, '{');
    return array;
}

static void array_comma(Buf *out) {
    if (out->size > 1)
        buf_put_byte(out, ',');
}

static uint64_t escaped_in(uint64_t word) { return word_equal(word, '"') | word_equal(word, '\\'); }

void pg_array_text(Buf *out, Str value) {
    array_comma(out);
    if (str_is_null(value)) {
        buf_put(out, "NULL", 4);
        return;
    }
    buf_put_byte(out, '"');
    if (!words_have(value, escaped_in)) { /* as most are */
        buf_put_str(out, value);
        buf_put_byte(out, '"');
        return;
    }
    size_t from = 0;
    for (size_t i = 0; i < value.size; i++) {
        if (value.at[i] != '"' && value.at[i] != '\\')
            continue;
        buf_put(out, value.at + from, i - from);
        buf_put_byte(out, '\\');
        from = i;
    }
    buf_put(out, value.at + from, value.size - from);
    buf_put_byte(out, '"');
}

void pg_array_int(Buf *out, int64_t value) {
    char digits[24], *at = digits + sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    array_comma(out);
    do
        *--at = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (value < 0)
        *--at = '-';
    buf_put(out, at, (size_t)(digits + sizeof digits - at));
}

void pg_array_texts(Buf *out, const Str *values, size_t n) {
    for (size_t i = 0; i < n; i++)
        pg_array_text(out, values[i]);
}

void pg_array_names(Buf *out, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++)
        pg_array_text(out, str_of(names[i]));
}

void pg_array_ints(Buf *out, const int64_t *values, size_t n) {
    for (size_t i = 0; i < n; i++)
        pg_array_int(out, values[i]);
}

const char *pg_array_end(Buf *out, Error *err) {
    buf_put(out, "}", 2); /* with its terminator */
    if (!buf_overflowed(out))
        return out->data;
    error_set(err, STATE_RESOURCES, "a page's keys are larger than their buffer may grow");
    return NULL;
}
