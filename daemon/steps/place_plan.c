/* place_plan.c - see place_plan.h. */
#include "steps/place_plan.h"

#include "steps/plan.h"

/* ---- what would have been done by now ---- */

static void tell_entry(const Plan *plan, const SilverPage *page, SilverRow *row) {
    Held held = {.is_found = true, .source_hash = row->source_hash, .mapping_version = page->mapping_version};
    PlannedEntry entry = str_is_null(row->id) ? ENTRY_AS_STORED
                                              : plan_entry(plan, page->source_system, row->id, &held.source_hash);
    bool is_open = entry == ENTRY_OPEN || (str_is_null(row->id) && plan_has(plan, STR_NULL, row->source_hash));
    if (is_open || entry == ENTRY_NONE)
        row->held = is_open ? held : (Held){.is_found = false};
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

/* As quarantine_write() does: an entry ends with any news of its claim, the last unusable row has one. */
static void remember_entries(Plan *plan, const SilverPage *page) {
    for (size_t i = 0; i < page->n_rows; i++)
        if (page->rows[i].fate != ROW_SAME && page->rows[i].held.is_found && !str_is_null(page->rows[i].id))
            plan_release(plan, page->source_system, page->rows[i].id);
    for (size_t i = 0; i < page->n_rows; i++) {
        const SilverRow *row = &page->rows[i];
        if (row->fate == ROW_REJECTED && str_is_null(row->id))
            plan_add(plan, row->id, row->source_hash);
        else if (row->fate == ROW_REJECTED)
            plan_hold(plan, page->source_system, row->id, row->source_hash);
    }
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
