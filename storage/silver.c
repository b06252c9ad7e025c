/* silver.c - see silver.h.
 *
 * A changed row is deleted and copied in again under its old key: as fast as UPDATE, and one path for
 * new and changed rows. What settle alone can tell (some flags) is taken from the deleted row, what place can
 * see (keys of other tables) has been looked up anew, so that a change of content gives settle nothing to do. */
#include "storage/silver.h"

#include "base/own.h"
#include "sql.h"
#include "storage/permute.h"
#include "storage/template.h"
#include "transform/date.h"

#include <stdlib.h>
#include <xxhash.h>

enum { PAGE_MAX_BYTES = 256 << 20, STREAM_BYTES = 64 << 10, KEY_BLOCK = 10000 };

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
        if (!str_is_null(page->rows[i].id) && page->rows[i].fate != ROW_REPEATED)
            index->slots[slot_of(index, page->rows[i].id)] = &page->rows[i];
    return index;
}

void row_index_prefer(RowIndex *index, SilverRow *row) { index->slots[slot_of(index, row->id)] = row; }

SilverRow *row_index_find(const RowIndex *index, Str id) { return index->slots[slot_of(index, id)]; }

/* ---- what is there ---- */

static const char *ids_array(SilverPage *page, Buf *out, Error *err) {
    for (size_t i = 0; i < page->n_rows; i++)
        if (!str_is_null(page->rows[i].id) && page->rows[i].fate != ROW_REPEATED)
            pg_array_text(out, page->rows[i].id);
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

bool silver_look_up(Pg *pg, SilverPage *page, Error *err) {
    const Entity *entity = page->entity;
    bool can_be_inferred = entity_column(entity, STR("is_inferred")) != COLUMN_NONE;
    const char *sql = sql_fill(page->arena, SQL_SILVER_LOOK_UP, {"id", entity->id},
                               {"key", entity->key}, {"table", entity->name},
                               {"inferred", can_be_inferred ? "is_inferred" : "false"});
    CLEANUP(buf_drop) Buf ids = pg_array(PAGE_MAX_BYTES);
    const char *array = ids_array(page, &ids, err);
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

/* ---- encoding ---- */

/* Flags that only settle can set or take away; what place can see of the others stands in the record. */
static bool is_settles_alone(Str name) {
    static const char *const NAMES[] = {
        "claim_date_mismatch",      "claim_department_mismatch", "claim_encounter_mismatch", "claim_patient_mismatch",
        "claim_provider_mismatch",  "orphan_claim",              "orphan_transaction",       "possible_duplicate",
    };
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (str_equal(str_of(NAMES[i]), name))
            return true;
    return false;
}

typedef struct FlagList {
    Str names[2 * FLAGS_MAX]; /* sorted */
    size_t n;
} FlagList;

static void flag_list_add(FlagList *list, Str name) {
    size_t i = list->n;
    while (i > 0 && str_compare(list->names[i - 1], name) > 0)
        i--;
    if ((i > 0 && str_equal(list->names[i - 1], name)) || list->n == 2 * FLAGS_MAX)
        return;
    memmove(&list->names[i + 1], &list->names[i], (list->n - i) * sizeof(Str));
    list->names[i] = name;
    list->n++;
}

typedef bool (*FlagChoice)(Str name);

static void flag_list_add_joined(FlagList *list, Str joined, FlagChoice is_wanted) {
    while (joined.size > 0) {
        const char *comma = memchr(joined.at, ',', joined.size);
        size_t size = comma ? (size_t)(comma - joined.at) : joined.size;
        Str name = {joined.at, size};
        if (!is_wanted || is_wanted(name))
            flag_list_add(list, name);
        size_t step = size + (comma ? 1 : 0);
        joined = (Str){joined.at + step, joined.size - step};
    }
}

static void put_sized(Buf *out, Str bytes) {
    buf_put_i32(out, (int32_t)bytes.size);
    buf_put_str(out, bytes);
}

static void put_sized_or_null(Buf *out, Str bytes) {
    if (str_is_null(bytes))
        buf_put_i32(out, -1);
    else
        put_sized(out, bytes);
}

/* text[] in PostgreSQL's binary form (array_send) */
static void put_flag_list(Buf *out, const FlagList *list) {
    size_t size = list->n ? 20 : 12;
    for (size_t i = 0; i < list->n; i++)
        size += 4 + list->names[i].size;
    buf_put_i32(out, (int32_t)size);
    buf_put_i32(out, list->n ? 1 : 0); /* dimensions */
    buf_put_i32(out, 0);               /* no NULLs */
    buf_put_i32(out, 25);              /* text */
    if (list->n) {
        buf_put_i32(out, (int32_t)list->n);
        buf_put_i32(out, 1); /* lower bound */
    }
    for (size_t i = 0; i < list->n; i++)
        put_sized(out, list->names[i]);
}

static FlagList list_flags(const SilverPage *page, const Record *record, Str carried) {
    FlagList list = {.n = 0};
    for (uint64_t rest = record->flags; rest; rest &= rest - 1)
        flag_list_add(&list, str_of(mapping_flag_name(page->mapping, __builtin_ctzll(rest))));
    for (uint32_t rest = record->settle_flags; rest; rest &= rest - 1)
        flag_list_add(&list, str_of(settle_flag_name((SettleFlag)__builtin_ctz(rest))));
    flag_list_add_joined(&list, carried, is_settles_alone);
    return list;
}

void silver_put_flags(Buf *out, const SilverPage *page, const Record *record, Str carried) {
    FlagList list = list_flags(page, record, carried);
    put_flag_list(out, &list);
}

Str silver_join_flags(const SilverPage *page, const Record *record, Str carried) {
    FlagList list = list_flags(page, record, carried);
    size_t size = 0;
    for (size_t i = 0; i < list.n; i++)
        size += list.names[i].size + 1;
    char *text = arena_alloc(page->arena, size + 1), *at = text;
    for (size_t i = 0; i < list.n; i++) {
        memcpy(at, list.names[i].at, list.names[i].size);
        at += list.names[i].size;
        *at++ = ',';
    }
    return (Str){text, size ? size - 1 : 0};
}

static bool is_not_of_time(Str name) { return !str_equal(name, STR("time_inferred")); }

void silver_put_names(Buf *out, Str joined, bool is_time_inferred) {
    FlagList list = {.n = 0};
    flag_list_add_joined(&list, joined, is_not_of_time);
    if (is_time_inferred)
        flag_list_add(&list, STR("time_inferred"));
    put_flag_list(out, &list);
}

/* numeric in PostgreSQL's binary form (numeric_send): digits in base 10000, two decimals shown. */
static void put_numeric(Buf *out, int64_t hundredths) {
    uint64_t rest = hundredths < 0 ? 0 - (uint64_t)hundredths : (uint64_t)hundredths;
    int16_t digits[6]; /* least significant first; digits[0] is the fraction */
    int n = 0;
    digits[n++] = (int16_t)(rest % 100 * 100);
    for (rest /= 100; rest > 0; rest /= 10000)
        digits[n++] = (int16_t)(rest % 10000);
    int weight = n - 2; /* of the most significant digit */
    int last = digits[0] == 0 ? 1 : 0;
    while (last < n && digits[last] == 0)
        last++;
    int count = n - last;
    buf_put_i32(out, 8 + 2 * count);
    buf_put_i16(out, (int16_t)count);
    buf_put_i16(out, (int16_t)(count ? weight : 0));
    buf_put_i16(out, hundredths < 0 && count ? 0x4000 : 0);
    buf_put_i16(out, 2); /* display scale */
    for (int i = n - 1; i >= last; i--)
        buf_put_i16(out, digits[i]);
}

void silver_put_value(Buf *out, ColumnType type, Value value) {
    if (!value.is_set) {
        buf_put_i32(out, -1);
        return;
    }
    switch (type) {
    case TYPE_TEXT:
    case TYPE_BYTES:
        put_sized(out, value.text);
        break;
    case TYPE_DATE:
        buf_put_i32(out, 4);
        buf_put_i32(out, (int32_t)(value.number - PG_EPOCH_DAYS));
        break;
    case TYPE_TIMESTAMP:
        buf_put_i32(out, 8);
        buf_put_i64(out, value.number == INT64_MAX ? INT64_MAX : value.number - PG_EPOCH_US);
        break;
    case TYPE_MONEY:
    case TYPE_PERCENT:
        put_numeric(out, value.number);
        break;
    case TYPE_INT:
        buf_put_i32(out, 4);
        buf_put_i32(out, (int32_t)value.number);
        break;
    case TYPE_BIGINT:
        buf_put_i32(out, 8);
        buf_put_i64(out, value.number);
        break;
    case TYPE_BOOL:
        buf_put_i32(out, 1);
        buf_put_byte(out, value.number != 0);
        break;
    case TYPE_TEXTS:
    case TYPE_UUID:
        abort(); /* flags have their own writer, uuids are settle's */
    }
}

void silver_put_row(Buf *out, const SilverPage *page, const Record *record, const Carried *carried) {
    const Entity *entity = record->entity;
    int n_stored = 0;
    for (int i = 0; i < entity->n_columns; i++)
        n_stored += column_is_stored(&entity->columns[i]);
    buf_put_i16(out, (int16_t)n_stored);
    for (int i = 0; i < entity->n_columns; i++) {
        const Column *column = &entity->columns[i];
        if (!column_is_stored(column))
            continue;
        if (column->type == TYPE_UUID)
            put_sized_or_null(out, carried ? carried->person_id : STR_NULL);
        else if (column->type == TYPE_TEXTS)
            silver_put_flags(out, page, record, carried ? carried->flags : STR_NULL);
        else
            silver_put_value(out, column->type, record->values[i]);
    }
}

void silver_set(Record *record, const char *column, Value value) {
    int index = entity_column(record->entity, str_of(column));
    if (index != COLUMN_NONE)
        record->values[index] = value;
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
    };
}

static void set_at(Record *record, int index, Value value) {
    if (index != COLUMN_NONE)
        record->values[index] = value;
}

void silver_set_system(const SilverPage *page, SilverRow *row, int64_t key) {
    Record *record = &row->record;
    const SystemColumns *at = &page->system;
    set_at(record, at->key, value_number(key));
    set_at(record, at->id, value_text(row->id));
    set_at(record, at->source_system, value_text(str_of(page->source_system)));
    set_at(record, at->is_deleted, value_number(false));
    set_at(record, at->is_inferred, value_number(false));
    set_at(record, at->reference_status, value_text(STR("unchecked")));
    set_at(record, at->source_hash, value_number(row->source_hash));
    set_at(record, at->record_hash, value_text((Str){(const char *)record->record_hash, 16}));
    set_at(record, at->batch_id, value_number(page->batch_id));
    set_at(record, at->made_by_batch, value_number(page->batch_id));
    set_at(record, at->mapping_version, value_number(page->mapping_version));
}

/* ---- statements ---- */

const char *silver_column_list(Arena *arena, const Entity *entity) {
    Buf list;
    buf_init(&list, 1 << 16);
    for (int i = 0; i < entity->n_columns; i++) {
        if (!column_is_stored(&entity->columns[i]))
            continue;
        if (list.size > 0)
            buf_put(&list, ", ", 2);
        buf_put_str(&list, str_of(entity->columns[i].name));
    }
    const char *text = arena_string(arena, buf_str(&list));
    buf_done(&list);
    return text;
}

const char *silver_copy_statement(Arena *arena, const char *table, const Entity *entity) {
    return arena_printf(arena, "COPY silver.%s (%s) FROM STDIN (FORMAT binary)", table,
                        silver_column_list(arena, entity));
}

bool row_stream_begin(RowStream *stream, Pg *pg, const char *statement, Error *err) {
    *stream = (RowStream){.pg = pg};
    buf_init(&stream->rows, PAGE_MAX_BYTES);
    pg_copy_header(&stream->rows);
    stream->is_open = pg_copy_begin(pg, statement, err);
    return stream->is_open;
}

static bool send_rows(RowStream *stream, Error *err) {
    TRY(pg_copy_put(stream->pg, &stream->rows, err));
    buf_clear(&stream->rows);
    return true;
}

bool row_stream_next(RowStream *stream, Error *err) {
    stream->n_rows++;
    return stream->rows.size < STREAM_BYTES || send_rows(stream, err);
}

bool row_stream_end(RowStream *stream, Error *err) {
    int64_t n_copied = 0;
    pg_copy_trailer(&stream->rows);
    TRY(send_rows(stream, err));
    stream->is_open = false;
    TRY(pg_copy_end(stream->pg, NULL, &n_copied, err));
    if (n_copied != stream->n_rows)
        return error_set(err, STATE_BUG, "COPY took %lld rows of %lld", (long long)n_copied,
                         (long long)stream->n_rows);
    return true;
}

void row_stream_drop(RowStream *stream) {
    Error ignored = {0};
    if (stream->is_open)
        pg_copy_end(stream->pg, "gave up", NULL, &ignored);
    buf_done(&stream->rows);
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

void silver_put_day(Buf *array, Value day) {
    if (!day.is_set) {
        pg_array_text(array, STR_NULL);
        return;
    }
    CivilDate date = date_from_days(day.number);
    char text[32];
    int size = snprintf(text, sizeof text, "%04d-%02d-%02d", date.year, date.month, date.day);
    pg_array_text(array, (Str){text, (size_t)size});
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
