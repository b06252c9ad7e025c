/* spelling.h - which row holds an id that its source spells otherwise.
 *
 * Ids are trimmed and folded, so ' q' and 'q' are one id where the source may have two rows. One of them
 * holds it; where that is not the row spelled as the id itself, its spelling stands in ops.id_spelling.
 * Who holds an id is decided in steps/collision.c. */
#pragma once
#include "storage/pg.h"

/* False: every row of the feed that was placed is spelled as its id. */
bool spelling_any(Pg *pg, const char *feed, bool *ret_any, Error *err);

typedef struct Spelling {
    Str id, text;
} Spelling;
/* Of these ids, those held by another spelling, in no order. */
bool spelling_find(Pg *pg, const char *feed, const Str *ids, size_t n, Arena *arena, Spelling **ret_found,
                   size_t *ret_n, Error *err);

/* The rule of rows that are kept out because another one holds their id. */
#define RULE_KEY_COLLISION "key_collision"

/* A row comes to hold an id. */
typedef struct SpellingTake {
    Str id;
    Str spelling; /* STR_NULL: the id itself */
    Str entry;    /* the natural key under which quarantine may have held it */
} SpellingTake;
/* Their entries are superseded. In the caller's transaction. */
bool spelling_take(Pg *pg, const char *feed, const SpellingTake *takes, size_t n, Error *err);
