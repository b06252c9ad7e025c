/* reply.c - see reply.h. */
#include "api/reply.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdlib.h>
#include <xxhash.h>
#include <zlib.h>

enum { GZIP_FROM_BYTES = 1400, GZIP_LEVEL = 1 };

typedef struct Problem {
    int status;
    const char *type; /* after urn:revcycled:problem: */
    const char *title;
    const char *code;
} Problem;

/* Every status that is answered as a problem; the last line is for the ones nobody thought of. */
static const Problem PROBLEMS[] = {
    {400, "bad-request", "Bad Request", "22023"},
    {401, "unauthenticated", "Unauthorized", "28000"},
    {403, "missing-scope", "Forbidden", "42501"},
    {404, "not-found", "Not Found", "02000"},
    {405, "method-not-allowed", "Method Not Allowed", "0A000"},
    {409, "conflict", "Conflict", "55006"},
    {413, "too-large", "Content Too Large", "54000"},
    {415, "unsupported-media-type", "Unsupported Media Type", "0A000"},
    {422, "unprocessable", "Unprocessable Content", "22000"},
    {429, "rate-limited", "Too Many Requests", "53400"},
    {431, "head-too-large", "Request Header Fields Too Large", "54000"},
    {501, "not-implemented", "Not Implemented", "0A000"},
    {503, "unavailable", "Service Unavailable", "57P03"},
    {505, "version-not-supported", "HTTP Version Not Supported", "0A000"},
    {500, "internal", "Internal Server Error", "XX000"},
};

/* style.md, "Failing". */
static const struct {
    ErrorClass class;
    int status;
} STATUS_OF_CLASS[] = {
    {ERROR_TRANSIENT, 503}, {ERROR_CONFLICT, 409},      {ERROR_DATA, 422},
    {ERROR_CANCELED, 409},  {ERROR_CONFIGURATION, 500}, {ERROR_BUG, 500},
};

void reply_init(Reply *reply, const char *instance) {
    *reply = (Reply){.status = 500, .instance = instance};
    buf_init(&reply->body, REPLY_MAX_BYTES);
}

void reply_done(Reply *reply) {
    buf_done(&reply->body);
    json_decref(reply->errors);
    *reply = (Reply){0};
}

void reply_header(Reply *reply, const char *name, const char *value) {
    if (reply->n_headers == REPLY_HEADERS_MAX)
        abort();
    reply->headers[reply->n_headers++] = (HttpHeader){name, value};
}

static int append(const char *data, size_t size, void *buf) {
    buf_put(buf, data, size);
    return 0;
}

static void put_json(Reply *reply, int status, const char *content_type, json_t *value) {
    reply->status = status;
    reply->content_type = content_type;
    buf_clear(&reply->body);
    json_dump_callback(value, append, &reply->body, JSON_COMPACT | JSON_ENCODE_ANY);
    buf_put_byte(&reply->body, '\n');
    json_decref(value);
}

void reply_json(Reply *reply, int status, json_t *value) {
    put_json(reply, status, "application/json", value);
}

void reply_text(Reply *reply, int status, const char *content_type, Str text) {
    reply->status = status;
    reply->content_type = content_type;
    buf_clear(&reply->body);
    buf_put_str(&reply->body, text);
}

/* ---- problems ------------------------------------------------------------------------------ */

static const Problem *problem_of(int status) {
    size_t i = 0;
    while (PROBLEMS[i].status != status && PROBLEMS[i].status != 500)
        i++;
    return &PROBLEMS[i];
}

static void put_problem(Reply *reply, int status, const char *code, const char *detail,
                        json_t *members) {
    const Problem *problem = problem_of(status);
    json_t *body = json_pack("{s:o, s:s, s:i, s:s, s:s, s:s}", "type",
                             json_sprintf("urn:revcycled:problem:%s", problem->type), "title",
                             problem->title, "status", status, "detail", detail, "instance",
                             reply->instance ? reply->instance : "", "code",
                             code ? code : problem->code);
    if (!body)
        abort();
    if (reply->errors)
        json_object_set(body, "errors", reply->errors);
    if (members)
        json_object_update_missing(body, members);
    json_decref(members);
    reply->caching = REPLY_NO_STORE;
    put_json(reply, status, "application/problem+json", body);
}

__attribute__((format(printf, 3, 0)))
static void format_detail(char *ret_detail, size_t bytes, const char *format, va_list args) {
    int size = vsnprintf(ret_detail, bytes, format, args);
    if (size < 0)
        *ret_detail = 0;
}

void reply_problem(Reply *reply, int status, const char *detail, ...) {
    char text[512];
    va_list args;
    va_start(args, detail);
    format_detail(text, sizeof text, detail, args);
    va_end(args);
    put_problem(reply, status, NULL, text, NULL);
}

void reply_problem_with(Reply *reply, int status, json_t *members, const char *detail, ...) {
    char text[512];
    va_list args;
    va_start(args, detail);
    format_detail(text, sizeof text, detail, args);
    va_end(args);
    put_problem(reply, status, NULL, text, members);
}

bool reply_input_error(Reply *reply, const char *pointer, const char *detail, ...) {
    char text[512];
    va_list args;
    va_start(args, detail);
    format_detail(text, sizeof text, detail, args);
    va_end(args);
    if (!reply->errors)
        reply->errors = json_array();
    json_array_append_new(reply->errors, json_pack("{s:s, s:s}", "pointer", pointer, "detail", text));
    put_problem(reply, 400, NULL, "the request has a mistake; errors says where", NULL);
    return false;
}

void reply_error(Reply *reply, const Error *err) {
    ErrorClass class = error_class(err);
    int status = 500;
    for (size_t i = 0; i < sizeof STATUS_OF_CLASS / sizeof *STATUS_OF_CLASS; i++)
        if (STATUS_OF_CLASS[i].class == class)
            status = STATUS_OF_CLASS[i].status;
    LOG_FAILURE(status == 500 ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN, "request failed", err,
                LOG_TEXT("request", reply->instance), LOG_INT("status", status));
    if (status == 503)
        reply_header(reply, "Retry-After", "5");
    const char *detail = class == ERROR_BUG ? "an internal error; the log has it under this instance"
                                            : err->text;
    put_problem(reply, status, err->state, detail, NULL);
}

/* ---- finishing ----------------------------------------------------------------------------- */

/* Weak: it names the content, however it is coded. */
static void make_etag(Str body, char *ret_etag) {
    XXH128_hash_t hash = XXH3_128bits(body.at, body.size);
    snprintf(ret_etag, REPLY_ETAG_BYTES, "W/\"%016llx%016llx\"", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
}

/* RFC 9110, section 13.1.2: a list of tags, compared weakly, or "*". */
static bool etag_matches(const char *if_none_match, const char *etag) {
    return strcmp(if_none_match, "*") == 0 || strstr(if_none_match, etag + strlen("W/")) != NULL;
}

/* RFC 9110, section 12.5.3; "gzip;q=0" refuses. */
static bool accepts_gzip(const char *accept_encoding) {
    const char *at = accept_encoding ? strstr(accept_encoding, "gzip") : NULL;
    if (!at)
        return false;
    at += strlen("gzip");
    float weight = 1;
    return sscanf(at, " ; q = %f", &weight) != 1 || weight > 0;
}

/* False leaves the body as it was. */
static bool compress_body(Buf *body) {
    z_stream stream = {0};
    if (deflateInit2(&stream, GZIP_LEVEL, Z_DEFLATED, 15 + 16 /* gzip */, 8, Z_DEFAULT_STRATEGY))
        return false;
    Buf packed;
    buf_init(&packed, REPLY_MAX_BYTES);
    size_t bound = deflateBound(&stream, body->size);
    stream.next_in = (Bytef *)body->data;
    stream.avail_in = (uInt)body->size;
    stream.next_out = (Bytef *)buf_reserve(&packed, bound);
    stream.avail_out = (uInt)bound;
    bool whole = stream.next_out && deflate(&stream, Z_FINISH) == Z_STREAM_END;
    packed.size = stream.total_out;
    deflateEnd(&stream);
    if (!whole) {
        buf_done(&packed);
        return false;
    }
    buf_done(body);
    *body = packed;
    return true;
}

static bool is_cacheable(const Reply *reply) {
    return reply->status == 200 && reply->caching == REPLY_PRIVATE;
}

void reply_finish(Reply *reply, const char *accept_encoding, const char *if_none_match) {
    if (buf_overflowed(&reply->body))
        reply_problem(reply, 500, "the answer is larger than %d bytes; ask for less",
                      REPLY_MAX_BYTES);
    reply_header(reply, "X-Content-Type-Options", "nosniff");
    reply_header(reply, "Cache-Control", is_cacheable(reply) ? "private, no-cache" : "no-store");
    if (is_cacheable(reply)) {
        make_etag(buf_str(&reply->body), reply->etag);
        reply_header(reply, "ETag", reply->etag);
        if (if_none_match && etag_matches(if_none_match, reply->etag)) {
            reply->status = 304;
            buf_clear(&reply->body);
            return;
        }
    }
    reply_header(reply, "Content-Type", reply->content_type);
    reply_header(reply, "Vary", "Accept-Encoding");
    if (reply->body.size >= GZIP_FROM_BYTES && accepts_gzip(accept_encoding) &&
        compress_body(&reply->body))
        reply_header(reply, "Content-Encoding", "gzip");
}

HttpAnswer reply_answer(const Reply *reply) {
    return (HttpAnswer){reply->status, reply->headers, reply->n_headers, buf_str(&reply->body)};
}
