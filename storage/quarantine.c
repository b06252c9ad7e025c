/* quarantine.c - see quarantine.h. */
#include "storage/quarantine.h"

#include "base/own.h"
#include "sql.h"
#include "storage/bronze.h"

#include <stdio.h>
#include <unistr.h>

enum { PAGE_MAX_BYTES = 256 << 20 };

static SilverRow *row_of_hash(SilverPage *page, int64_t source_hash) {
    for (size_t i = 0; i < page->n_rows; i++)
        if (str_is_null(page->rows[i].id) && page->rows[i].source_hash == source_hash)
            return &page->rows[i];
    return NULL;
}

static void take_held(SilverPage *page, const PgResult *found) {
    const RowIndex *index = row_index_make(page->arena, page);
    for (int r = 0; r < pg_rows(found); r++) {
        Str id = pg_value(found, r, 0);
        SilverRow *row = str_is_null(id) ? row_of_hash(page, pg_int(found, r, 1))
                                         : row_index_find(index, id);
        if (row)
            row->held = (Held){.is_found = true, .source_hash = pg_int(found, r, 1),
                               .mapping_version = (int32_t)pg_int(found, r, 2)};
    }
}

static bool has_entries(Pg *pg, const char *feed, bool *ret_has, Error *err) {
    CLEANUP(pg_result_drop) PgResult *any = pg_query(pg, SQL_QUARANTINE_ANY, PG_PARAMS(feed), err);
    TRY(any);
    *ret_has = pg_bool(any, 0, 0);
    return true;
}

bool quarantine_look_up(Pg *pg, const char *feed, SilverPage *page, Error *err) {
    bool has;
    TRY(has_entries(pg, feed, &has, err));
    if (!has)
        return true;
    CLEANUP(buf_drop) Buf ids;
    CLEANUP(buf_drop) Buf hashes;
    buf_init(&ids, PAGE_MAX_BYTES);
    buf_init(&hashes, PAGE_MAX_BYTES);
    pg_array_begin(&ids);
    pg_array_begin(&hashes);
    for (size_t i = 0; i < page->n_rows; i++) {
        if (str_is_null(page->rows[i].id))
            pg_array_int(&hashes, page->rows[i].source_hash);
        else
            pg_array_text(&ids, page->rows[i].id);
    }
    const char *id_array = pg_array_end(&ids, err), *hash_array = pg_array_end(&hashes, err);
    TRY(id_array && hash_array);
    CLEANUP(pg_result_drop) PgResult *found = pg_query_as(
        pg, PG_BINARY, SQL_QUARANTINE_LOOK_UP, PG_PARAMS(feed, id_array, hash_array, page->source_system), err);
    TRY(found);
    take_held(page, found);
    return true;
}

/* A field as JSON text can hold it: as it is, or with the bytes that no text holds escaped. */
static void put_field(Buf *array, Buf *scratch, Str field) {
    bool fits = str_is_null(field) || (!memchr(field.at, 0, field.size) &&
                                       !u8_check((const uint8_t *)field.at, field.size));
    if (!fits) {
        buf_clear(scratch);
        bronze_pack(scratch, &field, 1);
        field = buf_str(scratch);
    }
    pg_array_text(array, field);
}

static bool insert_entry(Pg *pg, const char *feed, const char *names, size_t n_columns,
                         const SilverPage *page, const SilverRow *row, Error *err) {
    CLEANUP(buf_drop) Buf values;
    CLEANUP(buf_drop) Buf scratch;
    buf_init(&values, PAGE_MAX_BYTES);
    buf_init(&scratch, PAGE_MAX_BYTES);
    pg_array_begin(&values);
    for (size_t i = 0; i < n_columns; i++)
        put_field(&values, &scratch, row->fields[i]);
    const char *array = pg_array_end(&values, err);
    TRY(array);
    char file[24], line[24], hash[24], version[24], batch[24];
    snprintf(file, sizeof file, "%lld", (long long)page->file_id);
    snprintf(line, sizeof line, "%lld", (long long)row->line);
    snprintf(hash, sizeof hash, "%lld", (long long)row->source_hash);
    snprintf(version, sizeof version, "%d", page->mapping_version);
    snprintf(batch, sizeof batch, "%lld", (long long)page->batch_id);
    const char *id = str_is_null(row->id) ? NULL : arena_string(page->arena, row->id);
    return pg_exec(pg, SQL_QUARANTINE_INSERT,
                   PG_PARAMS(feed, page->source_system, id, names, array, row->record.reject_rule,
                             row->record.reject_reason, page->file_id ? file : NULL,
                             row->line ? line : NULL, hash, version, batch), NULL, err);
}

/* Every row with an entry and another content: the entry is history, whatever becomes of the row. */
static bool supersede(Pg *pg, const char *feed, const SilverPage *page, Error *err) {
    CLEANUP(buf_drop) Buf ids;
    buf_init(&ids, PAGE_MAX_BYTES);
    pg_array_begin(&ids);
    for (size_t i = 0; i < page->n_rows; i++) {
        const SilverRow *row = &page->rows[i];
        if (row->held.is_found && !str_is_null(row->id) && row->fate != ROW_SAME)
            pg_array_text(&ids, row->id);
    }
    if (ids.size == 1)
        return true;
    const char *array = pg_array_end(&ids, err);
    TRY(array);
    return pg_exec(pg, SQL_QUARANTINE_SUPERSEDE, PG_PARAMS(feed, array, page->source_system), NULL, err);
}

/* Of a claim's rows every one counts, also several in a page: the last of them stays open. */
static bool supersede_one(Pg *pg, const char *feed, const SilverPage *page, Str id, Error *err) {
    CLEANUP(buf_drop) Buf ids;
    buf_init(&ids, PAGE_MAX_BYTES);
    pg_array_begin(&ids);
    pg_array_text(&ids, id);
    const char *array = pg_array_end(&ids, err);
    TRY(array);
    return pg_exec(pg, SQL_QUARANTINE_SUPERSEDE, PG_PARAMS(feed, array, page->source_system), NULL, err);
}

bool quarantine_write(Pg *pg, const char *feed, const Field *columns, size_t n_columns,
                      const SilverPage *page, Error *err) {
    TRY(supersede(pg, feed, page, err));
    if (silver_count(page, ROW_REJECTED) == 0)
        return true;
    CLEANUP(buf_drop) Buf names;
    buf_init(&names, PAGE_MAX_BYTES);
    pg_array_begin(&names);
    for (size_t i = 0; i < n_columns; i++)
        pg_array_text(&names, str_of(columns[i].name));
    const char *array = pg_array_end(&names, err);
    TRY(array);
    for (size_t i = 0; i < page->n_rows; i++) {
        const SilverRow *row = &page->rows[i];
        if (row->fate != ROW_REJECTED)
            continue;
        if (page->entity->kind == ENTITY_CLAIM && !str_is_null(row->id))
            TRY(supersede_one(pg, feed, page, row->id, err));
        TRY(insert_entry(pg, feed, array, n_columns, page, row, err));
    }
    return true;
}
