/* doctor_source.c - see doctor_source.h. The preconditions are those of rules, section 4. */
#include "doctor_source.h"

#include "base/clock.h"
#include "base/own.h"
#include "secret.h"
#include "storage/check.h"
#include "storage/watermark.h"

enum { SOURCE_TIMEOUT_S = 10, SKEW_MAX_S = 2, ZONE_OFF_MAX_S = 120 };

/* One hospital, and one feed of it at a time. */
typedef struct Visit {
    const SourceConfig *source;
    Report *report;
    My *my;
    ServerFacts server;
    const FeedConfig *feed;
    Arena *arena; /* this feed's */
    SourceTable table;
    TableFacts facts;
} Visit;

/* ---- the server ---- */

static void check_tls(const Visit *visit, Finding *finding) {
    if (visit->source->tls == TLS_REQUIRED)
        finding_remark(finding, "encrypted, certificate checked");
    else
        finding_mind(finding, "tls: required, and tls_ca where the certificate is the hospital's own",
                     "rows and password cross the network as they are");
}

static void check_process(const Visit *visit, Finding *finding) {
    AccountRights rights;
    Error err = {0};
    if (!check_account(visit->my, &rights, &err))
        finding_bad(finding, &err);
    else if (!rights.has_process)
        finding_mind(finding, "GRANT PROCESS ON *.* TO the account",
                     "the account sees its own statements alone: a row that is committed late can be missed until "
                     "the table is read whole");
}

static void check_reading_only(const Visit *visit, Finding *finding) {
    AccountRights rights;
    Error err = {0};
    if (!check_account(visit->my, &rights, &err))
        finding_bad(finding, &err);
    else if (!rights.is_read_only)
        finding_mind(finding, "REVOKE what is neither PROCESS nor SELECT",
                     "the account may write at the hospital (%s), which it never needs to", rights.excess);
}

static void check_replication(const Visit *visit, Finding *finding) {
    if (visit->server.is_replica || visit->server.is_group_member)
        finding_mind(finding, "name the server that is written to as `host`",
                     "the server is %s: what others write shows here later, and not in the order of its times",
                     visit->server.is_replica ? "a replica" : "a member of a group");
    else if (visit->server.is_read_only)
        finding_mind(finding, "name the server that is written to as `host`",
                     "the server is read-only, so it is hardly the one that is written to");
}

static void check_zone(const Visit *visit, Finding *finding) {
    int64_t expected_us = zone_to_civil(visit->source->zone, visit->server.utc_us);
    int64_t off_s = (visit->server.civil_us - expected_us) / 1000000;
    if (off_s > ZONE_OFF_MAX_S || off_s < -ZONE_OFF_MAX_S)
        finding_mind(finding, "set `timezone` of the source to the zone of those who write its DATETIME columns",
                     "the server's sessions show a time %+.1f h off that of %s", (double)off_s / 3600,
                     visit->source->timezone);
}

static void check_clock(const Visit *visit, Finding *finding) {
    int64_t skew_s = (visit->server.utc_us - clock_wall_us()) / 1000000;
    if (skew_s > SKEW_MAX_S || skew_s < -SKEW_MAX_S)
        finding_mind(finding, "run a time service on both machines", "the server's clock is %+lld s off ours",
                     (long long)skew_s);
}

/* ---- a feed ---- */

static void check_columns(const Visit *visit, Finding *finding) {
    Error err = {0};
    if (!mapping_compile(visit->arena, &visit->feed->mapping, visit->table.fields, visit->table.n_fields,
                         visit->source->zone, &err))
        finding_bad(finding, &err);
}

static void check_engine(const Visit *visit, Finding *finding) {
    if (!visit->facts.is_innodb)
        finding_mind(finding, "ALTER TABLE … ENGINE = InnoDB, or name the table behind a view",
                     "%s is not an InnoDB table: what runs in it cannot be seen, and its reads are not consistent",
                     visit->table.name);
}

static bool folds_case(const SourceTable *table) {
    for (size_t i = 0; i < table->n_key; i++)
        if (table->fields[table->key[i]].folds_case)
            return true;
    return false;
}

static void check_key(const Visit *visit, Finding *finding) {
    if (!visit->facts.is_key_unique)
        finding_mind(finding, "name the columns of the primary key, or of a unique index, as `key`",
                     "no unique index holds `key` to one row each: of rows that share it, one is kept");
    else if (folds_case(&visit->table))
        finding_remark(finding, "unique; 'abc' and 'ABC' are one id, as in its collation");
    else
        finding_remark(finding, "unique");
}

static void check_cursor_index(const Visit *visit, Finding *finding) {
    if (visit->table.cursor < 0)
        finding->kind = FINDING_NOTHING;
    else if (!visit->facts.has_cursor_index)
        finding_mind(finding, "ask for an index that begins with the cursor", "none on %s: every poll scans the table",
                     visit->feed->cursor);
}

static void check_cursor_clock(const Visit *visit, Finding *finding) {
    if (visit->table.cursor < 0)
        finding->kind = FINDING_NOTHING;
    else if (visit->facts.is_cursor_kept)
        finding_remark(finding, "%s moves by itself (ON UPDATE)", visit->feed->cursor);
    else if (visit->feed->cursor_clock != CURSOR_CLOCK_AUTO)
        finding_remark(finding, "%s is set by %s, as declared", visit->feed->cursor,
                       visit->feed->cursor_clock == CURSOR_CLOCK_SERVER ? "the server" : "an application");
    else
        finding_mind(finding, "declare `cursor_clock: server` where triggers or NOW() set it on every change",
                     "%s does not move by itself (ON UPDATE): a change that does not set it is found by reconcile alone",
                     visit->feed->cursor);
}

static void check_cursor_proof(const Visit *visit, Finding *finding) {
    WatermarkBasis basis;
    Error err = {0};
    if (visit->table.cursor_kind == CURSOR_NONE)
        finding_remark(finding, "none, so the table is read whole at every poll");
    else if (!watermark_judge(visit->my, &visit->table, visit->feed->cursor_clock, visit->feed->margin_ms * 1000, &basis,
                              &err))
        finding_bad(finding, &err);
    else if (basis.quality == WATERMARK_PROVEN)
        finding_remark(finding, "proven: %s", basis.why);
    else
        finding_mind(finding, "mend what the sentence names, or let `reconcile` of the feed find the rest", "%s: %s",
                     watermark_quality_name(basis.quality), basis.why);
}

static void check_row_size(const Visit *visit, Finding *finding) {
    if ((int64_t)source_hashed_bytes(&visit->table) <= visit->server.packet_bytes)
        finding->kind = FINDING_NOTHING;
    else
        finding_mind(finding, "raise max_allowed_packet, or leave columns out by a `query`",
                     "the server cannot hash rows whose texts are longer than %lld bytes together: reconcile reads such "
                     "whole every time", (long long)visit->server.packet_bytes);
}

/* ---- the tables ---- */

typedef struct Check {
    const char *name;
    void (*look)(const Visit *visit, Finding *finding);
    bool needs_table; /* a query has no engine and no index of its own */
} Check;

static const Check SERVER_CHECKS[] = {
    {"TLS", check_tls},
    {"PROCESS", check_process},
    {"rights", check_reading_only},
    {"replication", check_replication},
    {"time zone", check_zone},
    {"clock", check_clock},
};
static const Check FEED_CHECKS[] = {
    {"mapped columns", check_columns},
    {"engine", check_engine, .needs_table = true},
    {"key", check_key, .needs_table = true},
    {"cursor index", check_cursor_index, .needs_table = true},
    {"cursor clock", check_cursor_clock},
    {"cursor", check_cursor_proof},
    {"row size", check_row_size},
};

static void look_at(const Visit *visit, const char *subject, const Check *checks, size_t n) {
    for (size_t i = 0; i < n; i++) {
        Finding finding = {.kind = FINDING_OK};
        if (checks[i].needs_table && visit->table.is_query)
            continue;
        checks[i].look(visit, &finding);
        report_finding(visit->report, subject, checks[i].name, &finding);
    }
}

/* What the checks behind it need: when it fails there is one line, and they are left out. */
static bool report_step(const Visit *visit, const char *subject, const char *what, bool ok, const Error *err) {
    Finding finding = {.kind = FINDING_OK};
    if (!ok)
        finding_bad(&finding, err);
    report_finding(visit->report, subject, what, &finding);
    return ok;
}

static void check_feed(Visit *visit, const FeedConfig *feed) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    Error err = {0};
    visit->feed = feed;
    visit->facts = (TableFacts){0};
    visit->arena = arena;
    bool ok = source_describe(visit->my, arena, feed->table, feed->query, feed->key, feed->n_key, feed->cursor,
                              &visit->table, &err) &&
              (feed->query || check_table(visit->my, &visit->table, &visit->facts, &err));
    if (report_step(visit, feed->name, feed->query ? "query" : "table", ok, &err))
        look_at(visit, feed->name, FEED_CHECKS, sizeof FEED_CHECKS / sizeof *FEED_CHECKS);
}

static My *connect_source(const SourceConfig *source, Secret *password, Error *err) {
    char what[160];
    snprintf(what, sizeof what, "the password of source %s", source->name);
    TRY_NULL(secret_read(source->password_file, source->password_env, what, password, err));
    MyOptions options = {.host = source->host, .socket = source->socket, .user = source->user,
                         .password = password->text, .database = source->database, .port = source->port,
                         .tls = source->tls == TLS_REQUIRED, .tls_ca = source->tls_ca,
                         .timeout_s = SOURCE_TIMEOUT_S};
    return my_open(&options, err);
}

void doctor_check_source(const SourceConfig *source, Report *report) {
    if (source->kind != SOURCE_MYSQL)
        return;
    Error err = {0};
    CLEANUP(secret_wipe) Secret password = {.size = 0};
    CLEANUP(my_drop) My *my = connect_source(source, &password, &err);
    Visit visit = {.source = source, .report = report, .my = my};
    if (!report_step(&visit, source->name, "connection", my && check_server(my, &visit.server, &err), &err))
        return;
    look_at(&visit, source->name, SERVER_CHECKS, sizeof SERVER_CHECKS / sizeof *SERVER_CHECKS);
    for (size_t i = 0; i < source->n_feeds; i++)
        check_feed(&visit, &source->feeds[i]);
}
