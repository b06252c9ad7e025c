/* config.h - everything the configuration says, checked and typed.
 *
 * One table of keys in config.c: path, type, default, range, reloadable, help. --check-config,
 * --help and GET /v1/config read it. A Config is immutable and lives in its own arena; a reload makes
 * a new one. Secrets are read from their files when needed, never kept in it. */
#pragma once
#include "base/arena.h"
#include "base/error.h"
#include "storage/watermark.h"
#include "transform/drift.h"
#include "transform/formats/csv.h"
#include "transform/formats/decode.h"
#include "transform/formats/fixed.h"
#include "transform/mapping.h"
#include "transform/person.h"
#include "transform/reference.h"

#include <stdio.h>

typedef enum TlsMode { TLS_OFF, TLS_PREFERRED, TLS_REQUIRED } TlsMode;

typedef enum SourceKind { SOURCE_MYSQL, SOURCE_FILES /* known by its files alone */ } SourceKind;

typedef struct FeedConfig FeedConfig;

typedef struct SourceConfig {
    const char *name; /* source_system */
    const char *renamed_from; /* its name before, or NULL */
    SourceKind kind;
    const char *host, *socket, *database, *user;
    const char *password_file, *password_env; /* at most one */
    int port;
    TlsMode tls;
    const char *tls_ca;
    int64_t timeout_ms; /* for one statement */
    const char *timezone;
    const Zone *zone;
    const FeedConfig *feeds;
    size_t n_feeds;
} SourceConfig;

struct FeedConfig {
    const char *name;  /* "hospital_a.patients": the feed's and the job's name */
    const char *local; /* "patients" */
    const SourceConfig *source;
    const char *table; /* defaults to the local name */
    const char *query; /* one SELECT in the table's place, or NULL */
    const char *const *key;
    size_t n_key;
    const char *cursor; /* NULL: read whole */
    CursorClock cursor_clock;
    int64_t margin_ms; /* for an application's clock */
    int64_t every_ms;
    int64_t reconcile_ms; /* 0: on demand only */
    int read_whole_rows; /* without a cursor: above, buckets are compared */
    int delete_share, delete_rows; /* the delete guard: percent of the rows, and rows in any case */
    int page_rows;
    int page_bytes;
    Contract on_new_column, on_missing_column, on_retyped_column;
    MappingSpec mapping;
    Tells tells;
};

/* `{pattern: "hospital1_*.csv", source: hospital_a, period: …}` */
typedef struct FilePattern {
    const char *pattern;
    const char *source; /* source_system: one of the sources, of either kind */
    const char *period; /* regular expression whose group 1 is the period, or NULL */
    const char *timezone; /* the source's; the house's where it is no hospital of the configuration */
    const Zone *zone;
    const char *clock_name; /* X12: zone of the clock that the senders of these files read; NULL: nobody said */
    const Zone *clock;
} FilePattern;

/* In the order of the configuration's choices. */
typedef enum ClaimsFormat {
    FORMAT_CSV, FORMAT_TSV, FORMAT_SEMICOLON, FORMAT_PIPE, FORMAT_FIXED, FORMAT_DETECT, FORMAT_X12
} ClaimsFormat;
typedef enum DecimalSign { DECIMAL_POINT, DECIMAL_COMMA } DecimalSign;
typedef enum HeaderMode { HEADER_AUTO, HEADER_YES, HEADER_NO } HeaderMode;

/* What other files call a column: `ClaimID: [claim_no, "Claim Number"]`. */
typedef struct ColumnAlias {
    const char *name;
    const char *const *others;
    size_t n_others;
} ColumnAlias;

typedef struct ClaimsConfig {
    const char *name;  /* "claims.monthly" */
    const char *local; /* "monthly" */
    const char *kind; /* "files" */
    const char *directory;
    ClaimsFormat format;
    char delimiter;     /* 0: the format's own */
    CsvQuote quote;
    HeaderMode header;
    const FixedColumn *columns; /* their names, where the configuration says them; places with FORMAT_FIXED alone */
    size_t n_columns;
    const ColumnAlias *aliases;
    size_t n_aliases;
    EncodingDeclared encoding;
    DecimalSign decimal;             /* of amounts whose column says nothing of its own */
    const char *const *date_format;  /* of dates and times, likewise; none: ISO */
    size_t n_date_formats;
    int64_t max_unpacked_bytes; /* of a packed file */
    int max_unpacked_ratio;     /* of its unpacked bytes to its packed ones */
    bool fold_ids;
    int64_t every_ms; /* scan, besides inotify */
    int64_t settle_ms; /* a file that was not closed by rename is complete after this long unchanged */
    int max_line_bytes, max_field_bytes;
    int page_rows, page_bytes;
    const FilePattern *from;
    size_t n_from;
    MappingSpec mapping;
} ClaimsConfig;

typedef struct BigQueryConfig {
    bool enabled;
    const char *project, *dataset, *location, *credentials_file, *endpoint;
    PrivacyProfile profile;
    int64_t every_ms;
    int64_t compare_every_ms;
    int64_t max_load_jobs_per_day;
    int64_t max_bytes_billed_per_day;
    int64_t timeout_ms;
} BigQueryConfig;

/* A public register that is asked one code at a time, or a file of the customer's. */
typedef struct ReferenceService {
    bool enabled;
    const char *file; /* a file's, and of what follows `every_ms` alone */
    const char *endpoint;
    int64_t every_ms;   /* between looks for what is not known yet */
    int64_t max_age_ms; /* of an answer */
    int64_t timeout_ms; /* for one request */
    int requests_per_second;
} ReferenceService;

/* Where a run's lineage is told, and under which name. */
typedef struct LineageConfig {
    bool enabled;
    const char *file, *url, *token_file, *namespace;
    int64_t file_bytes_max;
} LineageConfig;

/* How long things are kept that nothing needs any more; 0: for ever. */
typedef struct RetentionConfig {
    bool enabled;
    int64_t every_ms;
    int64_t bronze_ms, quarantine_ms, runs_ms, audit_ms;
} RetentionConfig;

typedef struct ServerConfig {
    const char *listen; /* "127.0.0.1:8080", "[::1]:8080" or "/run/revcycled/api.sock" */
    const char *tls_certificate, *tls_key;
    bool metrics_need_token;
} ServerConfig;

typedef struct Config {
    Arena *arena;
    const char *path;
    ServerConfig server;
    const char *store_dsn, *store_owner_dsn; /* owner_dsn defaults to dsn */
    int64_t lease_ms;
    int workers;
    const char *audit_key_file; /* NULL: the audit trail is not sealed */
    const char *timezone;
    const Zone *zone;
    int fiscal_year_start_month;
    const SourceConfig *sources;
    size_t n_sources;
    const ClaimsConfig *claims;
    size_t n_claims;
    const RuleSpec *rules;
    size_t n_rules;
    const PersonRule *person_rules; /* strongest first; PERSON_RULES where none are written */
    size_t n_person_rules;
    BigQueryConfig bigquery;
    ReferenceService references[REFERENCES];
    RetentionConfig retention;
    LineageConfig lineage;
} Config;

/* Reads the file and conf.d/<name>.yaml beside it, in the order of their names. Every mistake is told with its
 * place, "file:line:column"; NULL when there was one. */
typedef void (*ConfigReport)(void *context, const char *place, const char *sentence);
Config *config_load(const char *path, ConfigReport report, void *context);
/* A ConfigReport that writes lines to the FILE which is its context. */
void config_print_mistake(void *out, const char *place, const char *sentence);
void config_free(Config *config);
/* A feed of a source or of claims: "hospital_a.patients", "claims.monthly". */
bool config_has_feed(const Config *config, const char *name);
/* The table of keys, for --help. */
void config_print_help(FILE *out);
