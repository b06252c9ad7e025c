/* place_fence.c - see place_fence.h. */
#include "steps/place_fence.h"

#include "base/failpoint.h"
#include "base/own.h"

static bool is_beside(const Placing *p) { return p->rows->entry && p->rows->entry->is_beside; }

/* ---- its beginning ---- */

static bool lock_cursor(const PlaceFeed *feed, Error *err) {
    return feed->run->plan || (state_placement_lock_shared(feed->pg, err) &&
                               state_cursor_lock(feed->pg, feed->feed, feed->run->epoch, feed->cursor.page, err));
}

static bool lock_beside(const PlaceFeed *feed, Error *err) {
    return state_placement_lock_shared(feed->pg, err) &&
           state_cursor_lock_beside(feed->pg, feed->feed, feed->run->epoch, err);
}

/* What is written early is of claims of which nothing is known: the first iteration of each tells whoever else has it. */
static bool lock_claims(const Placing *p, Error *err) {
    bool is_due = p->feed->entity->kind == ENTITY_CLAIM && !p->feed->run->plan;
    return !is_due || state_claims_lock(p->feed->pg, p->page->source_system, err);
}

bool placing_lock(Placing *p, Error *err) {
    TRY(lock_claims(p, err));
    TRY((is_beside(p) ? lock_beside : lock_cursor)(p->feed, err));
    FAILPOINT("page.after_lock");
    return true;
}

bool placing_lock_now(Placing *p, Error *err) {
    const PlaceFeed *feed = p->feed;
    TRY(state_cursor_lock_now(feed->pg, feed->feed, feed->run->epoch, feed->cursor.page, err));
    FAILPOINT("page.in_turn");
    return true;
}

bool placing_enter(Placing *p, Error *err) {
    const PlaceEntry *entry = p->rows->entry;
    return p->feed->run->plan || !entry || !entry->enter ||
           entry->enter(entry->ctx, p->feed->pg, &p->page->file_id, err);
}

/* ---- its end ---- */

bool placing_conclude(Placing *p, Error *err) {
    const PlaceEntry *entry = p->rows->entry;
    return !entry || !entry->conclude || entry->conclude(entry->ctx, p->feed->pg, p->page, err);
}

/* Each page has a number, by which another daemon's is noticed; the position moves with `next` alone. */
static bool write_cursor(const PlaceFeed *feed, const CursorState *next, CursorState *ret_moved, Error *err) {
    CursorState moved = next ? *next : feed->cursor;
    moved.page = feed->cursor.page;
    TRY(state_cursor_write(feed->pg, feed->feed, &moved, err));
    *ret_moved = moved;
    return true;
}

static bool commit_page(Placing *p, Error *err) {
    CursorState moved;
    TRY(write_cursor(p->feed, p->next, &moved, err));
    FAILPOINT("page.before_commit");
    TRY(pg_commit(&p->tx, p->feed->commit, err));
    FAILPOINT("page.after_commit");
    p->feed->cursor = moved;
    return true;
}

/* What a step puts beside the rows is committed though none of them was news. */
bool placing_commit(Placing *p, Error *err) {
    bool has_any = p->has_news || p->n_entries > 0 || p->rows->n_takes > 0 || p->next;
    if (is_beside(p))
        TRY(pg_commit(&p->tx, p->feed->commit, err));
    else if (has_any)
        TRY(commit_page(p, err));
    else
        return true;
    p->outcome.is_committed = true;
    p->feed->run->counts.batches += p->has_news;
    return true;
}

bool place_cursor(PlaceFeed *feed, const CursorState *next, PgCommit commit, Error *err) {
    if (feed->run->plan) {
        feed->cursor = *next;
        return true;
    }
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(feed->pg, err);
    TRY(tx && lock_cursor(feed, err));
    CursorState moved;
    TRY(write_cursor(feed, next, &moved, err));
    TRY(pg_commit(&tx, commit, err));
    feed->cursor = moved;
    return true;
}
