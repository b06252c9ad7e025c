/* state.c - see state.h. */
#include "storage/state.h"

#include "base/clock.h"
#include "base/own.h"
#include "sql.h"

#include <stdio.h>

enum { ARRAY_MAX_BYTES = 16 << 20 };

bool state_source(Pg *pg, const char *source_system, const char *zone, Error *err) {
    return pg_exec(pg, SQL_STATE_SOURCE, PG_PARAMS(source_system, zone), NULL, err);
}

bool state_source_hold(Pg *pg, const char *source_system, Error *err) {
    CLEANUP(pg_result_drop) PgResult *row = pg_query(pg, SQL_STATE_SOURCE_HOLD, PG_PARAMS(source_system), err);
    TRY(row);
    bool is_renamed = pg_rows(row) == 1 && !str_is_null(pg_value(row, 0, 0));
    return !is_renamed || error_set(err, STATE_CONFIG, "source %s was renamed: its rows bear the name %s",
                                          source_system, pg_text(row, 0, 0));
}

bool state_feed(Pg *pg, const char *feed, const char *entity, bool tells_past, Error *err) {
    return pg_exec(pg, SQL_STATE_FEED, PG_PARAMS(feed, entity, tells_past ? "past" : "now"), NULL, err);
}

/* The elements of a text[] in binary form (array_recv), copied. */
static size_t parse_array(Arena *arena, Str array, Str **ret_items) {
    const uint8_t *at = (const uint8_t *)array.at;
    if (array.size < 20)
        return 0;
    uint32_t n;
    memcpy(&n, at + 12, sizeof n);
    n = __builtin_bswap32(n);
    Str *items = ARENA_ARRAY(arena, Str, n);
    at += 20;
    for (uint32_t i = 0; i < n; i++) {
        int32_t size;
        memcpy(&size, at, sizeof size);
        size = (int32_t)__builtin_bswap32((uint32_t)size);
        at += 4;
        items[i] = size < 0 ? STR_NULL : arena_copy(arena, (Str){(const char *)at, (size_t)size});
        at += size < 0 ? 0 : size;
    }
    *ret_items = items;
    return n;
}

bool state_cursor_read(Pg *pg, const char *feed, Arena *arena, CursorState *ret_cursor, Error *err) {
    CLEANUP(pg_result_drop) PgResult *row =
        pg_query_as(pg, PG_BINARY, SQL_STATE_CURSOR_READ, PG_PARAMS(feed), err);
    TRY(row);
    *ret_cursor = (CursorState){.is_loading = true};
    if (pg_rows(row) == 0)
        return true;
    Str position = pg_value(row, 0, 3);
    CursorState cursor = {
        .page = pg_int(row, 0, 0),
        .is_loading = str_equal(pg_value(row, 0, 1), STR("load")),
        .position = str_is_null(position) ? NULL : arena_string(arena, position),
        .server = pg_int(row, 0, 4),
        .clock_ahead_us = pg_int(row, 0, 5),
    };
    cursor.n_load_key = parse_array(arena, pg_value(row, 0, 2), &cursor.load_key);
    *ret_cursor = cursor;
    return true;
}

bool state_cursor_open(Pg *pg, const char *feed, int64_t epoch, Arena *arena, CursorState *ret_cursor,
                       Error *err) {
    TRY(pg_exec(pg, SQL_STATE_CURSOR_BEGIN, PG_PARAMS(feed, pg_number(epoch).text), NULL, err));
    return state_cursor_read(pg, feed, arena, ret_cursor, err);
}

static bool lock_cursor(Pg *pg, const char *sql, const char *feed, int64_t epoch, int64_t page, Error *err) {
    CLEANUP(pg_result_drop) PgResult *row = pg_query(pg, sql, PG_PARAMS(feed, pg_number(epoch).text, pg_number(page).text), err);
    TRY(row);
    if (pg_rows(row) == 1)
        return true;
    return error_set(err, STATE_CONFLICT, "feed %s: another run moved the cursor; the page is dropped", feed);
}

bool state_cursor_lock(Pg *pg, const char *feed, int64_t epoch, int64_t page, Error *err) {
    return lock_cursor(pg, SQL_STATE_CURSOR_LOCK, feed, epoch, page, err);
}

bool state_cursor_lock_now(Pg *pg, const char *feed, int64_t epoch, int64_t page, Error *err) {
    return lock_cursor(pg, SQL_STATE_CURSOR_LOCK_NOW, feed, epoch, page, err);
}

bool state_cursor_lock_beside(Pg *pg, const char *feed, int64_t epoch, Error *err) {
    CLEANUP(pg_result_drop) PgResult *row =
        pg_query(pg, SQL_STATE_CURSOR_LOCK_BESIDE, PG_PARAMS(feed, pg_number(epoch).text), err);
    TRY(row);
    if (pg_rows(row) == 1)
        return true;
    return error_set(err, STATE_CONFLICT, "feed %s: another daemon has it meanwhile", feed);
}

bool state_cursor_write(Pg *pg, const char *feed, CursorState *cursor, Error *err) {
    CLEANUP(buf_drop) Buf keys = pg_array(ARRAY_MAX_BYTES);
    pg_array_texts(&keys, cursor->load_key, cursor->n_load_key);
    const char *array = pg_array_end(&keys, err);
    TRY(array);
    TRY(pg_exec(pg, SQL_STATE_CURSOR_WRITE,
                PG_PARAMS(feed, cursor->is_loading ? "load" : "follow",
                          cursor->n_load_key ? array : NULL, cursor->position,
                          pg_number(cursor->server).text, pg_number(cursor->clock_ahead_us).text), NULL, err));
    cursor->page++;
    return true;
}

bool state_counter_read(Pg *pg, const char *feed, CounterMemory ret_counter[static 2], Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_STATE_COUNTER_READ, PG_PARAMS(feed), err);
    TRY(rows);
    int64_t now_us = clock_monotonic_us();
    for (int r = 0; r < pg_rows(rows) && r < 2; r++) {
        CounterMemory *seen = &ret_counter[r];
        snprintf(seen->value, sizeof seen->value, "%s", pg_text(rows, r, 0));
        seen->seen_us = seen->value[0] ? now_us - pg_int(rows, r, 1) : 0;
    }
    return true;
}

bool state_counter_write(Pg *pg, const char *feed, int64_t epoch, const CounterMemory counter[static 2], Error *err) {
    int64_t now_us = clock_monotonic_us();
    return pg_exec(pg, SQL_STATE_COUNTER_WRITE,
                   PG_PARAMS(feed, pg_number(epoch).text, counter[0].value, counter[1].value,
                             pg_number(now_us - counter[0].seen_us).text, pg_number(now_us - counter[1].seen_us).text),
                   NULL, err);
}

bool state_placement_lock_shared(Pg *pg, Error *err) {
    return pg_exec(pg, SQL_PLACEMENT_LOCK_SHARED, PG_NONE, NULL, err);
}

bool state_claims_lock(Pg *pg, const char *source_system, Error *err) {
    return pg_exec(pg, SQL_CLAIMS_LOCK, PG_PARAMS(source_system), NULL, err);
}

bool state_patience(Pg *pg, const char *most, Error *err) {
    return pg_exec(pg, SQL_STATE_PATIENCE, PG_PARAMS(most), NULL, err);
}

bool state_haste(Pg *pg, const char *most, Error *err) {
    return pg_exec(pg, SQL_STATE_HASTE, PG_PARAMS(most), NULL, err);
}

bool state_placement_lock_alone(Pg *pg, Error *err) {
    return pg_exec(pg, SQL_PLACEMENT_LOCK_EXCLUSIVE, PG_NONE, NULL, err);
}

bool state_read_only(Pg *pg, bool is_read_only, Error *err) {
    return pg_exec(pg, is_read_only ? SQL_SESSION_READ_ONLY : SQL_SESSION_READ_WRITE, PG_NONE, NULL, err);
}

bool state_schema(Pg *pg, const char *feed, const char *const *columns, const char *const *types,
                  size_t n, int64_t *ret_schema_id, bool *ret_is_new, Error *err) {
    CLEANUP(buf_drop) Buf column_buf = pg_array(ARRAY_MAX_BYTES);
    CLEANUP(buf_drop) Buf type_buf = pg_array(ARRAY_MAX_BYTES);
    pg_array_names(&column_buf, columns, n);
    pg_array_names(&type_buf, types, n);
    const char *column_array = pg_array_end(&column_buf, err), *type_array = pg_array_end(&type_buf, err);
    TRY(column_array && type_array);
    const PgParams *params = PG_PARAMS(feed, column_array, type_array);
    CLEANUP(pg_result_drop) PgResult *found = pg_query(pg, SQL_STATE_SCHEMA_FIND, params, err);
    TRY(found);
    *ret_is_new = pg_rows(found) == 0;
    if (!*ret_is_new) {
        *ret_schema_id = pg_int(found, 0, 0);
        return true;
    }
    CLEANUP(pg_result_drop) PgResult *made = pg_query(pg, SQL_STATE_SCHEMA_INSERT, params, err);
    TRY(made);
    if (pg_rows(made) == 0)
        return error_set(err, STATE_CONFLICT, "feed %s: another run described it meanwhile", feed);
    *ret_schema_id = pg_int(made, 0, 0);
    return true;
}

static void put_hex(const uint8_t fingerprint[16], char ret_hex[33]) {
    for (int i = 0; i < 16; i++)
        snprintf(ret_hex + 2 * i, 3, "%02x", fingerprint[i]);
}

bool state_mapping_read(Pg *pg, const char *feed, const uint8_t fingerprint[16], int32_t *ret_version,
                        bool *ret_is_new, Error *err) {
    char hex[33];
    put_hex(fingerprint, hex);
    CLEANUP(pg_result_drop) PgResult *latest =
        pg_query(pg, SQL_STATE_MAPPING_LATEST, PG_PARAMS(feed, hex), err);
    TRY(latest);
    *ret_is_new = pg_rows(latest) == 0 || !pg_bool(latest, 0, 1);
    *ret_version = (int32_t)((pg_rows(latest) ? pg_int(latest, 0, 0) : 0) + *ret_is_new);
    return true;
}

bool state_mapping(Pg *pg, const char *feed, const uint8_t fingerprint[16], int32_t *ret_version,
                   Error *err) {
    char hex[33];
    bool is_new;
    put_hex(fingerprint, hex);
    TRY(state_mapping_read(pg, feed, fingerprint, ret_version, &is_new, err));
    return !is_new || pg_exec(pg, SQL_STATE_MAPPING_ADD, PG_PARAMS(feed, pg_number(*ret_version).text, hex), NULL, err);
}

bool state_batch_id(Pg *pg, int64_t *ret_batch_id, Error *err) {
    CLEANUP(pg_result_drop) PgResult *row = pg_query(pg, SQL_STATE_BATCH_ID, PG_NONE, err);
    TRY(row);
    *ret_batch_id = pg_int(row, 0, 0);
    return true;
}

bool state_batch_write(Pg *pg, int64_t batch_id, int64_t run_id, const char *feed,
                       const BatchCounts *counts, Error *err) {
    return pg_exec(pg, SQL_STATE_BATCH_WRITE,
                   PG_PARAMS(pg_number(batch_id).text, run_id ? pg_number(run_id).text : NULL, feed,
                             pg_number(counts->rows_read).text, pg_number(counts->rows_changed).text,
                             pg_number(counts->rows_new).text, pg_number(counts->rows_flagged).text,
                             pg_number(counts->rows_quarantined).text),
                   NULL, err);
}

bool state_batch_settled(Pg *pg, int64_t batch_id, Error *err) {
    return pg_exec(pg, SQL_STATE_BATCH_SETTLED, PG_PARAMS(pg_number(batch_id).text), NULL, err);
}

bool state_result_write(Pg *pg, int64_t batch_id, const char *feed, int64_t checked,
                        const RuleCount *rules, size_t n_rules, Error *err) {
    if (n_rules == 0)
        return true;
    CLEANUP(buf_drop) Buf names = pg_array(ARRAY_MAX_BYTES);
    CLEANUP(buf_drop) Buf counts = pg_array(ARRAY_MAX_BYTES);
    for (size_t i = 0; i < n_rules; i++) {
        pg_array_text(&names, str_of(rules[i].rule));
        pg_array_int(&counts, rules[i].failed);
    }
    const char *name_array = pg_array_end(&names, err), *count_array = pg_array_end(&counts, err);
    TRY(name_array && count_array);
    return pg_exec(pg, SQL_STATE_RESULT_WRITE,
                   PG_PARAMS(pg_number(batch_id).text, feed, pg_number(checked).text, name_array, count_array),
                   NULL, err);
}

bool state_attributes_write(Pg *pg, int64_t batch_id, const AttributeChange *changes, size_t n, Error *err) {
    if (n == 0)
        return true;
    CLEANUP(buf_drop) Buf names = pg_array(ARRAY_MAX_BYTES);
    CLEANUP(buf_drop) Buf versions = pg_array(ARRAY_MAX_BYTES);
    CLEANUP(buf_drop) Buf corrected = pg_array(ARRAY_MAX_BYTES);
    for (size_t i = 0; i < n; i++) {
        pg_array_text(&names, str_of(changes[i].attribute));
        pg_array_int(&versions, changes[i].versions);
        pg_array_int(&corrected, changes[i].corrected);
    }
    const char *name_array = pg_array_end(&names, err), *version_array = pg_array_end(&versions, err);
    const char *corrected_array = pg_array_end(&corrected, err);
    TRY(name_array && version_array && corrected_array);
    return pg_exec(pg, SQL_STATE_ATTRIBUTES_WRITE,
                   PG_PARAMS(pg_number(batch_id).text, name_array, version_array, corrected_array), NULL, err);
}
