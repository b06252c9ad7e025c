/* mysql.c - see mysql.h. */
#include "storage/mysql.h"

#include "base/own.h"

#include <errmsg.h>
#include <errno.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

enum {
    CONNECT_S = 10,
    CANCEL_S = 3,
    SILENCE_S = 1,      /* beyond the time after which the server itself ends a statement */
    IDLE_S = 600,
    KEEPALIVE_EVERY_S = 10,
    KEEPALIVE_TRIES = 3,
    /* each client's header knows its own server's alone */
    MARIADB_CONNECTION_KILLED = 1927,
    MARIADB_STATEMENT_TIMEOUT = 1969,
    MYSQL_STATEMENT_TIMEOUT = 3024,
};

static const char HEX[] = "0123456789ABCDEF";

struct My {
    MYSQL *conn;
    MyOptions options;
    unsigned long thread_id;
    bool is_spoilt;
};

/* Numbers that have their own answer; every other one keeps the server's SQLSTATE. Sentences of our
 * own, because the server's quote values ("Duplicate entry 'x'"). */
static const struct {
    unsigned int number;
    const char *state, *sentence, *hint;
} FAILURES[] = {
    {ER_ACCESS_DENIED_ERROR, "28000", "the hospital's server refused the account",
     "check `user` and `password_file` of the source"},
    {ER_DBACCESS_DENIED_ERROR, "28000", "the account may not use the hospital's database",
     "GRANT SELECT on it to the account"},
    {ER_TABLEACCESS_DENIED_ERROR, "42501", "the account may not read the table",
     "GRANT SELECT on it to the account"},
    {ER_SPECIFIC_ACCESS_DENIED_ERROR, "42501", "the account lacks a privilege",
     "GRANT PROCESS ON *.* to the account"},
    {ER_BAD_DB_ERROR, "3D000", "the hospital's server has no such database",
     "check `database` of the source"},
    {ER_NO_SUCH_TABLE, "42P01", "the hospital's database has no such table",
     "check `table` of the feed"},
    {ER_BAD_FIELD_ERROR, "42703", "the table lacks a column that the feed names",
     "check `key`, `cursor` and `map` of the feed"},
    {ER_LOCK_WAIT_TIMEOUT, "40001", "a lock of the hospital's was in the way", ""},
    {ER_LOCK_DEADLOCK, "40001", "the statement met a deadlock", ""},
    {ER_QUERY_INTERRUPTED, "57014", "the statement was canceled", ""},
    {MARIADB_STATEMENT_TIMEOUT, "57P05", "the statement took longer than the source's `timeout`",
     "index what the feed is read by, lower `page_rows` or `page_bytes`, or raise `timeout`"},
    {MYSQL_STATEMENT_TIMEOUT, "57P05", "the statement took longer than the source's `timeout`",
     "index what the feed is read by, lower `page_rows` or `page_bytes`, or raise `timeout`"},
    {MARIADB_CONNECTION_KILLED, STATE_CONNECTION, "the hospital's server ended the connection", ""},
    {ER_CON_COUNT_ERROR, "53300", "the hospital's server has no connection left", ""},
    {ER_TOO_MANY_USER_CONNECTIONS, "53300", "the account has no connection left", "raise its MAX_USER_CONNECTIONS"},
    {ER_USER_LIMIT_REACHED, "53300", "the account has used up what it may", "raise its limits per hour"},
    {ER_HOST_IS_BLOCKED, "28000", "the hospital's server refuses this host after too many broken connections",
     "FLUSH HOSTS there"},
};

static bool fail(MYSQL *conn, const char *what, Error *err) {
    unsigned int number = mysql_errno(conn);
    for (size_t i = 0; i < sizeof FAILURES / sizeof *FAILURES; i++) {
        if (FAILURES[i].number != number)
            continue;
        error_set(err, FAILURES[i].state, "%s: %s", what, FAILURES[i].sentence);
        return error_hint(err, "%s", FAILURES[i].hint);
    }
    if (number >= CR_MIN_ERROR && number <= CR_MAX_ERROR) /* the client's own say HY000 */
        return error_set(err, STATE_CONNECTION, "%s: no connection to the hospital's server (error %u)",
                         what, number);
    return error_set(err, mysql_sqlstate(conn), "%s: the hospital's server answered error %u", what,
                     number);
}

/* The client has one number for all that ends a handshake, and tells what it was in words: OpenSSL's for
 * an end in the middle, "… (errno)" for what the socket met. */
static bool was_cut(const char *said) {
    static const int ENDS[] = {EPIPE, ECONNRESET, ECONNABORTED, ETIMEDOUT, EAGAIN,
                               ENETDOWN, ENETUNREACH, ENETRESET, EHOSTUNREACH};
    if (strstr(said, "unexpected eof"))
        return true;
    const char *number = strrchr(said, '(');
    for (size_t i = 0; number && i < sizeof ENDS / sizeof *ENDS; i++)
        if (atoi(number + 1) == ENDS[i])
            return true;
    return false;
}

/* A handshake that fails is a matter of certificates, unless the connection ended in it; the same error
 * later is always a lost connection. */
static bool fail_connect(MYSQL *conn, Error *err) {
    if (mysql_errno(conn) != CR_SSL_CONNECTION_ERROR || was_cut(mysql_error(conn)))
        return fail(conn, "cannot connect", err);
    error_set(err, "28000", "cannot connect: TLS with the hospital's server failed");
    return error_hint(err, "check `tls_ca` of the source and that the server speaks TLS with a "
                           "certificate for its host");
}

bool my_library_open(Error *err) {
    if (mysql_library_init(0, NULL, NULL) != 0)
        return error_set(err, STATE_RESOURCES, "cannot start the MySQL client library");
    return true;
}
void my_library_close(void) { mysql_library_end(); }
void my_thread_open(void) { mysql_thread_init(); }
void my_thread_close(void) { mysql_thread_end(); }

static void raw_drop(MYSQL **owner) {
    if (*owner)
        mysql_close(*owner);
}

/* TLS without a CA and a checked name proves nothing: with `tls` both are set. Connector/C and Oracle's client say
 * it in other words; the latter takes TLS of its own accord, and without it a password needs the server's key. */
static void set_tls(MYSQL *conn, const MyOptions *options) {
#ifdef MARIADB_PACKAGE_VERSION
    my_bool yes = 1;
    if (options->tls) {
        mysql_options(conn, MYSQL_OPT_SSL_ENFORCE, &yes);
        mysql_options(conn, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
    }
#else
    unsigned int mode = options->tls ? SSL_MODE_VERIFY_IDENTITY : SSL_MODE_DISABLED;
    bool yes = true;
    mysql_options(conn, MYSQL_OPT_SSL_MODE, &mode);
    mysql_options(conn, MYSQL_OPT_GET_SERVER_PUBLIC_KEY, &yes);
#endif
    if (options->tls)
        mysql_options(conn, MYSQL_OPT_SSL_CA,
                      options->tls_ca ? options->tls_ca : "/etc/ssl/certs/ca-certificates.crt");
}

/* A dead other end is found while nothing is asked of it; what a server took over and does not answer is not
 * (SILENCE_S is for that). A unix socket takes none of this, and needs none. */
static void set_keepalive(MYSQL *conn) {
    const struct {
        int level, option, value;
    } SETTINGS[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_EVERY_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_EVERY_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_TRIES},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, (KEEPALIVE_TRIES + 1) * KEEPALIVE_EVERY_S * 1000},
    };
    for (size_t i = 0; i < sizeof SETTINGS / sizeof *SETTINGS; i++)
        setsockopt(conn->net.fd, SETTINGS[i].level, SETTINGS[i].option, &SETTINGS[i].value, sizeof SETTINGS[i].value);
}

static MYSQL *connect_once(const MyOptions *options, int connect_s, int silence_s, Error *err) {
    CLEANUP(raw_drop) MYSQL *conn = mysql_init(NULL);
    if (!conn)
        abort();
    unsigned int connecting = (unsigned int)connect_s, silence = (unsigned int)silence_s;
    mysql_options(conn, MYSQL_OPT_CONNECT_TIMEOUT, &connecting);
    mysql_options(conn, MYSQL_OPT_READ_TIMEOUT, &silence);
    mysql_options(conn, MYSQL_OPT_WRITE_TIMEOUT, &silence);
    mysql_options(conn, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    unsigned long max_row_bytes = 1UL << 30;
    mysql_options(conn, MYSQL_OPT_MAX_ALLOWED_PACKET, &max_row_bytes);
    unsigned int no_local_files = 0;
    mysql_options(conn, MYSQL_OPT_LOCAL_INFILE, &no_local_files);
    set_tls(conn, options);
    if (!mysql_real_connect(conn, options->host, options->user, options->password,
                            options->database, (unsigned int)options->port, options->socket, 0)) {
        fail_connect(conn, err);
        return NULL;
    }
    set_keepalive(conn);
    return TAKE(conn);
}

static bool is_mariadb(MYSQL *conn) { return strstr(mysql_get_server_info(conn), "MariaDB") != NULL; }

/* The server ends what we asked for, also when we are no longer there to ask. */
static bool limit_session(MYSQL *conn, int timeout_s, Error *err) {
    char sql[120];
    snprintf(sql, sizeof sql, "SET SESSION wait_timeout = %d, %s = %d%s", IDLE_S,
             is_mariadb(conn) ? "max_statement_time" : "max_execution_time", timeout_s, is_mariadb(conn) ? "" : "000");
    return mysql_query(conn, sql) == 0 || fail(conn, "cannot prepare the session", err);
}

/* A session that can neither write nor wait long, and renders values the same everywhere. */
static bool prepare_session(MYSQL *conn, Error *err) {
    static const char *const STATEMENTS[] = {
        "SET SESSION TRANSACTION READ ONLY, ISOLATION LEVEL READ COMMITTED",
        "SET SESSION autocommit = 1, lock_wait_timeout = 2, sql_mode = '', time_zone = '+00:00'",
        "SET SESSION character_set_results = 'utf8mb4'",
    };
    for (size_t i = 0; i < sizeof STATEMENTS / sizeof *STATEMENTS; i++)
        if (mysql_query(conn, STATEMENTS[i]) != 0)
            return fail(conn, "cannot prepare the session", err);
    return true;
}

My *my_open(const MyOptions *options, Error *err) {
    int silence_s = options->timeout_s + SILENCE_S;
    CLEANUP(raw_drop) MYSQL *conn = connect_once(options, silence_s < CONNECT_S ? silence_s : CONNECT_S, silence_s, err);
    if (!conn || !prepare_session(conn, err) || !limit_session(conn, options->timeout_s, err))
        return NULL;
    My *my = calloc(1, sizeof *my);
    if (!my)
        abort();
    my->options = *options; /* the texts belong to the caller, who outlives us */
    my->thread_id = mysql_thread_id(conn);
    my->conn = TAKE(conn);
    return my;
}

void my_close(My *my) {
    mysql_close(my->conn);
    free(my);
}

bool my_is_alive(My *my) { return !my->is_spoilt && mysql_ping(my->conn) == 0; }
void my_spoil(My *my) { my->is_spoilt = true; }

void my_cancel(My *my) {
    Error ignored = {0};
    CLEANUP(raw_drop) MYSQL *second = connect_once(&my->options, CANCEL_S, CANCEL_S, &ignored);
    char sql[40];
    snprintf(sql, sizeof sql, "KILL QUERY %lu", my->thread_id);
    if (second)
        mysql_query(second, sql);
}

bool my_is_mariadb(const My *my) { return is_mariadb(my->conn); }

/* Bytes without a character set. Numbers and times have that set too, but are texts. */
static bool is_binary(const MYSQL_FIELD *field) {
    enum { CHARSET_BINARY = 63, TYPE_VECTOR = 242 };
    static const int TYPES[] = {MYSQL_TYPE_TINY_BLOB, MYSQL_TYPE_MEDIUM_BLOB, MYSQL_TYPE_LONG_BLOB, MYSQL_TYPE_BLOB,
                                MYSQL_TYPE_VAR_STRING, MYSQL_TYPE_STRING, MYSQL_TYPE_GEOMETRY, TYPE_VECTOR};
    for (size_t i = 0; field->charsetnr == CHARSET_BINARY && i < sizeof TYPES / sizeof *TYPES; i++)
        if ((int)field->type == TYPES[i])
            return true;
    return false;
}

/* FNV-1a over what changes with a column: its name, its type, whether it is a key. */
static uint64_t outline_of(MYSQL_RES *result, size_t n_fields) {
    const MYSQL_FIELD *fields = mysql_fetch_fields(result);
    uint64_t hash = 14695981039346656037U;
    for (size_t i = 0; i < n_fields; i++) {
        uint64_t parts[] = {(uint64_t)fields[i].type, fields[i].length, fields[i].decimals, fields[i].charsetnr,
                            fields[i].flags & (UNSIGNED_FLAG | ZEROFILL_FLAG | ENUM_FLAG | SET_FLAG | NOT_NULL_FLAG |
                                             PRI_KEY_FLAG | UNIQUE_KEY_FLAG)};
        for (size_t j = 0; j < sizeof parts / sizeof *parts; j++)
            hash = (hash ^ parts[j]) * 1099511628211U;
        for (const char *c = fields[i].name; *c; c++)
            hash = (hash ^ (uint8_t)*c) * 1099511628211U;
    }
    return hash;
}

static const bool *find_binary(Arena *arena, MYSQL_RES *result, size_t n_fields) {
    const MYSQL_FIELD *fields = mysql_fetch_fields(result);
    bool *are_binary = ARENA_ARRAY(arena, bool, n_fields);
    for (size_t i = 0; i < n_fields; i++)
        are_binary[i] = is_binary(&fields[i]);
    return are_binary;
}

static void put_hex(char *to, const char *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) {
        *to++ = HEX[(uint8_t)bytes[i] >> 4];
        *to++ = HEX[(uint8_t)bytes[i] & 15];
    }
}

/* Copies one row in one piece; its fields point into it. */
static void keep_row(Arena *arena, MyPage *page, const bool *are_binary, MYSQL_ROW row,
                     const unsigned long *lengths) {
    size_t total = 0;
    for (size_t i = 0; i < page->n_fields; i++)
        total += row[i] ? lengths[i] << are_binary[i] : 0;
    char *at = arena_alloc(arena, total);
    Str *fields = page->fields + page->n_rows++ * page->n_fields;
    for (size_t i = 0; i < page->n_fields; i++) {
        if (!row[i]) {
            fields[i] = STR_NULL;
            continue;
        }
        size_t size = lengths[i] << are_binary[i];
        if (are_binary[i])
            put_hex(at, row[i], lengths[i]);
        else
            memcpy(at, row[i], lengths[i]);
        fields[i] = (Str){at, size};
        at += size;
    }
    page->size_bytes += total;
}

static void result_drop(MYSQL_RES **owner) {
    if (*owner)
        mysql_free_result(*owner);
}

bool my_read(My *my, const char *sql, size_t max_rows, size_t max_bytes, Arena *arena,
             MyPage *ret_page, Error *err) {
    if (mysql_real_query(my->conn, sql, strlen(sql)) != 0)
        return fail(my->conn, "cannot read", err);
    CLEANUP(result_drop) MYSQL_RES *result = mysql_use_result(my->conn);
    if (!result)
        return fail(my->conn, "cannot read", err);
    MyPage page = {.n_fields = mysql_num_fields(result)};
    page.fields = arena_alloc(arena, sizeof(Str) * max_rows * page.n_fields);
    const bool *are_binary = find_binary(arena, result, page.n_fields);
    page.shape = outline_of(result, page.n_fields);
    MYSQL_ROW row;
    while ((row = mysql_fetch_row(result))) {
        if (page.n_rows == max_rows || (page.n_rows > 0 && page.size_bytes >= max_bytes))
            page.is_cut = true;
        else
            keep_row(arena, &page, are_binary, row, mysql_fetch_lengths(result));
    }
    if (mysql_errno(my->conn) != 0) /* NULL is the end, or an error */
        return fail(my->conn, "cannot read", err);
    *ret_page = page;
    return true;
}

/* Of MySQL 9; MariaDB's client library has no name for it. */
#define TYPE_VECTOR ((enum enum_field_types)242)

/* Texts and bytes are told apart by their character set alone: number 63 is `binary`. */
static const struct {
    enum enum_field_types type;
    const char *name, *binary_name; /* binary_name NULL: the same */
} TYPE_NAMES[] = {
    {MYSQL_TYPE_TINY, "tinyint", NULL},       {MYSQL_TYPE_SHORT, "smallint", NULL},
    {MYSQL_TYPE_INT24, "mediumint", NULL},    {MYSQL_TYPE_LONG, "int", NULL},
    {MYSQL_TYPE_LONGLONG, "bigint", NULL},    {MYSQL_TYPE_DECIMAL, "decimal", NULL},
    {MYSQL_TYPE_NEWDECIMAL, "decimal", NULL}, {MYSQL_TYPE_FLOAT, "float", NULL},
    {MYSQL_TYPE_DOUBLE, "double", NULL},      {MYSQL_TYPE_YEAR, "year", NULL},
    {MYSQL_TYPE_BIT, "bit", NULL},            {MYSQL_TYPE_DATE, "date", NULL},
    {MYSQL_TYPE_NEWDATE, "date", NULL},       {MYSQL_TYPE_TIME, "time", NULL},
    {MYSQL_TYPE_DATETIME, "datetime", NULL},  {MYSQL_TYPE_TIMESTAMP, "timestamp", NULL},
    {MYSQL_TYPE_STRING, "char", "binary"},    {MYSQL_TYPE_VAR_STRING, "varchar", "varbinary"},
    {MYSQL_TYPE_BLOB, "text", "blob"},        {MYSQL_TYPE_GEOMETRY, "geometry", NULL},
    {MYSQL_TYPE_JSON, "json", NULL},          {TYPE_VECTOR, "vector", NULL},
};

static const char *type_name(const MYSQL_FIELD *field) {
    enum { CHARSET_BINARY = 63 };
    if (field->flags & (ENUM_FLAG | SET_FLAG))
        return field->flags & ENUM_FLAG ? "enum" : "set";
    for (size_t i = 0; i < sizeof TYPE_NAMES / sizeof *TYPE_NAMES; i++)
        if (TYPE_NAMES[i].type == field->type)
            return TYPE_NAMES[i].binary_name && field->charsetnr == CHARSET_BINARY ? TYPE_NAMES[i].binary_name
                                                                                  : TYPE_NAMES[i].name;
    return "text"; /* what a later server may have */
}

/* Of an expression a server may not tell how many digits its fraction has: then all of them count. */
static int fraction_digits(const MYSQL_FIELD *field) {
    enum { DIGITS_MAX = 6 };
    return field->decimals > DIGITS_MAX ? DIGITS_MAX : (int)field->decimals;
}

/* A decimal's length counts its sign and its point. */
static const char *shape_of(Arena *arena, const char *type, const MYSQL_FIELD *field) {
    const char *sign = field->flags & UNSIGNED_FLAG ? " unsigned" : "";
    if (strcmp(type, "decimal") == 0)
        return arena_printf(arena, "decimal(%lu,%u)%s", field->length - (field->decimals > 0) - !*sign,
                            field->decimals, sign);
    if (strcmp(type, "char") == 0 || strcmp(type, "varchar") == 0 || strcmp(type, "binary") == 0 ||
        strcmp(type, "varbinary") == 0)
        return arena_printf(arena, "%s(%lu)", type, field->length);
    return arena_printf(arena, "%s%s", type, sign);
}

bool my_describe(My *my, const char *sql, Arena *arena, MyColumn **ret_columns, size_t *ret_n, Error *err) {
    if (mysql_real_query(my->conn, sql, strlen(sql)) != 0)
        return fail(my->conn, "cannot read", err);
    CLEANUP(result_drop) MYSQL_RES *result = mysql_store_result(my->conn);
    if (!result)
        return fail(my->conn, "cannot read", err);
    unsigned n = mysql_num_fields(result);
    const MYSQL_FIELD *fields = mysql_fetch_fields(result);
    MyColumn *columns = ARENA_ARRAY(arena, MyColumn, n);
    for (unsigned i = 0; i < n; i++)
        columns[i] = (MyColumn){
            .name = arena_string(arena, str_of(fields[i].name)),
            .type = type_name(&fields[i]),
            .shape = shape_of(arena, type_name(&fields[i]), &fields[i]),
            .digits = fraction_digits(&fields[i]),
            .may_be_null = !(fields[i].flags & NOT_NULL_FLAG),
        };
    *ret_columns = columns;
    *ret_n = n;
    return true;
}

bool my_exec(My *my, const char *sql, Error *err) {
    return mysql_query(my->conn, sql) == 0 || fail(my->conn, "cannot set up the session", err);
}

void my_put_ident(Buf *sql, const char *name) {
    buf_put_byte(sql, '`');
    for (const char *c = name; *c; c++) {
        if (*c == '`')
            buf_put_byte(sql, '`');
        buf_put_byte(sql, (uint8_t)*c);
    }
    buf_put_byte(sql, '`');
}

void my_put_text(Buf *sql, Str value) {
    buf_put_str(sql, STR("_utf8mb4 X'"));
    for (size_t i = 0; i < value.size; i++) {
        buf_put_byte(sql, (uint8_t)HEX[(uint8_t)value.at[i] >> 4]);
        buf_put_byte(sql, (uint8_t)HEX[(uint8_t)value.at[i] & 15]);
    }
    buf_put_byte(sql, '\'');
}

bool my_put_number(Buf *sql, Str value) {
    size_t i = value.size > 0 && value.at[0] == '-' ? 1 : 0;
    if (i == value.size)
        return false;
    for (bool dot = false; i < value.size; i++) {
        if (value.at[i] == '.' && !dot)
            dot = true;
        else if (value.at[i] < '0' || value.at[i] > '9')
            return false;
    }
    buf_put_str(sql, value);
    return true;
}
