/* config_keys.c - see config_keys.h. */
#include "config_keys.h"

#include "base/nearest.h"
#include "config.h"
#include "config_value.h"

#include <stdlib.h>

#define CHOICES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define IN(struct_type, member) offsetof(struct_type, member)
#define DAYS(n) ((n) * MS_PER_DAY)

enum { KIB = 1 << 10, MIB = 1 << 20 };

/* Every register is asked in the same way. */
#define REGISTER_KEYS(register, address)                                                                               \
    {"reference." register ".endpoint", KEY_TEXT, IN(ReferenceService, endpoint), address,                             \
     .help = "its address; https, or http to this machine"},                                                           \
    {"reference." register ".every", KEY_DURATION, IN(ReferenceService, every_ms), "1h", 1000, DAYS(30),               \
     .help = "time between looks for what nobody was asked about; new rows are looked at at once"},                    \
    {"reference." register ".requests_per_second", KEY_INT, IN(ReferenceService, requests_per_second), "2", 1, 1000,   \
     .help = "at most"},                                                                                               \
    {"reference." register ".max_age", KEY_DURATION, IN(ReferenceService, max_age_ms), "90d", 1000, DAYS(3650),        \
     .help = "how long an answer is good for"},                                                                        \
    {"reference." register ".timeout", KEY_DURATION, IN(ReferenceService, timeout_ms), "30s", 1000, 10 * 60 * 1000,    \
     .help = "time for one request"}

#define FILE_KEYS(list, columns)                                                                                       \
    {"reference." list ".file", KEY_PATH, IN(ReferenceService, file), .is_required = true,                             \
     .help = "CSV with a line of names: " columns},                                                                    \
    {"reference." list ".every", KEY_DURATION, IN(ReferenceService, every_ms), "5m", 1000, DAYS(30),                   \
     .help = "time between looks at the file"}

const ConfigKey CONFIG_KEYS[] = {
    {"server", KEY_PART, .needs_restart = true, .help = "the control API"},
    {"server.listen", KEY_ADDRESS, IN(ServerConfig, listen), "127.0.0.1:8080", .needs_restart = true,
     .help = "host:port, or the path of a unix socket; beyond loopback TLS is needed"},
    {"server.tls_certificate", KEY_PATH, IN(ServerConfig, tls_certificate), .needs_restart = true,
     .help = "PEM file with the certificate and its chain"},
    {"server.tls_key", KEY_PATH, IN(ServerConfig, tls_key), .needs_restart = true, .help = "PEM file with the key"},
    {"server.metrics_need_token", KEY_BOOL, IN(ServerConfig, metrics_need_token), "false", .needs_restart = true,
     .help = "whether /metrics asks for a token"},

    {"store", KEY_PART, .is_required = true, .needs_restart = true, .help = "the PostgreSQL database"},
    {"store.dsn", KEY_DSN, IN(Config, store_dsn), .is_required = true, .needs_restart = true,
     .help = "connection string of the daemon's account; passwords by passfile="},
    {"store.owner_dsn", KEY_DSN, IN(Config, store_owner_dsn), .needs_restart = true,
     .help = "connection string of the owner's account, used by `migrate` alone"},

    {"store.lease", KEY_DURATION, IN(Config, lease_ms), "30s", 1000, 10 * 60 * 1000, .needs_restart = true,
     .help = "how long a daemon may not be heard of before others of the same store take its jobs"},

    {"audit", KEY_PART, .needs_restart = true, .help = "the audit trail's seals; without it the trail is kept and not sealed"},
    {"audit.key_file", KEY_FILE, IN(Config, audit_key_file), .is_required = true, .needs_restart = true,
     .help = "file with the keys of the seals, one a line, the last one in force; a relative name is a systemd credential"},

    {"workers", KEY_INT, IN(Config, workers), "4", 1, 64, .needs_restart = true,
     .help = "jobs that may run at the same time"},
    {"timezone", KEY_TEXT, IN(Config, timezone), "UTC", .help = "zone of the network's business dates"},
    {"fiscal_year_start_month", KEY_INT, IN(Config, fiscal_year_start_month), "1", 1, 12,
     .help = "month in which the fiscal year begins"},

    {"sources", KEY_PART, .help = "the hospitals, by name"},
    {"sources.*.kind", KEY_CHOICE, IN(SourceConfig, kind), "mysql", .choices = CHOICES("mysql", "files"),
     .help = "mysql, or files: a source that is known by its files alone"},
    {"sources.*.renamed_from", KEY_TEXT, IN(SourceConfig, renamed_from),
     .help = "its name before: all that bears it gets the new one, once"},
    {"sources.*.host", KEY_TEXT, IN(SourceConfig, host), .help = "name or address of the database server"},
    {"sources.*.port", KEY_INT, IN(SourceConfig, port), "3306", 1, 65535, .help = "its port"},
    {"sources.*.socket", KEY_PATH, IN(SourceConfig, socket), .help = "its unix socket, instead of host and port"},
    {"sources.*.database", KEY_TEXT, IN(SourceConfig, database), .help = "name of the database"},
    {"sources.*.user", KEY_TEXT, IN(SourceConfig, user), .help = "account that may read the database"},
    {"sources.*.password_file", KEY_FILE, IN(SourceConfig, password_file),
     .help = "file with its password; a relative name is a systemd credential"},
    {"sources.*.password", KEY_VARIABLE, IN(SourceConfig, password_env),
     .help = "${NAME} of an environment variable with its password, instead of a file"},
    {"sources.*.tls", KEY_CHOICE, IN(SourceConfig, tls), "required", .choices = CHOICES("off", "", "required"),
     .help = "required: encrypted, and the server's certificate checked"},
    {"sources.*.tls_ca", KEY_PATH, IN(SourceConfig, tls_ca), .help = "PEM file of the authority; the system's without it"},
    {"sources.*.timeout", KEY_DURATION, IN(SourceConfig, timeout_ms), "60s", 1000, 60 * 60 * 1000,
     .help = "longest time for one statement, in whole seconds; the server ends it then, and one that stays silent is given up"},
    {"sources.*.timezone", KEY_TEXT, IN(SourceConfig, timezone), .help = "zone of the hospital's dates and times; the network's without it"},
    {"sources.*.feeds", KEY_PART, .help = "its tables, by name"},

    {"sources.*.feeds.*.entity", KEY_PART, .is_required = true, .help = "table of the common data model"},
    {"sources.*.feeds.*.table", KEY_TEXT, IN(FeedConfig, table), .help = "the hospital's table; the feed's name without it"},
    {"sources.*.feeds.*.query", KEY_TEXT, IN(FeedConfig, query),
     .help = "instead of a table one SELECT, which is read as if it were one: for rows that stand in several tables"},
    {"sources.*.feeds.*.key", KEY_TEXTS, IN(FeedConfig, key), .min = 1, .max = 8, .is_required = true, .help = "columns of its primary key"},
    {"sources.*.feeds.*.cursor", KEY_TEXT, IN(FeedConfig, cursor), .help = "column that moves with every change; without one the table is read whole"},
    {"sources.*.feeds.*.cursor_clock", KEY_CHOICE, IN(FeedConfig, cursor_clock), "auto", .choices = CHOICES("auto", "server", "application"),
     .help = "whose clock fills the cursor; auto: the server's, where the column's own definition moves it"},
    {"sources.*.feeds.*.margin", KEY_DURATION, IN(FeedConfig, margin_ms), "0", 0, DAYS(7),
     .help = "how far behind the watermark every poll stays: skew and latency of an application's clock"},
    {"sources.*.feeds.*.every", KEY_DURATION, IN(FeedConfig, every_ms), "5m", 100, DAYS(30), .help = "time between polls"},
    {"sources.*.feeds.*.reconcile", KEY_DURATION, IN(FeedConfig, reconcile_ms), "24h", 0, DAYS(365),
     .help = "time between comparisons of the whole table, which find what no cursor sees; 0: on demand only"},
    {"sources.*.feeds.*.read_whole_rows", KEY_INT, IN(FeedConfig, read_whole_rows), "100000", 0, 1000000000,
     .help = "rows up to which a table without a cursor is read whole at every poll; above, its server compares"},
    {"sources.*.feeds.*.delete_share", KEY_INT, IN(FeedConfig, delete_share), "5", 0, 100,
     .help = "percent of its rows that a reconcile deletes without asking a person"},
    {"sources.*.feeds.*.delete_rows", KEY_INT, IN(FeedConfig, delete_rows), "100", 0, 1000000000,
     .help = "rows that it deletes without asking, whatever their share"},
    {"sources.*.feeds.*.page_rows", KEY_INT, IN(FeedConfig, page_rows), "2500", 1, 50000, .help = "rows per transaction, at most"},
    {"sources.*.feeds.*.page_bytes", KEY_SIZE_INT, IN(FeedConfig, page_bytes), "4MiB", 64 * KIB, 64 * MIB, .help = "bytes per transaction, at most"},
    {"sources.*.feeds.*.on_new_column", KEY_CHOICE, IN(FeedConfig, on_new_column), "evolve", .choices = CHOICES("evolve", "freeze", "discard"),
     .help = "a column that appeared: read it, stop the feed, or go on without it"},
    {"sources.*.feeds.*.on_missing_column", KEY_CHOICE, IN(FeedConfig, on_missing_column), "freeze", .choices = CHOICES("evolve", "freeze", "discard"),
     .help = "a column that vanished: go on without it, or stop the feed; one that is mapped always stops it"},
    {"sources.*.feeds.*.on_retyped_column", KEY_CHOICE, IN(FeedConfig, on_retyped_column), "evolve", .choices = CHOICES("evolve", "freeze", "discard"),
     .help = "a column of another type: read it as it is, stop the feed, or go on without it"},
    {"sources.*.feeds.*.tells", KEY_CHOICE, IN(FeedConfig, tells), "now", .choices = CHOICES("now", "past"),
     .help = "now: the table shows what is true; past: it is a table of what was, and its rows go between the versions"},
    {"sources.*.feeds.*.map", KEY_PART, .help = "column of the model: column of the hospital, or {from:, clean:}"},
    {"sources.*.feeds.*.map_file", KEY_PART, .help = "file with such a map, shared by several feeds; `map` goes before it"},

    {"claims", KEY_PART, .help = "drop directories of claims files, by name"},
    {"claims.*.kind", KEY_WORD, IN(ClaimsConfig, kind), "files", .choices = CHOICES("files"), .help = "files"},
    {"claims.*.directory", KEY_PATH, IN(ClaimsConfig, directory), .is_required = true, .help = "the drop directory"},
    {"claims.*.format", KEY_CHOICE, IN(ClaimsConfig, format), "csv",
     .choices = CHOICES("csv", "tsv", "semicolon", "pipe", "fixed", "detect", "x12"),
     .help = "what parts the fields: a comma (or `delimiter`), a tab, a semicolon, a pipe, their places; detect: the one that finds the columns; x12: 837, 835, 277, 999 and TA1, and `map` is not needed"},
    {"claims.*.delimiter", KEY_BYTE, IN(ClaimsConfig, delimiter), .help = "with format csv: another character between fields; \\t is a tab"},
    {"claims.*.quote", KEY_CHOICE, IN(ClaimsConfig, quote), "double", .choices = CHOICES("double", "none", "backslash"),
     .help = "how a field holds a delimiter or a quote: \"say \"\"so\"\"\", not at all, or \"say \\\"so\\\"\""},
    {"claims.*.header", KEY_CHOICE, IN(ClaimsConfig, header), "auto", .choices = CHOICES("auto", "true", "false"),
     .help = "whether line 1 names the columns; auto: unless `columns` does"},
    {"claims.*.columns", KEY_PART, .help = "names of the columns in their order, where line 1 does not say them; with format fixed {name:, start:, width:} of each"},
    {"claims.*.columns[].name", KEY_TEXT, IN(FixedColumn, name), .is_required = true, .help = "what `map` calls the column"},
    {"claims.*.columns[].start", KEY_INT, IN(FixedColumn, start), .min = 1, .max = 1000000, .is_required = true, .help = "its first character, from 1"},
    {"claims.*.columns[].width", KEY_INT, IN(FixedColumn, width), .min = 1, .max = 1000000, .is_required = true, .help = "its characters"},
    {"claims.*.aliases", KEY_PART, .help = "what other files call a column: `ClaimID: [claim_no, \"Claim Number\"]`"},
    {"claims.*.encoding", KEY_CHOICE, IN(ClaimsConfig, encoding), "detect",
     .choices = CHOICES("detect", "utf-8", "utf-16", "utf-16le", "utf-16be", "windows-1252"),
     .help = "of the files; detect: by the byte order mark, else UTF-8, and a text that is none is read as Windows-1252 and flagged text_repaired"},
    {"claims.*.decimal", KEY_CHOICE, IN(ClaimsConfig, decimal), "point", .choices = CHOICES("point", "comma"),
     .help = "decimal sign of amounts: 1,234.50 or 1.234,50; a column's own `clean` goes before it"},
    {"claims.*.date_format", KEY_TEXTS, IN(ClaimsConfig, date_format), .min = 1, .max = 8,
     .help = "how dates and times are written, as in \"MM/DD/YYYY\" or [ISO, \"DD.MM.YYYY hh:mm\"]; ISO without it; a column's own `clean` goes before it"},
    {"claims.*.max_unpacked_bytes", KEY_SIZE, IN(ClaimsConfig, max_unpacked_bytes), "64GiB", 64 * KIB, INT64_C(1) << 50,
     .help = "of a gzip or zip: one that unpacks to more is refused"},
    {"claims.*.max_unpacked_ratio", KEY_INT, IN(ClaimsConfig, max_unpacked_ratio), "200", 2, 1100,
     .help = "how many times its size a gzip or zip may unpack to, above the first MiB"},
    {"claims.*.fold_ids", KEY_BOOL, IN(ClaimsConfig, fold_ids), "true", .help = "ids that differ in case only are the same"},
    {"claims.*.entity", KEY_PART, .is_required = true, .help = "table of the common data model"},
    {"claims.*.every", KEY_DURATION, IN(ClaimsConfig, every_ms), "30s", 100, DAYS(1), .help = "time between scans of the directory, besides inotify"},
    {"claims.*.complete_after", KEY_DURATION, IN(ClaimsConfig, settle_ms), "10s", 0, DAYS(1),
     .help = "a file that nobody closed or renamed in counts as complete after this long unchanged"},
    {"claims.*.max_line_bytes", KEY_SIZE_INT, IN(ClaimsConfig, max_line_bytes), "1MiB", 1 * KIB, 16 * MIB, .help = "longest row of a file"},
    {"claims.*.max_field_bytes", KEY_SIZE_INT, IN(ClaimsConfig, max_field_bytes), "64KiB", 256, 16 * MIB, .help = "longest field of a row"},
    {"claims.*.page_rows", KEY_INT, IN(ClaimsConfig, page_rows), "2500", 1, 50000, .help = "rows per transaction, at most"},
    {"claims.*.page_bytes", KEY_SIZE_INT, IN(ClaimsConfig, page_bytes), "4MiB", 64 * KIB, 64 * MIB, .help = "bytes per transaction, at most"},
    {"claims.*.from", KEY_PART, .is_required = true, .help = "which source a file belongs to, by its name"},
    {"claims.*.from[].pattern", KEY_TEXT, IN(FilePattern, pattern), .is_required = true, .help = "name with * and ?, without .gz or .zip"},
    {"claims.*.from[].source", KEY_TEXT, IN(FilePattern, source), .is_required = true, .help = "name of the source"},
    {"claims.*.from[].timezone", KEY_TEXT, IN(FilePattern, clock_name),
     .help = "X12: zone of the sender's clock; without it the hospital's is taken, and what a payer says counts as of the end of its day"},
    {"claims.*.from[].period", KEY_TEXT, IN(FilePattern, period), .help = "regular expression; its first group is the period"},
    {"claims.*.map", KEY_PART, .help = "as in a feed"},
    {"claims.*.map_file", KEY_PART, .help = "as in a feed"},

    {"rules", KEY_PART, .help = "a site's own rules, besides those built in"},
    {"rules[].name", KEY_TEXT, IN(RuleSpec, name), .is_required = true, .help = "the flag's name"},
    {"rules[].kind", KEY_CHOICE, IN(RuleSpec, kind), "check",
     .choices = CHOICES("check", "not_null", "type", "range", "pattern", "list", "unique", "reference", "cross_row", "cross_table", "freshness", "volume"),
     .help = "what it looks at: one row (the first six), several rows (unique to cross_table), a feed (freshness, volume)"},
    {"rules[].entity", KEY_TEXT, IN(RuleSpec, entity), .help = "table of the common data model"},
    {"rules[].says", KEY_TEXT, IN(RuleSpec, says), .help = "what holds of a good row, in a sentence for people"},
    {"rules[].check", KEY_TEXT, IN(RuleSpec, check), .help = "what holds of a good row: \"copay <= 500\"; not for built-in rules"},
    {"rules[].column", KEY_TEXT, IN(RuleSpec, attribute), .help = "the column it is about"},
    {"rules[].columns", KEY_TEXTS, IN(RuleSpec, columns), .min = 1, .max = 8,
     .help = "kind unique: which are not alike in two rows; cross_row: rows that have these alike are taken together"},
    {"rules[].type", KEY_WORD, IN(RuleSpec, form), .choices = CHOICES("whole_number", "decimal", "date", "npi"),
     .help = "kind type: how the text of the column is written"},
    {"rules[].min", KEY_TEXT, IN(RuleSpec, min), .help = "kind range: the least value"},
    {"rules[].max", KEY_TEXT, IN(RuleSpec, max), .help = "kind range: the greatest value"},
    {"rules[].pattern", KEY_TEXT, IN(RuleSpec, pattern), .help = "kind pattern: regular expression of the whole text, \"[0-9]{5}(-[0-9]{4})?\""},
    {"rules[].values", KEY_TEXTS, IN(RuleSpec, values), .min = 1, .max = 100, .help = "kind list: the values that may stand there"},
    {"rules[].references", KEY_TEXT, IN(RuleSpec, references), .help = "kind reference: the entity that has the row which `column` names"},
    {"rules[].total", KEY_WORD, IN(RuleSpec, total), .choices = CHOICES("sum", "count", "distinct", "min", "max"),
     .help = "kind cross_row: what the rows come to"},
    {"rules[].compare", KEY_WORD, IN(RuleSpec, compare), .choices = CHOICES("=", "<>", "<", "<=", ">", ">="),
     .help = "kinds cross_row and cross_table: how it stands to `limit` or `other` in a good row"},
    {"rules[].other", KEY_TEXT, IN(RuleSpec, other), .help = "column of the row itself, or entity.column of the row that it names"},
    {"rules[].limit", KEY_TEXT, IN(RuleSpec, limit), .help = "kind cross_row: a number"},
    {"rules[].feed", KEY_TEXT, IN(RuleSpec, feed), .help = "kinds freshness and volume: hospital_a.patients, claims.monthly"},
    {"rules[].within", KEY_DURATION, IN(RuleSpec, within_ms), .min = 1000, .max = DAYS(3660), .help = "kind freshness: how old the feed's newest change may be"},
    {"rules[].percent", KEY_INT, IN(RuleSpec, percent), "50", 1, 1000, .help = "kind volume: how far a run's rows may be from the usual, either way"},
    {"rules[].runs", KEY_INT, IN(RuleSpec, runs), "10", 3, 1000, .help = "kind volume: how many runs before it tell what is usual"},
    {"rules[].severity", KEY_CHOICE, IN(RuleSpec, severity), "flag", .choices = CHOICES("flag", "quarantine", "stop"), .help = "what happens when it is broken; which a kind can have: docs/operations.md, Rules"},
    {"rules[].stop_percent", KEY_INT, IN(RuleSpec, stop_percent), "10", 0, 100, .help = "severity stop: share of rows above which it stops, the feed at a page, or publications"},

    {"persons", KEY_PART, .help = "rules by which patients are one person, strongest first; without it those built in"},
    {"persons[].name", KEY_TEXT, IN(PersonRule, name), .is_required = true, .help = "what explanations call the rule"},
    {"persons[].match", KEY_TEXTS, IN(PersonRule, match), .min = 1, .max = 8, .is_required = true,
     .help = "attributes that must agree: ssn, birth_date, birth_digits, first_name, first_initial, middle_initial, last_name, gender, phone, email, street, city, state, zip, member_id"},

    {"bigquery", KEY_PART, .help = "where the star schema is published; nowhere without it"},
    {"bigquery.project", KEY_TEXT, IN(BigQueryConfig, project), .is_required = true, .help = "the Google project"},
    {"bigquery.dataset", KEY_TEXT, IN(BigQueryConfig, dataset), "healthcare_rcm", .help = "the dataset"},
    {"bigquery.location", KEY_TEXT, IN(BigQueryConfig, location), "US", .help = "its location"},
    {"bigquery.credentials_file", KEY_FILE, IN(BigQueryConfig, credentials_file), .help = "key of a service account; the metadata server without it"},
    {"bigquery.endpoint", KEY_TEXT, IN(BigQueryConfig, endpoint), .help = "an emulator's address"},
    {"bigquery.profile", KEY_CHOICE, IN(BigQueryConfig, profile), "limited", .choices = CHOICES("limited", "full"), .help = "what may leave the house"},
    {"bigquery.every", KEY_DURATION, IN(BigQueryConfig, every_ms), "5m", 1000, DAYS(7), .help = "time between publications, at least"},
    {"bigquery.compare_every", KEY_DURATION, IN(BigQueryConfig, compare_every_ms), "24h", 60 * 1000, DAYS(31), .help = "time between comparisons of all partitions of all tables"},
    {"bigquery.max_load_jobs_per_day", KEY_COUNT, IN(BigQueryConfig, max_load_jobs_per_day), "20000", 1, 1000000, .help = "load jobs per project and day"},
    {"bigquery.max_bytes_billed_per_day", KEY_SIZE, IN(BigQueryConfig, max_bytes_billed_per_day), "1TiB", MIB, INT64_C(1) << 60, .help = "bytes billed per day"},
    {"bigquery.timeout", KEY_DURATION, IN(BigQueryConfig, timeout_ms), "1h", 1000, DAYS(1), .help = "time for one load or query"},

    {"reference", KEY_PART, .help = "registers that are asked about what silver names; none without it"},
    {"reference.npi", KEY_PART, .help = "the NPI registry: whether a provider's number is given out, and for what; only numbers are sent"},
    REGISTER_KEYS("npi", "https://npiregistry.cms.hhs.gov/api/"),
    {"reference.icd10", KEY_PART, .help = "the ICD-10-CM list: which diagnoses there are, and what they are; only codes are sent"},
    REGISTER_KEYS("icd10", "https://clinicaltables.nlm.nih.gov/api/icd10cm/v3/search"),
    {"reference.hcpcs", KEY_PART, .help = "the list of HCPCS level II: which procedures there are, and what they are; only codes are sent"},
    REGISTER_KEYS("hcpcs", "https://clinicaltables.nlm.nih.gov/api/hcpcs/v3/search"),
    {"reference.cpt", KEY_PART, .help = "what CPT codes mean, by a file of your own; the texts need a licence of the AMA's"},
    FILE_KEYS("cpt", "code, description and, if there is one, category"),
    {"reference.carc", KEY_PART, .help = "what reason codes of adjustments (CARC) mean, by a file of your own; the texts are X12's"},
    FILE_KEYS("carc", "code, description and, if there is one, category"),
    {"reference.rarc", KEY_PART, .help = "what remark codes of remittances (RARC) mean, by a file of your own"},
    FILE_KEYS("rarc", "code, description and, if there is one, category"),
    {"reference.payers", KEY_PART, .help = "how payers are called, and what they are, by a file of your own"},
    FILE_KEYS("payers", "alias, payer_name and, if there are any, payer_type and source_system"),

    {"retention", KEY_PART, .help = "what is deleted by its age, where nothing needs it; everything is kept without it"},
    {"retention.bronze", KEY_DURATION, IN(RetentionConfig, bronze_ms), "0", 0, DAYS(36500),
     .help = "how long raw rows are kept that newer ones replaced; 0: for ever, else at least 30d"},
    {"retention.quarantine", KEY_DURATION, IN(RetentionConfig, quarantine_ms), "0", 0, DAYS(36500),
     .help = "how long entries are kept after they were replayed or superseded; 0: for ever, else at least 30d"},
    {"retention.runs", KEY_DURATION, IN(RetentionConfig, runs_ms), "0", 0, DAYS(36500),
     .help = "how long runs that changed nothing, and reports of reconciles, are kept; 0: for ever, else at least 30d"},
    {"retention.audit", KEY_DURATION, IN(RetentionConfig, audit_ms), "0", 0, DAYS(36500),
     .help = "how long months of the audit trail are kept; 0: for ever, else at least 6y"},
    {"retention.every", KEY_DURATION, IN(RetentionConfig, every_ms), "24h", 60 * 1000, DAYS(30), .help = "time between looks"},
    {"lineage", KEY_PART, .needs_restart = true, .help = "OpenLineage events of runs that did something; none without it"},
    {"lineage.file", KEY_PATH, IN(LineageConfig, file), .needs_restart = true, .help = "file they are appended to, one a line; or"},
    {"lineage.url", KEY_TEXT, IN(LineageConfig, url), .needs_restart = true,
     .help = "address they are posted to, one a request; https, or http to this machine"},
    {"lineage.token_file", KEY_FILE, IN(LineageConfig, token_file), .needs_restart = true,
     .help = "with url: file with a bearer token; a relative name is a systemd credential"},
    {"lineage.namespace", KEY_TEXT, IN(LineageConfig, namespace), "revcycled", .needs_restart = true, .help = "what their jobs' namespace is called"},
    {"lineage.max_file_bytes", KEY_SIZE, IN(LineageConfig, file_bytes_max), "64MiB", 64 * KIB, INT64_C(1) << 40, .needs_restart = true,
     .help = "a file that grew to it becomes file.1, that one file.2, up to file.4"},
    {"alerts", KEY_LATER, .help = "whom to tell"},
};
const size_t N_CONFIG_KEYS = sizeof CONFIG_KEYS / sizeof *CONFIG_KEYS;

/* One value on its way into a struct. */
typedef struct Setting {
    Mistakes *mistakes;
    const ConfigKey *key;
    const char *name; /* last part of the path */
    Mark mark;
    char *target;
} Setting;

const char *keys_name_in(const ConfigKey *key, const char *section) {
    size_t size = strlen(section);
    if (strncmp(key->path, section, size) != 0)
        return NULL;
    const char *rest = key->path + size;
    if (size > 0 && *rest++ != '.')
        return NULL;
    return strpbrk(rest, ".[") ? NULL : rest;
}

static const ConfigKey *find_key(const char *section, const char *name) {
    for (size_t i = 0; i < N_CONFIG_KEYS; i++) {
        const char *known = keys_name_in(&CONFIG_KEYS[i], section);
        if (known && strcmp(known, name) == 0)
            return &CONFIG_KEYS[i];
    }
    return NULL;
}

static void refuse_unknown(Mistakes *mistakes, const char *section, const TreeItem *item) {
    Nearest nearest = nearest_start(str_of(item->key));
    for (size_t i = 0; i < N_CONFIG_KEYS; i++) {
        const char *known = keys_name_in(&CONFIG_KEYS[i], section);
        if (known)
            nearest_offer(&nearest, known);
    }
    char suggestion[NEAREST_TEXT_BYTES];
    nearest_suggest(&nearest, suggestion);
    mistake_add(mistakes, item->mark, "unknown key `%s`%s", item->key, suggestion);
}

static void set_text(const Setting *s, const char *text) { memcpy(s->target, &text, sizeof text); }

static const char *expand(const Setting *s, const char *text) {
    const char *missing, *value = value_expand(s->mistakes->arena, text, &missing);
    if (missing)
        mistake_add(s->mistakes, s->mark, "`%s`: the environment has no %s", s->name, missing);
    else if (!value)
        mistake_add(s->mistakes, s->mark, "`%s`: `${` without a variable's name and `}`", s->name);
    return value;
}

static void put_plain(const Setting *s, const char *text) {
    if (text[0] == '\0')
        mistake_add(s->mistakes, s->mark, "`%s` is empty", s->name);
    set_text(s, text);
}

static void put_path(const Setting *s, const char *text) {
    if (text[0] != '/')
        mistake_add(s->mistakes, s->mark, "`%s` must be an absolute path", s->name);
    set_text(s, text);
}

static void put_file(const Setting *s, const char *text) {
    if (text[0] != '/' && (text[0] == '\0' || !getenv("CREDENTIALS_DIRECTORY")))
        mistake_add(s->mistakes, s->mark,
                    "`%s` must be an absolute path; a relative one needs $CREDENTIALS_DIRECTORY", s->name);
    set_text(s, text);
}

static void put_address(const Setting *s, const char *text) {
    if (!value_is_address(text))
        mistake_add(s->mistakes, s->mark,
                    "`%s: %s` is no address: write 127.0.0.1:8080, [::1]:8080 or the path of a socket", s->name, text);
    set_text(s, text);
}

static void put_variable(const Setting *s, const char *text) {
    const char *name = value_variable(s->mistakes->arena, text);
    if (!name)
        mistake_add(s->mistakes, s->mark, "`%s`: no secret stands in this file; write ${NAME} of an environment "
                    "variable, or use `%s_file`", s->name, s->name);
    else if (!getenv(name))
        mistake_add(s->mistakes, s->mark, "`%s`: the environment has no %s", s->name, name);
    set_text(s, name);
}

/* password=… or user:password@ as they stand in the file; ${NAME} may hold anything. */
static bool holds_password(const char *text) {
    const char *word = strstr(text, "password");
    const char *equals = word ? word + strlen("password") + strspn(word + strlen("password"), " ") : NULL;
    if (equals && *equals == '=' && strncmp(equals + 1 + strspn(equals + 1, " '"), "${", 2) != 0)
        return true;
    const char *host = strstr(text, "://"), *at = host ? strchr(host, '@') : NULL;
    const char *colon = at ? memchr(host + 3, ':', (size_t)(at - host - 3)) : NULL;
    return colon && strncmp(colon + 1, "${", 2) != 0;
}

static void put_dsn(const Setting *s, const char *text) {
    if (holds_password(text)) {
        mistake_add(s->mistakes, s->mark, "`%s` holds a password; use passfile=, or ${NAME} of an environment variable", s->name);
        return;
    }
    const char *value = expand(s, text);
    if (value)
        put_plain(s, value);
}

static void put_byte(const Setting *s, const char *text) {
    char byte = strcmp(text, "\\t") == 0 ? '\t' : text[0];
    if (strlen(text) != 1 && byte != '\t')
        mistake_add(s->mistakes, s->mark, "`%s` must be one ASCII character", s->name);
    else if (byte == '"' || byte == '\r' || byte == '\n')
        mistake_add(s->mistakes, s->mark, "`%s` cannot be a quote or a line's end", s->name);
    *s->target = byte;
}

static void put_bool(const Setting *s, const char *text) {
    bool value = strcmp(text, "true") == 0;
    if (!value && strcmp(text, "false") != 0)
        mistake_add(s->mistakes, s->mark, "`%s: %s` is neither true nor false", s->name, text);
    memcpy(s->target, &value, sizeof value);
}

static void refuse_choice(const Setting *s, const char *text) {
    char list[200] = "";
    Nearest nearest = nearest_start(str_of(text));
    for (const char *const *choice = s->key->choices; *choice; choice++) {
        nearest_offer(&nearest, *choice);
        if (**choice)
            snprintf(list + strlen(list), sizeof list - strlen(list), "%s`%s`", *list ? ", " : "", *choice);
    }
    char suggestion[NEAREST_TEXT_BYTES];
    nearest_suggest(&nearest, suggestion);
    mistake_add(s->mistakes, s->mark, "`%s: %s` is not one of %s%s", s->name, text, list, suggestion);
}

static void put_choice(const Setting *s, const char *text) {
    int i = 0;
    while (s->key->choices[i] && (text[0] == '\0' || strcmp(s->key->choices[i], text) != 0))
        i++;
    if (!s->key->choices[i])
        refuse_choice(s, text);
    else if (s->key->type == KEY_WORD)
        set_text(s, s->key->choices[i]);
    else
        memcpy(s->target, &i, sizeof i);
}

static void print_number(KeyType type, int64_t value, char *ret_text) {
    if (type == KEY_DURATION)
        value_print_duration(value, ret_text);
    else if (type == KEY_SIZE || type == KEY_SIZE_INT)
        value_print_size(value, ret_text);
    else
        snprintf(ret_text, VALUE_TEXT_BYTES, "%lld", (long long)value);
}

static bool is_in_range(const Setting *s, const char *text, int64_t value) {
    const ConfigKey *key = s->key;
    if ((key->min == 0 && key->max == 0) || (value >= key->min && value <= key->max))
        return true;
    char min[VALUE_TEXT_BYTES], max[VALUE_TEXT_BYTES];
    print_number(key->type, key->min, min);
    print_number(key->type, key->max, max);
    mistake_add(s->mistakes, s->mark, "`%s: %s` is out of range: %s to %s", s->name, text, min, max);
    return false;
}

static bool parse_number(KeyType type, const char *text, int64_t *ret_value) {
    if (type == KEY_DURATION)
        return value_parse_duration(text, ret_value);
    if (type == KEY_SIZE || type == KEY_SIZE_INT)
        return value_parse_size(text, ret_value);
    return str_to_int64(str_of(text), ret_value);
}

static void put_number(const Setting *s, const char *text) {
    KeyType type = s->key->type;
    const char *what = type == KEY_DURATION                          ? "a duration: write 30s, 5m, 24h or 6y"
                       : type == KEY_SIZE || type == KEY_SIZE_INT ? "a size: write 64KiB, 4MiB or 1TiB"
                                                                     : "a whole number";
    int64_t value;
    if (!parse_number(type, text, &value)) {
        mistake_add(s->mistakes, s->mark, "`%s: %s` is not %s", s->name, text, what);
        return;
    }
    if (!is_in_range(s, text, value))
        return;
    int narrow = (int)value;
    if (type == KEY_INT || type == KEY_SIZE_INT)
        memcpy(s->target, &narrow, sizeof narrow);
    else
        memcpy(s->target, &value, sizeof value);
}

typedef struct Putter {
    void (*put)(const Setting *s, const char *text);
    bool expands; /* ${NAME} first */
} Putter;
static const Putter PUTTERS[] = {
    [KEY_TEXT] = {put_plain, true},      [KEY_PATH] = {put_path, true},      [KEY_FILE] = {put_file, true},
    [KEY_DSN] = {put_dsn, false},        [KEY_VARIABLE] = {put_variable, false}, [KEY_ADDRESS] = {put_address, true},
    [KEY_CHOICE] = {put_choice, true},   [KEY_WORD] = {put_choice, true},   [KEY_BOOL] = {put_bool, true},
    [KEY_INT] = {put_number, true},
    [KEY_COUNT] = {put_number, true},    [KEY_DURATION] = {put_number, true}, [KEY_SIZE] = {put_number, true},
    [KEY_SIZE_INT] = {put_number, true}, [KEY_BYTE] = {put_byte, false},
};

static void put_scalar(const Setting *s, const char *text) {
    const Putter *putter = &PUTTERS[s->key->type];
    const char *value = putter->expands ? expand(s, text) : text;
    if (value)
        putter->put(s, value);
}

/* A list of texts, or one text alone. */
static void put_texts(const Setting *s, const TreeNode *node) {
    size_t n = node->kind == TREE_LIST ? node->n : 1;
    const char **texts = ARENA_ARRAY(s->mistakes->arena, const char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        const TreeNode *item = node->kind == TREE_LIST ? node->items[i].value : node;
        if (item->kind != TREE_SCALAR || !item->text[0])
            mistake_add(s->mistakes, item->mark, "`%s` must be a list of names", s->name);
        texts[i] = item->kind == TREE_SCALAR ? item->text : "";
    }
    if ((int64_t)n < s->key->min || (int64_t)n > s->key->max)
        mistake_add(s->mistakes, s->mark, "`%s` names %zu; %lld to %lld are possible", s->name, n,
                    (long long)s->key->min, (long long)s->key->max);
    memcpy(s->target, &texts, sizeof texts);
    memcpy(s->target + sizeof texts, &n, sizeof n);
}

static void put_node(const Setting *s, const TreeNode *node) {
    if (s->key->type == KEY_LATER)
        mistake_add(s->mistakes, s->mark, "`%s` is not built into this version and would do nothing; take it out", s->name);
    else if (s->key->type == KEY_TEXTS && node->kind != TREE_MAP)
        put_texts(s, node);
    else if (node->kind != TREE_SCALAR)
        mistake_add(s->mistakes, node->mark, "`%s` must be %s, not %s", s->name,
                    s->key->type == KEY_TEXTS ? "a list of names" : "a value", tree_kind_name(node->kind));
    else
        put_scalar(s, node->text);
}

static void read_item(Mistakes *mistakes, const char *section, const TreeItem *item, char *base) {
    const ConfigKey *key = find_key(section, item->key);
    if (!key)
        refuse_unknown(mistakes, section, item);
    else if (key->type != KEY_PART)
        put_node(&(Setting){mistakes, key, item->key, item->value->mark, base + key->offset}, item->value);
}

static void fill_absent(Mistakes *mistakes, const ConfigKey *key, const char *name, const TreeNode *node,
                        char *base) {
    if (tree_find(node, name))
        return;
    if (key->is_required)
        mistake_add(mistakes, node->mark, "`%s` is missing: %s", name, key->help);
    else if (key->fallback)
        put_scalar(&(Setting){mistakes, key, name, node->mark, base + key->offset}, key->fallback);
}

bool keys_read(Mistakes *mistakes, const char *section, const TreeNode *node, void *base) {
    if (node->kind != TREE_MAP) {
        mistake_add(mistakes, node->mark, "expected keys and values here, found %s", tree_kind_name(node->kind));
        return false;
    }
    for (size_t i = 0; i < node->n; i++)
        read_item(mistakes, section, &node->items[i], base);
    for (size_t i = 0; i < N_CONFIG_KEYS; i++) {
        const char *name = keys_name_in(&CONFIG_KEYS[i], section);
        if (name)
            fill_absent(mistakes, &CONFIG_KEYS[i], name, node, base);
    }
    return true;
}
