/* dispatch.c - see dispatch.h.
 *
 * A call is on api->calls while its request is suspended, for one of three reasons: a worker is at
 * it (on_worker), it waits for a change (wait_until_us), or for its audit line (audit_number). Each
 * has a deadline, for a client that left is not noticed before the answer. */
#include "api/dispatch.h"

#include "api/resources.h"
#include "api/route.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "storage/report.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <strings.h>

enum {
    WORKER_DEADLINE_MS = 30 * 1000,
    AUDIT_DEADLINE_MS = 5 * 1000,
    WORKING_MAX = 64,
    FILE_MAX_BYTES = 64 << 20,
    FILE_DEADLINE_MS = 10 * 60 * 1000, /* 64 MiB at a megabit a second */
};

/* ---- calls --------------------------------------------------------------------------------- */

static void make_id(char *ret_id) {
    uint8_t bytes[8];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        abort();
    strcpy(ret_id, "req-");
    for (size_t i = 0; i < sizeof bytes; i++)
        sprintf(ret_id + 4 + 2 * i, "%02x", bytes[i]);
}

static Call *call_open(Api *api, HttpRequest *request) {
    Arena *arena = arena_open();
    Call *call = ARENA_NEW(arena, Call);
    call->api = api;
    call->control = &api->options.control;
    call->arena = arena;
    call->request = request;
    call->method = arena_string(arena, str_of(request->method ? request->method : ""));
    call->received_us = clock_monotonic_us();
    make_id(call->id);
    reply_init(&call->reply, arena_printf(arena, "urn:revcycled:request:%s", call->id));
    call->path = "";
    request->user = call;
    return call;
}

static void call_free(Call *call) {
    if (call->upload)
        upload_free(call->upload);
    reply_done(&call->reply);
    json_decref(call->body);
    arena_free(call->arena);
}

static void park(Call *call, int64_t deadline_us) {
    Api *api = call->api;
    call->deadline_us = deadline_us;
    if (call->from)
        return;
    call->next = api->calls;
    call->from = &api->calls;
    if (call->next)
        call->next->from = &call->next;
    api->calls = call;
}

static void unpark(Call *call) {
    if (!call->from)
        return;
    *call->from = call->next;
    if (call->next)
        call->next->from = call->from;
    call->from = NULL;
}

/* ---- sending ------------------------------------------------------------------------------- */

/* Labels come from our tables, whatever the client made up. */
static void count_request(const Call *call, int status) {
    static const char *const METHODS[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"};
    const char *method = "other", *route = call->route ? call->route->pattern : "unmatched";
    for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++)
        if (strcmp(call->method, METHODS[i]) == 0)
            method = METHODS[i];
    char code[8];
    snprintf(code, sizeof code, "%d", status);
    METRIC_ADD(METRIC_HTTP_REQUESTS, 1, route, method, code);
    METRIC_OBSERVE(METRIC_HTTP_REQUEST_DURATION,
                   (double)(clock_monotonic_us() - call->received_us) / 1e6, route);
}

static void send_reply(Call *call, Reply *reply) {
    unpark(call);
    reply_header(reply, "X-Request-Id", call->id);
    reply_finish(reply, call->accept_encoding, call->if_none_match);
    HttpAnswer answer = reply_answer(reply);
    count_request(call, answer.status);
    http_request_answer(call->request, &answer);
}

/* 503 while a worker may still be writing into the call's own reply. */
static void give_up(Call *call, const char *why) {
    Reply reply;
    reply_init(&reply, call->reply.instance);
    reply_header(&reply, "Retry-After", "5");
    reply_problem(&reply, 503, "%s", why);
    call->abandoned = true;
    send_reply(call, &reply);
    reply_done(&reply);
}

/* ---- audit ---------------------------------------------------------------------------------- */

static const char *outcome_of(int status) {
    return status < 400 ? "done" : status == 403 || status == 429 ? "refused" : "failed";
}

static int64_t audit(Call *call, const char *outcome) {
    const char *details = arena_printf(call->arena, "{\"status\": %d}", call->reply.status);
    return trail_add(call->api->trail,
                     &(AuditLine){.actor = call->actor ? call->actor : "anonymous",
                                  .action = arena_printf(call->arena, "%s %s", call->method,
                                                         call->route->pattern),
                                  .object = call->path, .request_id = call->id, .outcome = outcome,
                                  .details = details});
}

static void keep_for_same_key(Call *call) {
    if (!call->idempotency_key || !call->started_work)
        return;
    const char *location = NULL;
    for (size_t i = 0; i < call->reply.n_headers; i++)
        if (strcmp(call->reply.headers[i].name, "Location") == 0)
            location = call->reply.headers[i].value;
    if (call->reply.status >= 500)
        idempotency_forget(call->api->idempotency, call->token_id, call->idempotency_key);
    else
        idempotency_finish(call->api->idempotency, call->token_id, call->idempotency_key,
                           &(IdempotentAnswer){call->reply.status, location,
                                               buf_str(&call->reply.body),
                                               call->reply.content_type});
}

/* The reply stands. What changed something is answered when its audit line is flushed; if the store
 * does not take it, the line stays in memory and the answer goes out. */
static void conclude(Call *call) {
    keep_for_same_key(call);
    if (!route_changes(call->route->kind)) {
        send_reply(call, &call->reply);
        return;
    }
    call->audit_number = audit(call, outcome_of(call->reply.status));
    park(call, clock_monotonic_us() + AUDIT_DEADLINE_MS * 1000LL);
    dispatch_flush_trail(call->api);
}

/* ---- the worker's part ------------------------------------------------------------------------ */

static bool audit_before_reading(Call *call, Pg *pg, Error *err) {
    return audit_write(pg, &(AuditLine){.actor = call->actor,
                                        .action = arena_printf(call->arena, "%s %s", call->method,
                                                               call->route->pattern),
                                        .object = call->path, .request_id = call->id,
                                        .outcome = "read"}, err);
}

static bool run_on(Call *call, Pg *pg, Error *err) {
    TRY(report_limit(pg, err));
    if (call->route->kind == ROUTE_READS_PHI)
        TRY(audit_before_reading(call, pg, err));
    return call->route->worker(call, pg, err);
}

/* api_stop() cancels what stands here. There are as many places as workers. */
static Pg **take_place(Api *api, Pg *pg) {
    pthread_mutex_lock(&api->busy_mutex);
    Pg **place = api->busy;
    while (*place)
        place++;
    *place = pg;
    pthread_mutex_unlock(&api->busy_mutex);
    return place;
}

static void leave_place(Api *api, Pg **place) {
    pthread_mutex_lock(&api->busy_mutex);
    *place = NULL;
    pthread_mutex_unlock(&api->busy_mutex);
}

static void work(void *context) {
    Call *call = context;
    Pg *pg = pg_pool_take(call->api->connections, &call->err);
    if (!pg)
        return;
    Pg **place = take_place(call->api, pg);
    if (!run_on(call, pg, &call->err) && strcmp(call->err.state, STATE_CANCELED) == 0)
        error_set(&call->err, STATE_RESOURCES, "the store took too long to answer");
    leave_place(call->api, place);
    pg_pool_give(call->api->connections, pg);
}

static void run_handler(Call *call);

static void end_work(Call *call) {
    if (call->over)
        call->over(call);
    call->over = NULL;
}

/* The answer was given up, or its client left: what was done is done, and told to who asks again with the same key. */
static void conclude_unheard(Call *call) {
    keep_for_same_key(call);
    if (route_changes(call->route->kind))
        audit(call, outcome_of(call->reply.status));
    if (!call->request)
        call_free(call);
}

static void work_done(void *context) {
    Call *call = context;
    Api *api = call->api;
    call->on_worker = false;
    end_work(call);
    bool is_loops = call->found && !call->err.state[0];
    if (call->err.state[0])
        reply_error(&call->reply, &call->err);
    if (call->abandoned)
        conclude_unheard(call);
    else if (is_loops)
        run_handler(call);
    else
        conclude(call);
    dispatch_work_ended(api);
}

static void to_worker(Call *call) {
    Api *api = call->api;
    if (api->n_working >= WORKING_MAX) {
        end_work(call);
        reply_header(&call->reply, "Retry-After", "2");
        reply_problem(&call->reply, 503, "too many requests wait for the store");
        conclude(call);
        return;
    }
    api->n_working++;
    call->on_worker = true;
    park(call, clock_monotonic_us() + WORKER_DEADLINE_MS * 1000LL);
    pool_submit(api->pool, (PoolWork){work, work_done, call});
}

/* ---- the handler ------------------------------------------------------------------------------ */

static void run_handler(Call *call) {
    Error err = {0};
    Handling verdict = call->route->memory ? call->route->memory(call, &err) : CALL_TO_WORKER;
    switch (verdict) {
    case CALL_ANSWERED:
        conclude(call);
        return;
    case CALL_FAILED:
        reply_error(&call->reply, &err);
        conclude(call);
        return;
    case CALL_TO_WORKER:
        call->wait_until_us = 0;
        to_worker(call);
        return;
    case CALL_WAIT:
        park(call, call->wait_until_us);
        return;
    }
}

/* A file is its bytes and its name. */
static Str file_print(Call *call) {
    const FileBytes *bytes = upload_bytes(call->upload);
    size_t size = strlen(call->sent->name);
    char *print = arena_alloc(call->arena, sizeof bytes->sha256 + size);
    memcpy(print, bytes->sha256, sizeof bytes->sha256);
    memcpy(print + sizeof bytes->sha256, call->sent->name, size);
    return (Str){print, sizeof bytes->sha256 + size};
}

/* False when the call is answered already. */
static bool begin_idempotent(Call *call, const HttpRequest *request) {
    if (call->route->kind < ROUTE_STARTS || !call->idempotency_key)
        return true;
    if (strlen(call->idempotency_key) > IDEMPOTENCY_KEY_MAX || !*call->idempotency_key)
        return reply_input_error(&call->reply, "Idempotency-Key", "1 to %d characters",
                                 IDEMPOTENCY_KEY_MAX);
    IdempotentAnswer before;
    idempotency_print(call->method, request->target, call->upload ? file_print(call) : request->body, call->print);
    switch (idempotency_begin(call->api->idempotency, call->token_id, call->idempotency_key, call->print,
                              clock_monotonic_us(), &before)) {
    case IDEMPOTENCY_NEW:
        call->started_work = true;
        return true;
    case IDEMPOTENCY_BUSY:
        reply_problem(&call->reply, 409, "the first request with this Idempotency-Key is under way");
        return false;
    case IDEMPOTENCY_DIFFERENT:
        reply_problem(&call->reply, 422, "this Idempotency-Key was used for another request");
        return false;
    case IDEMPOTENCY_SAME:
        reply_text(&call->reply, before.status, before.content_type, before.body);
        if (before.location)
            reply_header(&call->reply, "Location",
                         arena_string(call->arena, str_of(before.location)));
        reply_header(&call->reply, "Idempotency-Replayed", "true");
        return false;
    }
    return true;
}

static bool parse_body(Call *call, const HttpRequest *request) {
    if (call->route->kind == ROUTE_TAKES_ROWS) {
        call->raw = arena_copy(call->arena, request->body);
        return true;
    }
    if (request->body.size == 0 || call->upload)
        return true;
    json_error_t why;
    call->body = json_loadb(request->body.at, request->body.size, JSON_REJECT_DUPLICATES, &why);
    if (call->body && json_is_object(call->body))
        return true;
    if (call->body)
        return reply_input_error(&call->reply, "#", "the body is not a JSON object");
    return reply_input_error(&call->reply, "#", "the body is not JSON: mistake at line %d, column %d",
                             why.line, why.column);
}

void dispatch_request(void *ctx, HttpRequest *request) {
    Call *call = request->user;
    (void)ctx;
    call->received_us = clock_monotonic_us();
    call->is_body_in = true;
    if (call->has_reply || (call->upload && call->on_worker))
        return; /* it waits for its audit line; or its last piece is being written, and piece_written() goes on */
    bool takes_body = strcmp(call->route->method, "POST") == 0;
    if (takes_body && !parse_body(call, request))
        conclude(call);
    else if (!begin_idempotent(call, request))
        conclude(call);
    else
        run_handler(call);
}

/* ---- a file's pieces ---------------------------------------------------------------------------- */

static void pass_piece(Call *call);

static void write_piece(void *context) {
    Call *call = context;
    upload_write(call->upload, &call->err);
}

static void piece_written(void *context) {
    Call *call = context;
    Api *api = call->api;
    call->on_worker = false;
    if (call->abandoned) {
        if (!call->request)
            call_free(call);
    } else if (call->has_reply) {
        /* refused while this piece was being written */
    } else if (call->err.state[0]) {
        call->has_reply = true;
        reply_error(&call->reply, &call->err);
        conclude(call);
    } else if (call->is_body_in) {
        dispatch_request(api, call->request);
    } else {
        pass_piece(call);
        http_request_resume(call->request);
    }
    dispatch_work_ended(api);
}

static void pass_piece(Call *call) {
    if (!upload_has_piece(call->upload))
        return;
    if (call->on_worker) {
        http_request_pause(call->request);
        return;
    }
    upload_hand_over(call->upload);
    call->on_worker = true;
    call->api->n_working++;
    pool_submit(call->api->pool, (PoolWork){write_piece, piece_written, call});
}

void dispatch_piece(void *ctx, HttpRequest *request, Str bytes) {
    Call *call = request->user;
    (void)ctx;
    if (call->abandoned || call->has_reply)
        return;
    upload_take(call->upload, bytes);
    pass_piece(call);
}

/* ---- checks of the head ------------------------------------------------------------------------ */

static bool check_target(Call *call) {
    const char *why = uri_parse(call->arena, call->request->target, &call->uri);
    if (why) {
        reply_header(&call->reply, "Connection", "close");
        reply_problem(&call->reply, 400, "%s", why);
        return false;
    }
    char *path = arena_string(call->arena, str_of(call->request->target));
    path[strcspn(path, "?")] = 0;
    call->path = path;
    return true;
}

static bool check_route(Call *call) {
    char allow[ROUTE_ALLOW_BYTES];
    switch (route_find(call->method, &call->uri, &call->route, call->segment, allow)) {
    case ROUTE_FOUND:
        return true;
    case ROUTE_NOT_FOUND:
        reply_problem(&call->reply, 404, "there is nothing at this path");
        return false;
    case ROUTE_WRONG_METHOD:
        reply_header(&call->reply, "Allow", arena_string(call->arena, str_of(allow)));
        reply_problem(&call->reply, 405, "the path does not know this method");
        return false;
    }
    return false;
}

static Scope scope_needed(const Call *call) {
    bool is_metrics = strcmp(call->route->pattern, "/metrics") == 0;
    return is_metrics && call->api->options.server->metrics_need_token ? SCOPE_READ
                                                                       : call->route->scope;
}

static bool refuse_anonymous(Call *call, AuthOutcome outcome) {
    trail_count_anonymous(call->api->trail);
    if (!call->api->tokens_known) {
        reply_header(&call->reply, "Retry-After", "5");
        reply_problem(&call->reply, 503, "the tokens could not be read from the store yet");
        return false;
    }
    reply_header(&call->reply, "WWW-Authenticate",
                 outcome == AUTH_NO_TOKEN ? "Bearer realm=\"revcycled\""
                                          : "Bearer realm=\"revcycled\", error=\"invalid_token\"");
    reply_problem(&call->reply, 401,
                  outcome == AUTH_NO_TOKEN ? "this needs a token: Authorization: Bearer …"
                                           : "the token is unknown or revoked");
    return false;
}

static bool refuse_scope(Call *call, Scope needed) {
    reply_header(&call->reply, "WWW-Authenticate",
                 arena_printf(call->arena,
                              "Bearer realm=\"revcycled\", error=\"insufficient_scope\", scope=\"%s\"",
                              scope_name(needed)));
    reply_problem_with(&call->reply, 403, json_pack("{s:s}", "scope", scope_name(needed)),
                       "the token lacks the scope %s", scope_name(needed));
    audit(call, "refused");
    return false;
}

static bool check_token(Call *call) {
    Scope needed = scope_needed(call);
    if (needed == SCOPE_NONE)
        return true;
    const AuthToken *token;
    int retry_after_s;
    AuthOutcome outcome = auth_check(call->api->auth,
                                     http_request_header(call->request, "Authorization"),
                                     clock_monotonic_us(), &token, &retry_after_s);
    if (outcome == AUTH_NO_TOKEN || outcome == AUTH_BAD_TOKEN)
        return refuse_anonymous(call, outcome);
    call->actor = arena_string(call->arena, str_of(token->name));
    call->token_id = token->id;
    if (outcome == AUTH_LIMITED) {
        reply_header(&call->reply, "Retry-After", arena_printf(call->arena, "%d", retry_after_s));
        reply_problem(&call->reply, 429, "too many requests with this token");
        audit(call, "refused");
        return false;
    }
    return token->scopes & needed ? true : refuse_scope(call, needed);
}

static bool check_params(Call *call) {
    bool fine = true;
    for (size_t i = 0; i < call->uri.n_params; i++) {
        Str name = call->uri.params[i].name;
        if (!route_knows_param(call->route, name))
            fine = reply_input_error(&call->reply,
                                     arena_printf(call->arena, "?%.*s", STR_ARG(name)),
                                     "this resource knows no such parameter");
    }
    return fine;
}

static bool is_media_type(const char *type, const char *wanted) {
    size_t size = strlen(wanted);
    return type && strncasecmp(type, wanted, size) == 0 && strchr("; \t", type[size]);
}

/* A form is not the file itself; curl says the second of its own accord. */
static bool check_file_type(Call *call, const char *type) {
    static const char *const FORMS[] = {"multipart/form-data", "application/x-www-form-urlencoded", "application/json"};
    for (size_t i = 0; i < sizeof FORMS / sizeof *FORMS; i++)
        if (is_media_type(type, FORMS[i])) {
            reply_problem(&call->reply, 415, "the body must be the file itself: application/octet-stream, or what it is");
            return false;
        }
    return true;
}

static bool check_media_type(Call *call) {
    const char *length = http_request_header(call->request, "Content-Length");
    const char *type = http_request_header(call->request, "Content-Type");
    bool has_body = http_request_header(call->request, "Transfer-Encoding") ||
                    (length && strcmp(length, "0") != 0);
    if (strcmp(call->route->method, "POST") != 0 || !has_body)
        return true;
    if (call->route->kind == ROUTE_TAKES_FILE)
        return check_file_type(call, type);
    if (is_media_type(type, "application/json"))
        return true;
    bool takes_rows = call->route->kind == ROUTE_TAKES_ROWS;
    call->is_ndjson = takes_rows && (is_media_type(type, "application/x-ndjson") || is_media_type(type, "application/ndjson"));
    if (call->is_ndjson)
        return true;
    reply_problem(&call->reply, 415, takes_rows ? "the body must be application/json or application/x-ndjson"
                                                : "the body must be application/json");
    return false;
}

static bool check_trail(Call *call) {
    if (!route_changes(call->route->kind) || !trail_is_full(call->api->trail))
        return true;
    reply_header(&call->reply, "Retry-After", "30");
    reply_problem(&call->reply, 503, "the audit trail cannot be written: nothing may be changed");
    return false;
}

static bool check_file(Call *call) {
    if (call->route->kind != ROUTE_TAKES_FILE)
        return true;
    if (!files_expect(call))
        return false;
    http_request_stream(call->request, FILE_MAX_BYTES, FILE_DEADLINE_MS);
    return true;
}

static bool (*const CHECKS[])(Call *) = {check_target,     check_route, check_token, check_params,
                                         check_media_type, check_trail, check_file};

static void read_headers(Call *call) {
    call->accept = http_request_header(call->request, "Accept");
    call->accept_encoding = http_request_header(call->request, "Accept-Encoding");
    call->if_none_match = http_request_header(call->request, "If-None-Match");
    const char *key = http_request_header(call->request, "Idempotency-Key");
    call->idempotency_key = key ? arena_string(call->arena, str_of(key)) : NULL;
}

void dispatch_headers(void *ctx, HttpRequest *request) {
    Call *call = call_open(ctx, request);
    read_headers(call);
    for (size_t i = 0; i < sizeof CHECKS / sizeof *CHECKS; i++)
        if (!CHECKS[i](call)) {
            send_reply(call, &call->reply);
            return;
        }
}

/* ---- the server's other calls -------------------------------------------------------------------- */

void dispatch_refused(void *ctx, HttpRequest *request, int status, const char *detail) {
    Call *call = request->user ? request->user : call_open(ctx, request);
    call->has_reply = true;
    reply_header(&call->reply, "Connection", "close");
    reply_problem(&call->reply, status, "%s", detail);
    send_reply(call, &call->reply);
}

void dispatch_stopping(void *ctx, HttpRequest *request) {
    Call *call = request->user;
    (void)ctx;
    if (call->audit_number)
        send_reply(call, &call->reply);
    else
        give_up(call, "the daemon is stopping");
}

void dispatch_finished(void *ctx, HttpRequest *request) {
    Call *call = request->user;
    (void)ctx;
    if (!call)
        return; /* cut off before its head was in */
    unpark(call);
    call->request = NULL;
    call->abandoned = true;
    if (!call->on_worker)
        call_free(call);
}

static void look_again(Call *call, bool is_last_look) {
    call->is_last_look = is_last_look;
    run_handler(call);
}

static void pass_deadline(Call *call) {
    if (call->on_worker)
        give_up(call, "the store did not answer in time");
    else if (call->audit_number)
        send_reply(call, &call->reply);
    else
        look_again(call, true);
}

void dispatch_tick(Api *api) {
    int64_t now_us = clock_monotonic_us();
    for (Call *call = api->calls, *next; call; call = next) {
        next = call->next;
        if (call->deadline_us <= now_us)
            pass_deadline(call);
    }
}

void dispatch_changed(Api *api) {
    for (Call *call = api->calls, *next; call; call = next) {
        next = call->next;
        if (!call->on_worker && !call->audit_number && call->wait_until_us)
            look_again(call, false);
    }
}

/* Up to the line that is written; when the store takes none, all: their lines stay in memory. */
static void answer_audited(Api *api, bool was_written) {
    for (Call *call = api->calls, *next; call; call = next) {
        next = call->next;
        if (call->audit_number &&
            (!was_written || call->audit_number <= trail_written(api->trail)))
            send_reply(call, &call->reply);
    }
}

void dispatch_work_ended(Api *api) {
    if (--api->n_working == 0 && api->stopped)
        api->stopped(api->stopped_context);
}

typedef struct Flush {
    Api *api;
    TrailBatch *batch;
    bool was_written;
} Flush;

static void flush_work(void *context) {
    Flush *flush = context;
    Error err = {0};
    Pg *pg = pg_pool_take(flush->api->connections, &err);
    flush->was_written = pg && trail_write(flush->batch, pg, &err);
    if (!flush->was_written)
        LOG_FAILURE(LOG_LEVEL_WARN, "audit lines wait in memory", &err);
    pg_pool_give(flush->api->connections, pg);
}

static void flush_done(void *context) {
    Flush *flush = context;
    Api *api = flush->api;
    trail_end(api->trail, flush->batch, flush->was_written);
    bool was_written = flush->was_written;
    free(flush);
    answer_audited(api, was_written);
    if (was_written)
        dispatch_flush_trail(api); /* lines that came meanwhile */
    dispatch_work_ended(api);
}

void dispatch_flush_trail(Api *api) {
    TrailBatch *batch = trail_begin(api->trail);
    if (!batch)
        return;
    Flush *flush = calloc(1, sizeof *flush);
    if (!flush)
        abort();
    *flush = (Flush){api, batch, false};
    api->n_working++;
    pool_submit(api->pool, (PoolWork){flush_work, flush_done, flush});
}
