/* glance.h - whether a poll would find anything, asked of the source alone.
 *
 * Most polls find nothing. Such a one needs no description of the table and nothing of PostgreSQL: it is enough that
 * the table's columns are what they were, that no row lies at or behind the position, and that the server's clock went
 * on. Three short statements; anything else, an error too, is for the whole poll to find. What is remembered belongs
 * to one feed's session; a poll that was not quiet forgets it, looks at the columns before it asks what they are, and
 * remembers the rest at its end: a table that changed meanwhile is another one than the look's. Not when it stored a
 * position that the store may yet lose in a crash. On the run's worker. */
#pragma once
#include "storage/watermark.h"

typedef struct Glance {
    Arena *arena; /* what follows lives in it; NULL: there was no look */
    const char *has_rows, *columns; /* statements */
    uint64_t shape;                 /* of the table's columns */
    SourceTable table;              /* its cursor's kind and precision alone */
    const char *position;           /* NULL: nothing is remembered yet */
    int64_t epoch;                  /* of the lease under which the position was stored */
} Glance;

/* Before the poll describes the table. */
void glance_look(Glance *glance, My *my, const char *table, const char *query);
/* Nothing without a look, nor for counters, whose position depends on what was seen before. `table` and `position` are
 * copied as needed. */
void glance_remember(Glance *glance, const SourceTable *table, const char *position, int64_t epoch);
void glance_forget(Glance *glance);
/* True: nothing is new; *ret_mark is the poll's watermark, its texts in `arena`. */
bool glance_is_quiet(const Glance *glance, My *my, int64_t epoch, const WatermarkBasis *basis, const Zone *zone,
                     WatermarkMemory *memory, Arena *arena, Watermark *ret_mark);
