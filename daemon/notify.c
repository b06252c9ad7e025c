/* notify.c - see notify.h. sd_notify(3), sd_watchdog_enabled(3). */
#include "notify.h"

#include <stdlib.h>
#include <systemd/sd-daemon.h>

struct Notify {
    LoopTimer *timer; /* NULL without a watchdog */
};

static void feed_watchdog(void *context) {
    (void)context;
    sd_notify(0, "WATCHDOG=1");
}

Notify *notify_open(Loop *loop) {
    Notify *notify = calloc(1, sizeof *notify);
    if (!notify)
        abort();
    uint64_t interval_us = 0;
    if (sd_watchdog_enabled(0, &interval_us) > 0) {
        int64_t half_ms = (int64_t)(interval_us / 2000);
        notify->timer = loop_timer_open(loop, feed_watchdog, NULL);
        loop_timer_start(notify->timer, half_ms, half_ms);
    }
    return notify;
}

void notify_ready(void) { sd_notify(0, "READY=1"); }
void notify_reloading(void) { sd_notify(0, "RELOADING=1"); }
void notify_stopping(void) { sd_notify(0, "STOPPING=1"); }

void notify_close(Notify *notify) {
    loop_timer_close(notify->timer);
    free(notify);
}
