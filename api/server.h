/* server.h - HTTP/1.1 over libmicrohttpd, on the loop thread.
 *
 * What it promises to whoever handles requests:
 *   - `headers` is called when the head of a request is in and found sane; it may answer at once
 *     (a refusal: the body is then read and thrown away, up to the limit);
 *   - `request` is called when the body is in, too; it answers now or later, from the loop thread;
 *     until then the connection is suspended and costs nothing;
 *   - a body that `headers` asked for piece by piece (http_request_stream) is given to `piece` as it comes, and
 *     kept nowhere; who cannot take more for a while pauses it, and has at most what the library held already;
 *   - `refused` is called instead when the server itself will not have the request; it must answer;
 *   - `stopping` is called for each unanswered request when the server stops; it must answer;
 *   - `finished` is called exactly once per request, last; the request is gone after it;
 *   - `tick` is called every HTTP_TICK_MS, for deadlines.
 * It refuses by itself what proxies and libraries disagree about: two Content-Length headers, or
 * one beside Transfer-Encoding, heads above 8 KiB, bodies above the limit, names of headers that
 * are no tokens. Who sends or reads slower than the deadlines allow is cut off.
 * A client that leaves while its request is suspended is not noticed until the answer: what is
 * answered later needs a deadline of its own.
 * Knows nothing of routes, tokens or JSON. Loop thread only. */
#pragma once
#include "base/arena.h"
#include "base/error.h"

#include <stddef.h>

struct uv_loop_s;

typedef struct HttpRequest {
    const char *method; /* as sent */
    const char *target; /* raw: path and query, still encoded */
    Str body;           /* whole, when `request` is called */
    Arena *arena;       /* lives as long as the request */
    int64_t started_us; /* monotonic: when the head was in */
    void *user;         /* the handler's */
} HttpRequest;

typedef struct HttpHeader {
    const char *name, *value;
} HttpHeader;

typedef struct HttpAnswer {
    int status;
    const HttpHeader *headers;
    size_t n_headers;
    Str body; /* copied */
} HttpAnswer;

typedef struct HttpHandlers {
    void *ctx;
    void (*headers)(void *ctx, HttpRequest *request);
    void (*piece)(void *ctx, HttpRequest *request, Str bytes); /* borrowed */
    void (*request)(void *ctx, HttpRequest *request);
    void (*refused)(void *ctx, HttpRequest *request, int status, const char *detail);
    void (*stopping)(void *ctx, HttpRequest *request);
    void (*finished)(void *ctx, HttpRequest *request);
    void (*tick)(void *ctx);
} HttpHandlers;

typedef struct ServerOptions {
    struct uv_loop_s *loop;
    const char *listen;                    /* see listener.h */
    const char *tls_certificate, *tls_key; /* PEM files; both or neither */
    unsigned max_connections;              /* 0: 256 */
    int64_t receive_deadline_ms;           /* a whole request within; 0: 30 s */
    int64_t send_deadline_ms;              /* a whole answer within; 0: 60 s */
    size_t max_body_bytes;                 /* 0: 1 MiB */
    HttpHandlers handlers;
} ServerOptions;

typedef struct Server Server;

Server *server_open(const ServerOptions *options, Error *err);
/* What a client connects to: "127.0.0.1:8080". */
const char *server_address(const Server *server);
/* Answers what is open through `stopping`, closes every connection, frees the server. The loop must
 * turn once more to release the handles. */
void server_stop(Server *server);

/* In `headers`: the body comes by pieces, up to so many bytes, within so long. */
void http_request_stream(HttpRequest *request, size_t max_bytes, int64_t deadline_ms);
/* In `piece`: at most one read of the library's more, until it is resumed; then the client's deadline goes on. */
void http_request_pause(HttpRequest *request);
void http_request_resume(HttpRequest *request);

/* NULL when the client did not send it. */
const char *http_request_header(const HttpRequest *request, const char *name);
/* Once per request. */
void http_request_answer(HttpRequest *request, const HttpAnswer *answer);
