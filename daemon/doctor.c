/* doctor.c - see doctor.h. */
#include "doctor.h"

#include "base/clock.h"
#include "base/own.h"
#include "secret.h"
#include "storage/bigquery.h"
#include "storage/check.h"
#include "storage/migrate.h"
#include "storage/source.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { SOURCE_TIMEOUT_S = 10, STORE_TIMEOUT_MS = 10000, SKEW_MAX_S = 2, PG_VERSION_MIN = 140000 };
#define FREE_MIN_BYTES (UINT64_C(1) << 30)

typedef struct Doctor {
    const Config *config;
    FILE *out;
    bool is_well;
} Doctor;

__attribute__((format(printf, 3, 0)))
static void say(Doctor *doctor, const char *verdict, const char *format, va_list args) {
    fprintf(doctor->out, "%-4s  ", verdict);
    vfprintf(doctor->out, format, args);
    fputc('\n', doctor->out);
}

__attribute__((format(printf, 2, 3))) static void ok(Doctor *doctor, const char *format, ...) {
    va_list args;
    va_start(args, format);
    say(doctor, "ok", format, args);
    va_end(args);
}

__attribute__((format(printf, 3, 4))) static void mind(Doctor *doctor, const char *mend, const char *format, ...) {
    va_list args;
    va_start(args, format);
    say(doctor, "mind", format, args);
    va_end(args);
    fprintf(doctor->out, "      mend: %s\n", mend);
}

static void bad(Doctor *doctor, const char *what, const Error *err) {
    fprintf(doctor->out, "BAD   %s: %s\n", what, err->text);
    if (err->hint[0])
        fprintf(doctor->out, "      mend: %s\n", err->hint);
    doctor->is_well = false;
}

/* ---- PostgreSQL ---- */

static void check_rights(Doctor *doctor, Pg *pg) {
    StoreRights rights;
    Error err = {0};
    if (!check_store(pg, &rights, &err)) {
        bad(doctor, "store: rights", &err);
        return;
    }
    if (!rights.may_create_bronze || !rights.may_write_silver || !rights.may_append_audit) {
        error_set(&err, STATE_AUTH, "the daemon's account may not write where it must");
        error_hint(&err, "GRANT revcycle_daemon TO <account>");
        bad(doctor, "store: rights", &err);
    } else if (rights.is_superuser || rights.may_alter_audit) {
        mind(doctor, "use an account that is only a member of revcycle_daemon for store.dsn",
             "store: the daemon's account may alter the audit trail");
    } else {
        ok(doctor, "store: rights");
    }
    if (rights.version < PG_VERSION_MIN)
        mind(doctor, "upgrade to PostgreSQL 15 or later", "store: PostgreSQL %d is not tested", rights.version / 10000);
}

static void check_postgres(Doctor *doctor) {
    Error err = {0};
    CLEANUP(pg_drop) Pg *pg = pg_open(doctor->config->store_dsn, "revcycled doctor", STORE_TIMEOUT_MS, &err);
    if (!pg) {
        bad(doctor, "store: connection", &err);
        return;
    }
    ok(doctor, "store: connection");
    if (migrate_check(pg, &err))
        ok(doctor, "store: schemas");
    else
        bad(doctor, "store: schemas", &err);
    if (!err.state[0])
        check_rights(doctor, pg);
}

/* ---- hospitals ---- */

static My *connect_source(Doctor *doctor, const SourceConfig *source, Secret *password) {
    char what[160];
    Error err = {0};
    snprintf(what, sizeof what, "the password of source %s", source->name);
    My *my = NULL;
    if (secret_read(source->password_file, source->password_env, what, password, &err)) {
        MyOptions options = {.host = source->host, .socket = source->socket, .user = source->user,
                             .password = password->text, .database = source->database, .port = source->port,
                             .tls = source->tls == TLS_REQUIRED, .tls_ca = source->tls_ca,
                             .timeout_s = SOURCE_TIMEOUT_S};
        my = my_open(&options, &err);
    }
    snprintf(what, sizeof what, "%s: connection", source->name);
    if (!my)
        bad(doctor, what, &err);
    else if (source->tls == TLS_REQUIRED)
        ok(doctor, "%s, encrypted, certificate checked", what);
    else
        mind(doctor, "tls: required", "%s, not encrypted", what);
    return my;
}

static void check_account_of(Doctor *doctor, const SourceConfig *source, My *my) {
    AccountRights rights;
    Error err = {0};
    char what[160];
    snprintf(what, sizeof what, "%s: account", source->name);
    if (!check_account(my, &rights, &err)) {
        bad(doctor, what, &err);
        return;
    }
    if (!rights.has_process)
        mind(doctor, "GRANT PROCESS ON *.* TO the account",
             "%s does not see other sessions' statements: a row committed late can be missed until the next full run", what);
    if (rights.may_write)
        mind(doctor, "revoke all but SELECT", "%s may write at the hospital; it never needs to", what);
    if (rights.has_process && !rights.may_write)
        ok(doctor, "%s", what);
}

static void check_mapping(Doctor *doctor, Arena *arena, const FeedConfig *feed, const SourceTable *table) {
    Error err = {0};
    if (mapping_compile(arena, &feed->mapping, table->fields, table->n_fields, feed->source->zone, &err))
        ok(doctor, "%s: table, key, cursor and mapped columns", feed->name);
    else
        bad(doctor, feed->name, &err);
}

static void check_polling(Doctor *doctor, const FeedConfig *feed, My *my) {
    TableFacts facts;
    Error err = {0};
    if (!check_table(my, feed->table, feed->cursor, &facts, &err)) {
        bad(doctor, feed->name, &err);
        return;
    }
    if (!facts.is_innodb)
        mind(doctor, "ALTER TABLE … ENGINE = InnoDB", "%s: table %s is not InnoDB: its reads are not consistent",
             feed->name, feed->table);
    if (feed->cursor && !facts.has_cursor_index)
        mind(doctor, "ask for an index that begins with the cursor",
             "%s: no index on %s: every poll scans the table", feed->name, feed->cursor);
}

static void check_clock(Doctor *doctor, const FeedConfig *feed, My *my, const SourceTable *table, Arena *arena) {
    SourceClock clock;
    Error err = {0};
    if (!source_clock(my, table, zone_utc(), 0, arena, &clock, &err)) {
        bad(doctor, feed->name, &err);
        return;
    }
    int64_t skew_s = (clock.now_us - clock_wall_us()) / 1000000;
    if (skew_s > SKEW_MAX_S || skew_s < -SKEW_MAX_S)
        mind(doctor, "run a time service on both machines", "%s: the server's clock is %lld s off ours",
             feed->source->name, (long long)skew_s);
}

static void check_feed(Doctor *doctor, const FeedConfig *feed, My *my, bool is_first) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    SourceTable table;
    Error err = {0};
    if (!source_describe(my, arena, feed->table, feed->key, feed->n_key, feed->cursor, &table, &err)) {
        bad(doctor, feed->name, &err);
        return;
    }
    check_mapping(doctor, arena, feed, &table);
    check_polling(doctor, feed, my);
    if (is_first)
        check_clock(doctor, feed, my, &table, arena);
}

static void check_source(Doctor *doctor, const SourceConfig *source) {
    if (source->kind != SOURCE_MYSQL)
        return;
    CLEANUP(secret_wipe) Secret password = {.size = 0};
    CLEANUP(my_drop) My *my = connect_source(doctor, source, &password);
    if (!my)
        return;
    check_account_of(doctor, source, my);
    for (size_t i = 0; i < source->n_feeds; i++)
        check_feed(doctor, &source->feeds[i], my, i == 0);
}

/* ---- claims ---- */

static void check_space(Doctor *doctor, const ClaimsConfig *claims) {
    struct statvfs disk;
    if (statvfs(claims->directory, &disk) == 0 && (uint64_t)disk.f_bavail * disk.f_frsize < FREE_MIN_BYTES)
        mind(doctor, "make room, or move the directory", "%s: less than 1 GiB is free at %s", claims->name, claims->directory);
}

static void check_claims(Doctor *doctor, const ClaimsConfig *claims) {
    Error err = {0};
    struct stat info;
    if (stat(claims->directory, &info) != 0 || access(claims->directory, R_OK | W_OK | X_OK) != 0) {
        error_set_errno(&err, errno, "directory %s", claims->directory);
        error_hint(&err, "create it, and let the daemon's user read and write it");
        bad(doctor, claims->name, &err);
    } else if (!S_ISDIR(info.st_mode)) {
        error_set(&err, STATE_CONFIG, "%s is no directory", claims->directory);
        bad(doctor, claims->name, &err);
    } else {
        ok(doctor, "%s: directory", claims->name);
        check_space(doctor, claims);
    }
}

/* ---- BigQuery ---- */

static void check_bigquery(Doctor *doctor) {
    const BigQueryConfig *config = &doctor->config->bigquery;
    if (!config->enabled)
        return;
    Error err = {0};
    atomic_bool never = false;
    BigQueryOptions options = {.project = config->project, .dataset = config->dataset, .location = config->location,
                               .endpoint = config->endpoint, .credentials_file = config->credentials_file,
                               .timeout_ms = config->timeout_ms};
    CLEANUP(bigquery_drop) BigQuery *bq = bigquery_open(&options, &never, &err);
    BigQueryTableFacts facts;
    if (bq && bigquery_look_at_table(bq, "_publications", &facts, &err))
        ok(doctor, "bigquery: account and dataset %s", config->dataset);
    else
        bad(doctor, "bigquery", &err);
}

bool doctor_run(const Config *config, FILE *out) {
    Doctor doctor = {.config = config, .out = out, .is_well = true};
    check_postgres(&doctor);
    for (size_t i = 0; i < config->n_sources; i++)
        check_source(&doctor, &config->sources[i]);
    for (size_t i = 0; i < config->n_claims; i++)
        check_claims(&doctor, &config->claims[i]);
    check_bigquery(&doctor);
    return doctor.is_well;
}
