/* ahead.h - the next page of rows, read and cleaned while the one before it is placed.
 *
 * Who reads rows page by page has two things to wait for, where they come from and PostgreSQL; one thread more lets it
 * wait for both at once. The thread reads pages behind one another and prepares them (place_prepare: ids, hashes, and
 * the cleaning where most rows are new). In memory are those in hand and the next.
 * Not for cursor pages: what follows from a page placed decides where they go on.
 * Readers: a table in key order (table_pages.h), a file (reading.c). */
#pragma once
#include "steps/place.h"

enum { AHEAD_IN_HAND_MAX = 3 };

typedef struct Ahead Ahead;

typedef struct AheadPage {
    Arena *arena;  /* the page's: also for placing it */
    RawRows *rows; /* in `read`; prepared */
    void *read;    /* the reader's page, in the arena */
    bool is_last;  /* nothing behind it */
} AheadPage;

/* Used by the thread alone while the Ahead is open, but for what `read` locks. */
typedef struct AheadReader {
    const char *what; /* for the error: "table x" */
    /* The next page: its `rows`, `read` and `is_last`, from its arena, which is empty. What it read before stays as it is
     * until it is called again, so that it may go on behind the last row. */
    bool (*read)(void *ctx, AheadPage *page, Error *err);
    void (*thread_open)(void), (*thread_close)(void); /* or NULL */
    void *ctx;
    const PlaceFeed *place;
    size_t n_in_hand; /* pages that the caller may have in hand: 1 to AHEAD_IN_HAND_MAX */
} AheadReader;

/* The reader is copied, its context is not. NULL and an error when the system gives no further thread. */
Ahead *ahead_open(const AheadReader *reader, Error *err);
/* The next page, which is in hand until ahead_done(). NULL and an error when it could not be read. Not to be called behind
 * the last one. */
AheadPage *ahead_next(Ahead *ahead, Error *err);
/* The page that was taken first of those in hand is given back. */
void ahead_done(Ahead *ahead);
/* Waits so long at most until ahead_next() would answer at once; whether it would. */
bool ahead_await(Ahead *ahead, int ms);
/* Waits for the page that is being read; what was not given back is dropped. */
void ahead_free(Ahead *ahead);
static inline void ahead_drop(Ahead **owner) {
    if (*owner)
        ahead_free(*owner);
}
