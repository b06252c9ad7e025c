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
static bool open_lane(Turns *turns, Lane **lane, Error *err) {
    if (*lane && lane_is_dead(*lane))
        lanes_free(lane, 1);
    if (!*lane)
        *lane = lane_open(turns->feed, turns->feed->run->pg_pool, &turns->gate, err);
    return *lane;
}

static bool await_session(Lane **lane, Error *err) {
    bool has_session = lane_await_session(*lane, err);
    if (!has_session)
        lanes_free(lane, 1);
    return has_session;
}

/* All take their sessions at the same time. Each is awaited, also behind one that has none: it can be given back then. */
static bool open_lanes(Turns *turns) {
    Error why = {0};
    bool ok = true;
    for (size_t i = 0; i < turns->n_lanes && ok; i++)
        ok = open_lane(turns, &turns->lanes[i], &why);
    for (size_t i = 0; i < turns->n_lanes; i++)
        ok = (!turns->lanes[i] || await_session(&turns->lanes[i], &why)) && ok;
    if (!ok)
        LOG_FAILURE(LOG_LEVEL_INFO, "no further session writes pages", &why, LOG_TEXT("feed", turns->feed->feed));
    return ok;
}

/* Their sessions are others' meanwhile. One that has a page yet comes when that is placed. */
static void give_lanes_back(Turns *turns) {
    for (size_t i = 0; i < turns->n_lanes; i++)
        if (turns->lanes[i] && lane_is_idle(turns->lanes[i]))
            lanes_free(&turns->lanes[i], 1);
}

static bool is_vain(const Turns *turns) {
    for (size_t i = 0; i < turns->n_lanes; i++)
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
    bool opens = turns->n_lanes > 0 && turns->was_unknown && !turns->has_no_lanes && !is_resting(turns);
    turns->has_no_lanes |= opens && !open_lanes(turns);
    if (opens && !turns->has_no_lanes)
        return true;
    if (turns->has_placed)
        give_lanes_back(turns);
    return false;
}

/* The page at this place in hand. A lane that has nothing to do is left as one that has it in vain; a page without rows, behind
 * the last of a file, says nothing. */
static void write_early(Turns *turns, size_t place) {
    size_t lane = (turns->turn + place) % turns->n_lanes;
    const RawRows *before[TURNS_LANES_MAX]; /* which are not committed yet */
    for (size_t i = 0; i < place; i++)
        before[i] = turns->pages[i]->rows;
    AheadPage *page = turns->pages[place];
    bool begins = turns->owner.describe(turns->owner.ctx, page) && lane_begin(turns->lanes[lane], before, place, page->rows);
    turns->n_in_vain[lane] += !begins && page->rows->n_rows > 0;
}

/* What has been read behind the page in hand; for the first of those it waits a little. One that cannot be read ends the walk
 * when those before it are placed. */
static void write_behind(Turns *turns, Ahead *ahead) {
    while (turns->n_pages < turns->n_lanes && !turns->pages[turns->n_pages - 1]->is_last &&
           ahead_await(ahead, turns->n_pages == 1 ? AWAIT_MS : 0)) {
        Error later = {0}; /* told when it is that page's turn */
        turns->pages[turns->n_pages] = ahead_next(ahead, &later);
        if (!turns->pages[turns->n_pages])
            return;
        write_early(turns, turns->n_pages++);
    }
}

static bool take_page(Turns *turns, Ahead *ahead, bool *ret_is_begun, Error *err) {
    *ret_is_begun = turns->n_pages > 0;
    if (!*ret_is_begun && (turns->pages[0] = ahead_next(ahead, err)))
        turns->n_pages = 1;
    return turns->n_pages > 0;
}

static void give_page_back(Turns *turns, Ahead *ahead) {
    ahead_done(ahead);
    memmove(turns->pages, turns->pages + 1, --turns->n_pages * sizeof *turns->pages);
    if (turns->n_lanes > 0)
        turns->turn = (turns->turn + 1) % turns->n_lanes;
}

void turns_begin(Turns *turns) {
    Error ignored = {0}; /* it is tried again when there is something to write */
    lane_gate_open(&turns->gate, TURNS_WRITERS);
    size_t n = members_are_to_read(turns->feed->members) ? turns->n_lanes : 0; /* asked once: the first may be reading already */
    for (size_t i = 0; i < n; i++)
        open_lane(turns, &turns->lanes[i], &ignored);
}

/* While a page is committed those behind it are being written; its session goes on with the next. */
bool turns_walk(Turns *turns, Ahead *ahead, Error *err) {
    bool is_begun, is_last = false;
    while (!is_last) {
        TRY(take_page(turns, ahead, &is_begun, err));
        is_last = turns->pages[0]->is_last;
        if (!is_last && has_lanes(turns)) {
            if (!is_begun)
                write_early(turns, 0);
            write_behind(turns, ahead);
        }
        TRY(turns->owner.place(turns->owner.ctx, turns->pages[0], err));
        give_page_back(turns, ahead);
    }
    return true;
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
    turns->has_placed = true;
    turns->was_unknown = ok && ret_outcome->rows_new + ret_outcome->rows_quarantined == (int64_t)rows->n_rows;
    return ok;
}

void turns_done(Turns *turns) {
    lanes_free(turns->lanes, TURNS_LANES_MAX);
    lane_gate_close(&turns->gate);
}
