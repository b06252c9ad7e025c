/* silver.c - see silver.h.
 *
 * A changed row is deleted and copied in again under its old key: as fast as UPDATE, and one path for
 * new and changed rows. What settle alone can tell (some flags) is taken from the deleted row, what place can
 * see (keys of other tables) has been looked up anew, so that a change of content gives settle nothing to do. */
#include "storage/silver_row.h"

#include "base/own.h"
#include "sql.h"
#include "storage/permute.h"
#include "storage/template.h"

#include <stdlib.h>
#include <xxhash.h>

enum { PAGE_MAX_BYTES = 256 << 20, KEY_BLOCK = 10000 };

/* ---- matching ids ---- */

struct RowIndex {
    size_t mask;
    SilverRow **slots;
};

static size_t slot_of(const RowIndex *index, Str id) {
    size_t i = XXH3_64bits(id.at, id.size) & index->mask;
    while (index->slots[i] && !str_equal(index->slots[i]->id, id))
        i = (i + 1) & index->mask;
    return i;
}

RowIndex *row_index_make(Arena *arena, SilverPage *page) {
    RowIndex *index = ARENA_NEW(arena, RowIndex);
    size_t size = 16;
    while (size < page->n_rows * 2)
        size *= 2;
    index->mask = size - 1;
    index->slots = ARENA_ARRAY(arena, SilverRow *, size);
    for (size_t i = 0; i < page->n_rows; i++)
        if (silver_is_looked_up(&page->rows[i]))
            index->slots[slot_of(index, page->rows[i].id)] = &page->rows[i];
    return index;
}

void row_index_prefer(RowIndex *index, SilverRow *row) { index->slots[slot_of(index, row->id)] = row; }

SilverRow *row_index_find(const RowIndex *index, Str id) { return index->slots[slot_of(index, id)]; }

/* ---- what is there ---- */

const char *silver_ids(SilverPage *page, Buf *out, Error *err) {
    Str *ids = arena_alloc(page->arena, (page->n_rows + 1) * sizeof *ids);
    size_t n = 0;
    for (size_t i = 0; i < page->n_rows; i++)
        if (silver_is_looked_up(&page->rows[i]))
            ids[n++] = page->rows[i].id;
    str_sort(ids, n);
    pg_array_texts(out, ids, n);
    return pg_array_end(out, err);
}

void silver_take_known(const PgResult *found, int row, Known *known) {
    *known = (Known){
        .is_found = true,
        .key = pg_int(found, row, 1),
        .source_hash = pg_int(found, row, 2),
        .is_deleted = pg_bool(found, row, 4),
        .is_inferred = pg_bool(found, row, 5),
    };
    Str hash = pg_value(found, row, 3);
    known->has_content = hash.size == sizeof known->record_hash;
    if (known->has_content)
        memcpy(known->record_hash, hash.at, hash.size);
}

const char *silver_period(const SilverPage *page) {
    return str_is_null(page->period) ? NULL : arena_string(page->arena, page->period);
}

bool silver_look_up(Pg *pg, SilverPage *page, Error *err) {
    const Entity *entity = page->entity;
    bool can_be_inferred = entity_column(entity, STR("is_inferred")) != COLUMN_NONE;
    const char *sql = sql_fill(page->arena, SQL_SILVER_LOOK_UP, {"id", entity->id},
                               {"key", entity->key}, {"table", entity->name},
                               {"inferred", can_be_inferred ? "is_inferred" : "false"});
    CLEANUP(buf_drop) Buf ids = pg_array(PAGE_MAX_BYTES);
    const char *array = silver_ids(page, &ids, err);
    TRY(array);
    CLEANUP(pg_result_drop) PgResult *found =
        pg_query_as(pg, PG_BINARY, sql, PG_PARAMS(array, page->source_system), err);
    TRY(found);
    const RowIndex *index = row_index_make(page->arena, page);
    for (int r = 0; r < pg_rows(found); r++) {
        SilverRow *row = row_index_find(index, pg_value(found, r, 0));
        if (row)
            silver_take_known(found, r, &row->known);
    }
    return true;
}

/* ---- what every row has ---- */

void silver_set(Record *record, int column, Value value) {
    if (column != COLUMN_NONE)
        record->values[column] = value;
}

SystemColumns silver_system_columns(const Entity *entity) {
    return (SystemColumns){
        .key = entity_column(entity, str_of(entity->key)),
        .id = entity_column(entity, str_of(entity->id)),
        .source_system = entity_column(entity, STR("source_system")),
        .is_deleted = entity_column(entity, STR("is_deleted")),
        .is_inferred = entity_column(entity, STR("is_inferred")),
        .reference_status = entity_column(entity, STR("reference_status")),
        .source_hash = entity_column(entity, STR("source_hash")),
        .record_hash = entity_column(entity, STR("record_hash")),
        .batch_id = entity_column(entity, STR("batch_id")),
        .made_by_batch = entity_column(entity, STR("made_by_batch")),
        .mapping_version = entity_column(entity, STR("mapping_version")),
        .modified_at = entity_column(entity, STR("source_modified_at")),
        .iteration = entity_column(entity, STR("iteration")),
        .is_final = entity_column(entity, STR("is_final")),
        .file_id = entity_column(entity, STR("file_id")),
        .line = entity_column(entity, STR("line")),
        .effective_date = entity_column(entity, STR("effective_date")),
        .expiry_date = entity_column(entity, STR("expiry_date")),
        .is_current = entity_column(entity, STR("is_current")),
        .version = entity_column(entity, STR("version")),
    };
}

void silver_set_system(const SilverPage *page, SilverRow *row, int64_t key) {
    Record *record = &row->record;
    const SystemColumns *at = &page->system;
    silver_set(record, at->key, value_number(key));
    silver_set(record, at->id, value_text(row->id));
    silver_set(record, at->source_system, value_text(str_of(page->source_system)));
    silver_set(record, at->is_deleted, value_number(false));
    silver_set(record, at->is_inferred, value_number(false));
    silver_set(record, at->reference_status, value_text(STR("unchecked")));
    silver_set(record, at->source_hash, value_number(row->source_hash));
    silver_set(record, at->record_hash, value_text((Str){(const char *)record->record_hash, 16}));
    silver_set(record, at->batch_id, value_number(page->batch_id));
    silver_set(record, at->made_by_batch, value_number(page->batch_id));
    silver_set(record, at->mapping_version, value_number(page->mapping_version));
}

/* A patient's key must not tell the order of record numbers (rules, section 9). */
static bool hide_order(Pg *pg, int64_t *keys, size_t n, Error *err) {
    CLEANUP(pg_result_drop) PgResult *secret = pg_query_as(pg, PG_BINARY, SQL_SILVER_SECRET, PG_NONE, err);
    TRY(secret);
    for (size_t i = 0; i < n; i++)
        TRY(permute_number(pg_value(secret, 0, 0), keys[i], &keys[i], err));
    return true;
}

bool silver_take_keys(Pg *pg, const Entity *entity, size_t n, Arena *arena, int64_t **ret_keys,
                      Error *err) {
    char sequence[80], blocks[24];
    snprintf(sequence, sizeof sequence, "silver.%s_seq", entity->key);
    snprintf(blocks, sizeof blocks, "%zu", (n + KEY_BLOCK - 1) / KEY_BLOCK);
    CLEANUP(pg_result_drop) PgResult *starts =
        pg_query(pg, SQL_SILVER_TAKE_KEYS, PG_PARAMS(sequence, blocks), err);
    TRY(starts);
    int64_t *keys = arena_alloc(arena, n * sizeof *keys);
    for (size_t i = 0; i < n; i++)
        keys[i] = pg_int(starts, (int)(i / KEY_BLOCK), 0) + (int64_t)(i % KEY_BLOCK);
    if (strcmp(entity->key, "patient_key") == 0)
        TRY(hide_order(pg, keys, n, err));
    *ret_keys = keys;
    return true;
}

/* ---- writing ---- */

typedef struct Replaced {
    Carried carried;
    Value old_day; /* of its partition */
} Replaced;

size_t silver_count(const SilverPage *page, RowFate fate) {
    size_t n = 0;
    for (size_t i = 0; i < page->n_rows; i++)
        n += page->rows[i].fate == fate;
    return n;
}

bool known_can_go(const Known *known) {
    return known->is_found && !known->is_deleted && known->has_content;
}

/* A row that is gone may have been held in quarantine only, or be marked already. */
static bool has_stored(const SilverRow *row, RowFate fate) {
    return row->fate == fate && (fate != ROW_GONE || known_can_go(&row->known));
}

static const char *keys_array(const SilverPage *page, RowFate fate, Buf *out, Error *err) {
    for (size_t i = 0; i < page->n_rows; i++)
        if (has_stored(&page->rows[i], fate))
            pg_array_int(out, page->rows[i].known.key);
    return pg_array_end(out, err);
}

static void take_replaced(const SilverPage *page, const PgResult *gone, int row, Replaced *ret) {
    Str day = pg_value(gone, row, 2);
    *ret = (Replaced){
        .carried = {.person_id = STR_NULL, .flags = arena_copy(page->arena, pg_value(gone, row, 1))},
        .old_day = str_is_null(day) ? VALUE_NULL : value_number(pg_int(gone, row, 2) + PG_EPOCH_DAYS),
    };
}

typedef struct KeyOrder {
    int64_t key;
    size_t row;
} KeyOrder;

static int compare_keys(const void *a, const void *b) {
    int64_t x = ((const KeyOrder *)a)->key, y = ((const KeyOrder *)b)->key;
    return (x > y) - (x < y);
}

static KeyOrder *order_by_key(const SilverPage *page, size_t n) {
    KeyOrder *order = arena_alloc(page->arena, sizeof(KeyOrder) * n);
    size_t used = 0;
    for (size_t i = 0; i < page->n_rows; i++)
        if (page->rows[i].fate == ROW_CHANGED)
            order[used++] = (KeyOrder){page->rows[i].known.key, i};
    qsort(order, n, sizeof *order, compare_keys);
    return order;
}

/* Deletes the old rows of those that changed; replaced[i] is what row i of the page takes over. */
static bool replace_changed(Pg *pg, SilverPage *page, size_t n_changed, Replaced *replaced, Error *err) {
    const Entity *entity = page->entity;
    CLEANUP(buf_drop) Buf keys = pg_array(PAGE_MAX_BYTES);
    const char *array = keys_array(page, ROW_CHANGED, &keys, err);
    TRY(array);
    const char *sql = sql_fill(page->arena, SQL_SILVER_REPLACE, {"table", entity->name},
                               {"key", entity->key},
                               {"partition", entity->partition ? entity->partition : "NULL::date"});
    char batch[24];
    snprintf(batch, sizeof batch, "%lld", (long long)page->batch_id);
    CLEANUP(pg_result_drop) PgResult *gone =
        pg_query_as(pg, PG_BINARY, sql, PG_PARAMS(array, batch), err);
    TRY(gone);
    if ((size_t)pg_rows(gone) != n_changed) /* somebody else wrote these rows: look again */
        return error_set(err, STATE_CONFLICT, "%s: rows changed while a page was placed", entity->name);
    const KeyOrder *order = order_by_key(page, n_changed);
    for (int r = 0; r < pg_rows(gone); r++) {
        KeyOrder wanted = {.key = pg_int(gone, r, 0)};
        const KeyOrder *at = bsearch(&wanted, order, n_changed, sizeof *order, compare_keys);
        if (at)
            take_replaced(page, gone, r, &replaced[at->row]);
    }
    return true;
}

static bool date_moved(const SilverPage *page, size_t i, const Replaced *replaced) {
    int partition = entity_column(page->entity, str_of(page->entity->partition));
    Value now = page->rows[i].record.values[partition], old = replaced[i].old_day;
    return now.is_set != old.is_set || (now.is_set && now.number != old.number);
}

/* A row that left a partition: the next publication must look there too (rules, section 8). */
static bool remember_moved(Pg *pg, SilverPage *page, const Replaced *replaced, Error *err) {
    CLEANUP(buf_drop) Buf keys = pg_array(PAGE_MAX_BYTES);
    CLEANUP(buf_drop) Buf dates = pg_array(PAGE_MAX_BYTES);
    for (size_t i = 0; i < page->n_rows; i++) {
        if (page->rows[i].fate != ROW_CHANGED || !date_moved(page, i, replaced))
            continue;
        pg_array_int(&keys, page->rows[i].known.key);
        silver_put_day(&dates, replaced[i].old_day);
    }
    if (keys.size == 1)
        return true;
    char batch[24];
    snprintf(batch, sizeof batch, "%lld", (long long)page->batch_id);
    const char *key_array = pg_array_end(&keys, err), *date_array = pg_array_end(&dates, err);
    TRY(key_array && date_array);
    return pg_exec(pg, SQL_SILVER_MOVED, PG_PARAMS(page->entity->name, batch, key_array, date_array),
                   NULL, err);
}

bool silver_touch(Pg *pg, SilverPage *page, Error *err) {
    if (silver_count(page, ROW_TOUCHED) == 0)
        return true;
    CLEANUP(buf_drop) Buf keys = pg_array(PAGE_MAX_BYTES);
    CLEANUP(buf_drop) Buf hashes = pg_array(PAGE_MAX_BYTES);
    for (size_t i = 0; i < page->n_rows; i++)
        if (page->rows[i].fate == ROW_TOUCHED)
            pg_array_int(&hashes, page->rows[i].source_hash);
    const char *key_array = keys_array(page, ROW_TOUCHED, &keys, err);
    const char *hash_array = pg_array_end(&hashes, err);
    TRY(key_array && hash_array);
    const char *sql = sql_fill(page->arena, SQL_SILVER_TOUCH, {"table", page->entity->name},
                               {"key", page->entity->key});
    return pg_exec(pg, sql, PG_PARAMS(key_array, hash_array), NULL, err);
}

/* What settle alone can tell stays in the row: nobody asks a deleted fact, and when it returns it is right. */
static bool mark_gone(Pg *pg, SilverPage *page, Error *err) {
    CLEANUP(buf_drop) Buf keys = pg_array(PAGE_MAX_BYTES);
    const char *array = keys_array(page, ROW_GONE, &keys, err);
    TRY(array);
    size_t n_gone = 0;
    for (size_t i = 0; i < page->n_rows; i++)
        n_gone += has_stored(&page->rows[i], ROW_GONE);
    const char *sql = sql_fill(page->arena, SQL_SILVER_GONE, {"table", page->entity->name},
                               {"key", page->entity->key});
    const char *batch = arena_printf(page->arena, "%lld", (long long)page->batch_id);
    CLEANUP(pg_result_drop) PgResult *marked = pg_query(pg, sql, PG_PARAMS(array, batch), err);
    TRY(marked);
    if (pg_int(marked, 0, 0) != (int64_t)n_gone)
        return error_set(err, STATE_CONFLICT, "%s: rows changed while they were marked deleted",
                         page->entity->name);
    return true;
}

static bool copy_rows(Pg *pg, SilverPage *page, const Replaced *replaced, Error *err) {
    size_t n_new = silver_count(page, ROW_NEW);
    int64_t *keys = NULL;
    if (n_new > 0)
        TRY(silver_take_keys(pg, page->entity, n_new, page->arena, &keys, err));
    CLEANUP(row_stream_drop) RowStream out;
    TRY(row_stream_begin(&out, pg, silver_copy_statement(page->arena, page->entity->name, page->entity), err));
    for (size_t i = 0; i < page->n_rows; i++) {
        SilverRow *row = &page->rows[i];
        if (row->fate != ROW_NEW && row->fate != ROW_CHANGED)
            continue;
        bool is_new = row->fate == ROW_NEW;
        silver_set_system(page, row, is_new ? *keys++ : row->known.key);
        silver_put_row(&out.rows, page, &row->record, is_new ? NULL : &replaced[i].carried);
        TRY(row_stream_next(&out, err));
    }
    return row_stream_end(&out, err);
}

bool silver_write(Pg *pg, SilverPage *page, Error *err) {
    size_t n_new = silver_count(page, ROW_NEW), n_changed = silver_count(page, ROW_CHANGED);
    Replaced *replaced = NULL;
    if (n_changed > 0) {
        replaced = ARENA_ARRAY(page->arena, Replaced, page->n_rows);
        TRY(replace_changed(pg, page, n_changed, replaced, err));
        if (page->entity->partition)
            TRY(remember_moved(pg, page, replaced, err));
    }
    if (n_new + n_changed > 0)
        TRY(copy_rows(pg, page, replaced, err));
    if (silver_count(page, ROW_GONE) > 0)
        TRY(mark_gone(pg, page, err));
    return silver_touch(pg, page, err);
}
