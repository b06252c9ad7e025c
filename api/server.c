/* server.c - see server.h.
 *
 * How a request goes through libmicrohttpd: on_target() makes it when the request line is in, then
 * on_access() is called once with the head, once per piece of body, and once at the end. Whoever has
 * no answer then suspends the connection; http_request_answer() resumes it and on_access() is
 * called a last time. on_completed() is the only place that frees a request.
 *
 * Deadlines: the library's timeout measures idleness, and one byte a second is not idle. So each
 * connection carries an absolute deadline, and tick() shuts down the socket of one that passed it:
 * the library then sees the end of the stream and closes it in its own order. */
#include "api/server.h"

#include "api/http_loop.h"
#include "api/listener.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/own.h"

#include <ctype.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

enum {
    HEAD_MAX_BYTES = 8 * 1024,
    CONNECTION_MEMORY_BYTES = 32 * 1024, /* above HEAD_MAX_BYTES, so that the 431 is ours */
    BODY_MAX_BYTES = 1024 * 1024,
    CONNECTIONS_MAX = 256,
    RECEIVE_DEADLINE_MS = 30 * 1000,
    SEND_DEADLINE_MS = 60 * 1000,
    RUNS_AT_STOP = 16,
};

typedef struct Exchange Exchange;

typedef struct Connection {
    struct Connection *next, **from;
    int fd;
    int64_t deadline_us; /* 0: none, somebody else's */
    bool seems_gone;     /* at the last tick */
    Exchange *exchange;  /* the request under way, or NULL */
} Connection;

struct Exchange {
    HttpRequest public; /* first: the two are one object */
    Server *server;
    struct MHD_Connection *mhd;
    struct MHD_Response *answer;
    int status;
    Buf body;
    bool began;     /* the head was seen */
    bool suspended;
    bool too_large;
    size_t stream_max; /* bytes; 0: the body is gathered */
    size_t streamed;
    int64_t stream_deadline_us;
    bool wants_pause, paused; /* paused: suspended in the middle of the body */
};

struct Server {
    ServerOptions options;
    struct MHD_Daemon *mhd;
    HttpLoop *http;
    Connection *connections;
    char *certificate, *key;
    char address[LISTENER_ADDRESS_BYTES];
};

/* ---- answering --------------------------------------------------------------------------- */

static Connection *connection_of(struct MHD_Connection *mhd) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void set_deadline(struct MHD_Connection *mhd, int64_t after_ms) {
    Connection *connection = connection_of(mhd);
    if (connection)
        connection->deadline_us = after_ms ? clock_monotonic_us() + after_ms * 1000 : 0;
}

/* Where it stands suspended. */
static void go_on(Exchange *exchange) {
    if (!exchange->suspended)
        return;
    exchange->suspended = false;
    exchange->paused = false;
    MHD_resume_connection(exchange->mhd);
    http_loop_wake(exchange->server->http);
}

void http_request_answer(HttpRequest *request, const HttpAnswer *answer) {
    Exchange *exchange = (Exchange *)request;
    if (exchange->answer)
        abort(); /* two answers would be one answer to somebody else's question */
    struct MHD_Response *response = MHD_create_response_from_buffer(
        answer->body.size, (void *)(uintptr_t)answer->body.at, MHD_RESPMEM_MUST_COPY);
    if (!response)
        abort();
    for (size_t i = 0; i < answer->n_headers; i++)
        MHD_add_response_header(response, answer->headers[i].name, answer->headers[i].value);
    exchange->answer = response;
    exchange->status = answer->status;
    go_on(exchange);
}

void http_request_stream(HttpRequest *request, size_t max_bytes, int64_t deadline_ms) {
    Exchange *exchange = (Exchange *)request;
    exchange->stream_max = max_bytes;
    exchange->stream_deadline_us = clock_monotonic_us() + deadline_ms * 1000;
    set_deadline(exchange->mhd, deadline_ms);
}

void http_request_pause(HttpRequest *request) { ((Exchange *)request)->wants_pause = true; }

void http_request_resume(HttpRequest *request) {
    Exchange *exchange = (Exchange *)request;
    exchange->wants_pause = false;
    if (!exchange->paused)
        return;
    exchange->paused = false;
    Connection *connection = connection_of(exchange->mhd);
    if (connection)
        connection->deadline_us = exchange->stream_deadline_us;
    go_on(exchange);
}

static enum MHD_Result send_answer(Exchange *exchange) {
    set_deadline(exchange->mhd, exchange->server->options.send_deadline_ms);
    return MHD_queue_response(exchange->mhd, (unsigned)exchange->status, exchange->answer);
}

static enum MHD_Result send_or_suspend(Exchange *exchange) {
    if (exchange->answer)
        return send_answer(exchange);
    exchange->suspended = true;
    set_deadline(exchange->mhd, 0);
    MHD_suspend_connection(exchange->mhd);
    return MHD_YES;
}

/* ---- the head ---------------------------------------------------------------------------- */

typedef struct Head {
    int n_content_length, n_transfer_encoding, n_host, n_authorization;
    bool malformed;
} Head;

/* RFC 9110, section 5.6.2. */
static bool is_token(const char *name, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (!isalnum((unsigned char)name[i]) && (!name[i] || !strchr("!#$%&'*+-.^_`|~", name[i])))
            return false;
    return size > 0;
}

static enum MHD_Result look_at_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                      size_t name_size, const char *value, size_t value_size) {
    Head *head = cls;
    (void)kind;
    if (!is_token(name, name_size) || (value && memchr(value, 0, value_size)))
        head->malformed = true;
    head->n_content_length += strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0;
    head->n_transfer_encoding += strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0;
    head->n_host += strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0;
    head->n_authorization += strcasecmp(name, MHD_HTTP_HEADER_AUTHORIZATION) == 0;
    return MHD_YES;
}

static size_t head_size(struct MHD_Connection *mhd) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info ? info->header_size : 0;
}

static size_t announced_body(const Exchange *exchange) {
    const char *length = http_request_header(&exchange->public, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return length ? strtoul(length, NULL, 10) : 0;
}

/* A sentence and its status when the head cannot be trusted. */
static const char *refusal(const Exchange *exchange, const char *version, int *ret_status) {
    Head head = {0};
    MHD_get_connection_values_n(exchange->mhd, MHD_HEADER_KIND, look_at_header, &head);
    const char *coding = http_request_header(&exchange->public, MHD_HTTP_HEADER_TRANSFER_ENCODING);
    *ret_status = 400;
    if (head.malformed)
        return "a header is malformed";
    if (head.n_content_length > 1 || head.n_host > 1 || head.n_authorization > 1)
        return "a header that may stand once is given twice";
    if (head.n_transfer_encoding > 0 && head.n_content_length > 0)
        return "Content-Length and Transfer-Encoding exclude each other";
    if (head.n_transfer_encoding > 1 || (coding && strcasecmp(coding, "chunked") != 0))
        return "the only transfer coding is chunked";
    *ret_status = 431;
    if (head_size(exchange->mhd) > HEAD_MAX_BYTES)
        return "the head of the request is larger than 8 KiB";
    *ret_status = 505;
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
        return "the version of HTTP is neither 1.0 nor 1.1";
    return NULL;
}

static size_t body_limit(const Exchange *exchange) {
    return exchange->stream_max ? exchange->stream_max : exchange->server->options.max_body_bytes;
}

/* What nobody will read is not waited for: the connection ends with the answer. */
static enum MHD_Result look_at_size(Exchange *exchange) {
    const HttpHandlers *handlers = &exchange->server->options.handlers;
    bool is_refused = exchange->answer != NULL;
    if (announced_body(exchange) <= (is_refused ? exchange->server->options.max_body_bytes : body_limit(exchange)))
        return MHD_YES;
    if (!is_refused)
        handlers->refused(handlers->ctx, &exchange->public, 413, "the body is larger than the limit");
    return send_answer(exchange);
}

static enum MHD_Result begin(Exchange *exchange, const char *method, const char *version) {
    const HttpHandlers *handlers = &exchange->server->options.handlers;
    exchange->began = true;
    exchange->public.method = arena_string(exchange->public.arena, str_of(method));
    exchange->public.started_us = clock_monotonic_us();
    int status;
    const char *why = refusal(exchange, version, &status);
    if (why) {
        handlers->refused(handlers->ctx, &exchange->public, status, why);
        return send_answer(exchange);
    }
    handlers->headers(handlers->ctx, &exchange->public);
    return look_at_size(exchange);
}

/* ---- the body ---------------------------------------------------------------------------- */

/* A second pause before the first has ended: the library gives what it had read already. */
static void pass_on(Exchange *exchange, Str bytes) {
    const HttpHandlers *handlers = &exchange->server->options.handlers;
    exchange->streamed += bytes.size;
    exchange->too_large = exchange->streamed > exchange->stream_max;
    if (exchange->too_large)
        return;
    handlers->piece(handlers->ctx, &exchange->public, bytes);
    if (!exchange->wants_pause || exchange->suspended || exchange->answer)
        return;
    exchange->suspended = exchange->paused = true;
    set_deadline(exchange->mhd, 0);
    MHD_suspend_connection(exchange->mhd);
}

/* Everything is taken: a part left behind hangs the connection. */
static enum MHD_Result take(Exchange *exchange, const char *data, size_t *size) {
    Str bytes = {data, *size};
    *size = 0;
    if (exchange->answer)
        return MHD_YES;
    if (exchange->stream_max)
        pass_on(exchange, bytes);
    else
        buf_put_str(&exchange->body, bytes);
    exchange->too_large = exchange->too_large || buf_overflowed(&exchange->body);
    return MHD_YES;
}

static enum MHD_Result finish(Exchange *exchange) {
    const HttpHandlers *handlers = &exchange->server->options.handlers;
    exchange->public.body = buf_str(&exchange->body);
    if (!exchange->answer && exchange->too_large)
        handlers->refused(handlers->ctx, &exchange->public, 413, "the body is larger than the limit");
    else if (!exchange->answer)
        handlers->request(handlers->ctx, &exchange->public);
    return send_or_suspend(exchange);
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *mhd, const char *url,
                                 const char *method, const char *version, const char *data,
                                 size_t *size, void **con_cls) {
    Exchange *exchange = *con_cls;
    (void)cls;
    (void)url; /* decoded by the library: the raw target is the one that counts */
    exchange->mhd = mhd;
    if (!exchange->began)
        return begin(exchange, method, version);
    if (*size > 0)
        return take(exchange, data, size);
    return finish(exchange);
}

/* ---- life of requests and connections ------------------------------------------------------ */

static void *on_target(void *cls, const char *target, struct MHD_Connection *mhd) {
    Server *server = cls;
    Exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange)
        abort();
    exchange->server = server;
    exchange->mhd = mhd;
    exchange->public.arena = arena_open();
    exchange->public.target = arena_string(exchange->public.arena, str_of(target));
    buf_init(&exchange->body, server->options.max_body_bytes);
    Connection *connection = connection_of(mhd);
    if (connection)
        connection->exchange = exchange;
    return exchange;
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **con_cls,
                         enum MHD_RequestTerminationCode code) {
    Server *server = cls;
    Exchange *exchange = *con_cls;
    (void)code;
    if (!exchange)
        return;
    server->options.handlers.finished(server->options.handlers.ctx, &exchange->public);
    Connection *connection = connection_of(mhd);
    if (connection)
        connection->exchange = NULL;
    set_deadline(mhd, server->options.receive_deadline_ms);
    if (exchange->answer)
        MHD_destroy_response(exchange->answer);
    buf_done(&exchange->body);
    arena_free(exchange->public.arena);
    free(exchange);
    *con_cls = NULL;
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **socket_context,
                          enum MHD_ConnectionNotificationCode code) {
    Server *server = cls;
    Connection *connection = *socket_context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        *connection->from = connection->next;
        if (connection->next)
            connection->next->from = connection->from;
        free(connection);
        return;
    }
    connection = calloc(1, sizeof *connection);
    if (!connection)
        abort();
    connection->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    connection->deadline_us = clock_monotonic_us() + server->options.receive_deadline_ms * 1000;
    connection->next = server->connections;
    connection->from = &server->connections;
    if (connection->next)
        connection->next->from = &connection->next;
    server->connections = connection;
    *socket_context = connection;
}

/* ---- the loop's side ----------------------------------------------------------------------- */

static void engine_run(void *ctx) { MHD_run(((Server *)ctx)->mhd); }

static int64_t engine_timeout_ms(void *ctx) {
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    return MHD_get_timeout(((Server *)ctx)->mhd, &timeout_ms) == MHD_YES ? (int64_t)timeout_ms : -1;
}

/* In the middle of a file: the library takes a short read for the last one, and misses an end that came with its bytes
 * until the connection was idle for long. */
static bool is_gone(const Connection *connection) {
    const Exchange *exchange = connection->exchange;
    bool is_midway = exchange && exchange->stream_max && !exchange->suspended && !exchange->answer;
    char byte;
    return is_midway && recv(connection->fd, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* At two ticks: who is just resumed may have sent all, and have closed its side. */
static void cut_if_gone(Connection *connection) {
    bool was_gone = connection->seems_gone;
    connection->seems_gone = is_gone(connection);
    if (was_gone && connection->seems_gone)
        shutdown(connection->fd, SHUT_RDWR);
}

static void engine_tick(void *ctx) {
    Server *server = ctx;
    int64_t now_us = clock_monotonic_us();
    for (Connection *connection = server->connections; connection; connection = connection->next) {
        cut_if_gone(connection);
        if (connection->deadline_us && connection->deadline_us <= now_us) {
            connection->deadline_us = 0;
            shutdown(connection->fd, SHUT_RDWR);
        }
    }
    server->options.handlers.tick(server->options.handlers.ctx);
}

/* ---- opening and stopping ------------------------------------------------------------------ */

static char *read_pem(const char *path, Error *err) {
    CLEANUP(file_drop) FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t capacity = 0;
    if (!file || getdelim(&text, &capacity, 0, file) <= 0) {
        free(text);
        error_set_errno(err, errno, "cannot read %s", path);
        memcpy(err->state, STATE_CONFIG, sizeof err->state);
        return NULL;
    }
    return text;
}

static bool load_tls(Server *server, Error *err) {
    if (!server->options.tls_certificate)
        return true;
    server->certificate = read_pem(server->options.tls_certificate, err);
    TRY(server->certificate);
    server->key = read_pem(server->options.tls_key, err);
    return server->key != NULL;
}

static bool start_mhd(Server *server, int fd, Error *err) {
    const ServerOptions *options = &server->options;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, server->certificate},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, server->key},
        {MHD_OPTION_END, 0, NULL},
    };
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
    if (server->certificate)
        flags |= MHD_USE_TLS;
    server->mhd = MHD_start_daemon(
        flags, 0, NULL, NULL, on_access, server,
        MHD_OPTION_ARRAY, server->certificate ? tls : &tls[2],
        MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd,
        MHD_OPTION_CONNECTION_LIMIT, options->max_connections,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(options->send_deadline_ms / 1000 + 1),
        MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_URI_LOG_CALLBACK, on_target, server,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
        MHD_OPTION_END);
    if (server->mhd)
        return true;
    error_set(err, STATE_CONFIG, "cannot start the HTTP server on %s", server->address);
    return server->certificate ? error_hint(err, "check server.tls_certificate and server.tls_key")
                               : false;
}

static void server_free(Server *server) {
    free(server->certificate);
    free(server->key);
    free(server);
}
DEFINE_DROP(Server, server_drop, server_free)

static void fill_defaults(ServerOptions *options) {
    if (!options->max_connections)
        options->max_connections = CONNECTIONS_MAX;
    if (!options->receive_deadline_ms)
        options->receive_deadline_ms = RECEIVE_DEADLINE_MS;
    if (!options->send_deadline_ms)
        options->send_deadline_ms = SEND_DEADLINE_MS;
    if (!options->max_body_bytes)
        options->max_body_bytes = BODY_MAX_BYTES;
}

Server *server_open(const ServerOptions *options, Error *err) {
    CLEANUP(server_drop) Server *server = calloc(1, sizeof *server);
    if (!server)
        abort();
    server->options = *options;
    fill_defaults(&server->options);
    TRY_NULL(load_tls(server, err));
    CLEANUP(fd_drop) int fd =
        listener_open(options->listen, server->certificate ? LISTENER_ANYWHERE : LISTENER_LOCAL,
                      server->address, err);
    if (fd < 0)
        return NULL;
    TRY_NULL(start_mhd(server, fd, err));
    fd = -1; /* the library closes it */
    const HttpEngine engine = {
        .ctx = server,
        .epoll_fd = MHD_get_daemon_info(server->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
        .run = engine_run,
        .timeout_ms = engine_timeout_ms,
        .tick = engine_tick,
    };
    server->http = http_loop_open(options->loop, &engine, err);
    if (!server->http) {
        MHD_stop_daemon(server->mhd);
        return NULL;
    }
    return TAKE(server);
}

const char *server_address(const Server *server) { return server->address; }

static void answer_all(Server *server) {
    const HttpHandlers *handlers = &server->options.handlers;
    for (Connection *connection = server->connections; connection; connection = connection->next) {
        Exchange *exchange = connection->exchange;
        if (exchange && exchange->suspended)
            handlers->stopping(handlers->ctx, &exchange->public);
    }
}

/* MHD_stop_daemon() gives up on suspended connections with an abort: all are resumed before. */
void server_stop(Server *server) {
    int fd = MHD_quiesce_daemon(server->mhd);
    if (fd >= 0)
        close(fd);
    answer_all(server);
    for (int i = 0; i < RUNS_AT_STOP; i++) {
        MHD_run(server->mhd);
        answer_all(server); /* requests that were just coming in */
    }
    http_loop_close(server->http);
    MHD_stop_daemon(server->mhd);
    if (server->address[0] == '/')
        unlink(server->address);
    server_free(server);
}

const char *http_request_header(const HttpRequest *request, const char *name) {
    return MHD_lookup_connection_value(((const Exchange *)request)->mhd, MHD_HEADER_KIND, name);
}
