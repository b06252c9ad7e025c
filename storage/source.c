/* source.c - see source.h. */
#include "storage/source.h"

#include "base/own.h"
#include "sql.h"
#include "storage/template.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    FRAGMENT_MAX_BYTES = 1 << 20,
    TEXTS_MAX_BYTES = 64 << 20,
    SPELLINGS_MAX = 64, /* of one text, on average: a unique key allows few */
    UNKNOWN_AGE_S = 60
};
static const SourceLimits ONE_ROW = {1, 1 << 16};

/* A value compared with a numeric column is written as a number, so that its index serves. */
static void put_value(Buf *sql, const Field *field, Str value) {
    if (field->kind == FIELD_BINARY) {
        buf_put_str(sql, STR("UNHEX("));
        my_put_text(sql, value);
        buf_put_byte(sql, ')');
    } else if (field->kind != FIELD_NUMBER || !my_put_number(sql, value)) {
        my_put_text(sql, value);
    }
}

/* Behind a key, written out with OR: (a > x) OR (a = x AND b > y). MySQL uses an index poorly for
 * (a, b) > (x, y). */
static const char *after_condition(Arena *arena, const SourceTable *table, const Str *after_key) {
    if (!after_key)
        return "TRUE";
    Buf sql;
    buf_init(&sql, FRAGMENT_MAX_BYTES);
    for (size_t i = 0; i < table->n_key; i++) {
        buf_put_str(&sql, i == 0 ? STR("(") : STR(" OR ("));
        for (size_t j = 0; j <= i; j++) {
            const Field *field = &table->fields[table->key[j]];
            if (j > 0)
                buf_put_str(&sql, STR(" AND "));
            source_put_key_column(&sql, table, table->key[j]);
            buf_put_str(&sql, j == i ? STR(" > ") : STR(" = "));
            put_value(&sql, field, after_key[j]);
        }
        buf_put_byte(&sql, ')');
    }
    return source_take(arena, &sql);
}

static const char *rows_text(Arena *arena, SourceLimits limits) {
    return arena_printf(arena, "%zu", limits.rows);
}

bool source_read_load(My *my, const SourceTable *table, const Str *after_key, SourceLimits limits,
                      Arena *arena, MyPage *ret_page, Error *err) {
    const char *sql = sql_fill(arena, SQL_SOURCE_LOAD, {"columns", table->select_list},
                               {"table", table->quoted}, {"keyed", table->keyed},
                               {"after", after_condition(arena, table, after_key)},
                               {"key", table->quoted_key}, {"rows", rows_text(arena, limits)});
    return my_read(my, sql, limits.rows, limits.bytes, arena, ret_page, err);
}

bool source_read_follow(My *my, const SourceTable *table, Str position, const Str *after_key,
                        SourceLimits limits, Arena *arena, MyPage *ret_page, Error *err) {
    const char *sql = sql_fill(arena, SQL_SOURCE_FOLLOW, {"columns", table->select_list},
                               {"table", table->quoted}, {"keyed", table->keyed}, {"cursor", table->quoted_cursor},
                               {"position", source_literal(arena, position)},
                               {"after", after_condition(arena, table, after_key)},
                               {"key", table->quoted_key}, {"rows", rows_text(arena, limits)});
    return my_read(my, sql, limits.rows, limits.bytes, arena, ret_page, err);
}

bool source_read_null_cursor(My *my, const SourceTable *table, const Str *after_key,
                             SourceLimits limits, Arena *arena, MyPage *ret_page, Error *err) {
    const char *sql = sql_fill(arena, SQL_SOURCE_NULL_CURSOR, {"columns", table->select_list},
                               {"table", table->quoted}, {"keyed", table->keyed}, {"cursor", table->quoted_cursor},
                               {"after", after_condition(arena, table, after_key)},
                               {"key", table->quoted_key}, {"rows", rows_text(arena, limits)});
    return my_read(my, sql, limits.rows, limits.bytes, arena, ret_page, err);
}

/* What a row holds, NULL distinct from every text. */
static const char *content_list(Arena *arena, const SourceTable *table) {
    Buf list;
    buf_init(&list, FRAGMENT_MAX_BYTES);
    for (size_t i = 0; i < table->n_fields; i++) {
        source_put_between(&list, ", ");
        buf_put_str(&list, STR("IFNULL("));
        source_put_rendered(&list, table, i);
        buf_put_str(&list, STR(", X'01')"));
    }
    return source_take(arena, &list);
}

bool source_read_keyless(My *my, const SourceTable *table, size_t n_before, SourceLimits limits,
                         Arena *arena, MyPage *ret_page, Error *err) {
    const char *sql = sql_fill(arena, SQL_SOURCE_KEYLESS, {"columns", table->select_list},
                               {"table", table->quoted}, {"keyless", table->keyless},
                               {"content", content_list(arena, table)}, {"rows", rows_text(arena, limits)},
                               {"skipped", arena_printf(arena, "%zu", n_before)});
    return my_read(my, sql, limits.rows, limits.bytes, arena, ret_page, err);
}

bool source_find_texts(My *my, const SourceTable *table, int field, const Str *texts, size_t n,
                       Arena *arena, MyPage *ret_page, Error *err) {
    Buf list, column;
    buf_init(&list, TEXTS_MAX_BYTES);
    buf_init(&column, FRAGMENT_MAX_BYTES);
    source_put_key_column(&column, table, field);
    for (size_t i = 0; i < n; i++) {
        source_put_between(&list, ", ");
        my_put_text(&list, texts[i]);
    }
    const char *sql = sql_fill(arena, SQL_SOURCE_FIND_TEXTS, {"column", source_take(arena, &column)},
                               {"table", table->quoted}, {"texts", source_take(arena, &list)});
    TRY(my_read(my, sql, SPELLINGS_MAX * n, TEXTS_MAX_BYTES, arena, ret_page, err));
    if (!ret_page->is_cut)
        return true;
    error_set(err, STATE_CONFIG, "table %s: more than %d spellings of an id, blanks at its ends and case set aside",
              table->name, SPELLINGS_MAX);
    return error_hint(err, "use a unique column as `key` of the feed");
}

/* "2026-03-01 12:00:00.123456" as microseconds, taken for UTC. */
static bool parse_time(Str text, int64_t *ret_us) {
    char copy[32];
    if (text.size < 19 || text.size >= sizeof copy)
        return false;
    memcpy(copy, text.at, text.size);
    copy[text.size] = '\0';
    struct tm parts = {0};
    const char *rest = strptime(copy, "%Y-%m-%d %H:%M:%S", &parts);
    if (!rest)
        return false;
    int64_t micros = 0, scale = 100000;
    for (rest += *rest == '.'; *rest; rest++, scale /= 10)
        micros += (*rest - '0') * scale;
    *ret_us = (int64_t)timegm(&parts) * 1000000 + micros;
    return true;
}

/* A time as a literal of the cursor's type, its fraction cut to the type's digits (never rounded up). */
static const char *format_position(Arena *arena, const SourceTable *table, int64_t us) {
    time_t seconds = (time_t)(us / 1000000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    char day[32], text[48];
    strftime(day, sizeof day, table->cursor_kind == CURSOR_DATE ? "%Y-%m-%d" : "%Y-%m-%d %H:%M:%S", &parts);
    snprintf(text, sizeof text, "%s.%06d", day, (int)(us % 1000000));
    size_t digits = (size_t)table->cursor_digits;
    size_t size = strlen(day) + (table->cursor_kind != CURSOR_DATE && digits > 0 ? 1 + digits : 0);
    return arena_string(arena, (Str){text, size});
}

/* Where the account may not know, a writer may be as old as UNKNOWN_AGE_S. */
static int64_t oldest_age_us(My *my, Arena *arena) {
    Error ignored = {0};
    MyPage page;
    const char *sql = my_is_mariadb(my) ? SQL_SOURCE_OLDEST_MARIADB : SQL_SOURCE_OLDEST_MYSQL;
    int64_t seconds = UNKNOWN_AGE_S;
    if (my_exec(my, SQL_SOURCE_ZONE_OF_SERVER, &ignored) &&
        my_read(my, sql, ONE_ROW.rows, ONE_ROW.bytes, arena, &page, &ignored) &&
        !str_to_int64(page.fields[0], &seconds))
        seconds = UNKNOWN_AGE_S;
    return seconds * 1000000;
}

/* Leaves the session in UTC, as every read of rows wants it; source_describe() makes sure of that again
 * at the start of the next run, should this one be cut between the two. */
static bool read_clock(My *my, Arena *arena, MyPage *ret_page, int64_t *ret_age_us, Error *err) {
    TRY(my_exec(my, SQL_SOURCE_ZONE_OF_WRITERS, err));
    TRY(my_read(my, SQL_SOURCE_CLOCK, ONE_ROW.rows, ONE_ROW.bytes, arena, ret_page, err));
    *ret_age_us = oldest_age_us(my, arena);
    return my_exec(my, SQL_SOURCE_ZONE_UTC, err);
}

bool source_clock(My *my, const SourceTable *table, const Zone *zone, int64_t margin_us, Arena *arena,
                  SourceClock *ret_clock, Error *err) {
    MyPage page;
    int64_t utc_us, civil_us, age_us;
    TRY(read_clock(my, arena, &page, &age_us, err));
    if (!parse_time(page.fields[0], &utc_us) || !parse_time(page.fields[1], &civil_us))
        return error_set(err, STATE_BUG, "the hospital's server tells a time we cannot read");
    int64_t base_us = table->cursor_kind == CURSOR_INSTANT ? utc_us : civil_us - zone_set_back(zone, utc_us);
    ret_clock->now_us = utc_us;
    ret_clock->position = table->cursor_kind == CURSOR_NONE
                              ? ""
                              : format_position(arena, table, base_us - margin_us - age_us);
    return true;
}
