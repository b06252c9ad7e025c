/* turns.h - pages behind one another, of which some are written while the one before them is committed.
 *
 * Where nothing is known of the rows, some sessions write pages by turns (lane.h), and pages become visible in their order
 * all the same. Two write at a time, however many there are: more of them meet at the ends of tables and indexes. A third
 * lets both go on while a page that is written waits for its turn. A page that is not of that kind, or whose session gave
 * up, is placed by the run's own session in its turn; so are those behind it for a while where that was in vain again and
 * again, and all others where no further sessions are to be had.
 * Owners: a file (reading.c) and a table's first load (extract.c). On the run's thread alone. */
#pragma once
#include "steps/ahead.h"
#include "steps/lane.h"

enum { TURNS_LANES_MAX = 3, TURNS_WRITERS = 2 };

typedef struct TurnsOwner {
    /* The page's rows as for placing them, for what is written before their turn. False: the page has to wait for it. */
    bool (*describe)(void *ctx, AheadPage *page);
    /* The page's turn: turns_take() its rows, then turns_place() them. */
    bool (*place)(void *ctx, AheadPage *page, Error *err);
    void *ctx;
} TurnsOwner;

/* Begun with {.owner, .feed, .n_lanes}, the rest zero, and turns_begin(); behind that turns_done() in any case. */
typedef struct Turns {
    TurnsOwner owner;
    PlaceFeed *feed; /* the run's */
    size_t n_lanes;  /* where nothing can be known of the rows; 0: the run's own session places all */
    Lane *lanes[TURNS_LANES_MAX];      /* NULL: not opened, or not to be had */
    LaneGate gate;                     /* for those that write */
    AheadPage *pages[TURNS_LANES_MAX]; /* in hand, in their order: the first has its turn, those behind it were tried early */
    size_t n_pages;
    size_t turn;       /* the lane of the first of them */
    LaneAnswer answer; /* of that page */
    bool has_no_lanes, is_told;
    int n_rest; /* pages that are placed by the run's session before the lanes are tried again */
    int n_in_vain[TURNS_LANES_MAX]; /* pages that each had to leave or was not given, one behind the other */
    bool has_placed;                /* a page: those opened before it are wanted or not */
    bool was_unknown;               /* of the page placed last: the next may be as it was */
} Turns;

/* Its sessions are opened before the first page where they have patients to read ahead meanwhile. */
void turns_begin(Turns *turns);
/* The next page from `ahead`, of which as many may be in hand as there are lanes, and all behind it. */
bool turns_walk(Turns *turns, Ahead *ahead, Error *err);
/* The session that has these rows is awaited; then they are the run's again, to be described. */
bool turns_take(Turns *turns, const RawRows *rows, Error *err);
/* place_page(), or what stands for it. */
typedef bool (*TurnsPlace)(PlaceFeed *feed, const RawRows *rows, const CursorState *next, Arena *page,
                           PlaceOutcome *ret_outcome, Error *err);
/* Commits what was written of the rows before; else `place` them. */
bool turns_place(Turns *turns, RawRows *rows, const CursorState *next, Arena *page, TurnsPlace place,
                 PlaceOutcome *ret_outcome, Error *err);
/* Before the pages that they may be at are given back. */
void turns_done(Turns *turns);
