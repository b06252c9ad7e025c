/* api.c - see api.h. */
#include "api/api.h"

#include "api/dispatch.h"
#include "api/route.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "storage/token.h"

#include <stdio.h>
#include <stdlib.h>

enum { REFRESH_MS = 3000, REQUESTS_PER_SECOND = 100, BURST = 200 };

/* ---- tokens ------------------------------------------------------------------------------------ */

typedef struct Refresh {
    Api *api;
    Arena *arena;
    TokenRow *tokens;
    size_t n_tokens;
    Error err;
} Refresh;

static void refresh_work(void *context) {
    Refresh *refresh = context;
    Pg *pg = pg_pool_take(refresh->api->connections, &refresh->err);
    if (pg)
        token_list(pg, refresh->arena, &refresh->tokens, &refresh->n_tokens, &refresh->err);
    pg_pool_give(refresh->api->connections, pg);
}

static unsigned scopes_of(char *words) {
    unsigned scopes = 0;
    for (const char *word; (word = strsep(&words, ","));)
        scopes |= scope_of(word);
    return scopes;
}

static void take_tokens(const Refresh *refresh) {
    AuthToken *tokens = ARENA_ARRAY(refresh->arena, AuthToken, refresh->n_tokens + 1);
    for (size_t i = 0; i < refresh->n_tokens; i++) {
        const TokenRow *row = &refresh->tokens[i];
        tokens[i].id = row->id;
        snprintf(tokens[i].name, sizeof tokens[i].name, "%s", row->name);
        memcpy(tokens[i].sha256, row->sha256, sizeof tokens[i].sha256);
        tokens[i].scopes = scopes_of(arena_string(refresh->arena, str_of(row->scopes)));
    }
    auth_replace(refresh->api->auth, tokens, refresh->n_tokens);
    refresh->api->tokens_known = true;
}

static void note_reachability(Api *api, const Error *err) {
    bool reachable = !err->state[0];
    if (reachable && !api->store_is_reachable)
        LOG_INFO("store is reachable");
    else if (!reachable && (api->store_is_reachable || !api->tokens_known))
        LOG_FAILURE(LOG_LEVEL_WARN, "store is not reachable", err);
    api->store_is_reachable = reachable;
    METRIC_SET(METRIC_STORE_REACHABLE, reachable);
}

static void refresh_done(void *context) {
    Refresh *refresh = context;
    Api *api = refresh->api;
    api->is_refreshing = false;
    api->refresh_due_us = clock_monotonic_us() + REFRESH_MS * 1000LL;
    note_reachability(api, &refresh->err);
    if (!refresh->err.state[0])
        take_tokens(refresh);
    arena_free(refresh->arena);
    free(refresh);
    dispatch_work_ended(api);
}

static void begin_refresh(Api *api) {
    Refresh *refresh = calloc(1, sizeof *refresh);
    if (!refresh)
        abort();
    refresh->api = api;
    refresh->arena = arena_open();
    api->is_refreshing = true;
    api->n_working++;
    pool_submit(api->pool, (PoolWork){refresh_work, refresh_done, refresh});
}

static void tick(void *ctx) {
    Api *api = ctx;
    int64_t now_us = clock_monotonic_us();
    if (!api->stopping && !api->is_refreshing && now_us >= api->refresh_due_us)
        begin_refresh(api);
    trail_tick(api->trail, now_us);
    dispatch_flush_trail(api);
    dispatch_tick(api);
}

/* ---- life ---------------------------------------------------------------------------------------- */

static void no_thread_setup(void) {}

static bool open_server(Api *api, Error *err) {
    const ServerConfig *config = api->options.server;
    const ServerOptions options = {
        .loop = api->options.loop,
        .listen = config->listen,
        .tls_certificate = config->tls_certificate,
        .tls_key = config->tls_key,
        .handlers = {.ctx = api,
                     .headers = dispatch_headers,
                     .piece = dispatch_piece,
                     .request = dispatch_request,
                     .refused = dispatch_refused,
                     .stopping = dispatch_stopping,
                     .finished = dispatch_finished,
                     .tick = tick},
    };
    api->server = server_open(&options, err);
    return api->server != NULL;
}

Api *api_open(const ApiOptions *options, Error *err) {
    Api *api = calloc(1, sizeof *api);
    if (!api)
        abort();
    api->options = *options;
    pthread_mutex_init(&api->busy_mutex, NULL);
    double rate = options->requests_per_second, burst = options->burst;
    api->auth = auth_open(rate > 0 ? rate : REQUESTS_PER_SECOND, burst > 0 ? burst : BURST);
    api->idempotency = idempotency_open();
    api->trail = trail_open();
    api->connections = pg_pool_open(options->store_dsn, options->session);
    api->pool = pool_open(options->loop, API_WORKERS, no_thread_setup, no_thread_setup, err);
    if (!api->pool || !open_server(api, err)) {
        api_free(api);
        return NULL;
    }
    begin_refresh(api);
    LOG_INFO("listening", LOG_TEXT("address", api_address(api)));
    return api;
}

const char *api_address(const Api *api) { return server_address(api->server); }

void api_changed(Api *api) {
    if (!api->stopping)
        dispatch_changed(api);
}

static void cancel_statements(Api *api) {
    pthread_mutex_lock(&api->busy_mutex);
    for (size_t i = 0; i < API_WORKERS; i++)
        if (api->busy[i])
            pg_cancel(api->busy[i]);
    pthread_mutex_unlock(&api->busy_mutex);
}

void api_stop(Api *api, void (*done)(void *context), void *context) {
    api->stopping = true;
    server_stop(api->server);
    api->server = NULL;
    trail_tick(api->trail, INT64_MAX); /* requests without a token of the last minute */
    dispatch_flush_trail(api);
    cancel_statements(api);
    api->stopped = done;
    api->stopped_context = context;
    if (api->n_working == 0)
        done(context);
}

void api_free(Api *api) {
    if (api->pool)
        pool_close(api->pool);
    pg_pool_close(api->connections);
    auth_free(api->auth);
    idempotency_free(api->idempotency);
    trail_free(api->trail);
    pthread_mutex_destroy(&api->busy_mutex);
    free(api);
}

void api_print_routes(void) {
    for (size_t i = 0; i < N_ROUTES; i++) {
        const Route *route = &ROUTES[i];
        printf("%s %s %s", route->method, route->pattern, scope_name(route->scope));
        for (size_t j = 0; j < ROUTE_PARAMS_MAX && route->params[j]; j++)
            printf(" %s", route->params[j]);
        puts("");
    }
}
