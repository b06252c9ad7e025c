/* http_loop.c - see http_loop.h. */
#include "api/http_loop.h"

#include <stdlib.h>
#include <uv.h>

struct HttpLoop {
    HttpEngine engine;
    uv_poll_t poll;
    uv_timer_t timer;     /* the library's own timeout */
    uv_timer_t ticker;    /* ours */
    uv_prepare_t prepare; /* just before the loop sleeps */
    bool must_run;
    int open_handles;
};

static void on_timer(uv_timer_t *timer);

static void run_engine(HttpLoop *http) {
    http->must_run = false;
    http->engine.run(http->engine.ctx);
    int64_t timeout_ms = http->must_run ? 0 : http->engine.timeout_ms(http->engine.ctx);
    if (timeout_ms < 0)
        uv_timer_stop(&http->timer);
    else
        uv_timer_start(&http->timer, on_timer, (uint64_t)timeout_ms, 0);
}

static void on_timer(uv_timer_t *timer) { run_engine(timer->data); }

/* A status below 0 means "ready" too: the library finds the error itself. */
static void on_poll(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    run_engine(poll->data);
}

static void on_prepare(uv_prepare_t *prepare) {
    HttpLoop *http = prepare->data;
    if (http->must_run)
        run_engine(http);
}

static void on_tick(uv_timer_t *ticker) {
    HttpLoop *http = ticker->data;
    http->engine.tick(http->engine.ctx);
}

static void on_closed(uv_handle_t *handle) {
    HttpLoop *http = handle->data;
    if (--http->open_handles == 0)
        free(http);
}

HttpLoop *http_loop_open(uv_loop_t *loop, const HttpEngine *engine, Error *err) {
    HttpLoop *http = calloc(1, sizeof *http);
    if (!http)
        abort();
    http->engine = *engine;
    int status = uv_poll_init(loop, &http->poll, engine->epoll_fd);
    if (status < 0) {
        free(http);
        error_set(err, STATE_RESOURCES, "cannot watch the HTTP server's descriptor: %s",
                  uv_strerror(status));
        return NULL;
    }
    uv_timer_init(loop, &http->timer);
    uv_timer_init(loop, &http->ticker);
    uv_prepare_init(loop, &http->prepare);
    http->open_handles = 4;
    http->poll.data = http->timer.data = http->ticker.data = http->prepare.data = http;
    uv_poll_start(&http->poll, UV_READABLE, on_poll);
    uv_prepare_start(&http->prepare, on_prepare);
    uv_timer_start(&http->ticker, on_tick, HTTP_TICK_MS, HTTP_TICK_MS);
    return http;
}

void http_loop_wake(HttpLoop *http) { http->must_run = true; }

void http_loop_close(HttpLoop *http) {
    uv_poll_stop(&http->poll);
    uv_close((uv_handle_t *)&http->poll, on_closed);
    uv_close((uv_handle_t *)&http->timer, on_closed);
    uv_close((uv_handle_t *)&http->ticker, on_closed);
    uv_close((uv_handle_t *)&http->prepare, on_closed);
}
