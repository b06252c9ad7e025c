/* bigquery_call.h - one request to BigQuery, tried until it is answered.
 *
 * The inside of bigquery.h: used by bigquery.c and bigquery_upload.c alone. Adds the token, retries
 * what passes, counts what was sent, and turns BigQuery's reasons into SQLSTATEs. Answers that the
 * caller named in `expected` are values: they come back with their status. */
#pragma once
#include "storage/bigquery.h"
#include "storage/gcp_auth.h"

#include <jansson.h>

DEFINE_DROP(json_t, json_drop, json_decref)

enum { BIGQUERY_TRIES = 6, BIGQUERY_URL_BYTES = 1200 };

struct BigQuery {
    HttpClient *http;
    GcpAuth *auth;
    const atomic_bool *cancel;
    char *project, *dataset, *location, *endpoint;
    int64_t max_bytes_billed, timeout_ms, retry_ms;
    BigQueryLabel labels[BIGQUERY_LABELS_MAX]; /* own copies */
    BigQueryUsage usage;
};

typedef struct BigQueryCall {
    const char *method;
    const char *url;
    const char *what; /* "cannot make the table x": the context of errors */
    const char *content_type;
    const char *header; /* one more "Name: value", or NULL */
    Str body;           /* STR_NULL: none */
    int expected[3];    /* statuses besides 2xx that are values; 0 at the end */
} BigQueryCall;

/* Tries until there is an answer of 2xx or an expected one. `reply` is the caller's to end with
 * http_reply_done() in any case. */
bool bigquery_call(BigQuery *bq, const BigQueryCall *call, HttpReply *reply, Error *err);
/* One try; `*ret_again` says whether another may help. For uploads, which must ask how far they came. */
bool bigquery_try(BigQuery *bq, const BigQueryCall *call, HttpReply *reply, bool *ret_again, Error *err);
/* Before try number `try` (1, 2, …): doubling with jitter, at least what the server asked for. */
bool bigquery_back_off(BigQuery *bq, int try, const HttpReply *reply, Error *err);
/* The answer as JSON, an object; NULL and an error when it is none. */
json_t *bigquery_parse(const HttpReply *reply, const char *what, Error *err);
/* "{endpoint}{prefix}/bigquery/v2/projects/{project}" + the rest. */
bool bigquery_url(const BigQuery *bq, char *ret_url, Error *err, const char *prefix, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* What BigQuery means by a `reason`, as an SQLSTATE. */
const char *bigquery_state_of_reason(const char *reason);
