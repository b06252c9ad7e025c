/* dispatch.h - a request's way: checks, handler, audit, answer.
 *
 *     head in ──► CHECKS (target, route, token, scope, parameters, media type) ──► refused: answer
 *     pieces of a file ──► one buffer gathers, a worker writes the other (upload.h); paused when both are full
 *     body in ──► Idempotency-Key ──► memory handler ──┬─► answered
 *                                                      ├─► worker, with a connection ──► answered
 *                                                      └─► wait for a change or the deadline
 *     answered ─► audit line written (changing requests) ──► sent
 *
 * The struct Api is shared by api.c (opens, refreshes, stops) and dispatch.c (serves) only. */
#pragma once
#include "api/api.h"
#include "api/auth.h"
#include "api/call.h"
#include "api/idempotency.h"
#include "api/server.h"
#include "api/trail.h"
#include "pool.h"
#include "storage/pg_pool.h"

#include <pthread.h>

enum { API_WORKERS = 2 };

struct Api {
    ApiOptions options;
    Server *server; /* NULL once stopped */
    Pool *pool;     /* of its own: a load that fills the daemon's workers does not starve the API */
    PgPool *connections;
    Auth *auth;
    Idempotency *idempotency;
    Trail *trail;
    Call *calls; /* that were suspended */
    size_t n_working; /* pieces of work submitted and not done */
    pthread_mutex_t busy_mutex;
    Pg *busy[API_WORKERS]; /* connections that serve a call now */
    bool stopping;
    void (*stopped)(void *context);
    void *stopped_context;
    bool tokens_known, store_is_reachable;
    int64_t refresh_due_us;
    bool is_refreshing;
};

/* The handlers of server.h, with the Api as ctx. */
void dispatch_headers(void *ctx, HttpRequest *request);
void dispatch_piece(void *ctx, HttpRequest *request, Str bytes);
void dispatch_request(void *ctx, HttpRequest *request);
void dispatch_refused(void *ctx, HttpRequest *request, int status, const char *detail);
void dispatch_stopping(void *ctx, HttpRequest *request);
void dispatch_finished(void *ctx, HttpRequest *request);
/* Deadlines of calls under way, and those that wait for something that has changed. */
void dispatch_tick(Api *api);
void dispatch_changed(Api *api);
/* One piece of work is done; the last one after api_stop() ends the stop. */
void dispatch_work_ended(Api *api);
/* Writes waiting audit lines, if none are being written. */
void dispatch_flush_trail(Api *api);
