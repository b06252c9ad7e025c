/* http.h - requests to other people's servers, over libcurl.
 *
 * One HttpClient is one reusable connection handle with limits: connect, whole request, too slow, too
 * long an answer. A request returns true when an answer of any status came; false when none did
 * (class 08), when it was canceled (57014) or too long (54000). What a status means is the caller's;
 * http_status_error() has the common mapping. No redirects are followed, only http and https are
 * spoken, certificates are verified. Not a retrier: see bigquery.c.
 * Neither URL, headers nor body ever stand in an error. One thread at a time per client. */
#pragma once
#include "base/buf.h"
#include "base/error.h"
#include "base/own.h"

#include <stdatomic.h>

typedef struct HttpClient HttpClient;

typedef struct HttpLimits {
    int64_t connect_ms;      /* 0: 10 s */
    int64_t total_ms;        /* 0: 10 min */
    int64_t slow_s;          /* give up when slower than 100 bytes/s for so long; 0: 60 s */
    size_t answer_bytes_max; /* 0: 16 MiB */
} HttpLimits;

typedef struct HttpRequest {
    const char *method; /* "GET", "POST", "PUT", "PATCH", "DELETE" */
    const char *url;
    const char *subject;       /* what errors call it: "BigQuery", "the token server" */
    const char *bearer;        /* NULL: no Authorization header */
    const char *content_type;  /* NULL: none */
    const char *headers[4];    /* further "Name: value" lines, NULL at the end */
    Str body;                  /* STR_NULL: no body */
} HttpRequest;

typedef struct HttpReply {
    int status;
    Buf body;
    int64_t retry_after_ms; /* -1 when the server named none */
    char location[1024];    /* "" when absent */
    char range[64];
    char content_type[128], etag[256], last_modified[64]; /* likewise */
} HttpReply;

/* `cancel` is borrowed, may be NULL; setting it from any thread ends a running request soon. */
HttpClient *http_open(const HttpLimits *limits, const atomic_bool *cancel, Error *err);
void http_free(HttpClient *client);
DEFINE_DROP(HttpClient, http_drop, http_free)

/* `reply` is initialised here in any case; the caller ends it with http_reply_done. */
bool http_send(HttpClient *client, const HttpRequest *request, HttpReply *reply, Error *err);
void http_reply_done(HttpReply *reply);

/* Sets the error that a status stands for: 401 and 403 → 28000, 404 → 42P01, 409 → 40001,
 * 408, 429 → 53400, 5xx → 08006, other 4xx → F0000. Returns false. */
bool http_status_error(int status, const char *subject, Error *err);
/* Seconds or an HTTP date (RFC 9110, 10.2.3) against `now_s` (Unix); -1 when it is neither. */
int64_t http_parse_retry_after(Str value, int64_t now_s);
/* Waits, or returns false with 57014 as soon as `cancel` is set. */
bool http_pause(int64_t ms, const atomic_bool *cancel, Error *err);
/* Once, in main, before threads. */
bool http_global_init(Error *err);
