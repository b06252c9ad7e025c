/* notify.h - what systemd is told: ready, stopping, alive. Nothing happens without $NOTIFY_SOCKET.
 * On the loop thread; the watchdog is fed by a timer of the loop, so that a loop that hangs is seen. */
#pragma once
#include "loop.h"

typedef struct Notify Notify;
Notify *notify_open(Loop *loop);
void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);
void notify_close(Notify *notify);
