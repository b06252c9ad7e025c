/* outbox.h - lines on their way to a file or a receiver over HTTP, which may be slow, away, or full.
 *
 * Whoever puts a line never waits: lines stand in a bounded queue, and a thread of its own sends them in their order. What finds
 * the queue full, what the receiver refuses for good (4xx), and what is left at the end is dropped and counted:
 * lineage_events_total{outcome}. A receiver that is away is tried again, at intervals that double up to a minute. */
#pragma once
#include "base/error.h"

#include <stdint.h>

typedef struct Outbox Outbox;

typedef struct OutboxOptions {
    const char *file;        /* appended to; or */
    int64_t file_bytes_max;  /* a file that would exceed it becomes file.1, that one file.2, up to file.4 */
    const char *url;         /* posted to, one line a request, as application/json */
    const char *token_file;  /* with url: a bearer token's; NULL: none */
} OutboxOptions;

/* Texts must outlive it. */
Outbox *outbox_open(const OutboxOptions *options, Error *err);
/* Any thread; takes the line, of malloc. */
void outbox_put(Outbox *outbox, char *line);
/* Sends what can be sent within two seconds, and ends. */
void outbox_close(Outbox *outbox);
