/* history.c - see history.h.
 *
 * How a page is written: the current versions of changed rows are fetched in PostgreSQL's binary form
 * and compared with the new values, encoded the same way. Every old row that must change (closed,
 * corrected, filled) is deleted and copied in again from its own bytes with a few of them replaced; new
 * versions go by the same COPY. So there is one way to write a row, and untouched columns, settle's
 * among them, cannot be lost. */
#include "storage/history.h"

#include "base/own.h"
#include "sql.h"
#include "storage/template.h"

#include <stdlib.h>

enum { PAGE_MAX_BYTES = 256 << 20, VALUE_MAX_BYTES = 1 << 20 };
static const int64_t MICROS_1970_TO_2000 = INT64_C(946684800) * 1000000;
/* 9999-12-31T00:00:00Z */
static const int64_t OPEN_END_US = INT64_C(253402214400) * 1000000;

/* ---- look-up ---- */

static const char *ids_array(const SilverPage *page, bool (*wanted)(const SilverRow *), Buf *out,
                             Error *err) {
    pg_array_begin(out);
    for (size_t i = 0; i < page->n_rows; i++)
        if (wanted(&page->rows[i]))
            pg_array_text(out, page->rows[i].id);
    return pg_array_end(out, err);
}

static bool has_id(const SilverRow *row) {
    return !str_is_null(row->id) && row->fate != ROW_REPEATED;
}

static const char *fill(const SilverPage *page, const char *statement) {
    const Entity *entity = page->entity;
    return sql_fill(page->arena, statement, {"table", entity->name}, {"key", entity->key},
                    {"id", entity->id},
                    {"columns", silver_column_list(page->arena, entity)});
}

static void take_known(const PgResult *found, int row, Known *known) {
    *known = (Known){
        .is_found = true,
        .key = pg_int(found, row, 1),
        .source_hash = pg_int(found, row, 2),
        .is_deleted = pg_bool(found, row, 4),
        .is_inferred = pg_bool(found, row, 5),
        .version = (int32_t)pg_int(found, row, 6),
        .effective_us = pg_int(found, row, 7) + MICROS_1970_TO_2000,
    };
    Str hash = pg_value(found, row, 3);
    known->has_content = hash.size == sizeof known->record_hash;
    if (known->has_content)
        memcpy(known->record_hash, hash.at, hash.size);
}

bool history_look_up(Pg *pg, SilverPage *page, Error *err) {
    CLEANUP(buf_drop) Buf ids;
    buf_init(&ids, PAGE_MAX_BYTES);
    const char *array = ids_array(page, has_id, &ids, err);
    TRY(array);
    CLEANUP(pg_result_drop) PgResult *found =
        pg_query_as(pg, PG_BINARY, fill(page, SQL_HISTORY_LOOK_UP),
                    PG_PARAMS(array, page->source_system), err);
    TRY(found);
    const RowIndex *index = row_index_make(page->arena, page);
    for (int r = 0; r < pg_rows(found); r++) {
        SilverRow *row = row_index_find(index, pg_value(found, r, 0));
        if (row)
            take_known(found, r, &row->known);
    }
    return true;
}

/* ---- what a changed row means ---- */

typedef struct Change {
    bool makes_version; /* a `history` attribute differs, or the row returns from deletion */
    bool corrects;      /* an `overwrite` attribute differs */
    bool fills;         /* the current version was inferred */
} Change;

typedef struct HistoryPage {
    Pg *pg;
    SilverPage *page;
    Change *changes;   /* one per row of the page */
    int *stored;       /* entity column of each stored column */
    int n_stored;
    Buf out;           /* rows of binary COPY */
    int64_t n_out;
    Buf gone;          /* keys of old rows that are written anew */
    int64_t n_gone;
    Buf scratch;
} HistoryPage;

static void history_page_drop(HistoryPage *h) {
    buf_done(&h->out);
    buf_done(&h->gone);
    buf_done(&h->scratch);
}

static void history_page_init(HistoryPage *h, Pg *pg, SilverPage *page) {
    const Entity *entity = page->entity;
    *h = (HistoryPage){.pg = pg, .page = page};
    h->changes = ARENA_ARRAY(page->arena, Change, page->n_rows);
    h->stored = ARENA_ARRAY(page->arena, int, (size_t)entity->n_columns);
    for (int i = 0; i < entity->n_columns; i++)
        if (column_is_stored(&entity->columns[i]))
            h->stored[h->n_stored++] = i;
    buf_init(&h->out, PAGE_MAX_BYTES);
    buf_init(&h->gone, PAGE_MAX_BYTES);
    buf_init(&h->scratch, VALUE_MAX_BYTES);
    pg_array_begin(&h->gone);
}

static bool same_bytes(HistoryPage *h, ColumnType type, Value value, Str old) {
    buf_clear(&h->scratch);
    silver_put_value(&h->scratch, type, value);
    if (!value.is_set)
        return str_is_null(old);
    Str new = {h->scratch.data + 4, h->scratch.size - 4}; /* behind its length */
    return !str_is_null(old) && str_equal(new, old);
}

static Change compare_with(HistoryPage *h, const SilverRow *row, const PgResult *old, int r) {
    Change change = {.fills = row->known.is_inferred, .makes_version = row->known.is_deleted};
    for (int s = 0; s < h->n_stored; s++) {
        const Column *column = &h->page->entity->columns[h->stored[s]];
        if (column->role != ROLE_ATTRIBUTE || column->history == HISTORY_IGNORE ||
            same_bytes(h, column->type, row->record.values[h->stored[s]], pg_value(old, r, s)))
            continue;
        if (column->history == HISTORY_VERSION)
            change.makes_version = true;
        else
            change.corrects = true;
    }
    return change;
}

/* ---- when a version starts ---- */

static int64_t start_of(const SilverPage *page, SilverRow *row) {
    int index = entity_column(page->entity, STR("source_modified_at"));
    Value modified = row->record.values[index];
    bool has_current = row->known.is_found && !row->known.is_inferred;
    bool is_usable = modified.is_set && modified.number <= page->source_now_us &&
                     (!has_current || modified.number > row->known.effective_us);
    if (is_usable)
        return modified.number;
    row->record.flags |= UINT64_C(1) << FLAG_TIME_INFERRED;
    int64_t earliest = has_current ? row->known.effective_us + 1 : INT64_MIN;
    return page->received_us > earliest ? page->received_us : earliest;
}

static void set_interval(SilverRow *row, int64_t start_us, int32_t version) {
    silver_set(&row->record, "effective_date", value_number(start_us));
    silver_set(&row->record, "expiry_date", value_number(OPEN_END_US));
    silver_set(&row->record, "is_current", value_number(true));
    silver_set(&row->record, "version", value_number(version));
}

/* ---- writing ---- */

static void put_bytes(Buf *out, Str bytes) {
    if (str_is_null(bytes)) {
        buf_put_i32(out, -1);
        return;
    }
    buf_put_i32(out, (int32_t)bytes.size);
    buf_put_str(out, bytes);
}

static Carried carry(const HistoryPage *h, const PgResult *old, int r) {
    Carried carried = {.person_id = STR_NULL, .flags = pg_value(old, r, h->n_stored)};
    for (int s = 0; s < h->n_stored; s++)
        if (h->page->entity->columns[h->stored[s]].type == TYPE_UUID)
            carried.person_id = pg_value(old, r, s);
    return carried;
}

static void put_version(HistoryPage *h, const SilverRow *row, const Carried *carried) {
    silver_put_row(&h->out, h->page, &row->record, carried);
    h->n_out++;
}

/* What stands in a column of an old row that is written anew: a value of ours, or (false) its own. */
static bool replaced_value(const Column *column, const Change *change, const SilverRow *row,
                           bool is_current, int64_t next_start_us, Value *ret) {
    bool closes = is_current && change->makes_version;
    const char *name = column->name;
    int index = entity_column(row->record.entity, str_of(name));
    if (strcmp(name, "batch_id") == 0)
        *ret = row->record.values[index];
    else if (closes && strcmp(name, "expiry_date") == 0)
        *ret = value_number(next_start_us);
    else if (closes && strcmp(name, "is_current") == 0)
        *ret = value_number(false);
    else if (change->corrects && column->role == ROLE_ATTRIBUTE && column->history == HISTORY_OVERWRITE)
        *ret = row->record.values[index];
    else if (is_current && !closes &&
             (column->role == ROLE_DERIVED || strcmp(name, "record_hash") == 0 ||
              strcmp(name, "source_hash") == 0 || strcmp(name, "source_modified_at") == 0 ||
              strcmp(name, "mapping_version") == 0))
        *ret = row->record.values[index];
    else
        return false;
    return true;
}

/* Settle's flags of the old row, and that its start was inferred, which stays true of it. */
static void put_corrected_flags(HistoryPage *h, SilverRow *row, Str joined) {
    Record record = row->record;
    record.flags &= ~(UINT64_C(1) << FLAG_TIME_INFERRED);
    if (memmem(joined.at, joined.size, "time_inferred", 13))
        record.flags |= UINT64_C(1) << FLAG_TIME_INFERRED;
    silver_put_flags(&h->out, h->page, &record, joined);
}

static void put_old_row(HistoryPage *h, SilverRow *row, const Change *change, const PgResult *old, int r,
                        bool is_current, int64_t next_start_us) {
    buf_put_i16(&h->out, (int16_t)h->n_stored);
    for (int s = 0; s < h->n_stored; s++) {
        const Column *column = &h->page->entity->columns[h->stored[s]];
        Value value;
        if (is_current && !change->makes_version && column->type == TYPE_TEXTS)
            put_corrected_flags(h, row, pg_value(old, r, h->n_stored));
        else if (replaced_value(column, change, row, is_current, next_start_us, &value))
            silver_put_value(&h->out, column->type, value);
        else
            put_bytes(&h->out, pg_value(old, r, s));
    }
    h->n_out++;
    pg_array_int(&h->gone, pg_int(old, r, 0)); /* the surrogate stands first */
    h->n_gone++;
}

/* An inferred member becomes real: version 1, the same key, its own start. */
static void fill_inferred(HistoryPage *h, SilverRow *row, const PgResult *old, int r) {
    Carried carried = carry(h, old, r);
    set_interval(row, start_of(h->page, row), 1);
    silver_set_system(h->page, row, row->known.key);
    put_version(h, row, &carried);
    pg_array_int(&h->gone, row->known.key);
    h->n_gone++;
}

static void open_next_version(HistoryPage *h, SilverRow *row, const Change *change, const PgResult *old,
                              int r, int64_t key) {
    Carried carried = carry(h, old, r);
    int64_t start_us = start_of(h->page, row);
    set_interval(row, start_us, row->known.version + 1);
    silver_set_system(h->page, row, key);
    put_old_row(h, row, change, old, r, true, start_us);
    put_version(h, row, &carried);
}

static void correct_current(HistoryPage *h, SilverRow *row, const Change *change, const PgResult *old, int r) {
    silver_set_system(h->page, row, row->known.key);
    put_old_row(h, row, change, old, r, true, 0);
}

/* The row disappeared: the next version says so, with what it was. */
static bool tombstone_value(const Column *column, const SilverRow *row, int64_t key, int64_t start_us, Value *ret) {
    const char *name = column->name;
    if (column->role == ROLE_SURROGATE)
        *ret = value_number(key);
    else if (strcmp(name, "effective_date") == 0)
        *ret = value_number(start_us);
    else if (strcmp(name, "version") == 0)
        *ret = value_number(row->known.version + 1);
    else if (strcmp(name, "is_deleted") == 0)
        *ret = value_number(true);
    else if (strcmp(name, "batch_id") == 0 || strcmp(name, "made_by_batch") == 0)
        *ret = row->record.values[entity_column(row->record.entity, STR("batch_id"))];
    else
        return false;
    return true;
}

static void put_tombstone(HistoryPage *h, const SilverRow *row, const PgResult *old, int r, int64_t key,
                          int64_t start_us) {
    buf_put_i16(&h->out, (int16_t)h->n_stored);
    for (int s = 0; s < h->n_stored; s++) {
        const Column *column = &h->page->entity->columns[h->stored[s]];
        Value value;
        if (column->type == TYPE_TEXTS)
            silver_put_names(&h->out, pg_value(old, r, h->n_stored), STR("time_inferred"));
        else if (tombstone_value(column, row, key, start_us, &value))
            silver_put_value(&h->out, column->type, value);
        else
            put_bytes(&h->out, pg_value(old, r, s));
    }
    h->n_out++;
}

static void bury(HistoryPage *h, SilverRow *row, const PgResult *old, int r, int64_t key) {
    const Change closes = {.makes_version = true};
    int64_t earliest = row->known.effective_us + 1;
    int64_t start_us = h->page->received_us > earliest ? h->page->received_us : earliest;
    row->record = (Record){.entity = h->page->entity,
                           .values = ARENA_ARRAY(h->page->arena, Value, (size_t)h->page->entity->n_columns)};
    silver_set_system(h->page, row, row->known.key);
    put_old_row(h, row, &closes, old, r, true, start_us);
    put_tombstone(h, row, old, r, key, start_us);
}

static bool is_changed(const SilverRow *row) {
    return row->fate == ROW_CHANGED || (row->fate == ROW_GONE && known_can_go(&row->known));
}

/* The page's row of an old row: by id, which is a stored column. */
static SilverRow *row_of(HistoryPage *h, const RowIndex *index, const PgResult *old, int r) {
    for (int s = 0; s < h->n_stored; s++)
        if (h->page->entity->columns[h->stored[s]].role == ROLE_ID)
            return row_index_find(index, pg_value(old, r, s));
    return NULL;
}

static bool fetch_current(HistoryPage *h, PgResult **ret_old, Error *err) {
    CLEANUP(buf_drop) Buf keys;
    buf_init(&keys, PAGE_MAX_BYTES);
    pg_array_begin(&keys);
    int n_changed = 0;
    for (size_t i = 0; i < h->page->n_rows; i++)
        if (is_changed(&h->page->rows[i])) {
            pg_array_int(&keys, h->page->rows[i].known.key);
            n_changed++;
        }
    const char *array = pg_array_end(&keys, err);
    TRY(array);
    *ret_old = pg_query_as(h->pg, PG_BINARY, fill(h->page, SQL_HISTORY_CURRENT), PG_PARAMS(array), err);
    TRY(*ret_old);
    if (pg_rows(*ret_old) != n_changed)
        return error_set(err, STATE_CONFLICT, "%s: rows changed while a page was placed",
                         h->page->entity->name);
    return true;
}

static bool write_current(HistoryPage *h, const RowIndex *index, const PgResult *old, Error *err) {
    int64_t *keys;
    TRY(silver_take_keys(h->pg, h->page->entity, (size_t)pg_rows(old) + 1, h->page->arena, &keys, err));
    for (int r = 0; r < pg_rows(old); r++) {
        SilverRow *row = row_of(h, index, old, r);
        if (row->fate == ROW_GONE) {
            bury(h, row, old, r, *keys++);
            continue;
        }
        Change change = compare_with(h, row, old, r);
        h->changes[row - h->page->rows] = change;
        if (change.fills)
            fill_inferred(h, row, old, r);
        else if (change.makes_version)
            open_next_version(h, row, &change, old, r, *keys++);
        else
            correct_current(h, row, &change, old, r);
    }
    return true;
}

/* Older versions of rows whose `overwrite` attributes changed. */
static bool correct_older(HistoryPage *h, const RowIndex *index, Error *err) {
    CLEANUP(buf_drop) Buf ids;
    buf_init(&ids, PAGE_MAX_BYTES);
    pg_array_begin(&ids);
    for (size_t i = 0; i < h->page->n_rows; i++)
        if (h->changes[i].corrects)
            pg_array_text(&ids, h->page->rows[i].id);
    if (ids.size == 1)
        return true;
    const char *array = pg_array_end(&ids, err);
    TRY(array);
    CLEANUP(pg_result_drop) PgResult *old =
        pg_query_as(h->pg, PG_BINARY, fill(h->page, SQL_HISTORY_OLDER),
                    PG_PARAMS(array, h->page->source_system), err);
    TRY(old);
    for (int r = 0; r < pg_rows(old); r++) {
        SilverRow *row = row_of(h, index, old, r);
        put_old_row(h, row, &h->changes[row - h->page->rows], old, r, false, 0);
    }
    return true;
}

static bool remove_gone(HistoryPage *h, Error *err) {
    if (h->n_gone == 0)
        return true;
    const char *array = pg_array_end(&h->gone, err);
    TRY(array);
    int64_t n_removed = 0;
    TRY(pg_exec(h->pg, fill(h->page, SQL_HISTORY_REMOVE), PG_PARAMS(array), &n_removed, err));
    if (n_removed != h->n_gone)
        return error_set(err, STATE_CONFLICT, "%s: versions changed while a page was placed",
                         h->page->entity->name);
    return true;
}

static bool put_new(HistoryPage *h, Error *err) {
    size_t n_new = silver_count(h->page, ROW_NEW);
    if (n_new == 0)
        return true;
    int64_t *keys;
    TRY(silver_take_keys(h->pg, h->page->entity, n_new, h->page->arena, &keys, err));
    for (size_t i = 0; i < h->page->n_rows; i++) {
        SilverRow *row = &h->page->rows[i];
        if (row->fate != ROW_NEW)
            continue;
        set_interval(row, start_of(h->page, row), 1);
        silver_set_system(h->page, row, *keys++);
        put_version(h, row, NULL);
    }
    return true;
}

static bool send_rows(HistoryPage *h, Error *err) {
    const SilverPage *page = h->page;
    CLEANUP(row_stream_drop) RowStream out;
    TRY(row_stream_begin(&out, h->pg, silver_copy_statement(page->arena, page->entity->name, page->entity), err));
    TRY(pg_copy_put(h->pg, &out.rows, err) && pg_copy_put(h->pg, &h->out, err));
    buf_clear(&out.rows);
    out.n_rows = h->n_out;
    return row_stream_end(&out, err);
}

bool history_write(Pg *pg, SilverPage *page, Error *err) {
    CLEANUP(history_page_drop) HistoryPage h;
    history_page_init(&h, pg, page);
    const RowIndex *index = row_index_make(page->arena, page);
    CLEANUP(pg_result_drop) PgResult *old = NULL; /* its bytes are copied from until the end */
    if (silver_count(page, ROW_CHANGED) + silver_count(page, ROW_GONE) > 0) {
        TRY(fetch_current(&h, &old, err));
        TRY(write_current(&h, index, old, err));
        TRY(correct_older(&h, index, err));
        TRY(remove_gone(&h, err));
    }
    TRY(put_new(&h, err));
    TRY(h.n_out == 0 || send_rows(&h, err));
    return silver_touch(pg, page, err);
}
