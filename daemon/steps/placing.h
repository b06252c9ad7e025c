/* placing.h - a page while it is placed: what its steps hand on to one another.
 *
 * place.c says which steps there are for each kind of page, and in which order; each stands in one of
 *     place_fence.c   the transaction's two ends: the fence, whose page it is, cursor and commit
 *     place_fate.c    what is known of a row, and what therefore becomes of it; place_again.c of rows that come otherwise
 *     place_plan.c    the same where nothing is written
 *     place_write.c   what is written: the rows, what quarantine holds, the batch's lines in the ledgers
 *     place_count.c   what is counted, and the share of rows that may break a rule
 *     place_early.c   what is peculiar to a page that is written before its turn
 * place_rows.c makes the page, before there is a transaction. For these files alone: all others see place.h. */
#pragma once
#include "steps/place.h"

typedef struct Placing {
    PlaceFeed *feed;
    Pg *tx;              /* NULL once it is committed */
    SilverPage *page;
    const RawRows *rows; /* none of a page that no reader made: zeroed, never NULL */
    const AgainRows *again;
    const PlaceWork *work;
    const CursorState *next; /* NULL: the position stays */
    PlaceOutcome outcome;
    int64_t n_entries; /* of quarantine that ended, though no row of the page is news */
    bool has_news;
} Placing;

/* Steps do what their name says, or pass by what does not concern them. False ends the page: nothing happened. */
typedef bool (*PlaceStep)(Placing *placing, Error *err);

/* Which verbs of storage/ serve which kind of entity. */
typedef struct PlaceKind {
    bool (*look_up)(Pg *pg, SilverPage *page, Error *err);
    /* after cleaning, where a row's fate depends on more than its hash; or NULL */
    bool (*decide)(Pg *pg, SilverPage *page, Error *err);
    bool (*write)(Pg *pg, SilverPage *page, Error *err);
    bool last_counts; /* the same id twice in a page: the last one alone counts */
} PlaceKind;
const PlaceKind *place_kind(const PlaceFeed *feed);
