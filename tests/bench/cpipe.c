/* cpipe.c - the bare C loop that the bench measures against ("C pipe").
 *
 * mysql_use_result -> text COPY into one typed, logged PostgreSQL table with a primary key. It cleans,
 * keys, hashes and remembers nothing: the least that moving these rows can cost.
 *
 *     cpipe load   MYSQL_HOST PORT USER PASSWORD DATABASE "libpq DSN"
 *     cpipe change …  SINCE     rows changed since then, by a temporary table and an upsert */
#include <libpq-fe.h>
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 21, BUFFER = 1 << 20 };

static const char *const TABLE =
    "(txn_id text PRIMARY KEY, enc_id text, pat_id text, clin_id text, dept_id text, visit_date date,"
    " service_date date, paid_date date, visit_type text, amount numeric(14,2), amount_type text,"
    " paid_amount numeric(14,2), claim_no text, payer_code text, cpt text, icd10 text,"
    " line_of_business text, medicaid_no text, medicare_no text, created_at timestamp, updated_at timestamp)";

static void die(const char *what, const char *why) {
    fprintf(stderr, "cpipe: %s: %s\n", what, why);
    exit(1);
}

static void run(PGconn *pg, const char *statement) {
    PGresult *done = PQexec(pg, statement);
    ExecStatusType status = PQresultStatus(done);
    if (status != PGRES_COMMAND_OK && status != PGRES_COPY_IN && status != PGRES_TUPLES_OK)
        die("statement", PQerrorMessage(pg));
    PQclear(done);
}

static char *put_field(char *at, const char *field, unsigned long size) {
    if (!field) {
        memcpy(at, "\\N", 2);
        return at + 2;
    }
    for (unsigned long i = 0; i < size; i++) {
        char c = field[i];
        if (c == '\\' || c == '\t' || c == '\n' || c == '\r') {
            *at++ = '\\';
            c = c == '\t' ? 't' : c == '\n' ? 'n' : c == '\r' ? 'r' : '\\';
        }
        *at++ = c;
    }
    return at;
}

static long copy_rows(MYSQL *my, PGconn *pg, const char *query) {
    static char buffer[BUFFER + (1 << 17)];
    char *at = buffer;
    long rows = 0;
    if (mysql_query(my, query) != 0)
        die("query", mysql_error(my));
    MYSQL_RES *result = mysql_use_result(my);
    for (MYSQL_ROW row; (row = mysql_fetch_row(result)) != NULL; rows++) {
        const unsigned long *sizes = mysql_fetch_lengths(result);
        for (int i = 0; i < COLUMNS; i++) {
            at = put_field(at, row[i], sizes[i]);
            *at++ = i + 1 < COLUMNS ? '\t' : '\n';
        }
        if (at - buffer >= BUFFER) {
            PQputCopyData(pg, buffer, (int)(at - buffer));
            at = buffer;
        }
    }
    if (mysql_errno(my))
        die("reading", mysql_error(my));
    mysql_free_result(result);
    PQputCopyData(pg, buffer, (int)(at - buffer));
    if (PQputCopyEnd(pg, NULL) != 1)
        die("copy", PQerrorMessage(pg));
    for (PGresult *end; (end = PQgetResult(pg)) != NULL; PQclear(end))
        if (PQresultStatus(end) != PGRES_COMMAND_OK)
            die("copy", PQerrorMessage(pg));
    return rows;
}

static long load(MYSQL *my, PGconn *pg) {
    char statement[2048];
    run(pg, "DROP TABLE IF EXISTS pipe");
    snprintf(statement, sizeof statement, "CREATE TABLE pipe %s", TABLE);
    run(pg, statement);
    run(pg, "COPY pipe FROM STDIN");
    return copy_rows(my, pg, "SELECT * FROM billing_transaction ORDER BY txn_id");
}

static long change(MYSQL *my, PGconn *pg, const char *since) {
    char query[256];
    run(pg, "BEGIN; CREATE TEMP TABLE changed (LIKE pipe) ON COMMIT DROP");
    run(pg, "COPY changed FROM STDIN");
    snprintf(query, sizeof query, "SELECT * FROM billing_transaction WHERE updated_at >= '%s'", since);
    long rows = copy_rows(my, pg, query);
    run(pg, "DELETE FROM pipe USING changed WHERE pipe.txn_id = changed.txn_id");
    run(pg, "INSERT INTO pipe SELECT * FROM changed; COMMIT");
    return rows;
}

int main(int argc, char **argv) {
    if (argc < 8)
        die("usage", "cpipe load|change HOST PORT USER PASSWORD DATABASE DSN [SINCE]");
    MYSQL *my = mysql_init(NULL);
    mysql_options(my, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    if (!mysql_real_connect(my, argv[2], argv[4], argv[5], argv[6], (unsigned)atoi(argv[3]), NULL, 0))
        die("MySQL", mysql_error(my));
    PGconn *pg = PQconnectdb(argv[7]);
    if (PQstatus(pg) != CONNECTION_OK)
        die("PostgreSQL", PQerrorMessage(pg));
    long rows = strcmp(argv[1], "change") == 0 && argc > 8 ? change(my, pg, argv[8]) : load(my, pg);
    printf("%ld\n", rows);
    PQfinish(pg);
    mysql_close(my);
    return 0;
}
