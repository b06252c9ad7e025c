/* place_plan.c - see place_plan.h. */
#include "steps/place_plan.h"

#include "steps/plan.h"

/* ---- what would have been done by now ---- */

/* Of claims without an id, which are known by their content; all others are held each by itself. */
void plan_tell_entries(const PlaceFeed *feed, SilverPage *page) {
    for (size_t i = 0; page->memory && i < page->n_rows; i++) {
        SilverRow *row = &page->rows[i];
        if (str_is_null(row->id) && plan_has(feed->run->plan, STR_NULL, row->source_hash))
            row->held = (Held){.is_found = true, .source_hash = row->source_hash, .mapping_version = page->mapping_version};
    }
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
        if (page->rows[i].fate == ROW_REJECTED && str_is_null(page->rows[i].id))
            plan_add(plan, STR_NULL, page->rows[i].source_hash);
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
