/* remap_claims.c - see remap_claims.h.
 *
 * Whole claims, page by page, of one source at a time: zones differ. Rows of a page may be of several files, so of
 * several lists of columns; each is cleaned by the mapping compiled for its list. A delivery that today's mapping
 * refuses stays as it was and is held; so it is with rows of tables. What PostgreSQL refuses stays held if it was, and is
 * tried again each time: it may have been mended, and not we. Of a row that is placed the run fails. */
#include "steps/remap_claims.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "base/own.h"
#include "steps/delivery.h"
#include "steps/place.h"
#include "steps/plan.h"
#include "steps/refused.h"
#include "storage/again.h"
#include "storage/claim.h"
#include "storage/file.h"
#include "storage/held_claims.h"
#include "storage/held_contents.h"
#include "storage/quarantine.h"
#include "storage/run_store.h"
#include "transform/fingerprint.h"
#include "transform/hash.h"

#include <stdlib.h>

typedef struct List {
    Field *fields;
    Mapping *mapping; /* NULL: files of this header cannot be cleaned any more */
} List;

typedef struct Remapping {
    RunContext *run;
    const ClaimsConfig *claims;
    PlaceFeed place;
    AgainFeed feed;
    AgainSchema *schemas;
    List *lists; /* of the schemas */
    size_t n_schemas;
    Arena *page_arena;
    /* of the page in hand, by row */
    const AgainDelivery *deliveries;
    const List **list_of;
    size_t *n_fields;
    int64_t *replayed, *renewed; /* entries, 0: none; the former without gaps */
    size_t n_replayed;
    bool *is_added;
    const Error *refusal; /* of the page's one row, which stays in quarantine unless it is placed; NULL: none */
} Remapping;

static void remapping_close(Remapping *r) { place_close(&r->place); }

/* ---- a source ---- */

static const FilePattern *pattern_of(const Remapping *r, const char *source_system) {
    for (size_t i = 0; i < r->claims->n_from; i++)
        if (strcmp(r->claims->from[i].source, source_system) == 0)
            return &r->claims->from[i];
    return NULL;
}

static void compile_list(Remapping *r, const Zone *zone, size_t at) {
    const AgainSchema *schema = &r->schemas[at];
    Error why = {0};
    Field *fields = ARENA_ARRAY(r->run->arena, Field, schema->n);
    for (size_t i = 0; i < schema->n; i++)
        fields[i] = (Field){.name = schema->names[i], .kind = FIELD_TEXT, .folds_case = r->claims->fold_ids};
    r->lists[at] = (List){fields, mapping_compile(r->run->arena, &r->claims->mapping, fields, schema->n, zone, &why)};
    if (!r->lists[at].mapping)
        LOG_FAILURE(LOG_LEVEL_WARN, "rows of files with an earlier header stay as they are", &why,
                    LOG_TEXT("feed", r->claims->name));
}

/* The newest list that can be cleaned stands for the feed. */
static bool open_source(Remapping *r, const FilePattern *pattern, Error *err) {
    size_t at = 0;
    r->lists = ARENA_ARRAY(r->run->arena, List, r->n_schemas);
    for (size_t i = 0; i < r->n_schemas; i++)
        compile_list(r, pattern->zone, i);
    while (at + 1 < r->n_schemas && !r->lists[at].mapping)
        at++;
    PlaceSource source = {
        .feed = r->claims->name, .source_system = pattern->source, .timezone = pattern->timezone,
        .zone = pattern->zone, .mapping = &r->claims->mapping,
        .fields = r->lists[at].fields, .types = r->schemas[at].types, .n_fields = r->schemas[at].n,
    };
    r->feed.source_system = pattern->source;
    return place_open(r->run, &source, &r->place, err);
}

/* ---- a page: cleaning ---- */

/* A row whose list cannot be cleaned any more keeps fate SAME: what is stored of it stays. */
static bool clean_row(Remapping *r, SilverPage *page, size_t i, Error *err) {
    const AgainDelivery *d = &r->deliveries[i];
    SilverRow *row = &page->rows[i];
    int at = again_find_schema(r->schemas, r->n_schemas, d->row.schema_id);
    if (at < 0 || !r->lists[at].mapping)
        return true;
    const List *list = r->list_of[i] = &r->lists[at];
    size_t n = r->n_fields[i] = r->schemas[at].n;
    Str *fields = ARENA_ARRAY(page->arena, Str, n);
    if (!bronze_unpack(d->row.raw, n, page->arena, fields))
        return error_set(err, STATE_BUG, "feed %s: a raw row does not hold its %zu columns", r->feed.feed, n);
    row->fields = fields;
    row->line = d->line;
    row->source_hash = hash_source(list->fields, fields, n);
    row->id = mapping_id(list->mapping, fields, page->arena);
    row->record.values = ARENA_ARRAY(page->arena, Value, (size_t)page->entity->n_columns);
    mapping_clean(list->mapping, fields, row->source_hash, page->arena, &row->record);
    if (r->refusal && !d->is_placed && !row->record.reject_rule) {
        row->record.reject_rule = RULE_ROW_REFUSED;
        row->record.reject_reason = refused_reason(page->arena, r->refusal);
    }
    row->fate = row->record.reject_rule ? ROW_REJECTED : ROW_NEW;
    if (!d->is_placed || str_equal(row->id, d->row.id))
        return true;
    error_set(err, STATE_CONFIG, "feed %s: the mapping makes other ids of rows that are known by theirs", r->feed.feed);
    return error_hint(err, "keep the mapping of %s, or name the feed anew", page->entity->id);
}

static bool make_page(Remapping *r, size_t n, SilverPage **ret_page, Error *err) {
    Arena *arena = r->page_arena;
    SilverPage *page = place_new_page(&r->place, n, arena);
    RowFile *files = ARENA_ARRAY(arena, RowFile, n);
    r->list_of = ARENA_ARRAY(arena, const List *, n);
    r->n_fields = ARENA_ARRAY(arena, size_t, n);
    r->replayed = ARENA_ARRAY(arena, int64_t, n);
    r->renewed = ARENA_ARRAY(arena, int64_t, n);
    r->is_added = ARENA_ARRAY(arena, bool, n);
    r->n_replayed = 0;
    for (size_t i = 0; i < n; i++) {
        const AgainDelivery *d = &r->deliveries[i];
        files[i] = (RowFile){d->file_id, d->period, d->sha256};
        page->rows[i].id = STR_NULL;
        TRY(clean_row(r, page, i, err));
    }
    page->files = files;
    *ret_page = page;
    return true;
}

/* ---- a page: what quarantine holds ---- */

static bool is_unusable(const SilverPage *page, size_t i) { return page->rows[i].record.reject_rule != NULL; }

static bool is_mine(const AgainDelivery *a, const AgainDelivery *b) {
    return !str_is_null(a->row.id) && !str_is_null(b->row.id) && str_equal(a->row.id, b->row.id);
}

/* True when quarantine changes; rows that stay as they are lose their fate REJECTED. */
static bool decide_entries(Remapping *r, SilverPage *page) {
    bool has_news = false;
    for (size_t i = 0; i < page->n_rows; i++) {
        const AgainDelivery *d = &r->deliveries[i];
        r->is_added[i] = is_unusable(page, i) && d->row.entry == 0;
        bool is_told_anew = d->mapping_version != page->mapping_version || r->refusal;
        bool is_renewed = is_unusable(page, i) && d->row.entry != 0 && is_told_anew;
        r->renewed[i] = is_renewed ? d->row.entry : 0;
        bool is_replayed = r->list_of[i] && !is_unusable(page, i) && d->row.entry != 0;
        if (is_replayed)
            r->replayed[r->n_replayed++] = d->row.entry;
        has_news |= r->is_added[i] || is_renewed || is_replayed;
    }
    for (size_t i = 0; i < page->n_rows; i++)
        if (is_unusable(page, i))
            page->rows[i].fate = r->is_added[i] ? ROW_REJECTED : ROW_SAME;
    return has_news;
}

static bool add_entries(Remapping *r, SilverPage *page, Error *err) {
    for (size_t i = 0; i < page->n_rows; i++) {
        if (!r->is_added[i])
            continue;
        TRY(quarantine_add(r->run->pg, r->feed.feed, r->list_of[i]->fields, r->n_fields[i], page, &page->rows[i], err));
    }
    return true;
}

/* Also of claims whose rows stay as they are: which counts hangs on every delivery of the claim. */
static bool decide_held(const Remapping *r, const SilverPage *page, Error *err) {
    CLEANUP(content_list_drop) ContentList contents = content_list_make();
    Str *ids = ARENA_ARRAY(page->arena, Str, 2 * page->n_rows + 1);
    size_t n = 0;
    for (size_t i = 0; i < page->n_rows; i++) {
        if (str_is_null(r->deliveries[i].row.id))
            content_list_add(&contents, str_of(r->feed.feed), str_of(page->source_system), r->deliveries[i].row.source_hash);
        if (!str_is_null(page->rows[i].id))
            ids[n++] = page->rows[i].id;
        if (!str_is_null(r->deliveries[i].row.id)) /* of one that is read as another's now */
            ids[n++] = r->deliveries[i].row.id;
    }
    return held_claims_decide_ids(r->run->pg, r->feed.feed, page->source_system, ids, n, err) &&
           held_contents_decide(r->run->pg, &contents, err);
}

/* ---- a page: placing ---- */

/* Files that a plan reads anew after this ask for it. */
static void plan_entries(const Remapping *r, const SilverPage *page) {
    for (size_t i = 0; i < page->n_rows; i++)
        if (r->renewed[i])
            plan_add_renewed(r->run->plan, r->renewed[i]);
}

/* ---- a page: what became of its deliveries since they were read ---- */

/* All are read at once, before the first page. Meanwhile a person may dismiss what is held, and another feed read a file anew
 * that had failed here: what it says otherwise is said no more. Such a row goes by as one whose list cannot be cleaned. */
static void leave_row(Remapping *r, SilverPage *page, size_t i) {
    r->list_of[i] = NULL;
    page->rows[i].record.reject_rule = NULL;
    page->rows[i].fate = ROW_SAME;
}

static bool decide_stored(Remapping *r, SilverPage *page, bool *ret_has_news, Error *err) {
    bool *was_stored = ARENA_ARRAY(page->arena, bool, page->n_rows), *is_gone = ARENA_ARRAY(page->arena, bool, page->n_rows);
    for (size_t i = 0; i < page->n_rows; i++)
        was_stored[i] = r->list_of[i] && r->deliveries[i].is_placed;
    TRY(claim_decide_again(r->run->pg, page, was_stored, is_gone, ret_has_news, err));
    for (size_t i = 0; i < page->n_rows; i++)
        if (is_gone[i])
            leave_row(r, page, i);
    return true;
}

static int compare_entries(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Of a row that is placed its content counts, whatever was decided of an entry. */
static bool leave_ceased(Remapping *r, SilverPage *page, Error *err) {
    int64_t *entries = ARENA_ARRAY(page->arena, int64_t, page->n_rows), *ceased;
    size_t n = 0, n_ceased;
    for (size_t i = 0; i < page->n_rows; i++)
        if (r->deliveries[i].row.entry && !r->deliveries[i].is_placed)
            entries[n++] = r->deliveries[i].row.entry;
    TRY(held_claims_ceased(r->run->pg, entries, n, page->arena, &ceased, &n_ceased, err));
    if (n_ceased == 0)
        return true;
    qsort(ceased, n_ceased, sizeof *ceased, compare_entries);
    for (size_t i = 0; i < page->n_rows; i++) {
        const AgainDelivery *d = &r->deliveries[i];
        if (!d->is_placed && bsearch(&d->row.entry, ceased, n_ceased, sizeof *ceased, compare_entries))
            leave_row(r, page, i);
    }
    return true;
}

static bool decide_page(void *ctx, SilverPage *page, bool *ret_has_news, Error *err) {
    Remapping *r = ctx;
    bool has_news;
    TRY(claim_look_up(r->run->pg, page, err) && leave_ceased(r, page, err) && decide_stored(r, page, &has_news, err));
    *ret_has_news = decide_entries(r, page) || has_news;
    if (r->run->plan)
        plan_entries(r, page);
    return true;
}

/* Of rows that had no id and have one by now. */
static bool write_texts(const Remapping *r, const SilverPage *page, Error *err) {
    BronzeText *texts = ARENA_ARRAY(page->arena, BronzeText, page->n_rows);
    size_t n = 0;
    for (size_t i = 0; i < page->n_rows; i++) {
        const AgainDelivery *d = &r->deliveries[i];
        const SilverRow *row = &page->rows[i];
        if (str_is_null(d->row.id) && !str_is_null(row->id) && silver_row_is_news(row))
            texts[n++] = (BronzeText){row->id, d->row.raw, row->source_hash, d->row.schema_id, d->file_id, d->line};
    }
    return bronze_write_texts(r->run->pg, r->feed.feed, page, texts, n, err);
}

static bool write_page(void *ctx, SilverPage *page, Error *err) {
    Remapping *r = ctx;
    Pg *pg = r->run->pg;
    return write_texts(r, page, err) && claim_write(pg, page, err) && quarantine_end(pg, r->replayed, r->n_replayed, err) &&
           quarantine_renew(pg, page, r->renewed, err) && add_entries(r, page, err) && decide_held(r, page, err);
}

typedef enum Extent { WHOLE_PAGE, PART_OF_PAGE } Extent;

static bool place_some_once(Remapping *r, const AgainDelivery *deliveries, size_t n, Extent extent, Error *err) {
    ArenaMark mark = arena_mark(r->page_arena);
    SilverPage *page;
    PlaceOutcome outcome;
    r->deliveries = deliveries;
    bool ok = make_page(r, n, &page, err) &&
              place_work(&r->place, page, &(PlaceWork){decide_page, write_page, r, extent == PART_OF_PAGE}, &outcome, err);
    arena_rewind(r->page_arena, mark);
    return ok;
}

static bool place_some(Remapping *r, const AgainDelivery *deliveries, size_t n, Extent extent, Error *err) {
    for (int attempt = 1; !place_some_once(r, deliveries, n, extent, err); attempt++)
        if (!place_may_pass(attempt, err))
            return false;
    return true;
}

/* Where claims part, near the middle; 0: it is one claim. */
static size_t find_parting(const AgainDelivery *deliveries, size_t n) {
    for (size_t away = 0; away < n; away++) {
        size_t before = n / 2 > away ? n / 2 - away : 0, behind = n / 2 + away;
        if (before > 0 && !is_mine(&deliveries[before - 1], &deliveries[before]))
            return before;
        if (behind > 0 && behind < n && !is_mine(&deliveries[behind - 1], &deliveries[behind]))
            return behind;
    }
    return 0;
}

/* A page that PostgreSQL refuses is parted, between claims and at last within one (what is stored and has no row in a page stays),
 * until the row is found that it will not have. One that was held stays held; of one that was placed the run fails. */
static bool place_claims(Remapping *r, const AgainDelivery *deliveries, size_t n, Extent extent, Error *err) {
    Error why = {0};
    if (place_some(r, deliveries, n, extent, &why))
        return true;
    if (!refused_is_likely(&why)) {
        *err = why;
        return false;
    }
    size_t between = find_parting(deliveries, n), at = between > 0 ? between : n / 2;
    if (at > 0)
        return place_claims(r, deliveries, at, PART_OF_PAGE, err) &&
               place_claims(r, deliveries + at, n - at, PART_OF_PAGE, err);
    r->refusal = &why;
    bool ok = place_some(r, deliveries, n, PART_OF_PAGE, err);
    r->refusal = NULL;
    return ok;
}

static bool place_pages(Remapping *r, Error *err) {
    for (size_t n;;) {
        if (step_is_canceled(r->run, err))
            return false;
        arena_empty(r->page_arena);
        AgainDelivery *deliveries;
        TRY(again_deliveries_next(r->run->pg, &r->feed, r->page_arena, &deliveries, &n, err));
        if (n == 0)
            return true;
        TRY(place_claims(r, deliveries, n, WHOLE_PAGE, err));
    }
}

static bool remap_source(Remapping *r, const char *source_system, Error *err) {
    const FilePattern *pattern = pattern_of(r, source_system);
    if (!pattern) {
        LOG_WARN("no pattern names this source any more; its claims stay as they are", LOG_TEXT("feed", r->claims->name),
                 LOG_TEXT("source", source_system));
        return true;
    }
    TRY(open_source(r, pattern, err));
    TRY(again_deliveries_open(r->run->pg, &r->feed, DELIVERY_RULES, err));
    bool ok = place_pages(r, err);
    again_deliveries_close(r->run->pg);
    place_close(&r->place);
    return ok;
}

/* A run notes the mapping as seen, a plan looks only. */
static bool see_mapping(RunContext *run, int32_t *ret_version, AgainDue *ret_due, Error *err) {
    const char *feed = run->claims->name;
    uint8_t fingerprint[16];
    bool is_new;
    mapping_fingerprint(&run->claims->mapping, fingerprint);
    TRY(state_mapping_read(run->pg, feed, fingerprint, ret_version, &is_new, err));
    if (is_new && !run->plan)
        TRY(state_mapping(run->pg, feed, fingerprint, ret_version, err));
    TRY(again_due(run->pg, feed, ret_due, err));
    ret_due->mapping |= is_new && run->plan;
    return true;
}

/* Everything, or what was asked for. `ret_asked`: the entries that a person asked for before it began. */
static bool clean_again(RunContext *run, bool only_asked, AgainAsked *ret_asked, Error *err) {
    const ClaimsConfig *claims = run->claims;
    CLEANUP(arena_drop) Arena *page_arena = arena_open();
    CLEANUP(remapping_close) Remapping r = {
        .run = run, .claims = claims, .page_arena = page_arena,
        .feed = {.feed = claims->name, .entity = claims->mapping.entity, .max_rows = (size_t)claims->page_rows,
                 .max_bytes = (size_t)claims->page_bytes, .only_asked = only_asked},
    };
    const char **sources;
    size_t n_sources;
    TRY(again_asked(run->pg, claims->name, run->arena, ret_asked, err));
    TRY(again_schemas(run->pg, claims->name, run->arena, &r.schemas, &r.n_schemas, err));
    TRY(again_sources(run->pg, claims->name, run->arena, &sources, &n_sources, err));
    for (size_t i = 0; r.n_schemas > 0 && i < n_sources; i++)
        TRY(remap_source(&r, sources[i], err));
    return true;
}

/* Before it is noted that all was cleaned: a run that is killed before this is done again. */
static bool restate_files(RunContext *run, Error *err) {
    FAILPOINT("again.before_restate");
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(run->pg, err);
    TRY(tx && state_placement_lock_shared(tx, err) && file_restate_unsure(tx, run->claims->name, err) &&
        lease_check(tx, &(LeaseFence){run->job, run->epoch}, err));
    return pg_commit(&tx, PG_RELAXED, err);
}

bool remap_claims(RunContext *run, Error *err) {
    const char *feed = run->claims->name;
    AgainAsked asked;
    int32_t version;
    AgainDue due;
    TRY(see_mapping(run, &version, &due, err) && clean_again(run, false, &asked, err));
    if (run->plan)
        return true;
    LOG_INFO("cleaned again from bronze", LOG_TEXT("feed", feed), LOG_INT("run", run->run_id),
             LOG_INT("mapping_version", version), LOG_INT("rows_changed", run->counts.rows_changed));
    return restate_files(run, err) && again_asked_done(run->pg, &asked, err) && again_done(run->pg, feed, version, err);
}

bool replay_claims(RunContext *run, Error *err) {
    const char *feed = run->claims->name;
    AgainAsked asked;
    int32_t version;
    AgainDue due;
    TRY(see_mapping(run, &version, &due, err) && clean_again(run, true, &asked, err));
    if (run->plan)
        return true;
    LOG_INFO("claims in quarantine cleaned again", LOG_TEXT("feed", feed), LOG_INT("run", run->run_id),
             LOG_INT("rows_read", run->counts.rows_read), LOG_INT("rows_changed", run->counts.rows_changed));
    return restate_files(run, err) && again_asked_done(run->pg, &asked, err);
}

bool remap_claims_if_due(RunContext *run, Error *err) {
    int32_t version;
    AgainDue due;
    TRY(see_mapping(run, &version, &due, err));
    if (due.mapping)
        return remap_claims(run, err);
    return !due.replay || replay_claims(run, err);
}
