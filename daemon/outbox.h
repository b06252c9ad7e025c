/* outbox.h - lines on their way to a file or a receiver over HTTP, which may be slow, away, or full.
 *
 * Whoever puts a line never waits: lines stand in a bounded queue, and a thread of its own sends them in their order. What finds
 * the queue full, what the receiver refuses for good (4xx), and what is left at the end is dropped and counted:
 * lineage_events_total{outcome}; another process may be given it again. A receiver that is away is tried again, at
 * intervals that double up to a minute. */
#pragma once
#include "base/error.h"

#include <stdint.h>

typedef struct Outbox Outbox;

typedef struct OutboxOptions {
    const char *file;        /* appended to; or */
    int64_t file_bytes_max;  /* a file that would exceed it becomes file.1, that one file.2, up to file.4 */
    const char *url;         /* posted to, one line a request, as application/json */
    const char *token_file;  /* with url: a bearer token's; NULL: none */
    void (*sent)(void *context, int64_t id); /* or refused for good: told on the outbox's thread; may block */
    void *context;
} OutboxOptions;

/* Texts must outlive it. */
Outbox *outbox_open(const OutboxOptions *options, Error *err);
/* Any thread; takes the line, of malloc. `id` is for sent(), 0: it is not told. `may_stand`: an earlier process may have sent
 * it; to a file, or to one of those put aside, it is then not written again. */
void outbox_put(Outbox *outbox, char *line, int64_t id, bool may_stand);
/* Sends what can be sent within two seconds, and ends. */
void outbox_close(Outbox *outbox);
