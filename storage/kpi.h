/* kpi.h - the figures of schema kpi, kept as they were published.
 *
 * A snapshot is a figure at its default date, told apart by the dimensions of the table in kpi.c. One is
 * written only when it differs from the newest of the same definition and date, so that a figure that
 * changed for a closed month shows both values. Not the way to ask a figure: report.h answers questions.
 * Each snapshot is a transaction of its own. */
#pragma once
#include "storage/run_store.h"

extern const int N_KPIS;
/* Of the figure 0 <= index < N_KPIS, in the order of names; static. */
const char *kpi_name(int index);
/* Whether rows were settled, or persons decided on, that figures have not been asked to the end of: what a stop left unasked, or
 * another daemon did. */
bool kpi_is_due(Pg *pg, bool *ret_is_due, Error *err);
/* What figures asked from now on see, in the arena, for kpi_asked() once all have been. */
bool kpi_seen(Pg *pg, Arena *arena, const char **ret_seen, Error *err);
bool kpi_asked(Pg *pg, const LeaseFence *fence, const char *seen, Error *err);
/* Asks the figure and keeps the answer, unless the lease was taken meanwhile: an old figure must not stand over a newer
 * one. *ret_kept is false when it is known already, or there is no data. */
bool kpi_snapshot(Pg *pg, const LeaseFence *fence, Arena *arena, int index, bool *ret_kept, Error *err);
