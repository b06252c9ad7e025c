/* score.h - how good the rows in force are: shares of rules passed, by feed and dimension (dq.score).
 *
 * A score is asked of the tables when something came since the last look, and written where it changed. Rows in quarantine
 * count as asked and failed. Each rule of a dimension weighs the same, and each dimension in `overall`. Claims belong to the
 * feed of their file, other rows to the feeds of their source and entity. */
#pragma once
#include "storage/run_store.h"

/* Has anything come, been settled, or become another rule since the newest look? */
bool score_is_due(Pg *pg, bool *ret_is_due, Error *err);
/* A transaction of its own, fenced. `ret_changed`: scores that are others now. */
bool score_take(Pg *pg, const LeaseFence *fence, int64_t run_id, Arena *arena, int64_t *ret_changed, Error *err);

/* Tells every score as it stands: feed, dimension (or "overall"), 0 to 1. */
typedef void ScoreTell(void *ctx, const char *feed, const char *dimension, double score);
bool score_tell(Pg *pg, ScoreTell *tell, void *ctx, Error *err);
