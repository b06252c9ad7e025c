/* http.c - see http.h. The only file that knows libcurl. */
#include "storage/http.h"

#include "base/clock.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <time.h>

enum {
    CONNECT_MS = 10 * 1000,
    TOTAL_MS = 600 * 1000,
    SLOW_BYTES_PER_S = 100,
    SLOW_S = 60,
    ANSWER_BYTES_MAX = 16 * 1024 * 1024,
    CANCEL_CHECK_MS = 50
};

struct HttpClient {
    CURL *curl;
    HttpLimits limits;
    const atomic_bool *cancel;
};

typedef struct curl_slist HeaderList;
DEFINE_DROP(HeaderList, header_list_drop, curl_slist_free_all)

/* ---- what libcurl calls ----------------------------------------------------------------------- */

static size_t take_body(char *bytes, size_t one, size_t size, void *context) {
    (void)one; /* always 1 */
    Buf *body = context;
    buf_put(body, bytes, size);
    return buf_overflowed(body) ? 0 : size;
}

static void copy_header(char *ret, size_t capacity, Str value) {
    size_t size = value.size < capacity ? value.size : 0; /* a cut URL or range would be worse than none */
    memcpy(ret, value.at, size);
    ret[size] = '\0';
}

static size_t take_header(char *line, size_t one, size_t size, void *context) {
    (void)one;
    HttpReply *reply = context;
    const char *colon = memchr(line, ':', size);
    if (!colon)
        return size; /* the status line, or the empty line at the end */
    Str name = {line, (size_t)(colon - line)};
    Str value = str_trim((Str){colon + 1, size - name.size - 1});
    const struct {
        Str name;
        char *to;
        size_t capacity;
    } kept[] = {
        {STR("location"), reply->location, sizeof reply->location},
        {STR("range"), reply->range, sizeof reply->range},
        {STR("content-type"), reply->content_type, sizeof reply->content_type},
        {STR("etag"), reply->etag, sizeof reply->etag},
        {STR("last-modified"), reply->last_modified, sizeof reply->last_modified},
    };
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (str_equal_nocase(name, kept[i].name))
            copy_header(kept[i].to, kept[i].capacity, value);
    if (str_equal_nocase(name, STR("retry-after"))) {
        int64_t now_s = clock_wall_us() / 1000000;
        int64_t seconds = http_parse_retry_after(value, now_s);
        reply->retry_after_ms = seconds < 0 ? -1 : seconds * 1000;
    }
    return size;
}

static int check_cancel(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    (void)a, (void)b, (void)c, (void)d;
    const atomic_bool *cancel = context;
    return cancel && atomic_load(cancel);
}

/* ---- one request -------------------------------------------------------------------------------- */

static bool add_header(HeaderList **list, const char *line) {
    HeaderList *longer = curl_slist_append(*list, line);
    if (longer)
        *list = longer;
    return longer != NULL;
}

static bool add_named_header(HeaderList **list, const char *name, const char *value) {
    if (!value)
        return true;
    CLEANUP(buf_done) Buf line;
    buf_init(&line, 16 * 1024);
    buf_printf(&line, "%s: %s", name, value);
    buf_put_byte(&line, '\0');
    bool added = !buf_overflowed(&line) && add_header(list, line.data);
    if (line.data)
        explicit_bzero(line.data, line.size); /* it may hold a token */
    return added;
}

static HeaderList *build_headers(const HttpRequest *request, Error *err) {
    CLEANUP(header_list_drop) HeaderList *list = NULL;
    bool fine = add_header(&list, "Accept: application/json") &&
                add_header(&list, "Expect:") && /* no 100-continue: it costs a round trip */
                add_named_header(&list, "Content-Type", request->content_type);
    for (size_t i = 0; fine && i < sizeof request->headers / sizeof *request->headers; i++)
        fine = !request->headers[i] || add_header(&list, request->headers[i]);
    CLEANUP(buf_done) Buf bearer;
    buf_init(&bearer, 16 * 1024);
    if (fine && request->bearer) {
        buf_printf(&bearer, "Bearer %s", request->bearer);
        buf_put_byte(&bearer, '\0');
        fine = !buf_overflowed(&bearer) && add_named_header(&list, "Authorization", bearer.data);
        if (bearer.data)
            explicit_bzero(bearer.data, bearer.size);
    }
    if (!fine) {
        error_set(err, STATE_RESOURCES, "cannot build a request to %s", request->subject);
        return NULL;
    }
    return TAKE(list);
}

static void set_limits(HttpClient *client) {
    CURL *curl = client->curl;
    const HttpLimits *limits = &client->limits;
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)limits->connect_ms);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)limits->total_ms);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES_PER_S);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)limits->slow_s);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "revcycled/" REVCYCLED_VERSION);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, check_cancel);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, (void *)client->cancel);
}

static void set_request(CURL *curl, const HttpRequest *request, HeaderList *headers,
                        HttpReply *reply) {
    curl_easy_setopt(curl, CURLOPT_URL, request->url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reply->body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, reply);
    bool is_get = strcmp(request->method, "GET") == 0;
    if (!str_is_null(request->body) || !is_get) {
        Str body = str_is_null(request->body) ? STR("") : request->body;
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.at); /* not copied */
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.size);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
}

static bool transport_error(CURLcode code, const HttpRequest *request, const HttpReply *reply,
                            Error *err) {
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return error_set(err, STATE_CANCELED, "the request to %s was canceled", request->subject);
    if (buf_overflowed(&reply->body))
        return error_set(err, "54000", "the answer of %s is too long", request->subject);
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        return error_set(err, STATE_AUTH, "cannot trust the certificate of %s", request->subject);
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
        return error_set(err, STATE_CONFIG, "the address of %s is not a valid http(s) URL",
                         request->subject);
    return error_set(err, STATE_CONNECTION, "cannot reach %s: %s", request->subject,
                     curl_easy_strerror(code));
}

bool http_send(HttpClient *client, const HttpRequest *request, HttpReply *reply, Error *err) {
    *reply = (HttpReply){.retry_after_ms = -1};
    buf_init(&reply->body, client->limits.answer_bytes_max);
    CLEANUP(header_list_drop) HeaderList *headers = build_headers(request, err);
    TRY(headers != NULL);
    curl_easy_reset(client->curl); /* options go, the connection stays */
    set_limits(client);
    set_request(client->curl, request, headers, reply);
    CURLcode code = curl_easy_perform(client->curl);
    if (code != CURLE_OK)
        return transport_error(code, request, reply, err);
    long status = 0;
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
    reply->status = (int)status;
    return true;
}

void http_reply_done(HttpReply *reply) { buf_done(&reply->body); }

/* ---- the client ----------------------------------------------------------------------------------- */

HttpClient *http_open(const HttpLimits *limits, const atomic_bool *cancel, Error *err) {
    CLEANUP(http_drop) HttpClient *client = calloc(1, sizeof *client);
    if (client)
        client->curl = curl_easy_init();
    if (!client || !client->curl) {
        error_set(err, STATE_RESOURCES, "cannot start an HTTP client");
        return NULL;
    }
    client->cancel = cancel;
    client->limits = (HttpLimits){
        .connect_ms = limits->connect_ms ? limits->connect_ms : CONNECT_MS,
        .total_ms = limits->total_ms ? limits->total_ms : TOTAL_MS,
        .slow_s = limits->slow_s ? limits->slow_s : SLOW_S,
        .answer_bytes_max = limits->answer_bytes_max ? limits->answer_bytes_max : ANSWER_BYTES_MAX,
    };
    return TAKE(client);
}

void http_free(HttpClient *client) {
    if (client->curl)
        curl_easy_cleanup(client->curl);
    free(client);
}

bool http_global_init(Error *err) {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_set(err, STATE_RESOURCES, "cannot start libcurl");
    return true;
}

/* ---- what answers mean ------------------------------------------------------------------------------ */

bool http_status_error(int status, const char *subject, Error *err) {
    static const struct {
        int low, high;
        const char *state, *meaning;
    } MEANINGS[] = {
        {401, 401, STATE_AUTH, "does not accept our credentials"},
        {403, 403, STATE_AUTH, "forbids the request"},
        {404, 404, STATE_MISSING, "does not know what was asked for"},
        {408, 408, "53400", "gave up waiting"},
        {409, 409, STATE_CONFLICT, "says it exists already"},
        {429, 429, "53400", "asks us to slow down"},
        {500, 599, STATE_CONNECTION, "is out of order"},
        {0, 999, STATE_CONFIG, "refuses the request"},
    };
    size_t i = 0;
    while (status < MEANINGS[i].low || status > MEANINGS[i].high)
        i++;
    return error_set(err, MEANINGS[i].state, "%s %s (HTTP %d)", subject, MEANINGS[i].meaning,
                     status);
}

int64_t http_parse_retry_after(Str value, int64_t now_s) {
    int64_t seconds;
    if (str_to_int64(value, &seconds))
        return seconds >= 0 ? seconds : -1;
    char text[64];
    if (value.size >= sizeof text)
        return -1;
    memcpy(text, value.at, value.size);
    text[value.size] = '\0';
    time_t when = curl_getdate(text, NULL);
    if (when == -1)
        return -1;
    return when > now_s ? (int64_t)when - now_s : 0;
}

bool http_pause(int64_t ms, const atomic_bool *cancel, Error *err) {
    int64_t end_us = clock_monotonic_us() + ms * 1000;
    for (;;) {
        if (cancel && atomic_load(cancel))
            return error_set(err, STATE_CANCELED, "canceled while waiting");
        int64_t left_us = end_us - clock_monotonic_us();
        if (left_us <= 0)
            return true;
        int64_t nap_us = left_us < CANCEL_CHECK_MS * 1000 ? left_us : CANCEL_CHECK_MS * 1000;
        nanosleep(&(struct timespec){.tv_sec = nap_us / 1000000, .tv_nsec = nap_us % 1000000 * 1000},
                  NULL);
    }
}
