/* place_again.c - see place_again.h. */
#include "steps/place_again.h"

#include "steps/place_fate.h"
#include "steps/place_rows.h"
#include "storage/quarantine.h"

/* ---- rows that are no longer at the source ---- */

/* Of a row that is gone only its id is known. */
SilverPage *place_gone_page(const PlaceFeed *feed, const Str *ids, size_t n, Arena *arena) {
    Str *fields = arena_alloc(arena, n * feed->n_fields * sizeof *fields);
    int id_field = mapping_id_field(feed->mapping);
    for (size_t i = 0; i < n * feed->n_fields; i++)
        fields[i] = (int)(i % feed->n_fields) == id_field ? ids[i / feed->n_fields] : STR_NULL;
    SilverPage *page = place_rows_page(feed, &(RawRows){.fields = fields, .n_rows = n}, arena);
    for (size_t i = 0; i < n; i++)
        page->rows[i].id = ids[i];
    return page;
}

bool placing_mark_gone(Placing *p, Error *err) {
    (void)err;
    for (size_t i = 0; i < p->page->n_rows; i++) {
        SilverRow *row = &p->page->rows[i];
        bool is_here = known_can_go(&row->known) || row->held.is_found;
        if (row->fate != ROW_REPEATED)
            row->fate = is_here ? ROW_GONE : ROW_SAME;
        row->source_hash = row->held.is_found ? row->held.source_hash : row->known.source_hash;
    }
    return true;
}

/* ---- rows cleaned again from bronze ---- */

bool placing_check_ids(Placing *p, Error *err) {
    const Str *ids = p->again->ids;
    for (size_t i = 0; ids && i < p->page->n_rows; i++)
        if (!str_equal(p->page->rows[i].id, ids[i])) {
            error_set(err, STATE_CONFIG, "feed %s: the mapping makes other ids of rows that are known by theirs",
                      p->feed->feed);
            return error_hint(err, "keep the mapping of %s, or name the feed anew", p->feed->entity->id);
        }
    return true;
}

/* A version that is not the current one: no entry is about it. */
static bool is_past(const PlaceFeed *feed, const SilverRow *row) {
    return feed->entity->kind == ENTITY_HISTORY && feed->tells == TELLS_AGAIN && row->known.is_found &&
           row->known.source_hash != row->source_hash;
}

/* Of stored rows an entry counts where it is about the row's newest version. */
static bool look_up_stored(const PlaceFeed *feed, SilverPage *page, Error *err) {
    TRY(place_kind(feed)->look_up(feed->pg, page, err));
    for (size_t i = 0; i < page->n_rows; i++)
        page->rows[i].fate = is_past(feed, &page->rows[i]) ? ROW_REPEATED : ROW_SAME;
    TRY(quarantine_look_up(feed->pg, feed->feed, page, err));
    for (size_t i = 0; i < page->n_rows; i++)
        page->rows[i].fate = ROW_SAME;
    return true;
}

/* Entries that were open when they were read: what a person dismissed since stays out. */
static bool look_up_held(Placing *p, Error *err) {
    TRY(placing_look_up(p, err));
    for (size_t i = 0; i < p->page->n_rows; i++) {
        SilverRow *row = &p->page->rows[i];
        if (!row->held.is_dismissed)
            continue;
        row->fate = ROW_REPEATED;
        row->held = (Held){.is_found = false};
    }
    return true;
}

bool placing_look_up_again(Placing *p, Error *err) {
    return p->again->kind == AGAIN_HELD ? look_up_held(p, err) : look_up_stored(p->feed, p->page, err);
}

static RowFate fate_again(const PlaceFeed *feed, AgainKind kind, const SilverRow *row) {
    bool is_held = row->held.is_found || row->held.lacked_id;
    if (row->record.reject_rule) /* one entry a row, and a newer content has it already */
        return is_held || is_past(feed, row) ? ROW_SAME : ROW_REJECTED;
    if (kind == AGAIN_STORED && fate_is_outdated(feed, row))
        return ROW_SAME;
    RowFate fate = fate_of(row);
    return kind == AGAIN_STORED && feed->entity->kind != ENTITY_HISTORY && fate != ROW_CHANGED ? ROW_SAME : fate;
}

static void clean_row(const PlaceFeed *feed, AgainKind kind, SilverPage *page, SilverRow *row) {
    if (!row->record.values)
        place_row_clean(feed, page, row);
    if (row->fate != ROW_REPEATED)
        row->fate = fate_again(feed, kind, row);
    if (kind == AGAIN_STORED && row->held.source_hash != row->source_hash)
        row->held = (Held){.is_found = false};
}

bool placing_clean_again(Placing *p, Error *err) {
    (void)err;
    for (size_t i = 0; i < p->page->n_rows; i++)
        clean_row(p->feed, p->again->kind, p->page, &p->page->rows[i]);
    return true;
}

bool placing_renew_entries(Placing *p, Error *err) {
    return p->feed->run->plan || quarantine_again(p->feed->pg, p->feed->feed, p->page, &p->n_entries, err);
}

bool placing_write_texts(Placing *p, Error *err) {
    BronzeText *texts = ARENA_ARRAY(p->page->arena, BronzeText, p->page->n_rows);
    size_t n = 0;
    for (size_t i = 0; p->again->texts && i < p->page->n_rows; i++) {
        const SilverRow *row = &p->page->rows[i];
        if (!silver_row_is_news(row) || !str_is_null(p->again->texts[i].id))
            continue;
        texts[n] = p->again->texts[i];
        texts[n++].id = row->id;
    }
    return bronze_write_texts(p->feed->pg, p->feed->feed, p->page, texts, n, err);
}

/* ---- pages of other steps ---- */

bool placing_decide_work(Placing *p, Error *err) {
    TRY(p->work->decide(p->work->ctx, p->page, &p->has_news, err));
    place_count(p->page->rows, p->page->n_rows, &p->outcome);
    return true;
}
