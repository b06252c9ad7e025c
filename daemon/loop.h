/* loop.h - the loop thread: timers, signals, and an end at which nothing is left open.
 *
 * Everything here is called on the loop thread. Handles that other files put on the loop (pool, HTTP,
 * inbox) are closed by them; loop_close() turns the loop until all are gone. */
#pragma once
#include "base/error.h"

#include <stdint.h>

struct uv_loop_s;
typedef struct Loop Loop;
typedef struct LoopTimer LoopTimer;
typedef void (*LoopCall)(void *context);

Loop *loop_open(Error *err);
struct uv_loop_s *loop_uv(Loop *loop);
/* Until loop_stop(). */
void loop_run(Loop *loop);
void loop_stop(Loop *loop);
/* Closes signals, drains closing handles, frees. An open handle left behind is a bug and aborts. */
void loop_close(Loop *loop);

/* SIGTERM, SIGHUP, …; at most four. */
bool loop_on_signal(Loop *loop, int signum, LoopCall call, void *context, Error *err);

LoopTimer *loop_timer_open(Loop *loop, LoopCall call, void *context);
/* Once after `delay_ms`, then every `repeat_ms` unless that is 0. Starting again moves it. */
void loop_timer_start(LoopTimer *timer, int64_t delay_ms, int64_t repeat_ms);
void loop_timer_stop(LoopTimer *timer);
void loop_timer_close(LoopTimer *timer);
