/* http_loop.h - turns an HTTP library that polls by itself into a citizen of the libuv loop.
 *
 * libmicrohttpd in external epoll mode has three duties besides "run when the descriptor is ready"
 * (each was found by a hang):
 *   - its connections are edge-triggered inside, so after every run its timeout must be asked for
 *     and the timer armed again, or a large POST stops in the middle;
 *   - resuming a connection wakes nothing and shows in no timeout: http_loop_wake() makes the
 *     library run before the loop sleeps;
 *   - its own timeouts measure idleness only: `tick` is where absolute deadlines are kept.
 * Knows nothing of HTTP. Loop thread only. */
#pragma once
#include "base/error.h"

#include <stdint.h>

struct uv_loop_s;

typedef struct HttpEngine {
    void *ctx;
    int epoll_fd;                     /* borrowed; readable when the library has work */
    void (*run)(void *ctx);           /* never blocks */
    int64_t (*timeout_ms)(void *ctx); /* until it wants to run again; -1: never */
    void (*tick)(void *ctx);          /* every HTTP_TICK_MS */
} HttpEngine;

enum { HTTP_TICK_MS = 250 };

typedef struct HttpLoop HttpLoop;

HttpLoop *http_loop_open(struct uv_loop_s *loop, const HttpEngine *engine, Error *err);
/* A connection was resumed: run the engine before the loop sleeps. */
void http_loop_wake(HttpLoop *http);
/* Stops watching at once, before the library closes its descriptor. Frees itself when the loop has
 * turned once more; the engine is not called again. */
void http_loop_close(HttpLoop *http);
