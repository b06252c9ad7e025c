/* c_pipe.c - the bare C pipe: what a page of revcycled is measured against (docs/performance.md).
 *
 * mysql_use_result -> text COPY into one typed, logged table with a primary key, nothing else: no hash, no
 * cleaning, no history, no cursor. With a third argument only rows whose key is in the table
 * `changed` of the source are read and replaced: its own 1 %.
 *
 *     c_pipe PGCONNINFO MYSQL_HOST MYSQL_PORT USER PASSWORD_FILE DATABASE [changed] */
#include <libpq-fe.h>
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BUFFER_BYTES = 1 << 20 };

static const char CREATE[] =
    "DROP TABLE IF EXISTS c_pipe; CREATE TABLE c_pipe (TransactionID text PRIMARY KEY, EncounterID text,"
    " PatientID text, ProviderID text, DeptID text, VisitDate date, ServiceDate date, PaidDate date,"
    " VisitType text, Amount numeric(14,2), AmountType text, PaidAmount numeric(14,2), ClaimID text,"
    " PayorID text, ProcedureCode int, ICDCode text, LineOfBusiness text, MedicaidID text,"
    " MedicareID text, InsertDate date, ModifiedDate date)";
#define COLUMNS \
    "TransactionID, EncounterID, PatientID, ProviderID, DeptID, VisitDate, ServiceDate, PaidDate," \
    " VisitType, CAST(Amount AS DOUBLE), AmountType, CAST(PaidAmount AS DOUBLE), ClaimID, PayorID," \
    " ProcedureCode, ICDCode, LineOfBusiness, MedicaidID, MedicareID, InsertDate, ModifiedDate"

static void die(const char *what, const char *why) {
    fprintf(stderr, "c_pipe: %s: %s\n", what, why);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run(PGconn *pg, const char *sql, ExecStatusType wanted) {
    PGresult *result = PQexec(pg, sql);
    if (PQresultStatus(result) != wanted)
        die("PostgreSQL", PQerrorMessage(pg));
    PQclear(result);
}

static MYSQL *open_mysql(char **argv) {
    char password[256] = "";
    FILE *file = fopen(argv[5], "r");
    if (!file || !fgets(password, sizeof password, file))
        die("cannot read the password", argv[5]);
    fclose(file);
    password[strcspn(password, "\n")] = '\0';
    MYSQL *my = mysql_init(NULL);
    mysql_options(my, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    if (!mysql_real_connect(my, argv[2], argv[4], password, argv[6], (unsigned)atoi(argv[3]), NULL, 0))
        die("MySQL", mysql_error(my));
    return my;
}

/* The sample's texts hold nothing that COPY would want escaped; a pipe that escaped would be slower. */
static size_t put_row(char *out, MYSQL_ROW row, const unsigned long *lengths, unsigned n) {
    size_t size = 0;
    for (unsigned i = 0; i < n; i++) {
        if (row[i])
            memcpy(out + size, row[i], lengths[i]), size += lengths[i];
        else
            memcpy(out + size, "\\N", 2), size += 2;
        out[size++] = i + 1 < n ? '\t' : '\n';
    }
    return size;
}

static long copy_rows(PGconn *pg, MYSQL *my) {
    static char buffer[BUFFER_BYTES + (64 << 10)];
    MYSQL_RES *rows = mysql_use_result(my);
    unsigned n = mysql_num_fields(rows);
    size_t used = 0;
    long count = 0;
    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)); count++) {
        used += put_row(buffer + used, row, mysql_fetch_lengths(rows), n);
        if (used >= BUFFER_BYTES) {
            if (PQputCopyData(pg, buffer, (int)used) != 1)
                die("COPY", PQerrorMessage(pg));
            used = 0;
        }
    }
    if (PQputCopyData(pg, buffer, (int)used) != 1 || PQputCopyEnd(pg, NULL) != 1)
        die("COPY", PQerrorMessage(pg));
    PGresult *result = PQgetResult(pg);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        die("COPY", PQerrorMessage(pg));
    PQclear(result);
    PQclear(PQgetResult(pg));
    mysql_free_result(rows);
    return count;
}

int main(int argc, char **argv) {
    if (argc < 7)
        die("usage", "c_pipe PGCONNINFO MYSQL_HOST MYSQL_PORT USER PASSWORD_FILE DATABASE [changed]");
    PGconn *pg = PQconnectdb(argv[1]);
    if (PQstatus(pg) != CONNECTION_OK)
        die("PostgreSQL", PQerrorMessage(pg));
    MYSQL *my = open_mysql(argv);
    int changed = argc > 7;
    double begun = now();
    const char *sql = changed ? "SELECT " COLUMNS " FROM transactions JOIN changed USING (TransactionID)"
                              : "SELECT " COLUMNS " FROM transactions";
    if (mysql_query(my, sql) != 0)
        die("MySQL", mysql_error(my));
    if (changed)
        run(pg, "CREATE TEMP TABLE incoming (LIKE c_pipe)", PGRES_COMMAND_OK);
    else
        run(pg, CREATE, PGRES_COMMAND_OK);
    run(pg, changed ? "COPY incoming FROM STDIN" : "COPY c_pipe FROM STDIN", PGRES_COPY_IN);
    long count = copy_rows(pg, my);
    if (changed)
        run(pg, "BEGIN; DELETE FROM c_pipe USING incoming WHERE c_pipe.TransactionID = incoming.TransactionID;"
                " INSERT INTO c_pipe SELECT * FROM incoming; COMMIT", PGRES_COMMAND_OK);
    double seconds = now() - begun;
    printf("{\"rows\": %ld, \"seconds\": %.3f}\n", count, seconds);
    mysql_close(my);
    PQfinish(pg);
    return 0;
}
