/* place_plan.c - see place_plan.h. */
#include "steps/place_plan.h"

#include "steps/plan.h"
#include "storage/held_contents.h"

/* A file's content, by the file's bytes; they are read once. */
static Str mark_of(const SilverPage *page, const SilverRow *row) {
    Str sha256 = silver_row_file(page, row).sha256, source = str_of(page->source_system);
    char *mark = arena_alloc(page->arena, source.size + sha256.size);
    memcpy(mark, source.at, source.size);
    memcpy(mark + source.size, sha256.at, sha256.size);
    return (Str){mark, source.size + sha256.size};
}

/* ---- what would have been done by now ---- */

/* Of claims; each row with an id is held by itself. */
static void tell_entry(const Plan *plan, const SilverPage *page, SilverRow *row) {
    if (str_is_null(row->id) && !row->held.is_repeat && plan_has(plan, mark_of(page, row), row->source_hash))
        held_contents_repeat(page, row);
    if (row->held.entry && plan_has_renewed(plan, row->held.entry))
        row->held.mapping_version = page->mapping_version;
}

void plan_tell_entries(const PlaceFeed *feed, SilverPage *page) {
    for (size_t i = 0; page->memory && i < page->n_rows; i++)
        tell_entry(feed->run->plan, page, &page->rows[i]);
}

void plan_tell_rows(const PlaceFeed *feed, SilverPage *page) {
    bool looks = feed->run->plan && !page->memory;
    for (size_t i = 0; looks && i < page->n_rows; i++)
        if (page->rows[i].fate != ROW_REPEATED &&
            plan_has(feed->run->plan, page->rows[i].id, page->rows[i].source_hash))
            page->rows[i].fate = ROW_SAME;
}

/* ---- what this page would do ---- */

static bool is_entry(const SilverRow *row) {
    return row->held.lacked_id || (row->held.is_found && row->held.source_hash == row->source_hash);
}

static void remember_entries(Plan *plan, const SilverPage *page) {
    for (size_t i = 0; i < page->n_rows; i++)
        if (str_is_null(page->rows[i].id))
            plan_add(plan, mark_of(page, &page->rows[i]), page->rows[i].source_hash);
}

static void remember_rows(Plan *plan, const SilverPage *page) {
    for (size_t i = 0; i < page->n_rows; i++) {
        const SilverRow *row = &page->rows[i];
        if (row->fate != ROW_REPEATED && (row->fate != ROW_SAME || is_entry(row)))
            plan_add(plan, row->id, row->source_hash);
    }
}

bool placing_remember(Placing *p, Error *err) {
    (void)err;
    (p->page->memory ? remember_entries : remember_rows)(p->feed->run->plan, p->page);
    if (p->next)
        p->feed->cursor = *p->next;
    return true;
}
