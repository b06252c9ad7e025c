/* claim.c - see claim.h: which iterations the stored deliveries and the page's make together, and each row's fate. */
#include "storage/claim.h"

#include "base/own.h"
#include "storage/claim_memory.h"
#include "storage/claim_work.h"

#include <stdlib.h>

static const char *const AMOUNTS[CLAIM_AMOUNTS] = {"claim_amount", "paid_amount", "deductible",
                                                   "coinsurance", "copay"};

/* ---- what the page brings ---- */

typedef struct Places { /* columns of the entity */
    int modified_at, inserted_at, status, amounts[CLAIM_AMOUNTS];
} Places;

static Places find_places(const Entity *entity) {
    Places places = {
        .modified_at = entity_column(entity, STR("source_modified_at")),
        .inserted_at = entity_column(entity, STR("source_inserted_at")),
        .status = entity_column(entity, STR("claim_status")),
    };
    for (int i = 0; i < CLAIM_AMOUNTS; i++)
        places.amounts[i] = entity_column(entity, str_of(AMOUNTS[i]));
    return places;
}

static Delivery new_delivery(const SilverPage *page, size_t i, const Places *places) {
    const SilverRow *row = &page->rows[i];
    RowFile file = silver_row_file(page, row);
    Delivery d = {
        .claim_id = row->id,
        .modified_at = row->record.values[places->modified_at],
        .inserted_at = row->record.values[places->inserted_at],
        .period = file.period,
        .sha256 = file.sha256,
        .line = row->line,
        .status = row->record.values[places->status],
        .source_hash = row->source_hash,
        .origin = DELIVERY_NEW,
        .file_id = file.file_id,
        .has_row = true,
        .row = (uint32_t)i,
        .set = page->claims->sets ? page->claims->sets[i] : NULL,
    };
    for (int a = 0; a < CLAIM_AMOUNTS; a++)
        d.amounts[a] = row->record.values[places->amounts[a]];
    memcpy(d.record_hash, row->record.record_hash, sizeof d.record_hash);
    return d;
}

/* ---- what becomes of it ---- */

static RowFate fate_of_new(const Delivery *d, bool claim_is_known) {
    switch (d->fate) {
    case DELIVERY_SHOWN:
        return claim_is_known ? ROW_CHANGED : ROW_NEW;
    case DELIVERY_ABSORBED:
        return d->is_repeated ? ROW_ABSORBED : ROW_TOUCHED;
    default:
        return ROW_SAME;
    }
}

/* Of a stored one that was cleaned again. */
static RowFate fate_of_stored(const Delivery *d) {
    bool was_shown = d->origin == DELIVERY_STORED_SHOWN, is_shown = d->fate == DELIVERY_SHOWN;
    bool is_same = !d->differs && was_shown == is_shown &&
                   (!is_shown || (d->iteration == d->was_iteration && d->is_final == d->was_final));
    return is_same ? ROW_SAME : is_shown ? ROW_CHANGED : ROW_TOUCHED;
}

static void keep_in_memory(const SilverPage *page, const Delivery *deliveries, size_t n) {
    bool has_news = false;
    for (size_t i = 0; i < n; i++)
        has_news |= claim_is_news(&deliveries[i]);
    if (has_news)
        claim_memory_put(page->memory, page->source_system, deliveries, n);
}

static void give_fates(SilverPage *page, const Delivery *claim, size_t n) {
    bool is_known = false;
    for (size_t i = 0; i < n; i++)
        is_known |= claim[i].origin != DELIVERY_NEW;
    for (size_t i = 0; i < n; i++)
        if (claim[i].has_row)
            page->rows[claim[i].row].fate =
                claim[i].origin == DELIVERY_NEW ? fate_of_new(&claim[i], is_known) : fate_of_stored(&claim[i]);
}

/* ---- the claim in hand ---- */

typedef struct Crowd {
    size_t n_claims, n_rows; /* claims that the page adds to, and its rows that do */
    size_t n_stored;         /* of those claims */
} Crowd;

typedef struct Deciding Deciding;
struct Deciding {
    SilverPage *page;
    Places places;
    Arena *arena;           /* texts of what is stored of the claim in hand, and what deciding it takes */
    size_t claim, first;    /* it, of the page's claims, and where its deliveries begin in those of the work */
    bool (*join)(Deciding *d, const PageClaim *claim, Error *err); /* adds what the page brings of it */
    bool *is_taken;         /* rows for which a former delivery stands; NULL: nothing was read before */
    const bool *was_stored; /* cleaned again: see claim_decide_again() */
    bool *is_gone;
    Crowd crowd; /* of rows that are not cleaned again */
};

static Delivery *in_hand(const Deciding *d) { return d->page->claims->deliveries + d->first; }
static size_t n_in_hand(const Deciding *d) { return d->page->claims->n - d->first; }

static void put(Deciding *d, const Delivery *delivery) {
    struct ClaimWork *work = d->page->claims;
    if (work->n == work->n_room) {
        Delivery *more = arena_alloc(d->page->arena, 2 * work->n_room * sizeof *more);
        memcpy(more, work->deliveries, work->n * sizeof *more);
        work->deliveries = more;
        work->n_room *= 2;
    }
    work->deliveries[work->n++] = *delivery;
}

static bool is_usable(const SilverRow *row) { return row->fate != ROW_SAME && row->fate != ROW_REJECTED; }

/* ---- what cannot be one claim ---- */

static void count_usable(Deciding *d) {
    const struct ClaimWork *work = d->page->claims;
    for (size_t c = 0; c < work->n_claims; c++) {
        size_t n = 0;
        for (size_t i = 0; i < work->claims[c].n_rows; i++)
            n += is_usable(&d->page->rows[work->claims[c].rows[i].row]);
        d->crowd.n_rows += n;
        d->crowd.n_claims += n > 0;
    }
}

static bool fail_crowd(const Deciding *d, size_t n_of_one, Error *err) {
    error_set(err, STATE_DATA, "of the claims that a page's rows name, %zu, there are at least %zu deliveries already, of one alone "
              "%zu: what `%s` is mapped to is no claim's id", d->crowd.n_claims, d->crowd.n_stored, n_of_one, d->page->entity->id);
    return error_hint(err, "map it to another column, or say which words of it stand for no id; name the feed anew, and deliver "
                      "its files again");
}

/* Every page needs all deliveries of its claims, and may have to number all of them anew. So a column that is no claim's id must
 * not be taken for one: nobody bills one thing tens of thousands of times, and what a file names time and again in every page
 * is not what it lists. */
static bool check_crowd(Deciding *d, size_t n_stored, Error *err) {
    Crowd *crowd = &d->crowd;
    crowd->n_stored += n_stored;
    bool is_crowd = crowd->n_stored > CLAIM_CROWD && crowd->n_stored > CLAIM_CROWD_MEAN * crowd->n_claims &&
                    crowd->n_rows >= CLAIM_CROWD_ROWS * crowd->n_claims;
    return (!is_crowd && n_stored <= CLAIM_DELIVERIES_MOST) || fail_crowd(d, n_stored, err);
}

/* ---- read anew, or cleaned again ---- */

static bool is_same_number(Value a, Value b) {
    return a.is_set == b.is_set && (!a.is_set || a.number == b.number);
}

/* The stored delivery with the content that its text has now. */
static void renew(Delivery *stored, const Delivery *cleaned) {
    Delivery d = *cleaned;
    d.origin = stored->origin;
    d.claim_key = stored->claim_key;
    d.was_iteration = stored->was_iteration;
    d.was_final = stored->was_final;
    d.differs = memcmp(stored->record_hash, cleaned->record_hash, sizeof d.record_hash) != 0 ||
                !is_same_number(stored->modified_at, cleaned->modified_at) ||
                !is_same_number(stored->inserted_at, cleaned->inserted_at);
    *stored = d;
}

static bool is_former(const FormerReading *former, const Delivery *d) {
    if (d->line < former->first_line || d->line >= former->end_line)
        return false;
    for (size_t i = 0; i < former->n; i++)
        if (former->file_ids[i] == d->file_id)
            return true;
    return false;
}

/* Lines of a page rise. NULL: the line is not, or not any more, where a row of that claim begins. */
static SilverRow *row_of_line(const SilverPage *page, const Delivery *d) {
    size_t low = 0, high = page->n_rows;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (page->rows[middle].line < d->line)
            low = middle + 1;
        else
            high = middle;
    }
    bool is_it = low < page->n_rows && page->rows[low].line == d->line && str_equal(page->rows[low].id, d->claim_id);
    return is_it ? &page->rows[low] : NULL;
}

/* A delivery that the page holds word by word stays, unless its bytes came again as those of another period. One of the
 * same claim that its line tells otherwise takes what the line tells, and keeps its key. Any other goes, also where its
 * line is held in quarantine now: what was read of it was not what its file says. True when it stands for its row, so
 * that the row is no news of its own. */
static bool decide_former(SilverPage *page, Delivery *d, const Places *places, SilverRow **ret_row) {
    SilverRow *row = row_of_line(page, d);
    *ret_row = row;
    bool is_in_place = d->file_id == page->file_id || str_equal(d->period, page->period);
    if (row && row->source_hash == d->source_hash && is_in_place) {
        if (!is_usable(row))
            return false;
        row->fate = ROW_SAME;
        return true;
    }
    d->differs = true;
    if (row && is_usable(row) && d->file_id == page->file_id) {
        Delivery cleaned = new_delivery(page, (size_t)(row - page->rows), places);
        renew(d, &cleaned);
        d->differs = true;
        return true;
    }
    d->is_gone = true;
    page->n_withdrawn++;
    return false;
}

static void decide_all_former(Deciding *d) {
    for (size_t i = 0; d->page->former && i < n_in_hand(d); i++) {
        SilverRow *row;
        if (is_former(d->page->former, &in_hand(d)[i]) && decide_former(d->page, &in_hand(d)[i], &d->places, &row))
            d->is_taken[row - d->page->rows] = true;
    }
}

static bool join_new(Deciding *d, const PageClaim *claim, Error *err) {
    size_t n_stored = n_in_hand(d);
    decide_all_former(d);
    for (size_t i = 0; i < claim->n_rows; i++) {
        size_t row = claim->rows[i].row;
        if (!is_usable(&d->page->rows[row]) || (d->is_taken && d->is_taken[row]))
            continue;
        Delivery added = new_delivery(d->page, row, &d->places);
        put(d, &added);
    }
    return n_stored == 0 || n_in_hand(d) == n_stored || check_crowd(d, n_stored, err);
}

/* ---- cleaned again ---- */

static int compare_origins(const void *a, const void *b) {
    const Delivery *x = a, *y = b;
    int order = (x->file_id > y->file_id) - (x->file_id < y->file_id);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

static bool join_cleaned(Deciding *d, const PageClaim *claim, Error *err) {
    (void)err;
    size_t n_stored = n_in_hand(d);
    if (n_stored > 1)
        qsort(in_hand(d), n_stored, sizeof(Delivery), compare_origins);
    for (size_t i = 0; i < claim->n_rows; i++) {
        size_t row = claim->rows[i].row;
        const SilverRow *read = &d->page->rows[row];
        Delivery place = {.file_id = silver_row_file(d->page, read).file_id, .line = read->line};
        Delivery *stored = n_stored == 0 ? NULL : bsearch(&place, in_hand(d), n_stored, sizeof place, compare_origins);
        d->is_gone[row] = d->was_stored[row] && !stored;
        if (d->is_gone[row] || !is_usable(read))
            continue;
        Delivery cleaned = new_delivery(d->page, row, &d->places);
        if (stored)
            renew(stored, &cleaned);
        else
            put(d, &cleaned);
    }
    return true;
}

/* ---- claim by claim ---- */

/* What earlier pages of a plan would have placed of it goes before what is stored. */
static void recall(Deciding *d, const PageClaim *claim) {
    const Delivery *remembered;
    size_t n;
    if (!d->page->memory || !claim_memory_find(d->page->memory, d->page->source_system, claim->id, &remembered, &n))
        return;
    d->page->claims->n = d->first;
    for (size_t i = 0; i < n; i++)
        put(d, &remembered[i]);
}

/* Of the claim in hand what is to be written. */
static void keep_news(Deciding *d) {
    struct ClaimWork *work = d->page->claims;
    Delivery *claim = in_hand(d);
    size_t n = n_in_hand(d), n_kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (!claim_is_news(&claim[i]))
            continue;
        claim[n_kept] = claim[i];
        if (claim[i].origin != DELIVERY_NEW) {
            claim[n_kept].period = claim[n_kept].sha256 = STR_NULL;
            claim[n_kept].status = VALUE_NULL;
            claim[n_kept].set = NULL;
            work->n_stored++;
        }
        n_kept++;
    }
    work->n = d->first + n_kept;
}

/* All that is stored of it has been read. */
static bool decide_claim(Deciding *d, Error *err) {
    const PageClaim *claim = &d->page->claims->claims[d->claim];
    recall(d, claim);
    TRY(d->join(d, claim, err));
    iterations_derive(in_hand(d), n_in_hand(d));
    if (d->page->memory)
        keep_in_memory(d->page, in_hand(d), n_in_hand(d));
    give_fates(d->page, in_hand(d), n_in_hand(d));
    claim_touch_files(d->page, in_hand(d), n_in_hand(d), d->arena);
    keep_news(d);
    arena_empty(d->arena);
    d->first = d->page->claims->n;
    return true;
}

static bool decide_until(Deciding *d, size_t claim, Error *err) {
    for (; d->claim < claim; d->claim++)
        TRY(decide_claim(d, err));
    return true;
}

static bool take_stored(void *ctx, const PgResult *found, Error *err) {
    Deciding *d = ctx;
    size_t claim = claim_of_stored(found);
    TRY(decide_until(d, claim, err));
    Delivery stored = claim_stored(d->page->claims->claims[claim].id, found, d->arena);
    put(d, &stored);
    return true;
}

static bool decide_all(Pg *pg, Deciding *d, Error *err) {
    const struct ClaimWork *work = d->page->claims;
    CLEANUP(arena_drop) Arena *arena = arena_open();
    d->arena = arena;
    d->places = find_places(d->page->entity);
    TRY(!work->may_be_stored || claim_each_stored(pg, d->page, take_stored, d, err));
    return decide_until(d, work->n_claims, err);
}

bool claim_decide(Pg *pg, SilverPage *page, Error *err) {
    Deciding deciding = {.page = page, .join = join_new};
    if (page->former)
        deciding.is_taken = ARENA_ARRAY(page->arena, bool, page->n_rows + 1);
    count_usable(&deciding);
    return decide_all(pg, &deciding, err);
}

bool claim_decide_again(Pg *pg, SilverPage *page, const bool *was_stored, bool *ret_gone, bool *ret_has_news, Error *err) {
    Deciding deciding = {.page = page, .join = join_cleaned, .was_stored = was_stored, .is_gone = ret_gone};
    page->claims->is_cleaned_again = true;
    TRY(decide_all(pg, &deciding, err));
    *ret_has_news = page->claims->n > 0;
    return true;
}
