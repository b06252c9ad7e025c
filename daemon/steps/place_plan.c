/* place_plan.c - see place_plan.h. */
#include "steps/place_plan.h"

#include "steps/plan.h"
#include "storage/claim.h"

#include <string.h>
#include <xxhash.h>

/* ---- what would have been done by now ---- */

/* Ids of two sources collide. */
static int64_t hash_in_source(const SilverPage *page, const SilverRow *row) {
    return row->source_hash ^ (int64_t)XXH3_64bits(page->source_system, strlen(page->source_system));
}

/* Of a claim that quarantine holds whichever of its contents comes: those that earlier pages would have held, too. */
static void tell_content(const Plan *plan, const SilverPage *page, SilverRow *row) {
    int64_t held_hash = row->source_hash;
    bool is_held = plan_has(plan, row->id, hash_in_source(page, row)) ||
                   (plan_entry(plan, page->source_system, row->id, &held_hash) == ENTRY_OPEN && held_hash == row->source_hash);
    if (is_held)
        row->held = (Held){.is_found = true, .source_hash = row->source_hash, .mapping_version = page->mapping_version};
}

static void tell_entry(const Plan *plan, const SilverPage *page, SilverRow *row) {
    Held held = {.is_found = true, .source_hash = row->source_hash, .mapping_version = page->mapping_version};
    PlannedEntry entry = str_is_null(row->id) ? ENTRY_AS_STORED
                                              : plan_entry(plan, page->source_system, row->id, &held.source_hash);
    bool is_open = entry == ENTRY_OPEN || (str_is_null(row->id) && plan_has(plan, STR_NULL, row->source_hash));
    if (is_open || entry == ENTRY_NONE)
        row->held = is_open ? held : (Held){.is_found = false};
}

void plan_tell_entries(const PlaceFeed *feed, SilverPage *page) {
    for (size_t i = 0; page->memory && i < page->n_rows; i++) {
        SilverRow *row = &page->rows[i];
        bool has_order = !str_is_null(row->id) && !claim_has_sets(page);
        (has_order ? tell_content : tell_entry)(feed->run->plan, page, row);
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

/* As quarantine_write() does: an entry ends with any news of its claim, the last unusable row has one. */
static void remember_entries(Plan *plan, const SilverPage *page) {
    for (size_t i = 0; i < page->n_rows; i++)
        if (page->rows[i].fate != ROW_SAME && page->rows[i].held.is_found && !str_is_null(page->rows[i].id))
            plan_release(plan, page->source_system, page->rows[i].id);
    for (size_t i = 0; i < page->n_rows; i++) {
        const SilverRow *row = &page->rows[i];
        if (row->fate == ROW_REJECTED && str_is_null(row->id))
            plan_add(plan, row->id, row->source_hash);
        else if (row->fate == ROW_REJECTED) {
            plan_hold(plan, page->source_system, row->id, row->source_hash);
            plan_add(plan, row->id, hash_in_source(page, row));
        }
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
