/* doctor.c - see doctor.h. */
#include "doctor.h"

#include "base/own.h"
#include "doctor_source.h"
#include "finding.h"
#include "sealer.h"
#include "secret.h"
#include "steps/reference_file.h"
#include "storage/check.h"
#include "storage/lookup.h"
#include "storage/migrate.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { STORE_TIMEOUT_MS = 10000, PG_VERSION_MIN = 150000, REFERENCE_BYTES_MAX = 1 << 20 };
#define FREE_MIN_BYTES (UINT64_C(1) << 30)

static void report_outcome(Report *report, const char *subject, const char *check, bool ok, const Error *err) {
    Finding finding = {.kind = FINDING_OK};
    if (!ok)
        finding_bad(&finding, err);
    report_finding(report, subject, check, &finding);
}

/* ---- PostgreSQL ---- */

static void look_at_needs(const StoreRights *rights, Finding *finding) {
    Error err = {0};
    if (rights->may_create_bronze && rights->may_write_silver && rights->may_append_audit)
        return;
    error_set(&err, STATE_AUTH, "the daemon's account may not write where it must");
    error_hint(&err, "GRANT revcycle_daemon TO the account, and run `revcycled migrate`");
    finding_bad(finding, &err);
}

static void look_at_excess(const StoreRights *rights, Finding *finding) {
    if (rights->is_superuser || rights->may_alter_audit)
        finding_mind(finding, "use an account that is only a member of revcycle_daemon for store.dsn",
                     "the daemon's account may change the audit trail");
    else if (rights->may_alter_schemas)
        finding_mind(finding, "use an account that is only a member of revcycle_daemon for store.dsn",
                     "the daemon's account may alter the schemas");
}

static void look_at_version(const StoreRights *rights, Finding *finding) {
    if (rights->version < PG_VERSION_MIN)
        finding_mind(finding, "upgrade to PostgreSQL 15 or later", "PostgreSQL %d is not tested", rights->version / 10000);
}

static const struct {
    const char *name;
    void (*look)(const StoreRights *rights, Finding *finding);
} STORE_CHECKS[] = {
    {"rights", look_at_needs},
    {"no more rights", look_at_excess},
    {"version", look_at_version},
};

static void check_rights(Report *report, Pg *pg) {
    StoreRights rights;
    Error err = {0};
    if (!check_store(pg, &rights, &err)) {
        report_outcome(report, "store", "rights", false, &err);
        return;
    }
    for (size_t i = 0; i < sizeof STORE_CHECKS / sizeof *STORE_CHECKS; i++) {
        Finding finding = {.kind = FINDING_OK};
        STORE_CHECKS[i].look(&rights, &finding);
        report_finding(report, "store", STORE_CHECKS[i].name, &finding);
    }
}

/* The owner's connection serves `migrate` alone: without it the daemon runs, but is not upgraded. */
static void check_owner(const Config *config, Report *report) {
    if (strcmp(config->store_owner_dsn, config->store_dsn) == 0)
        return;
    Error err = {0};
    Finding finding = {.kind = FINDING_OK};
    CLEANUP(pg_drop) Pg *owner = pg_open(config->store_owner_dsn, "revcycled doctor", STORE_TIMEOUT_MS, &err);
    if (!owner)
        finding_mind(&finding, "check store.owner_dsn", "`migrate` would fail: %s", err.text);
    report_finding(report, "store", "owner", &finding);
}

static void check_postgres(const Config *config, Report *report) {
    Error err = {0};
    CLEANUP(pg_drop) Pg *pg = pg_open(config->store_dsn, "revcycled doctor", STORE_TIMEOUT_MS, &err);
    report_outcome(report, "store", "connection", pg, &err);
    if (!pg)
        return;
    check_owner(config, report);
    bool is_migrated = migrate_check(pg, &err);
    report_outcome(report, "store", "schemas", is_migrated, &err);
    if (is_migrated)
        check_rights(report, pg);
}

/* ---- claims ---- */

typedef struct DropVisit {
    const ClaimsConfig *claims;
    struct stat info; /* of the directory */
} DropVisit;

static void check_mode(const DropVisit *visit, Finding *finding) {
    if (visit->info.st_mode & S_IWOTH)
        finding_mind(finding, "chmod o-w, and give its senders a group",
                     "every account of this machine may put claims into %s", visit->claims->directory);
    else if (visit->info.st_mode & S_IROTH)
        finding_mind(finding, "chmod o-r", "every account of this machine may list %s", visit->claims->directory);
}

/* A file goes on by rename, which does not cross file systems. */
static void check_folders(const DropVisit *visit, Finding *finding) {
    static const char *const FOLDERS[] = {"receiving", "done", "failed"};
    for (size_t i = 0; i < sizeof FOLDERS / sizeof *FOLDERS; i++) {
        char path[PATH_MAX];
        struct stat info;
        Error err = {0};
        snprintf(path, sizeof path, "%s/%s", visit->claims->directory, FOLDERS[i]);
        if (stat(path, &info) != 0)
            continue; /* made by the first run */
        if (!S_ISDIR(info.st_mode))
            error_set(&err, STATE_CONFIG, "%s is no directory", path);
        else if (info.st_dev != visit->info.st_dev)
            error_set(&err, STATE_CONFIG, "%s lies on another file system: files cannot be moved there", path);
        else
            continue;
        error_hint(&err, "make it a plain directory inside the drop directory");
        finding_bad(finding, &err);
    }
}

static void check_space(const DropVisit *visit, Finding *finding) {
    struct statvfs disk;
    if (statvfs(visit->claims->directory, &disk) == 0 && (uint64_t)disk.f_bavail * disk.f_frsize < FREE_MIN_BYTES)
        finding_mind(finding, "make room, or move the directory", "less than 1 GiB is free at %s",
                     visit->claims->directory);
}

static const struct {
    const char *name;
    void (*look)(const DropVisit *visit, Finding *finding);
} DROP_CHECKS[] = {
    {"mode", check_mode},
    {"folders", check_folders},
    {"disk", check_space},
};

static bool can_use_directory(DropVisit *visit, Error *err) {
    const char *directory = visit->claims->directory;
    if (stat(directory, &visit->info) != 0)
        error_set_errno(err, errno, "directory %s", directory);
    else if (!S_ISDIR(visit->info.st_mode))
        error_set(err, STATE_CONFIG, "%s is no directory", directory);
    else if (access(directory, R_OK | W_OK | X_OK) != 0)
        error_set_errno(err, errno, "directory %s", directory);
    else
        return true;
    return error_hint(err, "create it, and let the daemon's user read and write it");
}

static void check_claims(Report *report, const ClaimsConfig *claims) {
    DropVisit visit = {.claims = claims};
    Error err = {0};
    bool is_usable = can_use_directory(&visit, &err);
    report_outcome(report, claims->name, "directory", is_usable, &err);
    for (size_t i = 0; is_usable && i < sizeof DROP_CHECKS / sizeof *DROP_CHECKS; i++) {
        Finding finding = {.kind = FINDING_OK};
        DROP_CHECKS[i].look(&visit, &finding);
        report_finding(report, claims->name, DROP_CHECKS[i].name, &finding);
    }
}

/* ---- secrets ---- */

static void check_secret_file(Report *report, const char *subject, const char *key, const char *file) {
    char path[PATH_MAX];
    struct stat info;
    Finding finding = {.kind = FINDING_OK};
    if (!file)
        return;
    secret_path(file, path);
    if (stat(path, &info) != 0) {
        Error err = {0};
        error_set_errno(&err, errno, "%s", path);
        error_hint(&err, "write it, and let the daemon's user alone read it");
        finding_bad(&finding, &err);
    } else if (info.st_mode & (S_IRWXO | S_IWGRP)) {
        finding_mind(&finding, "chmod 600, or 640 with a group of the daemon's own", "others than the daemon may use %s",
                     path);
    }
    report_finding(report, subject, key, &finding);
}

static void check_secrets(const Config *config, Report *report) {
    check_secret_file(report, "server", "tls_key", config->server.tls_key);
    for (size_t i = 0; i < config->n_sources; i++)
        check_secret_file(report, config->sources[i].name, "password_file", config->sources[i].password_file);
    check_secret_file(report, "audit", "key_file", config->audit_key_file);
    if (config->bigquery.enabled)
        check_secret_file(report, "bigquery", "credentials_file", config->bigquery.credentials_file);
}

/* ---- audit ---- */

static void check_audit(const Config *config, Report *report) {
    Finding finding = {.kind = FINDING_OK};
    Error err = {0};
    CLEANUP(audit_keys_wipe) AuditKeys keys = {.n = 0};
    if (!config->audit_key_file)
        finding_mind(&finding, "openssl rand -hex 32 into a file that only the daemon reads, and name it as audit.key_file",
                     "the audit trail is kept, and not sealed");
    else if (!sealer_keys(config->audit_key_file, &keys, &err))
        finding_bad(&finding, &err);
    report_finding(report, "audit", "key", &finding);
}

/* ---- BigQuery ---- */

static void check_bigquery(const BigQueryConfig *config, Report *report) {
    if (!config->enabled)
        return;
    Error err = {0};
    atomic_bool never = false;
    BigQueryOptions options = {.project = config->project, .dataset = config->dataset, .location = config->location,
                               .endpoint = config->endpoint, .credentials_file = config->credentials_file,
                               .timeout_ms = config->timeout_ms};
    CLEANUP(bigquery_drop) BigQuery *bq = bigquery_open(&options, &never, &err);
    BigQueryTableFacts facts;
    bool is_reached = bq && bigquery_look_at_table(bq, "_publications", &facts, &err);
    report_outcome(report, "bigquery", "dataset", is_reached, &err);
    if (is_reached)
        report_outcome(report, "bigquery", "jobs", check_bigquery_jobs(bq, &err), &err);
}

/* ---- registers ---- */

static bool is_well(const ReferenceService *service, Reference reference, Arena *arena, Error *err) {
    if (REFERENCE_KINDS[reference].format) {
        ReferenceList ignored;
        return reference_file_read(service, reference, arena, &ignored, err);
    }
    atomic_bool never = false;
    HttpLimits limits = {.total_ms = service->timeout_ms, .answer_bytes_max = REFERENCE_BYTES_MAX};
    CLEANUP(http_drop) HttpClient *client = http_open(&limits, &never, err);
    return client && lookup_probe(client, reference, service->endpoint, arena, err);
}

static void check_references(const Config *config, Report *report) {
    for (Reference reference = 0; reference < REFERENCES; reference++) {
        const ReferenceService *service = &config->references[reference];
        Error err = {0};
        CLEANUP(arena_drop) Arena *arena = arena_open();
        if (service->enabled)
            report_outcome(report, "reference", REFERENCE_KINDS[reference].name, is_well(service, reference, arena, &err),
                           &err);
    }
}

bool doctor_run(const Config *config, FILE *out) {
    Report report = {.out = out, .is_well = true};
    check_postgres(config, &report);
    check_secrets(config, &report);
    check_audit(config, &report);
    for (size_t i = 0; i < config->n_sources; i++)
        doctor_check_source(&config->sources[i], &report);
    for (size_t i = 0; i < config->n_claims; i++)
        check_claims(&report, &config->claims[i]);
    check_bigquery(&config->bigquery, &report);
    check_references(config, &report);
    return report.is_well;
}
