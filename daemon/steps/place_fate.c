/* place_fate.c - see place_fate.h. */
#include "steps/place_fate.h"

#include "steps/place_plan.h"
#include "steps/place_rows.h"
#include "storage/quarantine.h"

/* ---- what is known ---- */

/* When the source says that a row was changed; of rows that cannot be cleaned, unknown. */
static Value modified_of(const PlaceFeed *feed, const RawRows *rows, SilverPage *page, SilverRow *row) {
    int column = entity_column(feed->entity, STR("source_modified_at"));
    size_t i = (size_t)(row - page->rows);
    if (column == COLUMN_NONE || !rows->n_rows || place_row_is_rejected(rows, i))
        return VALUE_NULL;
    if (!row->record.values)
        place_row_clean(feed, page, row);
    return row->record.values[column];
}

static bool is_newer(Value a, Value b) { return a.is_set && (!b.is_set || a.number > b.number); }

/* The same id twice: the newest counts, of equally new ones the last; the others are passed over. */
static void mark_repeated(const PlaceFeed *feed, const RawRows *rows, SilverPage *page) {
    RowIndex *newest = row_index_make(page->arena, page); /* later rows replace earlier ones */
    for (size_t i = page->n_rows; i-- > 0;) {
        SilverRow *row = &page->rows[i], *other = str_is_null(row->id) ? row : row_index_find(newest, row->id);
        if (other == row)
            continue;
        bool is_row = is_newer(modified_of(feed, rows, page, row), modified_of(feed, rows, page, other));
        (is_row ? other : row)->fate = ROW_REPEATED;
        if (is_row)
            row_index_prefer(newest, row);
    }
}

bool placing_look_up(Placing *p, Error *err) {
    const PlaceFeed *feed = p->feed;
    const PlaceKind *kind = place_kind(feed);
    if (kind->last_counts && feed->tells == TELLS_NOW)
        mark_repeated(feed, p->rows, p->page);
    if (!p->rows->is_first_load || feed->entity->kind != ENTITY_FACT)
        TRY(kind->look_up(feed->pg, p->page, err));
    TRY(quarantine_look_up(feed->pg, feed->feed, p->page, err));
    plan_tell_entries(feed, p->page);
    return true;
}

/* ---- what becomes of it ---- */

/* What is cleaned anew counts for as long as it is the newest that was received; versions see to that themselves. */
bool fate_is_outdated(const PlaceFeed *feed, const SilverRow *row) {
    return feed->tells == TELLS_AGAIN && feed->entity->kind != ENTITY_HISTORY && row->known.is_found &&
           (row->known.is_deleted || row->known.source_hash != row->source_hash);
}

/* An entry in quarantine is the row's last content, so its hash goes before the silver row's. */
static bool is_known(const SilverPage *page, const SilverRow *row) {
    if (page->tells != TELLS_NOW)
        return false; /* what counts is where its time belongs, or the clean form */
    if (row->held.is_found) /* what PostgreSQL refused before is tried anew, until it is found to be refused again */
        return row->held.source_hash == row->source_hash && row->held.mapping_version == page->mapping_version &&
               (!row->held.was_refused || row->record.reject_rule);
    return row->known.is_found && !row->known.is_deleted && !row->known.is_inferred &&
           row->known.source_hash == row->source_hash;
}

RowFate fate_of(const SilverRow *row) {
    if (row->record.reject_rule)
        return ROW_REJECTED;
    if (!row->known.is_found)
        return ROW_NEW;
    bool is_equal = memcmp(row->known.record_hash, row->record.record_hash, 16) == 0;
    return is_equal && !row->known.is_deleted && !row->known.is_inferred ? ROW_TOUCHED : ROW_CHANGED;
}

static void clean_row(const PlaceFeed *feed, const RawRows *rows, size_t i, SilverPage *page) {
    SilverRow *row = &page->rows[i];
    if (!place_row_is_rejected(rows, i) && !row->record.values)
        place_row_clean(feed, page, row);
    row->fate = fate_of(row);
}

bool placing_clean(Placing *p, Error *err) {
    (void)err;
    for (size_t i = 0; i < p->page->n_rows; i++) {
        SilverRow *row = &p->page->rows[i];
        if (row->fate == ROW_REPEATED)
            continue;
        if (is_known(p->page, row) || fate_is_outdated(p->feed, row))
            row->fate = ROW_SAME;
        else
            clean_row(p->feed, p->rows, i, p->page);
    }
    return true;
}

/* Entries that end with the file's earlier reading are news as well. */
static bool has_news(const Placing *p) {
    return p->outcome.rows_same < (int64_t)p->page->n_rows || p->outcome.rows_deleted > 0 || p->n_entries > 0 ||
           p->page->n_outdated > 0 ||
           silver_count(p->page, ROW_TOUCHED) + silver_count(p->page, ROW_ABSORBED) > 0;
}

bool placing_decide(Placing *p, Error *err) {
    const PlaceKind *kind = place_kind(p->feed);
    plan_tell_rows(p->feed, p->page);
    TRY(!kind->decide || kind->decide(p->feed->pg, p->page, err));
    place_count(p->page->rows, p->page->n_rows, &p->outcome);
    p->outcome.rows_deleted += (int64_t)p->page->n_withdrawn;
    p->has_news = has_news(p);
    return true;
}
