/* bigquery.h - verbs over BigQuery's REST interface, v2.
 *
 * Every verb may be repeated: a second "make" finds what the first made, a job started twice under one
 * id is one job. So each verb retries by itself what passes (429, 403 for rates, 5xx, cut
 * connections), with doubling pauses and jitter, honouring Retry-After, five times; then it fails with
 * class 08 or 53. 400 and refusals fail at once (F0, 28, 42). HTTP 200 is not success: a job is, when
 * its state is DONE without `errorResult`. Errors name job, table and reason, never BigQuery's
 * message, which may quote rows (but for views, whose text is ours).
 * Strings are borrowed for the call. One thread at a time.
 * https://cloud.google.com/bigquery/docs/reference/rest */
#pragma once
#include "base/arena.h"
#include "base/error.h"
#include "base/own.h"

#include <stdatomic.h>

typedef struct BigQueryField {
    const char *name;
    const char *type; /* INTEGER, STRING, NUMERIC, DATE, TIMESTAMP, BOOLEAN, RECORD */
    const char *mode; /* NULLABLE, REQUIRED, REPEATED */
    const char *description;
    const struct BigQueryField *fields; /* of a RECORD */
    int n_fields;
} BigQueryField;

typedef struct BigQueryLabel {
    const char *name, *value; /* lower case letters, digits, "_", "-"; at most 63 */
} BigQueryLabel;

enum { BIGQUERY_LABELS_MAX = 4 };

typedef struct BigQueryTable {
    const char *name;
    const char *description;
    const BigQueryField *fields; /* of a table */
    int n_fields;
    const char *view_query;      /* of a view; else NULL */
    const char *partition;       /* MONTH partitions on this column, or NULL */
    const char *cluster[4];      /* NULL at the end */
    BigQueryLabel labels[BIGQUERY_LABELS_MAX]; /* NULL name at the end */
    int64_t expires_ms;          /* Unix; 0: never */
} BigQueryTable;

typedef struct BigQueryOptions {
    const char *project, *dataset, *location;
    const char *endpoint;         /* NULL: https://bigquery.googleapis.com */
    const char *credentials_file; /* NULL: the metadata server, or nothing when there is an endpoint */
    int64_t max_bytes_billed;     /* by all queries together; 0: no limit is sent */
    int64_t timeout_ms;           /* of one job; 0: 1 h */
    int64_t retry_ms;             /* the first pause; 0: 500 */
    BigQueryLabel labels[BIGQUERY_LABELS_MAX]; /* on every job */
} BigQueryOptions;

typedef struct BigQuery BigQuery;

/* `cancel` is borrowed, may be NULL. Reads the credentials, sends nothing. */
BigQuery *bigquery_open(const BigQueryOptions *options, const atomic_bool *cancel, Error *err);
void bigquery_free(BigQuery *bq);
DEFINE_DROP(BigQuery, bigquery_drop, bigquery_free)

/* What went over the line so far: bodies of requests, and what the queries were billed. */
typedef struct BigQueryUsage {
    int64_t requests, bytes_sent, bytes_billed, load_jobs, retries;
} BigQueryUsage;
BigQueryUsage bigquery_usage(const BigQuery *bq);

/* --- dataset and tables ------------------------------------------------------------------------ */

bool bigquery_ensure_dataset(BigQuery *bq, const char *description, Error *err);

typedef struct BigQueryTableFacts {
    bool is_found;
    char profile[64]; /* the labels `profile` and `schema_version`; "" when absent */
    char schema_version[64];
} BigQueryTableFacts;
bool bigquery_look_at_table(BigQuery *bq, const char *name, BigQueryTableFacts *ret_facts, Error *err);
/* Makes the table or view; one that is there already is left as it is. */
bool bigquery_make_table(BigQuery *bq, const BigQueryTable *table, Error *err);
/* Brings description, labels, a view's query and new columns to the table that is there. Columns that
 * only BigQuery has stay, and no type changes: BigQuery would refuse. */
bool bigquery_update_table(BigQuery *bq, const BigQueryTable *table, Error *err);
/* Also when it is not there. */
bool bigquery_drop_table(BigQuery *bq, const char *name, Error *err);

/* --- jobs ---------------------------------------------------------------------------------------- */

typedef enum JobState { JOB_UNKNOWN, JOB_RUNNING, JOB_DONE, JOB_FAILED } JobState;

typedef struct BigQueryJob {
    JobState state;
    Error why; /* of JOB_FAILED */
    int64_t bytes_billed;
    int64_t rows; /* a load's output */
} BigQueryJob;

/* A job nobody knows is JOB_UNKNOWN, not an error. */
bool bigquery_look_at_job(BigQuery *bq, const char *id, BigQueryJob *ret_job, Error *err);
/* Until it is DONE or FAILED; a job that failed is a value too. */
bool bigquery_wait_for_job(BigQuery *bq, const char *id, BigQueryJob *ret_job, Error *err);
/* Under this id; when such a job exists it is left as it is. */
bool bigquery_start_query(BigQuery *bq, const char *id, const char *sql, Error *err);
/* Before another attempt, after `try` of them (1, 2, …): doubling, with jitter. */
bool bigquery_pause(BigQuery *bq, int try, Error *err);

/* --- uploads --------------------------------------------------------------------------------------- */

/* A stream of bytes that becomes one load job, Avro into an existing table, replacing its rows. Up to
 * one chunk goes as one multipart request, more as a resumable upload. */
typedef struct BigQueryUpload BigQueryUpload;
BigQueryUpload *bigquery_upload_open(BigQuery *bq, const char *job_id, const char *table, Error *err);
bool bigquery_upload_put(BigQueryUpload *upload, Str bytes, Error *err);
/* Sends the rest; the load job runs then: bigquery_wait_for_job(). */
bool bigquery_upload_finish(BigQueryUpload *upload, Error *err);
void bigquery_upload_free(BigQueryUpload *upload);
DEFINE_DROP(BigQueryUpload, bigquery_upload_drop, bigquery_upload_free)

/* --- reading ------------------------------------------------------------------------------------------ */

typedef struct BigQueryRows {
    int n_rows, n_columns;
    const Str *values; /* n_rows x n_columns; STR_NULL for NULL; scalars only */
} BigQueryRows;
/* For answers of a few thousand values; whole, in the arena. */
bool bigquery_read(BigQuery *bq, const char *sql, Arena *arena, BigQueryRows *ret_rows, Error *err);
static inline Str bigquery_value(const BigQueryRows *rows, int row, int column) {
    return rows->values[row * rows->n_columns + column];
}
