/* place.c - see place.h: which steps a page of each kind goes, in their order; what they do: placing.h.
 *
 * The order of steps is that of rules section 3. */
#include "steps/place.h"

#include "base/failpoint.h"
#include "base/own.h"
#include "steps/place_again.h"
#include "steps/place_count.h"
#include "steps/place_early.h"
#include "steps/place_fate.h"
#include "steps/place_fence.h"
#include "steps/place_plan.h"
#include "steps/place_rows.h"
#include "steps/place_write.h"
#include "storage/claim.h"
#include "storage/history.h"

#include <string.h>

enum {
    ATTEMPTS_MAX = 10, /* at one page, in a run */
    STEPS_MAX = 8      /* of a part of a way */
};

static const PlaceKind KINDS[] = {
    [ENTITY_HISTORY] = {history_look_up, history_decide, history_write, true},
    [ENTITY_MEMBER] = {silver_look_up, NULL, silver_write, true},
    [ENTITY_FACT] = {silver_look_up, NULL, silver_write, true},
    [ENTITY_CLAIM] = {claim_look_up, claim_decide, claim_write, false},
};

const PlaceKind *place_kind(const PlaceFeed *feed) { return &KINDS[feed->entity->kind]; }

/* ---- the ways ---- */

typedef struct Way {
    PlaceStep judge[STEPS_MAX];  /* what becomes of every row */
    PlaceStep plan[STEPS_MAX];   /* a plan ends with these, having judged */
    PlaceStep write[STEPS_MAX];  /* where any row is news */
    PlaceStep add[STEPS_MAX];    /* what the page says besides, news or none */
    PlaceStep commit[STEPS_MAX]; /* a trial is without */
} Way;

/* Rows from the source, when it is their turn. */
static const Way IN_TURN = {
    .judge = {placing_lock, placing_enter, placing_withdraw_entries, placing_look_up, placing_clean, placing_decide,
              placing_check_stops},
    .plan = {placing_remember, placing_count},
    .write = {placing_draw_batch, placing_make_members, placing_write_bronze, placing_write_silver,
              placing_write_quarantine, placing_write_ledgers},
    .add = {placing_decide_entries, placing_count_file, placing_take_spellings},
    .commit = {placing_conclude, placing_commit, placing_count},
};

/* The same in two parts, of rows of which nothing is known: what hangs on the page before it, or on the file, waits for its
 * turn. */
static const Way EARLY = {
    .judge = {placing_be_patient, placing_look_up, placing_clean, placing_decide, placing_check_unknown,
              placing_check_stops},
    .write = {placing_draw_batch, placing_find_members, placing_write_bronze, placing_write_silver},
};
static const Way EARLY_IN_TURN = {
    .judge = {placing_lock_now, placing_enter},
    .write = {placing_write_quarantine, placing_write_ledgers},
    .add = {placing_decide_entries, placing_count_file},
    .commit = {placing_conclude, placing_commit, placing_count},
};

/* Rows that are no longer at the source. */
static const Way GONE = {
    .judge = {placing_lock, placing_look_up, placing_mark_gone, placing_decide},
    .plan = {placing_count},
    .write = {placing_draw_batch, placing_make_members, placing_write_bronze, placing_write_silver,
              placing_write_quarantine, placing_write_ledgers},
    .commit = {placing_commit, placing_count},
};

/* Rows that bronze has already, if under no id. */
static const Way AGAIN = {
    .judge = {placing_lock, placing_check_ids, placing_look_up_again, placing_clean_again, placing_decide,
              placing_check_stops, placing_renew_entries},
    .plan = {placing_remember, placing_count},
    .write = {placing_draw_batch, placing_make_members, placing_write_texts, placing_write_silver, placing_write_quarantine,
              placing_write_ledgers},
    .commit = {placing_commit, placing_count},
};

/* A page that its step makes, and of which it writes silver and quarantine itself. */
static const Way WORK = {
    .judge = {placing_lock, placing_decide_work, placing_check_stops},
    .plan = {placing_count},
    .write = {placing_draw_batch, placing_make_members, placing_write_silver, placing_write_ledgers},
    .commit = {placing_commit, placing_count},
};

static bool take_steps(const PlaceStep steps[STEPS_MAX], Placing *placing, Error *err) {
    for (int i = 0; i < STEPS_MAX && steps[i]; i++)
        TRY(steps[i](placing, err));
    return true;
}

static bool go(const Way *way, Placing *placing, Error *err) {
    TRY(take_steps(way->judge, placing, err));
    if (placing->feed->run->plan)
        return take_steps(way->plan, placing, err);
    TRY(!placing->has_news || take_steps(way->write, placing, err));
    TRY(take_steps(way->add, placing, err));
    return placing->rows->is_trial || take_steps(way->commit, placing, err);
}

/* ---- a page ---- */

/* What is not committed by then is rolled back. */
static void placing_drop(Placing *placing) { pg_tx_drop(&placing->tx); }

static const RawRows NO_ROWS = {.n_rows = 0};

static bool place(const Way *way, const Placing *page, PlaceOutcome *ret_outcome, Error *err) {
    CLEANUP(placing_drop) Placing placing = *page;
    placing.tx = pg_begin(placing.feed->pg, err);
    TRY(placing.tx && go(way, &placing, err));
    *ret_outcome = placing.outcome;
    return true;
}

static bool place_once(PlaceFeed *feed, const RawRows *rows, const CursorState *next, Arena *arena,
                       PlaceOutcome *ret_outcome, Error *err) {
    Placing page = {.feed = feed, .page = place_rows_page(feed, rows, arena), .rows = rows, .next = next};
    return place(&IN_TURN, &page, ret_outcome, err);
}

/* A first load looks nothing up, and facts or claims that are placed meanwhile may make a member or be the same claim's: a row
 * that is there all the same is a unique violation, once for each of those that were committed in between. */
bool place_may_pass(int attempt, Error *err) {
    if (strcmp(err->state, "23505") != 0 || attempt == ATTEMPTS_MAX)
        return false;
    error_clear(err);
    return true;
}

bool place_page(PlaceFeed *feed, const RawRows *rows, const CursorState *next, Arena *page,
                PlaceOutcome *ret_outcome, Error *err) {
    RawRows again = *rows;
    for (int attempt = 1; !place_once(feed, &again, next, page, ret_outcome, err); attempt++) {
        if (!place_may_pass(attempt, err))
            return false;
        again.is_first_load = false;
        again.prepared = NULL;
    }
    return true;
}

bool place_early(PlaceFeed *feed, const RawRows *rows, EarlyPage *ret_early) {
    Error ignored = {0}; /* whatever it is, the page's turn tells it */
    CLEANUP(placing_drop) Placing early = {.feed = feed, .page = place_rows_page(feed, rows, NULL), .rows = rows}; /* prepared */
    early.tx = pg_begin(feed->pg, &ignored);
    TRY(early.tx && go(&EARLY, &early, &ignored));
    FAILPOINT("page.early");
    *ret_early = (EarlyPage){.tx = TAKE(early.tx), .page = early.page, .outcome = early.outcome};
    return true;
}

bool place_in_turn(PlaceFeed *feed, EarlyPage *early, const RawRows *rows, const CursorState *next, PlaceOutcome *ret_outcome,
                   Error *err) {
    PlaceFeed lane = *feed;
    lane.pg = early->tx;
    CLEANUP(placing_drop) Placing page = {.feed = &lane, .tx = TAKE(early->tx), .page = early->page, .rows = rows,
                                          .next = next, .outcome = early->outcome, .has_news = true};
    TRY(go(&EARLY_IN_TURN, &page, err));
    feed->cursor = lane.cursor;
    *ret_outcome = page.outcome;
    return true;
}

bool place_gone(PlaceFeed *feed, const Str *ids, size_t n, Arena *arena, PlaceOutcome *ret_outcome, Error *err) {
    Placing page = {.feed = feed, .page = place_gone_page(feed, ids, n, arena), .rows = &NO_ROWS};
    return place(&GONE, &page, ret_outcome, err);
}

static bool place_again_once(PlaceFeed *feed, const AgainRows *again, Arena *arena, PlaceOutcome *ret_outcome, Error *err) {
    Placing page = {.feed = feed, .page = place_rows_page(feed, &again->rows, arena), .rows = &again->rows, .again = again};
    return place(&AGAIN, &page, ret_outcome, err);
}

bool place_again(PlaceFeed *feed, const AgainRows *again, Arena *arena, PlaceOutcome *ret_outcome, Error *err) {
    for (int attempt = 1; !place_again_once(feed, again, arena, ret_outcome, err); attempt++)
        if (!place_may_pass(attempt, err))
            return false;
    return true;
}

bool place_work(PlaceFeed *feed, SilverPage *page, const PlaceWork *work, PlaceOutcome *ret_outcome, Error *err) {
    return place(&WORK, &(Placing){.feed = feed, .page = page, .rows = &NO_ROWS, .work = work}, ret_outcome, err);
}
