/* second_look.c - see second_look.h. */
#include "steps/second_look.h"

#include "storage/bronze.h"
#include "transform/hash.h"

/* Rows that were asked for by key, and which of them were found. */
typedef struct Sought {
    const Str *ids; /* NULL: nothing but keys are known */
    const Str *keys;
    bool *is_found;
    size_t n;
} Sought;

/* ---- whole rows of the source ---- */

static void mark_sought(const SecondLook *look, const SilverRow *row, Sought *sought) {
    const SourceTable *table = &look->tables[0];
    for (size_t i = 0; i < sought->n; i++) {
        bool is_it = !str_is_null(row->id) && str_equal(row->id, sought->ids[i]);
        bool has_key = true;
        for (size_t k = 0; k < table->n_key; k++) {
            Str key = sought->keys[i * table->n_key + k];
            has_key = has_key && !str_is_null(key) && str_equal_nocase(key, row->fields[table->key[k]]);
        }
        sought->is_found[i] = sought->is_found[i] || is_it || has_key;
    }
}

/* Whether the content that is here stands at the source under another key: then it holds the id, and the row
 * that was asked about repeats it. */
static bool find_holders(SecondLook *look, const SilverPage *page, Unlike *unlike, size_t n, Error *err) {
    const SourceTable *table = &look->tables[0];
    const char **names = ARENA_ARRAY(look->arena, const char *, table->n_key);
    Str *ids = ARENA_ARRAY(look->arena, Str, n + 1);
    BronzeFields known;
    for (size_t k = 0; k < table->n_key; k++)
        names[k] = table->fields[table->key[k]].name;
    for (size_t i = 0; i < n; i++)
        ids[i] = page->rows[unlike[i].row].id;
    TRY(bronze_find_fields(look->run->pg, look->arena, look->scope->feed, ids, n, names, table->n_key, &known, err));
    for (size_t i = 0; i < n; i++) {
        const Str *fields = page->rows[unlike[i].row].fields, *key = known.fields + i * table->n_key;
        bool is_same = true;
        for (size_t k = 0; k < table->n_key; k++)
            is_same = is_same && (str_is_null(key[k]) || str_equal(key[k], fields[table->key[k]]));
        MyPage found = {0};
        SourceLimits limits = {SECOND_LOOK_ROWS, (size_t)look->run->feed->page_bytes};
        if (unlike[i].key && !is_same)
            TRY(reconcile_read_keys(look->my, table, key, 1, limits, look->arena, &found, err));
        look->report->rows_shipped += (int64_t)found.n_rows;
        for (size_t f = 0; f < found.n_rows; f++)
            unlike[i].is_held |= unlike[i].hash == hash_source(table->fields, found.fields + f * found.n_fields,
                                                               found.n_fields);
    }
    return true;
}

static size_t drop_held(Unlike *unlike, size_t n) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!unlike[i].is_held)
            unlike[kept++] = unlike[i];
    return kept;
}

static void count_unlike(ReconcileReport *report, const Unlike *unlike, size_t n) {
    for (size_t i = 0; i < n; i++) {
        report->missing += !unlike[i].is_here;
        report->differing += unlike[i].is_here;
        if (unlike[i].key && report->n_differing_keys < RECONCILE_KEYS_MAX)
            report->differing_keys[report->n_differing_keys++] = unlike[i].key;
    }
}

/* As a page of their own. */
static bool deliver(SecondLook *look, const MyPage *page, const Unlike *unlike, size_t n, Error *err) {
    Str *fields = ARENA_ARRAY(look->arena, Str, n * page->n_fields + 1);
    for (size_t i = 0; i < n; i++)
        memcpy(fields + i * page->n_fields, page->fields + unlike[i].row * page->n_fields,
               page->n_fields * sizeof *fields);
    RawRows rows = {.fields = fields, .n_rows = n, .source_now_us = look->source_now_us};
    PlaceOutcome outcome;
    if (n == 0 || look->run->is_dry)
        return true;
    rows.prepared = place_prepare(look->place, &rows, look->arena);
    TRY(collisions_find(&look->collisions, look->arena, &rows, err));
    return place_page(look->place, &rows, NULL, look->arena, &outcome, err);
}

/* Rows that were sought by their ids are delivered as they are: among them are those that a holder kept out, and
 * place drops what is here. */
static Unlike *choose(SecondLook *look, const Sought *sought, const MyPage *page, Unlike *unlike, size_t *n) {
    if (!sought->ids)
        return unlike;
    Unlike *all = ARENA_ARRAY(look->arena, Unlike, page->n_rows + 1);
    for (size_t i = 0; i < page->n_rows; i++)
        all[i].row = i;
    *n = page->n_rows;
    return all;
}

static bool look_at_page(SecondLook *look, const MyPage *page, Sought *sought, Error *err) {
    RawRows rows = {.fields = page->fields, .n_rows = page->n_rows, .source_now_us = look->source_now_us};
    const SilverPage *prepared = place_prepare(look->place, &rows, look->arena);
    Str *ids = ARENA_ARRAY(look->arena, Str, page->n_rows + 1);
    int64_t *hashes = ARENA_ARRAY(look->arena, int64_t, page->n_rows + 1);
    for (size_t i = 0; i < page->n_rows; i++) {
        ids[i] = prepared->rows[i].id;
        hashes[i] = prepared->rows[i].source_hash;
        if (sought->ids)
            mark_sought(look, &prepared->rows[i], sought);
    }
    look->report->rows_shipped += (int64_t)page->n_rows;
    look->run->counts.bytes_read += (int64_t)page->size_bytes;
    Unlike *unlike;
    size_t n;
    TRY(reconcile_mark_found(look->run->pg, ids, page->n_rows, err));
    TRY(reconcile_look(look->run->pg, look->arena, look->scope, ids, hashes, page->n_rows, &unlike, &n, err));
    TRY(find_holders(look, prepared, unlike, n, err));
    n = drop_held(unlike, n);
    count_unlike(look->report, unlike, n);
    unlike = choose(look, sought, page, unlike, &n);
    return deliver(look, page, unlike, n, err);
}

/* A page that was cut may lack rows that are there: asked for in halves, for what is not found is deleted. */
static bool look_at_rows(SecondLook *look, const Str *keys, size_t n, Sought *sought, Error *err) {
    SourceLimits limits = {4 * SECOND_LOOK_ROWS, (size_t)look->run->feed->page_bytes};
    const SourceTable *table = &look->tables[0];
    MyPage page;
    if (n == 0)
        return true;
    TRY(reconcile_read_keys(look->my, table, keys, n, limits, look->arena, &page, err));
    if (page.is_cut && n > 1)
        return look_at_rows(look, keys, n / 2, sought, err) &&
               look_at_rows(look, keys + n / 2 * table->n_key, n - n / 2, sought, err);
    return page.n_rows == 0 || look_at_page(look, &page, sought, err);
}

bool second_look_at_theirs(SecondLook *look, Error *err) {
    size_t n = 1;
    for (int64_t position = 0; n > 0;) {
        if (step_is_canceled(look->run, err))
            return false;
        ArenaMark mark = arena_mark(look->arena);
        Str *keys;
        Sought nothing = {0};
        bool ok = reconcile_next_keys(look->run->pg, look->arena, look->tables[0].n_key, SECOND_LOOK_ROWS,
                                      &position, &keys, &n, err) &&
                  look_at_rows(look, keys, n, &nothing, err);
        arena_rewind(look->arena, mark);
        TRY(ok);
    }
    return true;
}

/* ---- rows that only we have ---- */

/* The id itself may be the key, spelled otherwise than it was when the row came, or under another name. */
static bool id_is_key(const SecondLook *look) {
    const SourceTable *table = &look->tables[0];
    return table->n_key == 1 && mapping_id_field(look->place->mapping) == table->key[0];
}

/* The keys to look for, of one id: none where another feed brought it, or its key cannot be known any more. */
static size_t put_keys(const SecondLook *look, const Str *known, Str id, bool is_seen, Str *ret_keys) {
    size_t n_key = look->tables[0].n_key, n = 0;
    if (is_seen && !str_is_null(known[0]))
        memcpy(ret_keys + n++ * n_key, known, n_key * sizeof *known);
    if (is_seen && id_is_key(look) && !str_equal(known[0], id))
        ret_keys[n++] = id;
    return n;
}

/* What is read of them is forgotten at once: that they were found stays. */
static bool look_at_keys(SecondLook *look, const Str *keys, size_t n, Sought *sought, Error *err) {
    for (size_t at = 0; at < n; at += SECOND_LOOK_ROWS) {
        ArenaMark mark = arena_mark(look->arena);
        size_t n_now = n - at < SECOND_LOOK_ROWS ? n - at : SECOND_LOOK_ROWS;
        bool ok = look_at_rows(look, keys + at * look->tables[0].n_key, n_now, sought, err);
        arena_rewind(look->arena, mark);
        TRY(ok);
    }
    return true;
}

/* A row that another feed of the entity brought later is that feed's, whatever this table lacks. */
static bool leave_to_siblings(SecondLook *look, const BronzeFields *known, Sought *sought, Error *err) {
    for (size_t t = 1; t < look->n_tables; t++) {
        BronzeFields theirs;
        const char *none[] = {NULL};
        TRY(bronze_find_fields(look->run->pg, look->arena, look->scope->feeds[t], sought->ids, sought->n, none, 0,
                               &theirs, err));
        for (size_t i = 0; i < sought->n; i++)
            sought->is_found[i] |= theirs.batch_ids[i] > known->batch_ids[i];
    }
    return true;
}

bool second_look_at_ids(SecondLook *look, const Str *ids, size_t n, Str **ret_gone, size_t *ret_n, Error *err) {
    const SourceTable *table = &look->tables[0];
    const char **names = ARENA_ARRAY(look->arena, const char *, table->n_key);
    for (size_t k = 0; k < table->n_key; k++)
        names[k] = table->fields[table->key[k]].name;
    Sought sought = {.ids = ids, .n = n, .is_found = ARENA_ARRAY(look->arena, bool, n + 1)};
    BronzeFields known;
    TRY(bronze_find_fields(look->run->pg, look->arena, look->scope->feed, ids, n, names, table->n_key, &known, err));
    sought.keys = known.fields;
    Str *keys = ARENA_ARRAY(look->arena, Str, 2 * n * table->n_key + 1);
    size_t n_keys = 0;
    for (size_t i = 0; i < n; i++) {
        size_t n_put = put_keys(look, known.fields + i * table->n_key, ids[i], known.is_seen[i],
                                keys + n_keys * table->n_key);
        sought.is_found[i] = n_put == 0;
        n_keys += n_put;
    }
    TRY(look_at_keys(look, keys, n_keys, &sought, err) && leave_to_siblings(look, &known, &sought, err));
    Str *gone = ARENA_ARRAY(look->arena, Str, n + 1);
    *ret_n = 0;
    for (size_t i = 0; i < n; i++)
        if (!sought.is_found[i])
            gone[(*ret_n)++] = ids[i];
    *ret_gone = gone;
    return true;
}

bool second_look_at_ours(SecondLook *look, Error *err) {
    size_t n = 1;
    for (int64_t position = 0; n > 0;) {
        if (step_is_canceled(look->run, err))
            return false;
        ArenaMark mark = arena_mark(look->arena);
        Str *ids, *gone;
        size_t n_gone = 0;
        bool ok = reconcile_next_ids(look->run->pg, look->arena, SECOND_LOOK_IDS, &position, &ids, &n, err) &&
                  (n == 0 || second_look_at_ids(look, ids, n, &gone, &n_gone, err)) &&
                  (n_gone == 0 || reconcile_keep_gone(look->run->pg, look->arena, look->scope, gone, n_gone, err));
        arena_rewind(look->arena, mark);
        TRY(ok);
    }
    return true;
}
