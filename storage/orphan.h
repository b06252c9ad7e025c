/* orphan.h - rows that name a parent which is not there: counted, listed, since when, and until when (dq.orphan).
 *
 * Settle's flags are the truth; this keeps the list by them, in a transaction of its own, and may come late: the next look
 * finds the same. */
#pragma once
#include "storage/run_store.h"

/* `ret_changed`: orphans that came or were resolved. */
bool orphan_take(Pg *pg, const LeaseFence *fence, Arena *arena, int64_t *ret_changed, Error *err);

/* Tells how many are open, by table and flag; 0 where all are resolved. */
typedef void OrphanTell(void *ctx, const char *entity, const char *orphan, int64_t n_open);
bool orphan_tell(Pg *pg, OrphanTell *tell, void *ctx, Error *err);
