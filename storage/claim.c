/* claim.c - see claim.h: which iterations the stored deliveries and the page's make together, and each row's fate. */
#include "storage/claim.h"

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

static void decide_claim(SilverPage *page, Delivery *deliveries, size_t n) {
    iterations_derive(deliveries, n);
    if (page->memory)
        keep_in_memory(page, deliveries, n);
    bool is_known = false;
    for (size_t i = 0; i < n; i++)
        is_known |= deliveries[i].origin != DELIVERY_NEW;
    for (size_t i = 0; i < n; i++)
        if (deliveries[i].has_row)
            page->rows[deliveries[i].row].fate = deliveries[i].origin == DELIVERY_NEW
                                                     ? fate_of_new(&deliveries[i], is_known)
                                                     : fate_of_stored(&deliveries[i]);
}

static int compare_claims(const void *a, const void *b) {
    return str_compare(((const Delivery *)a)->claim_id, ((const Delivery *)b)->claim_id);
}

/* Most pages come in the order of their ids, and a pass costs less than sorting them. */
static void sort_deliveries(Delivery *deliveries, size_t n) {
    size_t i = 1;
    while (i < n && compare_claims(&deliveries[i - 1], &deliveries[i]) <= 0)
        i++;
    if (i < n)
        qsort(deliveries, n, sizeof *deliveries, compare_claims);
}

static void decide_claims(SilverPage *page) {
    struct ClaimWork *work = page->claims;
    sort_deliveries(work->deliveries, work->n);
    for (size_t first = 0, end; first < work->n; first = end) {
        end = claim_end(work, first);
        decide_claim(page, work->deliveries + first, end - first);
    }
}

static bool is_usable(const SilverRow *row) { return row->fate != ROW_SAME && row->fate != ROW_REJECTED; }

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

static bool *decide_all_former(SilverPage *page, const Places *places) {
    struct ClaimWork *work = page->claims;
    bool *is_taken = ARENA_ARRAY(page->arena, bool, page->n_rows + 1);
    for (size_t i = 0; page->former && i < work->n; i++) {
        SilverRow *row;
        if (is_former(page->former, &work->deliveries[i]) && decide_former(page, &work->deliveries[i], places, &row))
            is_taken[row - page->rows] = true;
    }
    return is_taken;
}

/* ---- what cannot be one claim ---- */

typedef struct Crowd {
    size_t n_claims, n_stored; /* claims that the page adds to, and what was stored of them before it */
    size_t n_most;             /* of one */
} Crowd;

static void count_claim(Crowd *crowd, const Delivery *claim, size_t n) {
    size_t n_stored = 0;
    for (size_t i = 0; i < n; i++)
        n_stored += claim[i].origin != DELIVERY_NEW;
    if (n_stored == n) /* nothing new: what stood of a file in another reading, say */
        return;
    crowd->n_claims++;
    crowd->n_stored += n_stored;
    if (n_stored > crowd->n_most)
        crowd->n_most = n_stored;
}

/* Every page needs all deliveries of its claims, and may have to number all of them anew. So a column that is no claim's id must
 * not be taken for one: nobody bills one thing tens of thousands of times. */
static bool check_crowd(const SilverPage *page, Error *err) {
    const struct ClaimWork *work = page->claims;
    Crowd crowd = {.n_claims = 0};
    sort_deliveries(work->deliveries, work->n);
    for (size_t first = 0, end; first < work->n; first = end) {
        end = claim_end(work, first);
        count_claim(&crowd, work->deliveries + first, end - first);
    }
    bool is_crowd = crowd.n_stored > CLAIM_CROWD && crowd.n_stored > CLAIM_CROWD_MEAN * crowd.n_claims;
    if (!is_crowd && crowd.n_most <= CLAIM_DELIVERIES_MOST)
        return true;
    error_set(err, STATE_DATA, "of the claims that a page's rows name, %zu, there are %zu deliveries already, of one alone %zu: "
              "what `%s` is mapped to is no claim's id", crowd.n_claims, crowd.n_stored, crowd.n_most, page->entity->id);
    return error_hint(err, "map it to another column, or say which words of it stand for no id; name the feed anew, and deliver "
                      "its files again");
}

bool claim_decide(Pg *pg, SilverPage *page, Error *err) {
    (void)pg;
    struct ClaimWork *work = page->claims;
    Places places = find_places(page->entity);
    const bool *is_taken = decide_all_former(page, &places);
    for (size_t i = 0; i < page->n_rows; i++)
        if (is_usable(&page->rows[i]) && !is_taken[i])
            work->deliveries[work->n++] = new_delivery(page, i, &places);
    TRY(work->n_stored <= CLAIM_CROWD || check_crowd(page, err));
    decide_claims(page);
    return true;
}

/* ---- cleaned again ---- */

static int compare_origins(const void *a, const void *b) {
    const Delivery *x = a, *y = b;
    int order = str_compare(x->claim_id, y->claim_id);
    if (order == 0)
        order = (x->file_id > y->file_id) - (x->file_id < y->file_id);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

void claim_find_gone(SilverPage *page, const bool *was_stored, bool *ret_gone) {
    struct ClaimWork *work = page->claims;
    qsort(work->deliveries, work->n, sizeof(Delivery), compare_origins);
    for (size_t i = 0; i < page->n_rows; i++) {
        const SilverRow *row = &page->rows[i];
        Delivery place = {.claim_id = row->id, .file_id = silver_row_file(page, row).file_id, .line = row->line};
        ret_gone[i] = was_stored[i] && !bsearch(&place, work->deliveries, work->n, sizeof place, compare_origins);
    }
}

bool claim_decide_again(SilverPage *page) {
    struct ClaimWork *work = page->claims;
    Places places = find_places(page->entity);
    size_t n_stored = work->n;
    work->is_cleaned_again = true;
    qsort(work->deliveries, n_stored, sizeof(Delivery), compare_origins);
    for (size_t i = 0; i < page->n_rows; i++) {
        if (page->rows[i].fate == ROW_SAME || page->rows[i].fate == ROW_REJECTED)
            continue;
        Delivery cleaned = new_delivery(page, i, &places);
        Delivery *stored = bsearch(&cleaned, work->deliveries, n_stored, sizeof cleaned, compare_origins);
        if (stored)
            renew(stored, &cleaned);
        else
            work->deliveries[work->n++] = cleaned;
    }
    decide_claims(page);
    bool has_news = false;
    for (size_t i = 0; i < work->n; i++)
        has_news |= claim_is_news(&work->deliveries[i]);
    return has_news;
}
