/* collision.h - rows of one table whose ids become equal when they are trimmed and folded.
 *
 * A source whose collation tells ' q' from 'q' may hold both. Silver has one place for them, and each would
 * overwrite the other at every read. So one row holds the id, and keeps it as long as its source has it:
 * the one spelled as the id itself, but where another spelling was placed before it came, that one; and of
 * several others the first. The rest are kept out, under the rule key_collision, and looked at again at
 * every read. Whether the holder is still there, in that spelling, is asked at the source: an id that was
 * mended there collides with nothing.
 *
 * Where every row is spelled as its id, nothing is asked of anybody. Ids made of several columns, or from
 * others than texts, are not looked at, and a table of the past has many rows of one id. Used by extract; one per
 * run. */
#pragma once
#include "steps/place.h"
#include "storage/source.h"

#include <pthread.h>

typedef struct Collisions {
    const PlaceFeed *feed;
    My *my;
    pthread_mutex_t *my_mutex; /* held while `my` is used */
    const SourceTable *table;
    int field; /* from which the id comes; -1: it is not looked at */
    bool is_open;
    bool has_spellings; /* some id is held by another spelling: rows spelled as their ids count, too */
} Collisions;

Collisions collisions_open(const PlaceFeed *feed, My *my, pthread_mutex_t *my_mutex,
                           const SourceTable *table);
/* Whether any of the page's rows, which are prepared, may collide: such a page is to be looked at when those before it are
 * placed. Nothing is asked of anybody. */
bool collisions_may_be(const Collisions *collisions, Arena *arena, const RawRows *rows);
/* Adds to the page's rows, which are prepared, which of them are kept out, and which come to hold their id.
 * Allocates in `arena`. */
bool collisions_find(Collisions *collisions, Arena *arena, RawRows *rows, Error *err);
