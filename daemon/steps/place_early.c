/* place_early.c - see place_early.h. */
#include "steps/place_early.h"

#include "base/own.h"
#include "steps/place_rows.h"

/* Whose rows others may wait for waits for nobody long: the run, which may be canceled, waits for it. Shorter than until
 * PostgreSQL looks for a circle (deadlock_timeout, 1 s): this page can come in its turn, and whoever it stands in the way of
 * seldom has to fail. For the cursor, whose holder may wait for these rows, it does not wait at all. */
static const char PATIENCE[] = "800ms";

static bool be_patient(Pg *tx, Error *err) {
    return state_patience(tx, PATIENCE, err) && state_placement_lock_shared(tx, err);
}

bool placing_be_patient(Placing *p, Error *err) { return be_patient(p->feed->pg, err); }

bool place_may_be_early(const RawRows *rows) {
    bool is_plain = rows->prepared && rows->n_rows > 0 && !rows->former && !rows->files && rows->n_takes == 0;
    for (size_t i = 0; is_plain && i < rows->n_rows; i++)
        is_plain = !place_row_is_rejected(rows, i);
    return is_plain;
}

/* One that is unfit goes to quarantine under its id, which the page before does not have. */
static bool is_unknown(const SilverRow *row) {
    bool is_unfit = row->fate == ROW_REJECTED && !str_is_null(row->id);
    return (row->fate == ROW_NEW || is_unfit) && !row->held.is_found && !row->held.lacked_id;
}

bool placing_check_unknown(Placing *p, Error *err) {
    (void)err;
    for (size_t i = 0; i < p->page->n_rows; i++)
        if (!is_unknown(&p->page->rows[i]))
            return false;
    return true;
}

bool place_read_ahead(PlaceFeed *feed) {
    Error ignored = {0}; /* who is not read is asked for with the page that names him */
    if (!members_are_to_read(feed->members))
        return false;
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(feed->pg, &ignored);
    return tx && be_patient(tx, &ignored) && members_read_ahead(feed->members, tx, &ignored) &&
           pg_commit(&tx, PG_RELAXED, &ignored);
}

void early_page_drop(EarlyPage *early) {
    pg_tx_drop(&early->tx);
    early->tx = NULL;
}
