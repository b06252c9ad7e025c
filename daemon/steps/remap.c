/* remap.c - see remap.h.
 *
 * First what clean rows were made of, as it lies in bronze; then what quarantine holds. A page's rows may have been
 * read with several lists of columns: each list has a mapping compiled for it, and rows of one list are placed
 * together. A list that lacks a column of today's mapping cannot be cleaned by it; its rows stay as they are. */
#include "steps/remap.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "steps/place.h"
#include "storage/again.h"
#include "storage/source_table.h"

typedef struct List {
    Field *fields;
    Mapping *mapping; /* NULL: this list cannot be cleaned any more */
} List;

typedef struct Remapping {
    RunContext *run;
    PlaceFeed place;
    AgainFeed feed;
    AgainSchema *schemas;
    List *lists; /* of the schemas */
    size_t n_schemas;
    int64_t now_us;
    Arena *page_arena;
} Remapping;

static void remapping_close(Remapping *r) { place_close(&r->place); }

/* ---- lists of columns ---- */

/* A list that was noted without collations is read by the newest that has the column, in the same type. */
static const char *shape_of(const Remapping *r, const AgainSchema *schema, size_t i) {
    const AgainSchema *newest = &r->schemas[0];
    size_t size = strcspn(schema->types[i], "( ");
    for (size_t j = 0; j < newest->n; j++)
        if (strcmp(newest->names[j], schema->names[i]) == 0 && strcspn(newest->types[j], "( ") == size &&
            strncmp(newest->types[j], schema->types[i], size) == 0)
            return newest->types[j];
    return schema->types[i];
}

static void compile_list(Remapping *r, size_t at) {
    const AgainSchema *schema = &r->schemas[at];
    const FeedConfig *feed = r->run->feed;
    List *list = &r->lists[at];
    Error why = {0};
    list->fields = ARENA_ARRAY(r->run->arena, Field, schema->n);
    for (size_t i = 0; i < schema->n; i++)
        list->fields[i] = source_field_of(schema->names[i], shape_of(r, schema, i));
    list->mapping = mapping_compile(r->run->arena, &feed->mapping, list->fields, schema->n, feed->source->zone, &why);
    if (!list->mapping)
        LOG_FAILURE(LOG_LEVEL_WARN, "rows of an earlier list of columns stay as they are", &why,
                    LOG_TEXT("feed", feed->name));
}

static bool open_lists(Remapping *r, Error *err) {
    TRY(again_schemas(r->run->pg, r->run->feed->name, r->run->arena, &r->schemas, &r->n_schemas, err));
    r->lists = ARENA_ARRAY(r->run->arena, List, r->n_schemas + 1);
    for (size_t i = 0; i < r->n_schemas; i++)
        compile_list(r, i);
    return true;
}

static bool open_place(Remapping *r, Error *err) {
    const FeedConfig *feed = r->run->feed;
    PlaceSource source = {
        .feed = feed->name, .source_system = feed->source->name, .timezone = feed->source->timezone,
        .zone = feed->source->zone, .mapping = &feed->mapping, .fields = r->lists[0].fields,
        .types = r->schemas[0].types, .n_fields = r->schemas[0].n, .tells = feed->tells,
    };
    return place_open(r->run, &source, &r->place, err);
}

/* ---- pages ---- */

static bool unpack(const Remapping *r, const AgainRow *rows, size_t n, size_t n_fields, AgainRows *ret, Error *err) {
    Arena *arena = r->page_arena;
    Str *fields = arena_alloc(arena, n * n_fields * sizeof *fields), *ids = ARENA_ARRAY(arena, Str, n);
    BronzeText *texts = ARENA_ARRAY(arena, BronzeText, n);
    for (size_t i = 0; i < n; i++) {
        if (!bronze_unpack(rows[i].raw, n_fields, arena, fields + i * n_fields))
            return error_set(err, STATE_BUG, "feed %s: a raw row does not hold its %zu columns", r->feed.feed, n_fields);
        ids[i] = rows[i].id;
        texts[i] = (BronzeText){.id = rows[i].id, .raw = rows[i].raw, .source_hash = rows[i].source_hash,
                                .schema_id = rows[i].schema_id};
    }
    ret->rows = (RawRows){.fields = fields, .n_rows = n, .source_now_us = r->now_us};
    ret->ids = ret->kind == AGAIN_STORED ? ids : NULL;
    ret->texts = ret->kind == AGAIN_HELD ? texts : NULL;
    return true;
}

/* Rows of one list. */
static bool place_slice(Remapping *r, AgainKind kind, const AgainRow *rows, size_t n, Error *err) {
    int list = again_find_schema(r->schemas, r->n_schemas, rows[0].schema_id);
    if (list < 0 || !r->lists[list].mapping)
        return true;
    AgainRows again = {.kind = kind};
    PlaceOutcome outcome;
    TRY(unpack(r, rows, n, r->schemas[list].n, &again, err));
    r->place.mapping = r->lists[list].mapping;
    r->place.fields = r->lists[list].fields;
    r->place.n_fields = r->schemas[list].n;
    r->place.tells = kind == AGAIN_STORED ? TELLS_AGAIN : r->run->feed->tells;
    return place_again(&r->place, &again, r->page_arena, &outcome, err);
}

static bool place_rows(Remapping *r, AgainKind kind, const AgainPage *page, Error *err) {
    for (size_t first = 0, end; first < page->n; first = end) {
        end = first + 1;
        while (end < page->n && page->rows[end].schema_id == page->rows[first].schema_id)
            end++;
        TRY(place_slice(r, kind, page->rows + first, end - first, err));
    }
    return true;
}

static bool read_page(Remapping *r, AgainKind kind, AgainPlace *place, AgainPage *page, bool *more, Error *err) {
    Pg *pg = r->run->pg;
    if (r->feed.only_asked)
        return again_held(pg, &r->feed, kind == AGAIN_STORED ? AGAIN_HELD_STORED : AGAIN_HELD_NEWS, place, r->page_arena, page,
                          more, err);
    if (kind == AGAIN_HELD)
        return again_held(pg, &r->feed, AGAIN_HELD_ALL, place, r->page_arena, page, more, err);
    return again_stored(pg, &r->feed, place, r->run->arena, r->page_arena, page, more, err);
}

static bool walk(Remapping *r, AgainKind kind, Error *err) {
    AgainPlace place = {.block = 0};
    for (bool more = true; more;) {
        if (step_is_canceled(r->run, err))
            return false;
        arena_empty(r->page_arena);
        AgainPage page;
        TRY(read_page(r, kind, &place, &page, &more, err));
        TRY(place_rows(r, kind, &page, err));
    }
    return true;
}

static Remapping remapping_of(RunContext *run, Arena *page_arena) {
    const FeedConfig *feed = run->feed;
    return (Remapping){
        .run = run, .page_arena = page_arena, .now_us = clock_wall_us(),
        .feed = {.feed = feed->name, .source_system = feed->source->name, .entity = feed->mapping.entity,
                 .max_rows = (size_t)feed->page_rows, .max_bytes = (size_t)feed->page_bytes},
    };
}

/* What bronze and quarantine hold, or what was asked for. False in `ret_read` when nothing was ever read. */
static bool clean_again(Remapping *r, bool *ret_read, Error *err) {
    TRY(open_lists(r, err));
    *ret_read = r->n_schemas > 0;
    if (!*ret_read)
        return true;
    TRY(open_place(r, err));
    return walk(r, AGAIN_STORED, err) && walk(r, AGAIN_HELD, err);
}

bool remap(RunContext *run, Error *err) {
    const char *feed = run->feed->name;
    CLEANUP(arena_drop) Arena *page_arena = arena_open();
    CLEANUP(remapping_close) Remapping r = remapping_of(run, page_arena);
    AgainAsked asked;
    bool was_read;
    TRY(again_asked(run->pg, feed, run->arena, &asked, err) && clean_again(&r, &was_read, err));
    if (!was_read || run->plan)
        return true;
    LOG_INFO("cleaned again from bronze", LOG_TEXT("feed", feed), LOG_INT("run", run->run_id),
             LOG_INT("mapping_version", r.place.mapping_version), LOG_INT("rows_changed", run->counts.rows_changed));
    return again_asked_done(run->pg, &asked, err) && again_done(run->pg, feed, r.place.mapping_version, err);
}

bool replay(RunContext *run, Error *err) {
    const char *feed = run->feed->name;
    CLEANUP(arena_drop) Arena *page_arena = arena_open();
    CLEANUP(remapping_close) Remapping r = remapping_of(run, page_arena);
    r.feed.only_asked = true;
    AgainAsked asked;
    bool was_read;
    TRY(again_asked(run->pg, feed, run->arena, &asked, err) && clean_again(&r, &was_read, err));
    if (run->plan)
        return true;
    LOG_INFO("entries of quarantine cleaned again", LOG_TEXT("feed", feed), LOG_INT("run", run->run_id),
             LOG_INT("rows_read", run->counts.rows_read), LOG_INT("rows_changed", run->counts.rows_changed));
    return again_asked_done(run->pg, &asked, err);
}

bool remap_if_due(RunContext *run, bool is_new, Error *err) {
    AgainDue due;
    TRY(again_due(run->pg, run->feed->name, &due, err));
    if (due.mapping || is_new)
        return remap(run, err);
    return !due.replay || replay(run, err);
}
