/* trail.h - the API's lines for the audit trail, on their way to the store.
 *
 * Lines wait in memory, in order, and are written by one piece of work at a time; what cannot be
 * written stays and is tried again, up to TRAIL_MAX lines (then trail_is_full(), and changing
 * requests are refused). A changing request is answered when its line is written: trail_written()
 * reaches the number trail_add() gave it. Requests without a valid token are counted and become one
 * line a minute. Loop thread only, but for trail_write(). */
#pragma once
#include "storage/audit.h"

enum { TRAIL_MAX = 10000 };

typedef struct Trail Trail;
typedef struct TrailBatch TrailBatch;

Trail *trail_open(void);
void trail_free(Trail *trail);
/* Copies. Returns the line's number: 1, 2, 3 … */
int64_t trail_add(Trail *trail, const AuditLine *line);
void trail_count_anonymous(Trail *trail);
/* Once a minute since the last time: turns the count into a line. */
void trail_tick(Trail *trail, int64_t now_us);
bool trail_is_full(const Trail *trail);
int64_t trail_written(const Trail *trail);

/* Everything that waits, or NULL: nothing does, or a batch is under way. */
TrailBatch *trail_begin(Trail *trail);
/* On a worker: all lines in one flushed transaction. */
bool trail_write(TrailBatch *batch, Pg *pg, Error *err);
/* Ends the batch: its lines are gone when written, first in the queue when not. */
void trail_end(Trail *trail, TrailBatch *batch, bool was_written);
