/* lineage.h - telling a collector of lineage which runs there were (openlineage.h), by an outbox (outbox.h).
 *
 * A run is told when it has ended, by both its events: a poll that found nothing, which most do, is never told. What was not
 * sent when the process ended, or was killed, is told by the next one, as is the end of a run that died with its daemon: the
 * store knows which (ops.run.is_untold). To a file everything comes exactly once; a receiver over HTTP gets an event twice when
 * the daemon is killed between its answer and the note of it, the same one each time.
 * The loop thread's. */
#pragma once
#include "job.h"

typedef struct Lineage Lineage;

/* Blocking: begins with what is still to be told. NULL without an error: the configuration wants none. */
Lineage *lineage_open(const Config *config, Jobs *jobs, PgPool *pg_pool, const char *owner, Error *err);
/* A run whose state is another one now. */
void lineage_tell(Lineage *lineage, const Run *run);
void lineage_close(Lineage *lineage);
