/* inbox.c - see inbox.h. */
#include "inbox.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>
#include <uv.h>

enum { NOT_WATCHED = -1, TRY_AGAIN_MS = 2000, EVENTS_BYTES = 16 * 1024 };

struct Inbox {
    uv_poll_t poll;
    uv_timer_t retry;
    int fd;
    int open_handles;
    const char *const *directories;
    int *watches; /* one per directory */
    size_t n;
    InboxCall call;
    void *context;
};

/* True when it is watched from now on; what came before that is looked for by the caller's call. */
static bool watch(Inbox *inbox, size_t i) {
    inbox->watches[i] = inotify_add_watch(inbox->fd, inbox->directories[i],
                                          IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR);
    return inbox->watches[i] != NOT_WATCHED;
}

static void watch_missing(uv_timer_t *timer) {
    Inbox *inbox = timer->data;
    bool all = true;
    for (size_t i = 0; i < inbox->n; i++) {
        if (inbox->watches[i] != NOT_WATCHED)
            continue;
        if (watch(inbox, i))
            inbox->call(inbox->context, i);
        else
            all = false;
    }
    if (all)
        uv_timer_stop(timer);
}

static void hint(Inbox *inbox, const struct inotify_event *event) {
    for (size_t i = 0; i < inbox->n; i++) {
        bool is_hidden = event->len > 0 && event->name[0] == '.'; /* a sender's, or an upload, not yet whole */
        bool is_meant = (event->mask & IN_Q_OVERFLOW) || inbox->watches[i] == event->wd;
        if (!is_meant || is_hidden)
            continue;
        if (event->mask & IN_IGNORED) { /* the directory is gone */
            inbox->watches[i] = NOT_WATCHED;
            uv_timer_start(&inbox->retry, watch_missing, TRY_AGAIN_MS, TRY_AGAIN_MS);
        }
        inbox->call(inbox->context, i);
    }
}

/* An error status means "ready" too: reading finds out. */
static void on_events(uv_poll_t *poll, int status, int events) {
    (void)status, (void)events;
    Inbox *inbox = poll->data;
    _Alignas(struct inotify_event) char bytes[EVENTS_BYTES];
    for (ssize_t n; (n = read(inbox->fd, bytes, sizeof bytes)) > 0;)
        for (const char *at = bytes; at < bytes + n;) {
            const struct inotify_event *event = (const struct inotify_event *)(const void *)at;
            hint(inbox, event);
            at += sizeof *event + event->len;
        }
}

static void on_closed(uv_handle_t *handle) {
    Inbox *inbox = handle->data;
    if (--inbox->open_handles > 0)
        return;
    close(inbox->fd);
    free(inbox->watches);
    free(inbox);
}

Inbox *inbox_open(struct uv_loop_s *loop, const char *const *directories, size_t n, InboxCall call,
                  void *context, Error *err) {
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0) {
        error_set_errno(err, errno, "cannot watch the drop directories");
        return NULL;
    }
    Inbox *inbox = calloc(1, sizeof *inbox);
    int *watches = calloc(n ? n : 1, sizeof *watches);
    if (!inbox || !watches)
        abort();
    *inbox = (Inbox){.fd = fd, .directories = directories, .watches = watches, .n = n, .call = call,
                     .context = context, .open_handles = 2};
    uv_poll_init(loop, &inbox->poll, fd);
    uv_timer_init(loop, &inbox->retry);
    inbox->poll.data = inbox->retry.data = inbox;
    uv_poll_start(&inbox->poll, UV_READABLE, on_events);
    bool all = true;
    for (size_t i = 0; i < n; i++)
        if (!watch(inbox, i)) {
            all = false;
            LOG_WARN("a drop directory cannot be watched yet", LOG_TEXT("directory", directories[i]),
                     LOG_TEXT("reason", strerror(errno)));
        }
    if (!all)
        uv_timer_start(&inbox->retry, watch_missing, TRY_AGAIN_MS, TRY_AGAIN_MS);
    return inbox;
}

void inbox_close(Inbox *inbox) {
    uv_close((uv_handle_t *)&inbox->poll, on_closed);
    uv_close((uv_handle_t *)&inbox->retry, on_closed);
}
