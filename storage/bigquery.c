/* bigquery.c - see bigquery.h: the client, dataset and tables, jobs, reading. */
#include "storage/bigquery.h"

#include "base/clock.h"
#include "storage/bigquery_call.h"

#define SERVICE "https://bigquery.googleapis.com"

enum {
    JOB_TIMEOUT_MS = 3600 * 1000,
    RETRY_MS = 500,
    POLL_MS_MIN = 50,
    POLL_MS_MAX = 2000,
    READ_ROWS_PER_PAGE = 5000,
    READ_VALUES_MAX = 1 << 20
};

/* ---- the client --------------------------------------------------------------------------------- */

static char *copy(const char *text) { return text ? strdup(text) : NULL; }

static GcpAuth *open_auth(const BigQueryOptions *options, Error *err) {
    GcpAuthOptions auth = {.key_file = options->credentials_file};
    if (options->credentials_file)
        auth.kind = GCP_AUTH_KEY_FILE;
    else
        auth.kind = options->endpoint ? GCP_AUTH_NONE : GCP_AUTH_METADATA;
    return gcp_auth_open(&auth, err);
}

static int64_t or_default(int64_t value, int64_t fallback) { return value ? value : fallback; }

BigQuery *bigquery_open(const BigQueryOptions *options, const atomic_bool *cancel, Error *err) {
    CLEANUP(bigquery_drop) BigQuery *bq = calloc(1, sizeof *bq);
    if (!bq) {
        error_set(err, STATE_RESOURCES, "out of memory");
        return NULL;
    }
    bq->cancel = cancel;
    bq->project = copy(options->project);
    bq->dataset = copy(options->dataset);
    bq->location = copy(options->location);
    bq->endpoint = copy(options->endpoint ? options->endpoint : SERVICE);
    bq->max_bytes_billed = options->max_bytes_billed;
    bq->timeout_ms = or_default(options->timeout_ms, JOB_TIMEOUT_MS);
    bq->retry_ms = or_default(options->retry_ms, RETRY_MS);
    for (int i = 0; i < BIGQUERY_LABELS_MAX && options->labels[i].name; i++)
        bq->labels[i] = (BigQueryLabel){copy(options->labels[i].name), copy(options->labels[i].value)};
    bq->auth = open_auth(options, err);
    TRY_NULL(bq->auth);
    bq->http = http_open(&(HttpLimits){0}, cancel, err);
    TRY_NULL(bq->http);
    return TAKE(bq);
}

void bigquery_free(BigQuery *bq) {
    for (int i = 0; i < BIGQUERY_LABELS_MAX; i++) {
        free((char *)bq->labels[i].name);
        free((char *)bq->labels[i].value);
    }
    http_drop(&bq->http);
    gcp_auth_drop(&bq->auth);
    free(bq->project);
    free(bq->dataset);
    free(bq->location);
    free(bq->endpoint);
    free(bq);
}

BigQueryUsage bigquery_usage(const BigQuery *bq) { return bq->usage; }

/* ---- calls with JSON ----------------------------------------------------------------------------- */

/* Sends `body` (taken; NULL: none) and returns the answer's object when `ret_object` is given and the
 * status is 2xx. */
static bool call_json(BigQuery *bq, const BigQueryCall *call, json_t *body, int *ret_status,
                      json_t **ret_object, Error *err) {
    CLEANUP(json_drop) json_t *owned = body;
    CLEANUP(mem_drop) char *text = owned ? json_dumps(owned, JSON_COMPACT) : NULL;
    BigQueryCall full = *call;
    full.body = str_of(text);
    full.content_type = text ? "application/json" : NULL;
    CLEANUP(http_reply_done) HttpReply reply = {0};
    TRY(bigquery_call(bq, &full, &reply, err));
    if (ret_status)
        *ret_status = reply.status;
    if (!ret_object || reply.status < 200 || reply.status >= 300)
        return true;
    *ret_object = bigquery_parse(&reply, call->what, err);
    return *ret_object != NULL;
}

static const char *member(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static json_t *labels_json(const BigQueryLabel *labels) {
    json_t *object = json_object();
    for (int i = 0; i < BIGQUERY_LABELS_MAX && labels[i].name; i++)
        json_object_set_new(object, labels[i].name, json_string(labels[i].value));
    return object;
}

/* ---- dataset and tables ----------------------------------------------------------------------------- */

bool bigquery_ensure_dataset(BigQuery *bq, const char *description, Error *err) {
    char url[BIGQUERY_URL_BYTES];
    TRY(bigquery_url(bq, url, err, "", "/datasets/%s", bq->dataset));
    BigQueryCall look = {.method = "GET", .url = url, .what = "cannot look at the dataset",
                         .body = STR_NULL, .expected = {404}};
    int status;
    TRY(call_json(bq, &look, NULL, &status, NULL, err));
    if (status != 404)
        return true;
    TRY(bigquery_url(bq, url, err, "", "/datasets"));
    BigQueryCall make = {.method = "POST", .url = url, .what = "cannot make the dataset",
                         .expected = {409}};
    json_t *body = json_pack("{s:{s:s, s:s}, s:s*, s:s, s:o}", "datasetReference", "projectId",
                             bq->project, "datasetId", bq->dataset, "location", bq->location,
                             "description", description, "labels", labels_json(bq->labels));
    return call_json(bq, &make, body, NULL, NULL, err);
}

static json_t *field_json(const BigQueryField *field) {
    json_t *object = json_pack("{s:s, s:s, s:s, s:s*}", "name", field->name, "type", field->type, "mode",
                               field->mode, "description", field->description);
    if (field->n_fields > 0) {
        json_t *inner = json_array();
        for (int i = 0; i < field->n_fields; i++)
            json_array_append_new(inner, field_json(&field->fields[i]));
        json_object_set_new(object, "fields", inner);
    }
    return object;
}

static json_t *fields_json(const BigQueryTable *table) {
    json_t *fields = json_array();
    for (int i = 0; i < table->n_fields; i++)
        json_array_append_new(fields, field_json(&table->fields[i]));
    return fields;
}

/* What both tables.insert and tables.patch take. */
static json_t *table_json(const BigQuery *bq, const BigQueryTable *table, json_t *fields) {
    json_t *body = json_pack("{s:{s:s, s:s, s:s}, s:s*, s:o}", "tableReference", "projectId",
                             bq->project, "datasetId", bq->dataset, "tableId", table->name,
                             "description", table->description, "labels", labels_json(table->labels));
    if (table->view_query)
        json_object_set_new(body, "view", json_pack("{s:s, s:b}", "query", table->view_query,
                                                    "useLegacySql", 0));
    if (json_array_size(fields) > 0)
        json_object_set_new(body, "schema", json_pack("{s:O}", "fields", fields));
    json_decref(fields);
    return body;
}

/* What only tables.insert takes: a table's partitions cannot be changed later. */
static void add_layout(json_t *body, const BigQueryTable *table) {
    if (table->partition)
        json_object_set_new(body, "timePartitioning",
                            json_pack("{s:s, s:s}", "type", "MONTH", "field", table->partition));
    json_t *cluster = json_array();
    for (int i = 0; i < 4 && table->cluster[i]; i++)
        json_array_append_new(cluster, json_string(table->cluster[i]));
    if (json_array_size(cluster) > 0)
        json_object_set_new(body, "clustering", json_pack("{s:O}", "fields", cluster));
    json_decref(cluster);
    if (table->expires_ms)
        json_object_set_new(body, "expirationTime",
                            json_sprintf("%lld", (long long)table->expires_ms));
}

static bool table_url(const BigQuery *bq, const char *name, char *ret_url, Error *err) {
    return bigquery_url(bq, ret_url, err, "", "/datasets/%s/tables/%s", bq->dataset, name);
}

static bool get_table(BigQuery *bq, const char *name, json_t **ret_object, Error *err) {
    char url[BIGQUERY_URL_BYTES];
    TRY(table_url(bq, name, url, err));
    BigQueryCall call = {.method = "GET", .url = url, .what = "cannot look at a table", .body = STR_NULL,
                         .expected = {404}};
    return call_json(bq, &call, NULL, NULL, ret_object, err);
}

bool bigquery_look_at_table(BigQuery *bq, const char *name, BigQueryTableFacts *ret_facts, Error *err) {
    CLEANUP(json_drop) json_t *object = NULL;
    TRY(get_table(bq, name, &object, err));
    *ret_facts = (BigQueryTableFacts){.is_found = object != NULL};
    const json_t *labels = json_object_get(object, "labels");
    snprintf(ret_facts->profile, sizeof ret_facts->profile, "%s", member(labels, "profile"));
    snprintf(ret_facts->schema_version, sizeof ret_facts->schema_version, "%s",
             member(labels, "schema_version"));
    return true;
}

bool bigquery_make_table(BigQuery *bq, const BigQueryTable *table, Error *err) {
    char url[BIGQUERY_URL_BYTES], what[200];
    TRY(bigquery_url(bq, url, err, "", "/datasets/%s/tables", bq->dataset));
    snprintf(what, sizeof what, "cannot make the table %s", table->name);
    json_t *body = table_json(bq, table, fields_json(table));
    add_layout(body, table);
    BigQueryCall call = {.method = "POST", .url = url, .what = what, .expected = {409}};
    return call_json(bq, &call, body, NULL, NULL, err);
}

static const BigQueryField *find_field(const BigQueryTable *table, const char *name) {
    for (int i = 0; i < table->n_fields; i++)
        if (strcasecmp(table->fields[i].name, name) == 0)
            return &table->fields[i];
    return NULL;
}

static bool has_name(const json_t *fields, const char *name) {
    size_t i;
    json_t *field;
    json_array_foreach(fields, i, field)
        if (strcasecmp(member(field, "name"), name) == 0)
            return true;
    return false;
}

/* BigQuery's own columns in their order with our descriptions, then the columns it has not. */
static json_t *widened_fields(const json_t *there, const BigQueryTable *table) {
    json_t *fields = json_deep_copy(there);
    size_t i;
    json_t *field;
    json_array_foreach(fields, i, field) {
        const BigQueryField *ours = find_field(table, member(field, "name"));
        if (ours && ours->description)
            json_object_set_new(field, "description", json_string(ours->description));
    }
    for (int k = 0; k < table->n_fields; k++)
        if (!has_name(there, table->fields[k].name))
            json_array_append_new(fields, field_json(&table->fields[k]));
    return fields;
}

bool bigquery_update_table(BigQuery *bq, const BigQueryTable *table, Error *err) {
    CLEANUP(json_drop) json_t *there = NULL;
    TRY(get_table(bq, table->name, &there, err));
    char url[BIGQUERY_URL_BYTES], what[200];
    TRY(table_url(bq, table->name, url, err));
    snprintf(what, sizeof what, "cannot change the table %s", table->name);
    const json_t *fields = json_object_get(json_object_get(there, "schema"), "fields");
    CLEANUP(json_drop) json_t *none = json_array();
    json_t *wide = table->view_query ? fields_json(table) : widened_fields(fields ? fields : none, table);
    BigQueryCall call = {.method = "PATCH", .url = url, .what = what};
    return call_json(bq, &call, table_json(bq, table, wide), NULL, NULL, err);
}

bool bigquery_drop_table(BigQuery *bq, const char *name, Error *err) {
    char url[BIGQUERY_URL_BYTES], what[200];
    TRY(table_url(bq, name, url, err));
    snprintf(what, sizeof what, "cannot drop the table %s", name);
    BigQueryCall call = {.method = "DELETE", .url = url, .what = what, .body = STR_NULL,
                         .expected = {404}};
    return call_json(bq, &call, NULL, NULL, NULL, err);
}

/* ---- jobs ------------------------------------------------------------------------------------------ */

static int64_t number_member(const json_t *object, const char *name) {
    int64_t number = 0; /* BigQuery writes 64-bit numbers as texts */
    str_to_int64(str_of(member(object, name)), &number);
    return number;
}

static void read_job(const json_t *object, const char *id, BigQueryJob *ret_job) {
    *ret_job = (BigQueryJob){.state = JOB_RUNNING};
    const json_t *status = json_object_get(object, "status");
    if (strcmp(member(status, "state"), "DONE") != 0)
        return;
    const json_t *statistics = json_object_get(object, "statistics");
    ret_job->bytes_billed = number_member(json_object_get(statistics, "query"), "totalBytesBilled");
    ret_job->rows = number_member(json_object_get(statistics, "load"), "outputRows");
    const json_t *failure = json_object_get(status, "errorResult");
    ret_job->state = failure ? JOB_FAILED : JOB_DONE;
    if (!failure)
        return;
    const char *reason = member(failure, "reason");
    const char *state = bigquery_state_of_reason(reason);
    error_set(&ret_job->why, state ? state : STATE_CONFIG, "the job %s failed in BigQuery: %s", id,
              *reason ? reason : "no reason given");
    error_hint(&ret_job->why, "see `bq show -j %s`", id);
}

static bool job_url(const BigQuery *bq, const char *collection, const char *id, char *ret_url,
                    Error *err) {
    return bigquery_url(bq, ret_url, err, "", "/%s/%s?location=%s", collection, id,
                        bq->location ? bq->location : "US");
}

bool bigquery_look_at_job(BigQuery *bq, const char *id, BigQueryJob *ret_job, Error *err) {
    char url[BIGQUERY_URL_BYTES];
    TRY(job_url(bq, "jobs", id, url, err));
    BigQueryCall call = {.method = "GET", .url = url, .what = "cannot look at a job", .body = STR_NULL,
                         .expected = {404}};
    CLEANUP(json_drop) json_t *object = NULL;
    TRY(call_json(bq, &call, NULL, NULL, &object, err));
    if (object)
        read_job(object, id, ret_job);
    else
        *ret_job = (BigQueryJob){.state = JOB_UNKNOWN};
    return true;
}

bool bigquery_wait_for_job(BigQuery *bq, const char *id, BigQueryJob *ret_job, Error *err) {
    int64_t end_us = clock_monotonic_us() + bq->timeout_ms * 1000;
    for (int64_t pause_ms = POLL_MS_MIN;; pause_ms = pause_ms < POLL_MS_MAX ? pause_ms * 2 : pause_ms) {
        TRY(bigquery_look_at_job(bq, id, ret_job, err));
        if (ret_job->state == JOB_UNKNOWN)
            return error_set(err, STATE_MISSING, "BigQuery does not know the job %s", id);
        if (ret_job->state != JOB_RUNNING) {
            bq->usage.bytes_billed += ret_job->bytes_billed;
            return true;
        }
        if (clock_monotonic_us() > end_us)
            return error_set(err, STATE_CONNECTION, "the job %s still runs in BigQuery after %lld s", id,
                             (long long)(bq->timeout_ms / 1000));
        TRY(http_pause(pause_ms, bq->cancel, err));
    }
}

static json_t *job_reference(const BigQuery *bq, const char *id) {
    return json_pack("{s:s, s:s, s:s*}", "projectId", bq->project, "jobId", id, "location", bq->location);
}

/* What earlier queries left. Nothing left is one byte: BigQuery then refuses the query, unbilled. */
static void limit_bytes(const BigQuery *bq, json_t *query) {
    if (bq->max_bytes_billed <= 0)
        return;
    int64_t left = bq->max_bytes_billed - bq->usage.bytes_billed;
    json_object_set_new(query, "maximumBytesBilled", json_sprintf("%lld", (long long)(left > 0 ? left : 1)));
}

bool bigquery_start_query(BigQuery *bq, const char *id, const char *sql, Error *err) {
    char url[BIGQUERY_URL_BYTES], what[200];
    TRY(bigquery_url(bq, url, err, "", "/jobs"));
    snprintf(what, sizeof what, "cannot start the job %s", id);
    json_t *query = json_pack("{s:s, s:b}", "query", sql, "useLegacySql", 0);
    limit_bytes(bq, query);
    json_t *body = json_pack("{s:o, s:{s:o, s:o}}", "jobReference", job_reference(bq, id),
                             "configuration", "labels", labels_json(bq->labels), "query", query);
    BigQueryCall call = {.method = "POST", .url = url, .what = what, .expected = {409}};
    return call_json(bq, &call, body, NULL, NULL, err);
}

/* ---- reading ----------------------------------------------------------------------------------------- */

/* Values of all pages, in the arena; grows by doubling, the old halves stay until the arena goes. */
typedef struct Reading {
    Arena *arena;
    Str *values;
    size_t n, capacity;
    int n_columns, n_rows;
} Reading;

static void reading_add(Reading *reading, Str value) {
    if (reading->n == reading->capacity) {
        size_t capacity = reading->capacity ? reading->capacity * 2 : 64;
        Str *values = ARENA_ARRAY(reading->arena, Str, capacity);
        if (reading->n > 0)
            memcpy(values, reading->values, reading->n * sizeof *values);
        reading->values = values;
        reading->capacity = capacity;
    }
    reading->values[reading->n++] = str_is_null(value) ? value : arena_copy(reading->arena, value);
}

/* A query that failed may come as 200 with errors and no columns; errors beside columns are warnings. */
static bool check_answer(const json_t *answer, Error *err) {
    const json_t *errors = json_object_get(answer, "errors");
    const json_t *fields = json_object_get(json_object_get(answer, "schema"), "fields");
    if (json_array_size(errors) == 0 || json_array_size(fields) > 0)
        return true;
    const char *reason = member(json_array_get(errors, 0), "reason");
    const char *state = bigquery_state_of_reason(reason);
    return error_set(err, state ? state : STATE_CONFIG, "cannot read from BigQuery: %s", reason);
}

static bool reading_take_page(Reading *reading, const json_t *answer, Error *err) {
    const json_t *fields = json_object_get(json_object_get(answer, "schema"), "fields");
    if (fields)
        reading->n_columns = (int)json_array_size(fields);
    size_t i, k;
    json_t *row, *cell;
    json_array_foreach(json_object_get(answer, "rows"), i, row) {
        json_array_foreach(json_object_get(row, "f"), k, cell)
            reading_add(reading, str_of(json_string_value(json_object_get(cell, "v"))));
        reading->n_rows++;
        if (reading->n > READ_VALUES_MAX || (int)k != reading->n_columns)
            return error_set(err, STATE_BUG, "BigQuery's answer has another shape than was asked for");
    }
    return true;
}

/* The next page of an answer, or the first one once its job is done. */
static bool next_page(BigQuery *bq, json_t **answer, Error *err) {
    char url[BIGQUERY_URL_BYTES];
    const json_t *job = json_object_get(*answer, "jobReference");
    TRY(bigquery_url(bq, url, err, "", "/queries/%s?location=%s&maxResults=%d&timeoutMs=10000&pageToken=%s",
                     member(job, "jobId"), bq->location ? bq->location : "US", READ_ROWS_PER_PAGE,
                     member(*answer, "pageToken")));
    BigQueryCall call = {.method = "GET", .url = url, .what = "cannot read from BigQuery",
                         .body = STR_NULL};
    json_t *next = NULL;
    TRY(call_json(bq, &call, NULL, NULL, &next, err));
    json_decref(*answer);
    *answer = next;
    return true;
}

static json_t *start_reading(BigQuery *bq, const char *sql, Error *err) {
    char url[BIGQUERY_URL_BYTES];
    TRY_NULL(bigquery_url(bq, url, err, "", "/queries"));
    json_t *body = json_pack("{s:s, s:b, s:i, s:i, s:s*, s:o}", "query", sql, "useLegacySql", 0,
                             "maxResults", READ_ROWS_PER_PAGE, "timeoutMs", 10000, "location",
                             bq->location, "labels", labels_json(bq->labels));
    limit_bytes(bq, body);
    BigQueryCall call = {.method = "POST", .url = url, .what = "cannot read from BigQuery"};
    json_t *answer = NULL;
    return call_json(bq, &call, body, NULL, &answer, err) ? answer : NULL;
}

/* The service holds each question for a while; one that answers at once must not keep us spinning. */
static bool wait_for_answer(BigQuery *bq, json_t **answer, Error *err) {
    int64_t end_us = clock_monotonic_us() + bq->timeout_ms * 1000, pause_ms = POLL_MS_MIN;
    while (!json_is_true(json_object_get(*answer, "jobComplete"))) {
        if (clock_monotonic_us() > end_us)
            return error_set(err, STATE_CONNECTION, "cannot read from BigQuery: the query still runs after %lld s",
                             (long long)(bq->timeout_ms / 1000));
        TRY(http_pause(pause_ms, bq->cancel, err));
        pause_ms = pause_ms < POLL_MS_MAX ? pause_ms * 2 : pause_ms;
        TRY(next_page(bq, answer, err));
    }
    return true;
}

/* An answer that was waited for tells only what was processed. */
static int64_t billed(const json_t *answer) {
    bool is_told = json_object_get(answer, "totalBytesBilled") != NULL;
    return number_member(answer, is_told ? "totalBytesBilled" : "totalBytesProcessed");
}

bool bigquery_read(BigQuery *bq, const char *sql, Arena *arena, BigQueryRows *ret_rows, Error *err) {
    Reading reading = {.arena = arena};
    CLEANUP(json_drop) json_t *answer = start_reading(bq, sql, err);
    TRY(answer != NULL);
    TRY(wait_for_answer(bq, &answer, err));
    bq->usage.bytes_billed += billed(answer);
    TRY(check_answer(answer, err));
    TRY(reading_take_page(&reading, answer, err));
    while (*member(answer, "pageToken")) {
        TRY(next_page(bq, &answer, err));
        TRY(reading_take_page(&reading, answer, err));
    }
    *ret_rows = (BigQueryRows){reading.n_rows, reading.n_columns, reading.values};
    return true;
}
