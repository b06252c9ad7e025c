/* ahead.h - the next page of a table, read and cleaned while the one before it is placed.
 *
 * A pass over a table in key order has two things to wait for, the hospital's database and PostgreSQL; one
 * thread more lets it wait for both at once. The thread reads pages behind one another, each a short statement
 * taken whole, and prepares them (place_prepare: ids, hashes, cleaning in a first load). At most two pages are
 * in memory: the one that is placed and the next.
 * The session to the source is the thread's while an Ahead is open; another may ask between two pages,
 * holding its mutex. Not for cursor pages: what follows from a page placed decides where they go on. */
#pragma once
#include "steps/place.h"
#include "storage/source.h"

#include <pthread.h>

typedef struct Ahead Ahead;

typedef struct AheadPlan {
    My *my;
    pthread_mutex_t *my_mutex; /* held while `my` is used */
    const SourceTable *table;
    SourceLimits limits;
    const PlaceFeed *place;
    const Str *after_key; /* NULL: from the start; must outlive the Ahead */
    int64_t source_now_us;
    bool is_first_load;
} AheadPlan;

typedef struct AheadPage {
    Arena *arena; /* the page's: also for placing it */
    MyPage read;
    RawRows rows;   /* prepared */
    Str *last_key;  /* of its last row */
    bool is_last;   /* nothing behind it */
} AheadPage;

/* NULL and an error when the system gives no further thread. */
Ahead *ahead_open(const AheadPlan *plan, Error *err);
/* The next page; the one before it is given back. NULL and an error when it could not be read. Not to be
 * called behind the last one. */
AheadPage *ahead_next(Ahead *ahead, Error *err);
/* Waits for the statement in hand; what was read and not taken is dropped. */
void ahead_free(Ahead *ahead);
static inline void ahead_drop(Ahead **owner) {
    if (*owner)
        ahead_free(*owner);
}
