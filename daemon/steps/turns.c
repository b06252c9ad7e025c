/* turns.c - see turns.h. */
#include "steps/turns.h"

#include "base/log.h"

#include <string.h>

enum {
    IN_VAIN_MOST = 4, /* pages that a lane may have to leave, one behind the other */
    REST_PAGES = 32,  /* a load names most that is new to it, codes and payers, in its first pages */
    AWAIT_MS = 50,    /* how long a page that is being written waits for the next to be read: not without an end where that is slow */
};

/* The one whose session has died has refused a page by then: at most every second one of a lane is opened for. */
static bool open_lane(Turns *turns, Lane **lane) {
    Error why = {0};
    if (*lane && lane_is_dead(*lane))
        lanes_free(lane, 1);
    if (!*lane)
        *lane = lane_open(turns->feed, turns->feed->run->pg_pool, &why);
    if (!*lane)
        LOG_FAILURE(LOG_LEVEL_INFO, "no further session writes pages", &why, LOG_TEXT("feed", turns->feed->feed));
    return *lane;
}

static bool open_lanes(Turns *turns) {
    for (size_t i = 0; i < TURNS_LANES; i++)
        if (!open_lane(turns, &turns->lanes[i]))
            return false;
    return true;
}

/* Their sessions are others' meanwhile. One that has a page yet comes when that is placed. */
static void give_lanes_back(Turns *turns) {
    for (size_t i = 0; i < TURNS_LANES; i++)
        if (turns->lanes[i] && lane_is_idle(turns->lanes[i]))
            lanes_free(&turns->lanes[i], 1);
}

static bool is_vain(const Turns *turns) {
    for (size_t i = 0; i < TURNS_LANES; i++)
        if (turns->n_in_vain[i] >= IN_VAIN_MOST)
            return true;
    return false;
}

static void rest(Turns *turns) {
    if (!turns->is_told)
        LOG_INFO("pages written by further sessions had to be left; one places the next ones", LOG_TEXT("feed", turns->feed->feed),
                 LOG_INT("run", turns->feed->run->run_id), LOG_INT("left", IN_VAIN_MOST), LOG_INT("pages", REST_PAGES));
    turns->is_told = true;
    turns->n_rest = REST_PAGES;
    memset(turns->n_in_vain, 0, sizeof turns->n_in_vain);
}

static bool is_resting(Turns *turns) {
    if (is_vain(turns))
        rest(turns);
    return turns->n_rest > 0 && turns->n_rest-- > 0;
}

/* Where nothing was known of the rows so far. */
static bool has_lanes(Turns *turns) {
    bool opens = turns->is_unknown && turns->was_unknown && !turns->has_no_lanes && !is_resting(turns);
    turns->has_no_lanes |= opens && !open_lanes(turns);
    if (opens && !turns->has_no_lanes)
        return true;
    give_lanes_back(turns);
    return false;
}

/* `before`: the page before it, where that is not committed yet. A lane that has nothing to do is left as one that has it in
 * vain. */
static void write_early(Turns *turns, size_t lane, const AheadPage *before, AheadPage *page) {
    bool begins = turns->owner.describe(turns->owner.ctx, page) &&
                  lane_begin(turns->lanes[lane], before ? before->rows : NULL, page->rows);
    turns->n_in_vain[lane] += !begins;
}

/* While a page is committed the one behind it is being written; the other session goes on with the one behind that. A page
 * that cannot be read ends the walk when those before it are placed. */
bool turns_walk(Turns *turns, Ahead *ahead, Error *err) {
    bool is_begun = false; /* the page in hand, as the one behind another */
    AheadPage *page = ahead_next(ahead, err), *behind;
    for (; page; page = behind ? behind : ahead_next(ahead, err)) {
        Error later = {0}; /* told when it is that page's turn */
        bool is_early = !page->is_last && has_lanes(turns);
        if (is_early && !is_begun)
            write_early(turns, turns->turn, NULL, page);
        behind = is_early && ahead_await(ahead, AWAIT_MS) ? ahead_next(ahead, &later) : NULL;
        is_begun = behind != NULL;
        if (behind)
            write_early(turns, !turns->turn, page, behind);
        bool is_last = page->is_last;
        TRY(turns->owner.place(turns->owner.ctx, page, err));
        ahead_done(ahead);
        if (is_last)
            return true;
        turns->turn = !turns->turn;
    }
    return false;
}

bool turns_take(Turns *turns, const RawRows *rows, Error *err) {
    Lane *lane = turns->lanes[turns->turn];
    turns->answer = LANE_NOTHING;
    return !lane || lane_take(lane, rows, &turns->answer, err);
}

/* What goes wrong is left to the page's own turn, which tells it. */
static bool place_written(Turns *turns, const RawRows *rows, const CursorState *next, PlaceOutcome *ret_outcome) {
    Error ignored = {0};
    Lane *lane = turns->lanes[turns->turn];
    if (turns->answer == LANE_NOTHING)
        return false;
    bool is_placed = turns->answer == LANE_STANDS &&
                     place_in_turn(turns->feed, lane_page(lane), rows, next, ret_outcome, &ignored);
    if (turns->answer == LANE_STANDS)
        lane_done(lane);
    turns->n_in_vain[turns->turn] = is_placed ? 0 : turns->n_in_vain[turns->turn] + 1;
    return is_placed;
}

bool turns_place(Turns *turns, RawRows *rows, const CursorState *next, Arena *page, TurnsPlace place,
                 PlaceOutcome *ret_outcome, Error *err) {
    bool ok = place_written(turns, rows, next, ret_outcome);
    if (!ok && turns->answer != LANE_NOTHING)
        rows->prepared = NULL; /* whose rows bear what that attempt found */
    ok = ok || place(turns->feed, rows, next, page, ret_outcome, err);
    turns->was_unknown = ok && ret_outcome->rows_new + ret_outcome->rows_quarantined == (int64_t)rows->n_rows;
    return ok;
}

void turns_done(Turns *turns) { lanes_free(turns->lanes, TURNS_LANES); }
