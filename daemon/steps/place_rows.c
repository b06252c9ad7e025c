/* place_rows.c - see place_rows.h. */
#include "steps/place_rows.h"

#include "base/clock.h"
#include "steps/plan.h"
#include "storage/quarantine.h"
#include "transform/hash.h"

#include <string.h>

bool place_row_is_rejected(const RawRows *rows, size_t i) { return rows->rejects && rows->rejects[i].rule; }

static SilverPage *new_page(const PlaceFeed *feed, size_t n_rows, Arena *arena) {
    SilverPage *page = ARENA_NEW(arena, SilverPage);
    *page = (SilverPage){
        .entity = feed->entity,
        .system = silver_system_columns(feed->entity),
        .mapping = feed->mapping,
        .source_system = feed->source_system,
        .feed = feed->feed,
        .rows = ARENA_ARRAY(arena, SilverRow, n_rows),
        .n_rows = n_rows,
        .received_us = feed->clock_us ? feed->clock_us : clock_wall_us(),
        .mapping_version = feed->mapping_version,
        .tells = feed->tells,
        .arena = arena,
    };
    return page;
}

/* Not before the page's turn: what a plan remembers is the run's thread's alone, which makes it, while pages are prepared
 * by another. */
static SilverPage *tell_memory(const PlaceFeed *feed, SilverPage *page) {
    bool remembers = feed->run->plan && feed->entity->kind == ENTITY_CLAIM;
    page->memory = remembers ? plan_claims(feed->run->plan) : NULL;
    return page;
}

SilverPage *place_new_page(const PlaceFeed *feed, size_t n_rows, Arena *arena) {
    return tell_memory(feed, new_page(feed, n_rows, arena));
}

/* Of what was prepared the file may have been unknown. */
static SilverPage *tell_origin(SilverPage *page, const RawRows *rows) {
    page->file_id = rows->file_id;
    page->files = rows->files;
    page->period = rows->period;
    page->sha256 = rows->sha256;
    page->source_now_us = rows->source_now_us;
    page->former = rows->former;
    return page;
}

static SilverPage *make_page(const PlaceFeed *feed, const RawRows *rows, Arena *arena) {
    SilverPage *page = tell_origin(new_page(feed, rows->n_rows, arena), rows);
    for (size_t i = 0; i < rows->n_rows; i++) {
        SilverRow *row = &page->rows[i];
        row->fields = rows->fields + i * feed->n_fields;
        row->line = rows->lines ? rows->lines[i] : 0;
        row->id = place_row_is_rejected(rows, i) ? STR_NULL : mapping_id(feed->mapping, row->fields, arena);
        row->source_hash = hash_source(feed->fields, row->fields, feed->n_fields);
    }
    return page;
}

void place_row_clean(const PlaceFeed *feed, SilverPage *page, SilverRow *row) {
    row->record.values = ARENA_ARRAY(page->arena, Value, (size_t)feed->entity->n_columns);
    mapping_clean(feed->mapping, row->fields, row->source_hash, page->arena, &row->record);
}

SilverPage *place_prepare(const PlaceFeed *feed, const RawRows *rows, Arena *arena) {
    SilverPage *page = make_page(feed, rows, arena);
    for (size_t i = 0; rows->is_mostly_new && i < page->n_rows; i++)
        if (!place_row_is_rejected(rows, i))
            place_row_clean(feed, page, &page->rows[i]);
    return page;
}

/* A claim that PostgreSQL refuses says all the same when it was changed, and quarantine goes by that. */
static Value *values_of(const PlaceFeed *feed, const RawRows *rows, size_t i, SilverPage *page) {
    if (feed->entity->kind != ENTITY_CLAIM || strcmp(rows->rejects[i].rule, RULE_ROW_REFUSED) != 0)
        return NULL;
    SilverRow cleaned = page->rows[i];
    place_row_clean(feed, page, &cleaned);
    return cleaned.record.values;
}

/* Rows that were found unfit after they were prepared lose what they had. */
static void mark_rejected(const PlaceFeed *feed, const RawRows *rows, SilverPage *page) {
    for (size_t i = 0; rows->rejects && i < page->n_rows; i++)
        if (place_row_is_rejected(rows, i)) {
            page->rows[i].id = rows->rejects[i].entry;
            page->rows[i].record = (Record){.reject_rule = rows->rejects[i].rule,
                                            .reject_reason = rows->rejects[i].reason,
                                            .values = values_of(feed, rows, i, page)};
        }
}

SilverPage *place_rows_page(const PlaceFeed *feed, const RawRows *rows, Arena *arena) {
    SilverPage *page = rows->prepared ? tell_origin(rows->prepared, rows) : make_page(feed, rows, arena);
    mark_rejected(feed, rows, page);
    return tell_memory(feed, page);
}
