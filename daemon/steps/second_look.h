/* second_look.h - the second look of a reconcile: what was unlike by buckets and hashes, asked of the source again.
 *
 * Rows of the source that are unlike are read whole, by key; of rows that only we have, bronze knows the key, and the
 * source is asked for it. What differs still is delivered as a page like any other, unless the run is dry. What is
 * not there is noted in ops.gone; deleting is the caller's (reconcile.c). A row whose id another row of the table
 * holds is no difference while that one is there as it is here.
 *
 * On the run's worker, after reconcile_find_unlike() on the run's connection. */
#pragma once
#include "steps/collision.h"
#include "storage/reconcile.h"

enum {
    SECOND_LOOK_ROWS = 200, /* read by key in one statement */
    SECOND_LOOK_IDS = 5000, /* asked of bronze at once: for each question it reads much of its table */
};

/* All borrowed. */
typedef struct SecondLook {
    RunContext *run;           /* counts what is read */
    My *my;
    const SourceTable *tables; /* the feed's own first, then those of others of the same entity */
    size_t n_tables;
    const ReconcileScope *scope;
    PlaceFeed *place;
    Collisions collisions;
    int64_t source_now_us;
    Arena *arena;              /* rewound after every page */
    ReconcileReport *report;   /* adds rows_shipped, missing, differing and their keys */
} SecondLook;

/* Rows of the source that are unlike. */
bool second_look_at_theirs(SecondLook *look, Error *err);
/* Rows that only we have. */
bool second_look_at_ours(SecondLook *look, Error *err);
/* What the source lacks of these ids, in the look's arena. Those that cannot be looked for are not gone. */
bool second_look_at_ids(SecondLook *look, const Str *ids, size_t n, Str **ret_gone, size_t *ret_n, Error *err);
