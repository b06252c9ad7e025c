/* inbox.h - tells when something may have arrived in a drop directory.
 *
 * inotify (closed after writing, moved in) under one uv_poll. An event is a hint to look, nothing more: which
 * files are there and complete, the receive step finds by looking, and it looks at its own interval
 * too. So a lost event, an overflow or a directory that cannot be watched cost time, never a file.
 * A directory that is missing is tried again. On the loop thread. */
#pragma once
#include "base/error.h"

#include <stddef.h>

struct uv_loop_s;
typedef struct Inbox Inbox;
/* `directory`: its index in the list given to inbox_open(). */
typedef void (*InboxCall)(void *context, size_t directory);

/* Keeps `directories` and their texts, which must outlive it. */
Inbox *inbox_open(struct uv_loop_s *loop, const char *const *directories, size_t n, InboxCall call,
                  void *context, Error *err);
/* The loop must turn once more. */
void inbox_close(Inbox *inbox);
