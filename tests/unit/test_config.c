#include "test.h"

#include "base/own.h"
#include "config.h"
#include "config_query.h"
#include "config_value.h"
#include "job_table.h"

#include <sys/stat.h>

/* Every test has a directory of its own with c.yaml in it. */
static char directory[] = "/tmp/revcycled-config-XXXXXX";

static void path_of(const char *name, char *ret_path) { snprintf(ret_path, 256, "%s/%s", directory, name); }

static void write_file(const char *name, const char *text) {
    char path[256];
    path_of(name, path);
    CLEANUP(file_drop) FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
}

static void remove_file(const char *name) {
    char path[256];
    path_of(name, path);
    unlink(path);
}

static int make_directory(void **state) {
    (void)state;
    char path[256];
    setenv("TEST_PASSWORD", "hush", 1);
    setenv("TEST_HOST", "db-a.internal", 1);
    unsetenv("TEST_UNSET");
    unsetenv("CREDENTIALS_DIRECTORY");
    if (!mkdtemp(directory))
        return -1;
    path_of("conf.d", path);
    return mkdir(path, 0700);
}

static int remove_directory(void **state) {
    (void)state;
    char path[256];
    remove_file("c.yaml");
    path_of("conf.d", path);
    rmdir(path);
    return rmdir(directory);
}

/* The mistakes of c.yaml without the directory's name; "" when it loads. */
static void mistakes_of(const char *text, char ret_mistakes[4096]) {
    char path[256], *said = NULL;
    size_t size = 0;
    write_file("c.yaml", text);
    path_of("c.yaml", path);
    FILE *out = open_memstream(&said, &size);
    Config *config = config_load(path, config_print_mistake, out);
    fclose(out);
    assert_int_equal(config == NULL, size > 0);
    if (config)
        config_free(config);
    char *to = ret_mistakes;
    for (const char *at = said, *dir; *at; at = dir + strlen(directory) + 1) {
        dir = strstr(at, directory);
        size_t n = dir ? (size_t)(dir - at) : strlen(at);
        memcpy(to, at, n);
        to += n;
        if (!dir)
            break;
    }
    *to = '\0';
    free(said);
}

static Config *load(const char *text) {
    char path[256];
    write_file("c.yaml", text);
    path_of("c.yaml", path);
    Config *config = config_load(path, config_print_mistake, stderr);
    assert_non_null(config);
    return config;
}

#define STORE "store: {dsn: dbname=revcycle}\n"
#define SOURCE_HEAD                                                             \
    STORE "sources:\n  a:\n    host: db\n    database: d\n    user: u\n"
#define FEED_HEAD SOURCE_HEAD "    feeds:\n      p:\n"
#define FEED_MAP "        map: {source_patient_id: PatientID}\n"
#define FEED FEED_HEAD "        entity: patients\n        key: [PatientID]\n" FEED_MAP
#define CLAIMS                                                                                 \
    STORE "sources: {a: {kind: files}}\nclaims:\n  m:\n    directory: /drop\n    entity: claims\n" \
          "    map: {source_claim_id: ClaimID}\n"

typedef struct Case {
    const char *text, *mistakes;
} Case;

static const Case CASES[] = {
    /* YAML */
    {"", "c.yaml:1:1: the file is empty\n"},
    {"- 1\n", "c.yaml:1:1: expected keys and values here, found a list\n"},
    {FEED "---\nmore: 1\n", "c.yaml:13:1: a second document; one file holds one\n"},
    {"a: [1\n", "c.yaml:2:1: not readable as YAML: did not find expected ',' or ']', while parsing a flow sequence\n"},
    {"store: *nobody\n", "c.yaml:1:8: alias `*nobody` names no anchor that ended before it\n"},
    {"store: &s {dsn: *s}\n", "c.yaml:1:17: alias `*s` names no anchor that ended before it\n"},
    {"store: \"a\\0b\"\n", "c.yaml:1:8: a value holds a zero byte\n"},
    {FEED "workers: 2\nworkers: 3\n", "c.yaml:13:1: duplicate key `workers`, first on line 12\n"},
    {"? [a]\n: 1\n", "c.yaml:1:3: a key must be a plain name, not a list\n"},
    /* keys */
    {FEED "worker: 2\n", "c.yaml:12:1: unknown key `worker`, did you mean `workers`?\n"},
    {FEED "        cursr: Modified\n", "c.yaml:12:9: unknown key `cursr`, did you mean `cursor`?\n"},
    {FEED "zzz: 2\n", "c.yaml:12:1: unknown key `zzz`\n"},
    {FEED "alerts: []\n", "c.yaml:12:9: `alerts` is not built into this version and would do nothing; take it out\n"},
    {FEED "retention: {bronze: 6m}\n", "c.yaml:12:21: `bronze` must be 0, which is for ever, or at least 30 days\n"},
    {FEED "retention: {quarantine: 29d}\n", "c.yaml:12:25: `quarantine` must be 0, which is for ever, or at least 30 days\n"},
    {FEED "retention: {runs: 1w}\n", "c.yaml:12:19: `runs` must be 0, which is for ever, or at least 30 days\n"},
    {FEED "lineage: {namespace: n}\n", "c.yaml:12:10: `lineage` needs either `file` or `url`\n"},
    {FEED "lineage: {file: /e, url: \"https://a/b\"}\n", "c.yaml:12:10: `lineage` needs either `file` or `url`\n"},
    {FEED "lineage: {url: \"http://a/b\"}\n", "c.yaml:12:16: `url` must begin with https://; http:// serves for this machine alone, as in http://127.0.0.1:5000/api/v1/lineage\n"},
    {FEED "retention: {audit: 5y}\n", "c.yaml:12:20: `audit` must be 0, which is for ever, or at least 2190 days\n"},
    {"sources: {a: {kind: files}}\n", "c.yaml:1:1: `store` is missing: the PostgreSQL database\n"},
    {STORE, "c.yaml:1:1: neither `sources` nor `claims`: there is nothing to read\n"},
    /* numbers */
    {FEED "workers: 33o6\n", "c.yaml:12:10: `workers: 33o6` is not a whole number\n"},
    {FEED "workers: 0x10\n", "c.yaml:12:10: `workers: 0x10` is not a whole number\n"},
    {FEED "workers: 65\n", "c.yaml:12:10: `workers: 65` is out of range: 1 to 64\n"},
    {FEED "workers: 99999999999999999999\n", "c.yaml:12:10: `workers: 99999999999999999999` is not a whole number\n"},
    {FEED "workers: [1]\n", "c.yaml:12:10: `workers` must be a value, not a list\n"},
    {FEED "        every: 30\n", "c.yaml:12:16: `every: 30` is not a duration: write 30s, 5m, 24h or 6y\n"},
    {FEED "        every: 31d\n", "c.yaml:12:16: `every: 31d` is out of range: 100ms to 30d\n"},
    {FEED "        page_bytes: 4 MiB\n", "c.yaml:12:21: `page_bytes: 4 MiB` is not a size: write 64KiB, 4MiB or 1TiB\n"},
    {FEED "        page_bytes: 1KiB\n", "c.yaml:12:21: `page_bytes: 1KiB` is out of range: 64KiB to 64MiB\n"},
    /* words */
    {FEED "server: {metrics_need_token: yes}\n", "c.yaml:12:30: `metrics_need_token: yes` is neither true nor false\n"},
    {FEED "    tls: requird\n",
     "c.yaml:12:10: `tls: requird` is not one of `off`, `required`, did you mean `required`?\n"},
    {FEED "        on_new_column: thaw\n", "c.yaml:12:24: `on_new_column: thaw` is not one of `evolve`, `freeze`, `discard`\n"},
    {FEED "server: {listen: localhost}\n",
     "c.yaml:12:18: `listen: localhost` is no address: write 127.0.0.1:8080, [::1]:8080 or the path of a socket\n"},
    {FEED "server: {listen: \"127.0.0.1:99999\"}\n",
     "c.yaml:12:18: `listen: 127.0.0.1:99999` is no address: write 127.0.0.1:8080, [::1]:8080 or the path of a socket\n"},
    {FEED "server: {tls_key: /k}\n", "c.yaml:12:9: `tls_certificate` and `tls_key` go together\n"},
    {FEED "timezone: America/New_Yrok\n",
     "c.yaml:12:11: unknown time zone `America/New_Yrok`, did you mean `America/New_York`?\n"},
    {FEED "timezone: ../../etc/passwd\n", "c.yaml:12:11: unknown time zone `../../etc/passwd`\n"},
    /* secrets */
    {"store: {dsn: \"dbname=x password=hush\"}\nsources: {a: {kind: files}}\n",
     "c.yaml:1:14: `dsn` holds a password; use passfile=, or ${NAME} of an environment variable\n"},
    {"store: {dsn: \"postgresql://u:hush@h/db\"}\nsources: {a: {kind: files}}\n",
     "c.yaml:1:14: `dsn` holds a password; use passfile=, or ${NAME} of an environment variable\n"},
    {FEED "    password: hush\n", "c.yaml:12:15: `password`: no secret stands in this file; write ${NAME} of an "
                               "environment variable, or use `password_file`\n"},
    {FEED "    password: ${TEST_UNSET}\n", "c.yaml:12:15: `password`: the environment has no TEST_UNSET\n"},
    {FEED "    password_file: secret\n",
     "c.yaml:12:20: `password_file` must be an absolute path; a relative one needs $CREDENTIALS_DIRECTORY\n"},
    {FEED "    password: ${TEST_PASSWORD}\n    password_file: /secret\n",
     "c.yaml:3:3: `password_file` and `password` exclude each other\n"},
    {FEED "        table: ${TEST_UNSET}\n", "c.yaml:12:16: `table`: the environment has no TEST_UNSET\n"},
    {FEED "        table: ${oops\n", "c.yaml:12:16: `table`: `${` without a variable's name and `}`\n"},
    /* sources and feeds */
    {STORE "sources:\n  a: {}\n",
     "c.yaml:3:3: `database` is missing: name of the database\n"
     "c.yaml:3:3: `host` is missing: name or address of the database server\n"
     "c.yaml:3:3: `user` is missing: account that may read the database\n"},
    {STORE "sources: {Hospital-A: {kind: files}}\n",
     "c.yaml:2:11: `Hospital-A` cannot name a source: at most 28 small letters, digits and single _, beginning with "
     "a letter\n"},
    {STORE "sources: {claims: {kind: files}}\n", "c.yaml:2:11: `claims` cannot name a source: jobs have that name\n"},
    {FEED_HEAD "        entity: patient\n        key: [ID]\n" FEED_MAP,
     "c.yaml:9:17: unknown entity `patient`, did you mean `patients`?\n"},
    {FEED_HEAD "        entity: dates\n        key: [ID]\n" FEED_MAP,
     "c.yaml:9:17: entity `dates` belongs to no source: no feed fills it\n"},
    {FEED_HEAD "        entity: patients\n        key: []\n" FEED_MAP,
     "c.yaml:10:14: `key` names 0; 1 to 8 are possible\n"},
    {FEED_HEAD "        entity: patients\n" FEED_MAP, "c.yaml:9:9: `key` is missing: columns of its primary key\n"},
    {FEED_HEAD "        entity: patients\n        key: [ID]\n",
     "c.yaml:9:9: `map` is missing: which column of the model comes from which column\n"},
    {FEED "        table: t\n        query: SELECT 1\n", "c.yaml:13:16: `table` and `query` exclude each other\n"},
    {FEED "        query: DELETE FROM t\n", "c.yaml:12:16: `query` must be one SELECT\n"},
    {FEED "        query: SELECT 1; DROP TABLE t\n", "c.yaml:12:16: `query`: one statement, and no `;`\n"},
    {FEED "    renamed_from: a\n", "c.yaml:12:19: `renamed_from: a` is still a source of its own here\n"},
    {FEED "    renamed_from: A-1\n", "c.yaml:12:19: `renamed_from: A-1` cannot have named a source\n"},
    {FEED "    renamed_from: z\n  b: {kind: files, renamed_from: z}\n",
     "c.yaml:13:34: `renamed_from: z` stands at `a` already\n"},
    /* mappings: the rest of them is tested with transform/mapping.c */
    {FEED_HEAD "        entity: patients\n        key: [ID]\n        map:\n          source_patient_id: ID\n"
               "          frist_name: {from: F, clean: [trim]}\n",
     "c.yaml:13:11: unknown column `frist_name` of entity patients, did you mean `first_name`?\n"},
    {FEED_HEAD "        entity: patients\n        key: [ID]\n        map:\n          source_patient_id: ID\n"
               "          first_name: {from: F, cleen: [trim]}\n",
     "c.yaml:13:33: unknown key `cleen`; a column has `from`, `clean` and `history`\n"},
    {FEED_HEAD "        entity: patients\n        key: [ID]\n        map:\n          source_patient_id: ID\n"
               "          first_name: {from: F, clean: [trimm]}\n",
     "c.yaml:13:41: unknown cleaner `trimm`, did you mean `trim`?\n"},
    {FEED_HEAD "        entity: patients\n        key: [ID]\n        map:\n          source_patient_id: ID\n"
               "          first_name: {from: F, history: never}\n",
     "c.yaml:13:11: `history` of column `first_name` is `history`, `overwrite` or `ignore`, not `never`\n"},
    {FEED_HEAD "        entity: departments\n        key: [ID]\n        map:\n          source_department_id: ID\n"
               "          name: {from: F, history: overwrite}\n",
     "c.yaml:13:11: column `name` has no versions: `history` is for attributes of patients and providers\n"},
    {FEED_HEAD "        entity: departments\n        key: [ID]\n        tells: past\n"
               "        map: {source_department_id: ID}\n",
     "c.yaml:8:7: `tells: past` is for patients and providers: nothing else has versions\n"
     "c.yaml:8:7: a table of the past needs `source_modified_at` in its map: when what a row says came true\n"},
    {FEED_HEAD "        entity: claims\n        key: [ID]\n        map: {source_claim_id: ID}\n",
     "c.yaml:9:17: entity `claims` cannot come from a table, for its iterations follow the order of files: deliver files to "
     "one of `claims`\n"},
    {FEED "rules: [{name: r, entity: claims, check: \"copay <\"}]\n",
     "c.yaml:12:9: rule `r`: check \"copay <\" ends where a column or a value is expected\n"},
    {FEED "rules: [{name: r, kind: range, entity: claims, column: copay}]\n", "c.yaml:12:9: a range has a `min`, a `max` or both\n"},
    {FEED "rules: [{name: r, kind: range, entity: claims, column: copay, min: 5, pattern: x}]\n",
     "c.yaml:12:71: `pattern` means nothing to a rule of kind range\n"},
    {FEED "rules: [{name: r, kind: not_null, entity: claims}]\n", "c.yaml:12:9: `column` is missing: the column it is about\n"},
    {FEED "rules: [{name: r, kind: pattern, entity: claims, column: claim_status, pattern: \"(a\"}]\n",
     "c.yaml:12:9: rule `r`: check \"claim_status matches '(a'\": '(a' is no pattern: a ( is not closed\n"},
    {FEED "rules: [{name: r, kind: list, entity: claims, column: copay, values: [1, x]}]\n",
     "c.yaml:12:9: rule `r`: check \"copay in (1, 'x')\": `x` is no money\n"},
    {FEED "rules: [{name: r, kind: type, entity: claims, column: claim_date, type: date}]\n",
     "c.yaml:12:9: rule `r`: check \"claim_date is date\": only a column of text has a form; the others have their type already\n"},
    {FEED "rules: [{name: r, kind: unique, entity: claims, columns: [claim_dat]}]\n",
     "c.yaml:12:9: rule `r`: claims has no column `claim_dat` that rows could be compared by, did you mean `claim_date`?\n"},
    {FEED "rules: [{name: r, kind: unique, entity: claims, columns: patient_key}]\n",
     "c.yaml:12:9: rule `r`: claims has no column `patient_key` that rows could be compared by\n"},
    {FEED "rules: [{name: r, kind: unique, entity: claims, columns: claim_date, severity: stop}]\n",
     "c.yaml:12:80: `stop` of a rule of kind unique holds publications, and there is no `bigquery`; use `flag`\n"},
    {FEED "rules: [{name: r, kind: unique, entity: claims, columns: claim_date, severity: quarantine}]\n",
     "c.yaml:12:80: a rule of kind unique looks at rows that come in any order: which of them to keep out would be chance; use "
     "`flag`, or `stop`, which holds publications\n"},
    {FEED "rules: [{name: r, kind: freshness, feed: a.p, within: 1h, severity: quarantine}]\n",
     "c.yaml:12:69: a rule of kind freshness is about a feed and has no row to keep out; use `flag`, or `stop`, which holds "
     "publications\n"},
    {FEED "bigquery: {project: p, credentials_file: /c}\nrules: [{name: r, kind: volume, feed: a.p, severity: stop, stop_percent: 5}, "
     "{name: s, kind: freshness, feed: a.p, within: 1h, severity: stop}]\n",
     "c.yaml:13:74: `stop_percent` is a share of rows; a rule of kind volume stops whenever it is broken\n"},
    {FEED "rules: [{name: r, kind: reference, entity: claims, column: source_payer_id, references: payers}]\n",
     "c.yaml:12:9: rule `r`: `payers` is made of what names its rows: nothing can be missing there\n"},
    {FEED "rules: [{name: r, kind: cross_table, entity: claims, column: claim_date, compare: \">=\", other: patients.gender}]\n",
     "c.yaml:12:9: rule `r`: `claim_date` and `patients.gender` are of different types\n"},
    {FEED "rules: [{name: r, kind: cross_table, entity: claims, column: claim_date, compare: \">=\", other: service_date}]\n",
     "c.yaml:12:9: rule `r`: `other` is a column of the same row: write `check: \"claim_date >= service_date\"`\n"},
    {FEED "rules: [{name: r, kind: cross_table, entity: departments, column: name, compare: \"=\", other: patients.city}]\n",
     "c.yaml:12:9: rule `r`: rows of departments name none of patients: there is no `source_patient_id`\n"},
    {FEED "rules: [{name: r, kind: cross_row, entity: claims, columns: claim_date, total: sum, column: claim_status, compare: \"<\", limit: 5}]\n",
     "c.yaml:12:9: rule `r`: `claim_status` cannot be added up\n"},
    {FEED "rules: [{name: r, kind: cross_row, entity: claims, columns: claim_date, total: count, compare: \"<\", limit: five}]\n",
     "c.yaml:12:9: rule `r`: `limit: five` is no number\n"},
    {FEED "rules: [{name: r, kind: cross_row, entity: claims, columns: claim_date, total: count, compare: \"<\", limit: 5-6}]\n",
     "c.yaml:12:9: rule `r`: `limit: 5-6` is no number\n"},
    {FEED "rules: [{name: r, kind: cross_row, entity: claims, columns: claim_date, total: count, compare: \"<\"}]\n",
     "c.yaml:12:9: rule `r`: a total is compared with a `limit` or with an `other`, one of them\n"},
    {FEED "rules: [{name: r, kind: freshness, feed: a.pp, within: 1h}]\n",
     "c.yaml:12:42: there is no feed `a.pp`, did you mean `a.p`?\n"},
    {FEED "rules: [{name: r, kind: volume, feed: a.p, percent: 0}]\n", "c.yaml:12:53: `percent: 0` is out of range: 1 to 1000\n"},
    {FEED "rules: [{name: r, kind: volume, feed: a.p}, {name: r, kind: volume, feed: a.p}]\n",
     "c.yaml:12:52: there is a rule `r` already\n"},
    {FEED "rules: [{name: orphan_patient, entity: claims, check: \"copay < 5\"}]\n",
     "c.yaml:12:16: `orphan_patient` is built in and cannot be written anew\n"},
    {FEED "rules: [{name: r, entity: claim, check: \"copay < 5\"}]\n",
     "c.yaml:12:27: unknown entity `claim`, did you mean `claims`?\n"},
    /* claims */
    {CLAIMS "    from: [{pattern: \"*.csv\", source: elsewhere}]\n", "c.yaml:8:39: there is no source `elsewhere`\n"},
    {CLAIMS "    from: []\n", "c.yaml:8:11: `from` names no pattern: no file would belong to anybody\n"},
    {CLAIMS "    from: [{pattern: \"*.csv\", source: a, period: \"20[0-9]+\"}]\n",
     "c.yaml:8:50: `period: 20[0-9]+` must have one group, which is the period\n"},
    {CLAIMS "    from: [{pattern: \"*.csv\", source: a, timezone: America/Denver}]\n",
     "c.yaml:8:52: `timezone` of a pattern is the zone of an X12 sender's clock; other files' times are the hospital's\n"},
    {CLAIMS "    from: [{pattern: \"*.csv\", source: a, timezone: America/Denvre}]\n    format: x12\n",
     "c.yaml:8:52: unknown time zone `America/Denvre`, did you mean `America/Denver`?\n"},
    {CLAIMS "    from: [{pattern: \"*.csv\", source: a}]\n    delimiter: ab\n",
     "c.yaml:9:16: `delimiter` must be one ASCII character\n"},
    {CLAIMS "    from: [{pattern: \"*.csv\", source: a}]\n    format: xls\n",
     "c.yaml:9:13: `format: xls` is not one of `csv`, `tsv`, `semicolon`, `pipe`, `fixed`, `detect`, `x12`\n"},
    {CLAIMS "    from: [{pattern: \"*.csv\", source: a}]\n    format: tsv\n    delimiter: \";\"\n",
     "c.yaml:10:16: `delimiter` goes with `format: csv` alone\n"},
    {CLAIMS "    from: [{pattern: \"*.csv\", source: a}]\n    header: false\n",
     "c.yaml:9:13: `columns` is missing: without a header they say what stands where\n"},
    {CLAIMS "    from: [{pattern: \"*.csv\", source: a}]\n    columns: [a, a, {name: b}]\n",
     "c.yaml:9:14: `columns` does not name `ClaimID`, which `map` asks for\nc.yaml:9:18: column `a` is named twice\n"
     "c.yaml:9:21: a column is its name; only with `format: fixed` it has a place\n"},
    {CLAIMS "    from: [{pattern: \"*.csv\", source: a}]\n    format: fixed\n    columns: [{name: ClaimID, start: 1, width: 4}, {name: y, start: 4, width: 0}]\n",
     "c.yaml:10:79: `width: 0` is out of range: 1 to 1000000\n"},
    {CLAIMS "    from: [{pattern: \"*.csv\", source: a}]\n    format: fixed\n    columns: [{name: ClaimID, start: 1, width: 4}, {name: y, start: 4, width: 2}]\n",
     "c.yaml:10:52: column `y` overlaps `ClaimID`\n"},
    {CLAIMS "    from: [{pattern: \"*.csv\", source: a}]\n    date_format: [ISO, \"DD/MM\"]\n",
     "c.yaml:9:18: `DD/MM` is no date format: it needs YYYY, MM or MON, and DD, each once, as in \"MM/DD/YYYY\"\n"},
    {CLAIMS "    from: [{pattern: \"*.csv\", source: a}]\n    aliases: [x]\n",
     "c.yaml:9:14: `aliases` must be names of columns, each with what other files call it\n"},
    /* persons */
    {FEED "persons: [{name: number, match: [ssn, birthdate]}]\n",
     "c.yaml:12:39: patients have no attribute `birthdate`, did you mean `birth_date`?\n"},
    {FEED "persons: [{name: n, match: ssn}, {name: n, match: [phone, phone]}]\n",
     "c.yaml:12:41: there is a rule `n` already\nc.yaml:12:59: `phone` is named twice\n"},
    {FEED "persons: [{name: names, match: [first_name, last_name]}]\n",
     "c.yaml:12:32: `match` must name ssn, birth_date or phone: everybody would be compared with everybody\n"},
    {FEED "persons: [{name: alone, match: ssn}, {name: A, match: ssn}]\n",
     "c.yaml:12:18: `alone` cannot name a rule: explanations use the word\n"
     "c.yaml:12:45: rule `A` must be named by small letters, digits and _\n"},
    {FEED "persons: [{name: n}, {match: ssn}]\n",
     "c.yaml:12:11: `match` is missing: attributes that must agree: ssn, birth_date, birth_digits, first_name, "
     "first_initial, middle_initial, last_name, gender, phone, email, street, city, state, zip, member_id\n"
     "c.yaml:12:22: `name` is missing: what explanations call the rule\n"},
    {FEED "persons: []\n", "c.yaml:12:10: `persons` names no rule; leave it out to have those built in\n"},
    {FEED "persons: {ssn: x}\n", "c.yaml:12:10: `persons` must be a list, not a map\n"},
    {FEED "bigquery: {profile: limitd}\n",
     "c.yaml:12:11: `project` is missing: the Google project\n"
     "c.yaml:12:21: `profile: limitd` is not one of `limited`, `full`, did you mean `limited`?\n"},
};

static void a_mistake_is_named_with_its_place(void **state) {
    (void)state;
    char mistakes[4096];
    int wrong = 0;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        mistakes_of(CASES[i].text, mistakes);
        if (strcmp(mistakes, CASES[i].mistakes) == 0)
            continue;
        print_error("case %zu\nexpected %sfound    %s\n", i, CASES[i].mistakes, mistakes);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

static void all_mistakes_are_shown_at_once_in_order(void **state) {
    (void)state;
    char mistakes[4096];
    mistakes_of(FEED "        every: soon\nworkers: many\nservr: {}\n", mistakes);
    assert_string_equal(mistakes, "c.yaml:12:16: `every: soon` is not a duration: write 30s, 5m, 24h or 6y\n"
                                  "c.yaml:13:10: `workers: many` is not a whole number\n"
                                  "c.yaml:14:1: unknown key `servr`, did you mean `server`?\n");
}

static void what_is_too_deep_or_too_much_is_refused(void **state) {
    (void)state;
    char mistakes[4096], text[8192] = "a: ";
    for (int i = 0; i < 40; i++)
        strcat(text, "[");
    mistakes_of(text, mistakes);
    assert_string_equal(mistakes, "c.yaml:1:27: nested deeper than 24 levels\n");
    strcpy(text, "l0: &l0 [x,x,x,x,x,x,x,x,x,x]\n"); /* ten times as much with every line */
    for (int i = 1; i < 9; i++)
        sprintf(text + strlen(text), "l%d: &l%d [*l%d,*l%d,*l%d,*l%d,*l%d,*l%d,*l%d,*l%d,*l%d,*l%d]\n", i, i,
                i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    mistakes_of(text, mistakes);
    assert_non_null(strstr(mistakes, "more than 200000 values, aliases counted as often as used"));
}

static void values_arrive_with_their_types(void **state) {
    (void)state;
    Config *config = load(FEED "        every: 90s\n        reconcile: 24h\n        page_bytes: 1MiB\n"
                               "    password: ${TEST_PASSWORD}\n    timezone: America/Chicago\n"
                               "bigquery: {project: p, max_bytes_billed_per_day: 2TiB}\ntimezone: America/New_York\n");
    const SourceConfig *source = &config->sources[0];
    const FeedConfig *feed = &source->feeds[0];
    assert_string_equal(feed->name, "a.p");
    assert_string_equal(feed->table, "p");
    assert_string_equal(feed->key[0], "PatientID");
    assert_int_equal(feed->n_key, 1);
    assert_int_equal(feed->every_ms, 90000);
    assert_int_equal(feed->reconcile_ms, 86400000);
    assert_int_equal(feed->page_bytes, 1 << 20);
    assert_int_equal(feed->page_rows, 2500);
    assert_int_equal(feed->on_missing_column, CONTRACT_FREEZE);
    assert_ptr_equal(feed->source, source);
    assert_string_equal(feed->mapping.entity->name, "patients");
    assert_string_equal(source->password_env, "TEST_PASSWORD");
    assert_int_equal(source->tls, TLS_REQUIRED);
    assert_non_null(source->zone);
    assert_int_equal(zone_to_instant(source->zone, 0), INT64_C(6) * 3600 * 1000000);
    assert_string_equal(config->store_owner_dsn, "dbname=revcycle");
    assert_string_equal(config->server.listen, "127.0.0.1:8080");
    assert_true(config->bigquery.enabled);
    assert_int_equal(config->bigquery.max_bytes_billed_per_day, INT64_C(2) << 40);
    assert_int_equal(config->workers, 4);
    config_free(config);
}

static void variables_of_the_environment_are_put_in(void **state) {
    (void)state;
    Config *config = load("store: {dsn: \"host=${TEST_HOST} password=${TEST_PASSWORD}\"}\n"
                          "sources: {a: {kind: files}}\n");
    assert_string_equal(config->store_dsn, "host=db-a.internal password=hush");
    config_free(config);
}

static void cleaners_arrive_with_their_arguments(void **state) {
    (void)state;
    Config *config = load(FEED_HEAD "        entity: patients\n        key: [ID]\n        map:\n"
                                    "          source_patient_id: ID\n          birth_date: {from: DOB, clean: [{date: "
                                    "\"MM/DD/YYYY\"}]}\n          gender: {from: S, clean: [{map: {M: Male, F: Female}}]}\n");
    const MapSpec *columns = config->sources[0].feeds[0].mapping.columns;
    assert_string_equal(columns[1].clean[0].name, "date");
    assert_null(columns[1].clean[0].args[0].key);
    assert_string_equal(columns[1].clean[0].args[0].value, "MM/DD/YYYY");
    assert_int_equal(columns[2].clean[0].n_args, 2);
    assert_string_equal(columns[2].clean[0].args[1].key, "F");
    assert_string_equal(columns[2].clean[0].args[1].value, "Female");
    config_free(config);
}

static void files_of_conf_d_are_merged_and_say_what_collides(void **state) {
    (void)state;
    write_file("conf.d/b.yaml", "sources: {b: {kind: files}}\nrules: [{name: r, entity: claims, check: \"copay > 1\"}]\n");
    Config *config = load(FEED "rules: [{name: q, entity: claims, check: \"copay > 2\"}]\n");
    assert_int_equal(config->n_sources, 2);
    assert_int_equal(config->n_rules, 2);
    config_free(config);
    char mistakes[4096];
    write_file("conf.d/b.yaml", "workers: 3\nsources: {a: {kind: files}}\n");
    mistakes_of(FEED "workers: 2\n", mistakes);
    remove_file("conf.d/b.yaml");
    assert_string_equal(mistakes, "conf.d/b.yaml:1:1: `workers` stands already in c.yaml:12\n"
                                  "conf.d/b.yaml:2:11: `a` stands already in c.yaml:3\n");
}

static void a_map_file_is_shared_and_its_mistakes_name_it(void **state) {
    (void)state;
    char mistakes[4096];
    write_file("vendor.yaml", "source_patient_id: ID\nfirst_name: FName\nlast_nam: LName\n");
    const char *text = FEED_HEAD "        entity: patients\n        key: [ID]\n        map_file: vendor.yaml\n";
    mistakes_of(text, mistakes);
    assert_string_equal(mistakes,
                        "vendor.yaml:3:1: unknown column `last_nam` of entity patients, did you mean `last_name`?\n");
    write_file("vendor.yaml", "source_patient_id: ID\nfirst_name: FName\n");
    Config *config = load(FEED_HEAD "        entity: patients\n        key: [ID]\n        map_file: vendor.yaml\n"
                                    "        map: {first_name: Given}\n");
    remove_file("vendor.yaml");
    const MappingSpec *spec = &config->sources[0].feeds[0].mapping;
    assert_int_equal(spec->n_columns, 2);
    assert_string_equal(spec->columns[0].from[0], "Given");
    config_free(config);
}

/* NULL: it is one SELECT. Else what the first mistake says, in part. */
static void a_query_is_one_select_that_only_reads(void **state) {
    (void)state;
    static const Case QUERIES[] = {
        {"SELECT a, (SELECT max(b) FROM u) FROM t WHERE c = 'it''s; INTO (' AND d = \"\\\")\"", NULL},
        {"select `into`, t.into, x.now FROM t", NULL},
        {"WITH x AS (SELECT 1 AS a) SELECT a FROM x", NULL},
        {"SELECT for_update, now FROM t", NULL},
        {"SELECT unix_timestamp(a) AS a FROM t", NULL},
        {"(SELECT 1)", "must be one SELECT"},
        {"UPDATE t SET a = 1", "must be one SELECT"},
        {"SELECT 1 INTO OUTFILE '/x'", "`INTO` puts its result elsewhere"},
        {"SELECT a FROM t FOR UPDATE", "`FOR` locks the hospital's rows"},
        {"SELECT a FROM t LOCK IN SHARE MODE", "`LOCK` locks the hospital's rows"},
        {"SELECT a FROM t -- all", "comments are not possible"},
        {"SELECT a /*! INTO OUTFILE '/x' */ FROM t", "comments are not possible"},
        {"SELECT a FROM t # all", "comments are not possible"},
        {"SELECT 1) AS x; DROP TABLE t", "a parenthesis closes that none opened"},
        {"SELECT (1", "a parenthesis that opens does not close"},
        {"SELECT 'a", "a quote that begins does not end"},
        {"SELECT 'a\\'", "a quote that begins does not end"},
        {"SELECT @a := 1", "variables of the session"},
        {"SELECT sleep(9)", "`sleep` keeps the hospital's server waiting"},
        {"SELECT now() AS n FROM t", "`now` gives another answer at every read"},
        {"SELECT NOW (6) AS n FROM t", "`NOW` gives another answer at every read"},
        {"SELECT unix_timestamp() AS a FROM t", "`unix_timestamp` gives another answer at every read"},
        {"SELECT current_timestamp FROM t", "`current_timestamp` gives another answer at every read"},
    };
    for (size_t i = 0; i < sizeof QUERIES / sizeof *QUERIES; i++) {
        CLEANUP(arena_drop) Arena *arena = arena_open();
        Mistakes mistakes = {.arena = arena};
        query_check(&mistakes, (Mark){"c.yaml", 1, 1}, QUERIES[i].text);
        const char *said = mistakes.n > 0 ? mistakes.items[0].sentence : NULL;
        if (!said != !QUERIES[i].mistakes || (said && !strstr(said, QUERIES[i].mistakes)))
            fail_msg("%s: %s", QUERIES[i].text, said ? said : "taken");
    }
}

static void a_file_that_is_not_there_is_one_sentence(void **state) {
    (void)state;
    char *said = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&said, &size);
    assert_null(config_load("/nonexistent/c.yaml", config_print_mistake, out));
    fclose(out);
    assert_string_equal(said, "/nonexistent/c.yaml: cannot be read: No such file or directory\n");
    free(said);
}

static void durations_and_sizes_mean_what_they_say(void **state) {
    (void)state;
    int64_t value;
    assert_true(value_parse_duration("6y", &value));
    assert_int_equal(value, 6 * 365 * MS_PER_DAY);
    assert_true(value_parse_duration("500ms", &value));
    assert_int_equal(value, 500);
    assert_false(value_parse_duration("5 m", &value));
    assert_false(value_parse_duration("-5m", &value));
    assert_false(value_parse_duration("5M", &value));
    assert_false(value_parse_duration("9999999999999y", &value));
    assert_true(value_parse_size("1TiB", &value));
    assert_int_equal(value, INT64_C(1) << 40);
    assert_true(value_parse_size("10MB", &value));
    assert_int_equal(value, 10000000);
    assert_false(value_parse_size("1.5GiB", &value));
}

/* Asked of the jobs that are made, so that no new one is forgotten. */
static void no_source_is_called_as_a_job_is(void **state) {
    (void)state;
    Config *config = load(FEED "bigquery: {project: p, dataset: d, credentials_file: /c}\nreference: {npi: {}}\n"
                          "retention: {runs: 1y}\nclaims: {m: {kind: files, directory: /tmp, entity: claims, "
                          "map: {source_claim_id: C}, from: [{pattern: \"*.csv\", source: a}]}}\n");
    JobTable *table = job_table_make(config);
    size_t n_reserved = 0;
    for (size_t i = 0; i < table->n; i++) {
        char name[64], text[256], mistakes[4096], expected[256];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(table->jobs[i].name, "."), table->jobs[i].name);
        if (strcmp(name, "a") == 0)
            continue;
        snprintf(text, sizeof text, STORE "sources: {%s: {kind: files}}\n", name);
        snprintf(expected, sizeof expected, "c.yaml:2:11: `%s` cannot name a source: jobs have that name\n", name);
        mistakes_of(text, mistakes);
        assert_string_equal(mistakes, expected);
        n_reserved++;
    }
    assert_int_equal(n_reserved, 8);
    job_table_free(table);
    config_free(config);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mistake_is_named_with_its_place),
        cmocka_unit_test(all_mistakes_are_shown_at_once_in_order),
        cmocka_unit_test(what_is_too_deep_or_too_much_is_refused),
        cmocka_unit_test(values_arrive_with_their_types),
        cmocka_unit_test(variables_of_the_environment_are_put_in),
        cmocka_unit_test(cleaners_arrive_with_their_arguments),
        cmocka_unit_test(files_of_conf_d_are_merged_and_say_what_collides),
        cmocka_unit_test(a_map_file_is_shared_and_its_mistakes_name_it),
        cmocka_unit_test(a_query_is_one_select_that_only_reads),
        cmocka_unit_test(a_file_that_is_not_there_is_one_sentence),
        cmocka_unit_test(durations_and_sizes_mean_what_they_say),
        cmocka_unit_test(no_source_is_called_as_a_job_is),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
