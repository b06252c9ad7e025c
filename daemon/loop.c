/* loop.c - see loop.h. */
#include "loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

enum { SIGNALS_MAX = 4 };

typedef struct Signal {
    uv_signal_t handle;
    LoopCall call;
    void *context;
} Signal;

struct Loop {
    uv_loop_t uv;
    Signal signals[SIGNALS_MAX];
    int n_signals;
};

struct LoopTimer {
    uv_timer_t handle;
    LoopCall call;
    void *context;
};

Loop *loop_open(Error *err) {
    Loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        abort();
    int status = uv_loop_init(&loop->uv);
    if (status == 0)
        return loop;
    free(loop);
    error_set(err, STATE_RESOURCES, "cannot start the event loop: %s", uv_strerror(status));
    return NULL;
}

struct uv_loop_s *loop_uv(Loop *loop) { return &loop->uv; }
void loop_run(Loop *loop) { uv_run(&loop->uv, UV_RUN_DEFAULT); }
void loop_stop(Loop *loop) { uv_stop(&loop->uv); }

void loop_close(Loop *loop) {
    for (int i = 0; i < loop->n_signals; i++)
        uv_close((uv_handle_t *)&loop->signals[i].handle, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT); /* returns when the last handle has closed */
    if (uv_loop_close(&loop->uv) != 0) {
        fputs("a handle was left open on the event loop\n", stderr);
        abort();
    }
    free(loop);
}

static void on_signal(uv_signal_t *handle, int signum) {
    (void)signum;
    Signal *signal = handle->data;
    signal->call(signal->context);
}

bool loop_on_signal(Loop *loop, int signum, LoopCall call, void *context, Error *err) {
    if (loop->n_signals == SIGNALS_MAX)
        return error_set(err, STATE_BUG, "too many signals are watched");
    Signal *signal = &loop->signals[loop->n_signals++];
    *signal = (Signal){.call = call, .context = context};
    uv_signal_init(&loop->uv, &signal->handle);
    signal->handle.data = signal;
    int status = uv_signal_start(&signal->handle, on_signal, signum);
    return status == 0 || error_set(err, STATE_RESOURCES, "cannot watch a signal: %s", uv_strerror(status));
}

static void on_timer(uv_timer_t *handle) {
    LoopTimer *timer = handle->data;
    timer->call(timer->context);
}

LoopTimer *loop_timer_open(Loop *loop, LoopCall call, void *context) {
    LoopTimer *timer = calloc(1, sizeof *timer);
    if (!timer)
        abort();
    timer->call = call;
    timer->context = context;
    uv_timer_init(&loop->uv, &timer->handle);
    timer->handle.data = timer;
    return timer;
}

void loop_timer_start(LoopTimer *timer, int64_t delay_ms, int64_t repeat_ms) {
    uv_update_time(timer->handle.loop);
    uv_timer_start(&timer->handle, on_timer, delay_ms > 0 ? (uint64_t)delay_ms : 0, (uint64_t)repeat_ms);
}

void loop_timer_stop(LoopTimer *timer) { uv_timer_stop(&timer->handle); }

static void on_timer_closed(uv_handle_t *handle) { free(handle->data); }

void loop_timer_close(LoopTimer *timer) {
    if (timer)
        uv_close((uv_handle_t *)&timer->handle, on_timer_closed);
}
