/* bigquery_upload.c - see bigquery.h, "uploads".
 *
 * A resumable upload (https://cloud.google.com/bigquery/docs/reference/api-uploads) is a session:
 * chunks are PUT with their place in the stream; 308 names how far the server came. After a cut
 * connection the server is asked, with an empty PUT, and the rest of the chunk is sent again; the
 * chunk stays in memory until the server has it. When the very last answer is lost, the session may
 * be gone and only the job, found by its id, tells that the upload arrived. */
#include "storage/bigquery_call.h"

enum {
    CHUNK_BYTES = 8 * 256 * 1024, /* the protocol wants multiples of 256 KiB */
    BODY_BYTES_MAX = CHUNK_BYTES + 16 * 1024
};

#define BOUNDARY "revcycled-part"

struct BigQueryUpload {
    BigQuery *bq;
    char job_id[128];
    char table[128];
    char session[BIGQUERY_URL_BYTES]; /* "" until the first chunk is full */
    char what[200];
    Buf chunk;
    int64_t offset; /* where the chunk begins in the stream */
};

BigQueryUpload *bigquery_upload_open(BigQuery *bq, const char *job_id, const char *table, Error *err) {
    BigQueryUpload *upload = calloc(1, sizeof *upload);
    if (!upload) {
        error_set(err, STATE_RESOURCES, "out of memory");
        return NULL;
    }
    upload->bq = bq;
    snprintf(upload->job_id, sizeof upload->job_id, "%s", job_id);
    snprintf(upload->table, sizeof upload->table, "%s", table);
    snprintf(upload->what, sizeof upload->what, "cannot upload to the table %s", table);
    buf_init(&upload->chunk, CHUNK_BYTES);
    bq->usage.load_jobs++;
    return upload;
}

void bigquery_upload_free(BigQueryUpload *upload) {
    buf_done(&upload->chunk);
    free(upload);
}

static char *job_text(const BigQueryUpload *upload) {
    const BigQuery *bq = upload->bq;
    CLEANUP(json_drop) json_t *labels = json_object();
    for (int i = 0; i < BIGQUERY_LABELS_MAX && bq->labels[i].name; i++)
        json_object_set_new(labels, bq->labels[i].name, json_string(bq->labels[i].value));
    CLEANUP(json_drop) json_t *job = json_pack(
        "{s:{s:s, s:s, s:s*}, s:{s:O, s:{s:{s:s, s:s, s:s}, s:s, s:b, s:s, s:s}}}", "jobReference",
        "projectId", bq->project, "jobId", upload->job_id, "location", bq->location, "configuration",
        "labels", labels, "load", "destinationTable", "projectId", bq->project, "datasetId",
        bq->dataset, "tableId", upload->table, "sourceFormat", "AVRO", "useAvroLogicalTypes", 1,
        "createDisposition", "CREATE_NEVER", "writeDisposition", "WRITE_TRUNCATE");
    return json_dumps(job, JSON_COMPACT);
}

/* ---- small: one request ---------------------------------------------------------------------------- */

static bool send_multipart(BigQueryUpload *upload, Error *err) {
    char url[BIGQUERY_URL_BYTES];
    TRY(bigquery_url(upload->bq, url, err, "/upload", "/jobs?uploadType=multipart"));
    CLEANUP(mem_drop) char *job = job_text(upload);
    CLEANUP(buf_done) Buf body;
    buf_init(&body, BODY_BYTES_MAX);
    buf_printf(&body, "--" BOUNDARY "\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n%s"
                      "\r\n--" BOUNDARY "\r\nContent-Type: application/octet-stream\r\n\r\n", job);
    buf_put_str(&body, buf_str(&upload->chunk));
    buf_put_str(&body, STR("\r\n--" BOUNDARY "--\r\n"));
    if (buf_overflowed(&body))
        return error_set(err, STATE_BUG, "%s: the request is too long", upload->what);
    BigQueryCall call = {.method = "POST", .url = url, .what = upload->what,
                         .content_type = "multipart/related; boundary=" BOUNDARY,
                         .body = buf_str(&body), .expected = {409}}; /* 409: an earlier try arrived */
    CLEANUP(http_reply_done) HttpReply reply = {0};
    return bigquery_call(upload->bq, &call, &reply, err);
}

/* ---- large: a session -------------------------------------------------------------------------------- */

static bool open_session(BigQueryUpload *upload, Error *err) {
    char url[BIGQUERY_URL_BYTES];
    TRY(bigquery_url(upload->bq, url, err, "/upload", "/jobs?uploadType=resumable"));
    CLEANUP(mem_drop) char *job = job_text(upload);
    BigQueryCall call = {.method = "POST", .url = url, .what = upload->what,
                         .content_type = "application/json",
                         .header = "X-Upload-Content-Type: application/octet-stream",
                         .body = str_of(job)};
    CLEANUP(http_reply_done) HttpReply reply = {0};
    TRY(bigquery_call(upload->bq, &call, &reply, err));
    if (!*reply.location)
        return error_set(err, STATE_CONNECTION, "%s: BigQuery named no upload session", upload->what);
    snprintf(upload->session, sizeof upload->session, "%s", reply.location);
    return true;
}

/* "bytes=0-1234" says that 1235 bytes are there; no header, that none is. */
static int64_t received(const HttpReply *reply) {
    const char *dash = strchr(reply->range, '-');
    int64_t last;
    return dash && str_to_int64(str_of(dash + 1), &last) ? last + 1 : 0;
}

typedef enum SendOutcome { SENT_PART, SENT_ALL, SENT_TO_NOBODY } SendOutcome;

static SendOutcome outcome_of(const HttpReply *reply) {
    if (reply->status == 308)
        return SENT_PART;
    return reply->status == 404 || reply->status == 410 ? SENT_TO_NOBODY : SENT_ALL;
}

/* Bytes of the chunk from the place `skip` on; with `total` < 0 more will follow. An empty rest asks how
 * far the server came. */
static bool put_range(BigQueryUpload *upload, size_t skip, int64_t total, bool ask, HttpReply *reply,
                      bool *ret_again, Error *err) {
    char range[120], whole[32];
    snprintf(whole, sizeof whole, "%lld", (long long)total);
    Str rest = {upload->chunk.data ? upload->chunk.data + skip : "", upload->chunk.size - skip};
    int64_t first = upload->offset + (int64_t)skip;
    if (ask || rest.size == 0)
        snprintf(range, sizeof range, "Content-Range: bytes */%s", total < 0 ? "*" : whole);
    else
        snprintf(range, sizeof range, "Content-Range: bytes %lld-%lld/%s", (long long)first,
                 (long long)(first + (int64_t)rest.size - 1), total < 0 ? "*" : whole);
    BigQueryCall call = {.method = "PUT", .url = upload->session, .what = upload->what, .header = range,
                         .content_type = "application/octet-stream", .body = ask ? STR("") : rest,
                         .expected = {308, 404, 410}};
    return bigquery_try(upload->bq, &call, reply, ret_again, err);
}

static bool job_arrived(BigQueryUpload *upload, Error *err) {
    BigQueryJob job;
    TRY(bigquery_look_at_job(upload->bq, upload->job_id, &job, err));
    if (job.state != JOB_UNKNOWN)
        return true; /* it exists only once the whole stream had arrived */
    return error_set(err, STATE_CONNECTION, "%s: the upload session is gone", upload->what);
}

/* Sends the chunk, wherever the server stands in it. */
static bool send_chunk(BigQueryUpload *upload, int64_t total, Error *err) {
    size_t skip = 0;
    bool ask = false;
    for (int try = 1; try <= BIGQUERY_TRIES;) {
        CLEANUP(http_reply_done) HttpReply reply = {0};
        bool again;
        if (!put_range(upload, skip, total, ask, &reply, &again, err)) {
            if (!again || try == BIGQUERY_TRIES || !bigquery_back_off(upload->bq, try, &reply, err))
                return false;
            try++;
            ask = true;
            continue;
        }
        SendOutcome outcome = outcome_of(&reply);
        if (outcome == SENT_TO_NOBODY)
            return job_arrived(upload, err);
        if (outcome == SENT_ALL)
            return true;
        int64_t there = received(&reply) - upload->offset;
        if (there < 0 || there > (int64_t)upload->chunk.size)
            return error_set(err, STATE_CONNECTION, "%s: the upload session lost its place", upload->what);
        if (there == (int64_t)upload->chunk.size && total < 0)
            return true;
        if (!ask && there <= (int64_t)skip)
            try++; /* no progress counts as a failed try */
        skip = (size_t)there;
        ask = false;
    }
    return error_set(err, STATE_CONNECTION, "%s: the upload makes no progress", upload->what);
}

static bool send_full_chunk(BigQueryUpload *upload, Error *err) {
    if (!*upload->session)
        TRY(open_session(upload, err));
    TRY(send_chunk(upload, -1, err));
    upload->offset += (int64_t)upload->chunk.size;
    buf_clear(&upload->chunk);
    return true;
}

/* A full chunk waits for the next byte: only then is it known not to be the last. */
bool bigquery_upload_put(BigQueryUpload *upload, Str bytes, Error *err) {
    while (bytes.size > 0) {
        if (upload->chunk.size == CHUNK_BYTES)
            TRY(send_full_chunk(upload, err));
        size_t room = CHUNK_BYTES - upload->chunk.size;
        size_t size = bytes.size < room ? bytes.size : room;
        buf_put(&upload->chunk, bytes.at, size);
        bytes.at += size;
        bytes.size -= size;
    }
    return true;
}

bool bigquery_upload_finish(BigQueryUpload *upload, Error *err) {
    if (!*upload->session)
        return send_multipart(upload, err);
    return send_chunk(upload, upload->offset + (int64_t)upload->chunk.size, err);
}
