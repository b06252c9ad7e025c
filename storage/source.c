/* source.c - see source.h. */
#include "storage/source.h"

#include "base/own.h"
#include "sql.h"
#include "storage/template.h"
#include "transform/date.h"
#include "transform/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    FRAGMENT_MAX_BYTES = 1 << 20,
    TEXTS_MAX_BYTES = 64 << 20,
    DIRTY_MAX_BYTES = 16 << 20,
    SPELLINGS_MAX = 64, /* of one text, on average: a unique key allows few */
    FINEST_DIGITS = 6
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
 * (a, b) > (x, y). Where several rows may have one key, from it on: those behind it are not passed over, and
 * what was read already is known by its hash. */
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
            bool is_open = j == i && (table->key_is_unique || i + 1 < table->n_key);
            buf_put_str(&sql, is_open ? STR(" > ") : j == i ? STR(" >= ") : STR(" = "));
            put_value(&sql, field, after_key[j]);
        }
        buf_put_byte(&sql, ')');
    }
    return source_take(arena, &sql);
}

static const char *rows_text(Arena *arena, SourceLimits limits) {
    return arena_printf(arena, "%zu", limits.rows);
}

/* A page that ends with the key it began behind, though there is more: no page gets further. */
static bool check_progress(const SourceTable *table, const Str *after_key, SourceLimits limits, const MyPage *page,
                           Error *err) {
    bool may_be_stuck = after_key && !table->key_is_unique && page->n_rows > 0 &&
                        (page->is_cut || page->n_rows == limits.rows);
    const Str *last = may_be_stuck ? page->fields + (page->n_rows - 1) * page->n_fields : NULL;
    for (size_t i = 0; may_be_stuck && i < table->n_key; i++)
        may_be_stuck = str_equal_nocase(last[table->key[i]], after_key[i]);
    if (!may_be_stuck)
        return true;
    error_set(err, STATE_CONFIG, "table %s: a whole page of rows has the same `key`, and no index makes it unique",
              table->name);
    return error_hint(err, "use unique columns as `key` of the feed, or raise `page_rows` and `page_bytes`");
}

bool source_read_load(My *my, const SourceTable *table, const Str *after_key, SourceLimits limits,
                      Arena *arena, MyPage *ret_page, Error *err) {
    const char *sql = sql_fill(arena, SQL_SOURCE_LOAD, {"columns", table->select_list},
                               {"table", table->quoted}, {"keyed", table->keyed},
                               {"after", after_condition(arena, table, after_key)},
                               {"key", table->quoted_key}, {"rows", rows_text(arena, limits)});
    TRY(my_read(my, sql, limits.rows, limits.bytes, arena, ret_page, err));
    return check_progress(table, after_key, limits, ret_page, err);
}

static const char *cursor_value(Arena *arena, const SourceTable *table, Str value) {
    Buf out;
    buf_init(&out, FRAGMENT_MAX_BYTES);
    put_value(&out, &table->fields[table->cursor], value);
    return source_take(arena, &out);
}

static const char *before_condition(Arena *arena, const SourceTable *table, Str until) {
    if (str_is_null(until))
        return "TRUE";
    return arena_printf(arena, "%s < %s", table->quoted_cursor, cursor_value(arena, table, until));
}

bool source_read_follow(My *my, const SourceTable *table, Str position, const Str *after_key, Str until,
                        SourceLimits limits, Arena *arena, MyPage *ret_page, Error *err) {
    const char *sql = sql_fill(arena, SQL_SOURCE_FOLLOW, {"columns", table->select_list},
                               {"table", table->quoted}, {"keyed", table->keyed}, {"cursor", table->quoted_cursor},
                               {"position", cursor_value(arena, table, position)},
                               {"after", after_condition(arena, table, after_key)},
                               {"until", before_condition(arena, table, until)},
                               {"key", table->quoted_key}, {"rows", rows_text(arena, limits)});
    TRY(my_read(my, sql, limits.rows, limits.bytes, arena, ret_page, err));
    bool has_moved = ret_page->n_rows > 0 &&
                     !str_equal(ret_page->fields[(ret_page->n_rows - 1) * ret_page->n_fields + (size_t)table->cursor],
                                position);
    return has_moved || check_progress(table, after_key, limits, ret_page, err);
}

const char *source_has_rows(Arena *arena, const SourceTable *table, Str position) {
    return sql_fill(arena, SQL_SOURCE_HAS_ROWS, {"table", table->quoted}, {"cursor", table->quoted_cursor},
                    {"position", cursor_value(arena, table, position)},
                    {"keyless", table->key_may_be_null ? table->keyless : "FALSE"});
}

const char *source_every_column(Arena *arena, const char *table, const char *query) {
    return sql_fill(arena, SQL_SOURCE_EVERY_COLUMN, {"table", source_from(arena, table, query)});
}

bool source_cursor_is_coarse(const SourceTable *table) {
    bool is_civil = table->cursor_kind == CURSOR_CIVIL || table->cursor_kind == CURSOR_INSTANT;
    /* of a query: one part of a row may change and not be the one that its cursor shows */
    return table->is_query || !is_civil || table->cursor_digits < FINEST_DIGITS;
}

/* As the bytes that the reading SELECT sends: texts in utf8mb4, everything else in digits. */
static void put_sent(Buf *list, const SourceTable *table, size_t index) {
    bool is_text = table->fields[index].kind == FIELD_TEXT;
    buf_put_str(list, is_text ? STR("CONVERT(") : STR("CAST("));
    source_put_rendered(list, table, index);
    buf_put_str(list, is_text ? STR(" USING utf8mb4)") : STR(" AS CHAR)"));
}

/* The most bytes of a value, in any character set and in digits; above HASH_LONG_BYTES where it may be a long one. What
 * a query makes may be longer than its type says. */
static size_t longest_value(const SourceTable *table, size_t index) {
    enum { SENT_BYTES = 8, /* of a character, of a byte, of a number in a vector; at most */
           NUMBER_BYTES = 100, SHORT_LENGTH = 255, UNKNOWN = HASH_LONG_BYTES + 1 };
    static const char *const SHORT_TYPES[] = {"enum", "tinytext", "tinyblob"};
    FieldKind kind = table->fields[index].kind;
    size_t declared = UNKNOWN;
    if (kind != FIELD_TEXT && kind != FIELD_BINARY)
        return NUMBER_BYTES;
    for (size_t i = 0; i < sizeof SHORT_TYPES / sizeof *SHORT_TYPES; i++)
        if (strcmp(table->types[index], SHORT_TYPES[i]) == 0)
            declared = SHORT_LENGTH;
    bool is_told = declared < UNKNOWN || sscanf(table->shapes[index], "%*[a-z](%zu)", &declared) == 1;
    return is_told && !table->is_query && declared <= UNKNOWN ? declared * SENT_BYTES : UNKNOWN;
}

size_t source_hashed_bytes(const SourceTable *table) {
    enum { PREFIX_BYTES = 12 };
    size_t bytes = 0;
    for (size_t i = 0; i < table->n_fields; i++) {
        size_t longest = longest_value(table, i);
        bytes += (longest < HASH_LONG_BYTES ? longest : HASH_LONG_BYTES) + PREFIX_BYTES;
    }
    return bytes;
}

static const char *hash_part(Arena *arena, const SourceTable *table, size_t index) {
    Buf buf;
    buf_init(&buf, FRAGMENT_MAX_BYTES);
    put_sent(&buf, table, index);
    const char *sent = source_take(arena, &buf), *column = source_quote(arena, table->fields[index].name);
    bool is_binary = table->fields[index].kind == FIELD_BINARY;
    const char *size = sql_fill(arena, is_binary ? SQL_SOURCE_SIZE_OF_DIGITS : SQL_SOURCE_SIZE,
                                {"value", is_binary ? column : sent});
    return sql_fill(arena, longest_value(table, index) > HASH_LONG_BYTES ? SQL_SOURCE_HASH_LONG : SQL_SOURCE_HASH_SHORT,
                    {"size", size}, {"sent", sent}, {"bytes", is_binary ? column : sent},
                    {"long", arena_printf(arena, "%d", HASH_LONG_BYTES)});
}

const char *source_hash(Arena *arena, const SourceTable *table) {
    Buf parts;
    buf_init(&parts, FRAGMENT_MAX_BYTES);
    for (size_t i = 0; i < table->n_fields; i++) {
        source_put_between(&parts, ", ");
        buf_put_str(&parts, str_of(hash_part(arena, table, i)));
    }
    return sql_fill(arena, SQL_SOURCE_HASH, {"parts", source_take(arena, &parts)});
}

/* The columns by which a row is known again: key, cursor, and the hash of all it holds. */
static const char *identity_list(Arena *arena, const SourceTable *table) {
    Buf list;
    buf_init(&list, FRAGMENT_MAX_BYTES);
    for (size_t i = 0; i <= table->n_key; i++) {
        source_put_between(&list, ", ");
        source_put_rendered(&list, table, (size_t)(i < table->n_key ? table->key[i] : table->cursor));
    }
    if (source_cursor_is_coarse(table)) {
        source_put_between(&list, ", ");
        buf_put_str(&list, str_of(source_hash(arena, table)));
    }
    return source_take(arena, &list);
}

/* Up to and with a row, in (cursor, key) order. */
static const char *up_to_condition(Arena *arena, const SourceTable *table, Str value, const Str *key) {
    if (!key)
        return "TRUE";
    const char *last = cursor_value(arena, table, value);
    return arena_printf(arena, "%s <= %s AND (%s < %s OR NOT (%s))", table->quoted_cursor, last, table->quoted_cursor,
                        last, after_condition(arena, table, key));
}

bool source_read_dirty(My *my, const SourceTable *table, Str position, const Str *after_key, Str last_value,
                       const Str *last_key, size_t max_rows, Arena *arena, MyPage *ret_page, Error *err) {
    const char *sql = sql_fill(arena, SQL_SOURCE_FOLLOW, {"columns", identity_list(arena, table)},
                               {"table", table->quoted}, {"keyed", table->keyed}, {"cursor", table->quoted_cursor},
                               {"position", cursor_value(arena, table, position)},
                               {"after", after_condition(arena, table, after_key)},
                               {"until", up_to_condition(arena, table, last_value, last_key)},
                               {"key", table->quoted_key}, {"rows", arena_printf(arena, "%zu", max_rows)});
    /* A statement that failed before it reached the rows, at a table's lock, leaves the next one dirty. */
    if (my_exec(my, SQL_SOURCE_NEXT_IS_DIRTY, err) && my_read(my, sql, max_rows, DIRTY_MAX_BYTES, arena, ret_page, err))
        return true;
    my_spoil(my);
    return false;
}

/* The start of a day in the column's terms; `days` may lie behind `day`. */
static const char *start_of_day(const Field *field, const char *day, int days, const Zone *zone, Arena *arena) {
    CivilTime civil;
    if (!day || !civil_parse_iso(str_of(day), &civil))
        return NULL;
    int64_t start_us = (date_to_days(civil.date) + days) * US_PER_DAY;
    int64_t us = field->kind == FIELD_INSTANT ? zone_to_instant(zone, start_us) : start_us;
    int64_t day_number = us >= 0 ? us / US_PER_DAY : -((US_PER_DAY - 1 - us) / US_PER_DAY);
    int64_t second = (us - day_number * US_PER_DAY) / US_PER_SECOND;
    CivilDate date = date_from_days(day_number);
    return arena_printf(arena, "%04d-%02d-%02d %02d:%02d:%02d", date.year, date.month, date.day,
                        (int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60));
}

bool source_range_of_days(const SourceTable *table, const char *column, const char *first_day, const char *last_day,
                          const Zone *zone, Arena *arena, SourceRange *ret_range, Error *err) {
    int index = source_find_field(table, column);
    if (index < 0 || (table->fields[index].kind != FIELD_CIVIL && table->fields[index].kind != FIELD_INSTANT)) {
        error_set(err, STATE_CONFIG, "table %s: a range of dates cannot be asked of %s, which is no date or time",
                  table->name, column);
        return error_hint(err, "run the mode full");
    }
    const Field *field = &table->fields[index];
    *ret_range = (SourceRange){
        .column = source_quote(arena, field->name),
        .from = start_of_day(field, first_day, 0, zone, arena),
        .until = start_of_day(field, last_day, 1, zone, arena),
    };
    return true;
}

static const char *bound(Arena *arena, const SourceRange *range, const char *compare, const char *value) {
    if (!value)
        return "TRUE";
    return arena_printf(arena, "%s %s %s", range->column, compare, source_literal(arena, str_of(value)));
}

bool source_read_range(My *my, const SourceTable *table, const SourceRange *range, const Str *after_key,
                       SourceLimits limits, Arena *arena, MyPage *ret_page, Error *err) {
    const char *sql = sql_fill(arena, SQL_SOURCE_RANGE, {"columns", table->select_list},
                               {"table", table->quoted}, {"keyed", table->keyed},
                               {"column", range->column}, {"from", bound(arena, range, ">=", range->from)},
                               {"until", bound(arena, range, "<", range->until)},
                               {"after", after_condition(arena, table, after_key)},
                               {"key", table->quoted_key}, {"rows", rows_text(arena, limits)});
    TRY(my_read(my, sql, limits.rows, limits.bytes, arena, ret_page, err));
    return check_progress(table, after_key, limits, ret_page, err);
}

bool source_read_null_cursor(My *my, const SourceTable *table, const Str *after_key,
                             SourceLimits limits, Arena *arena, MyPage *ret_page, Error *err) {
    const char *sql = sql_fill(arena, SQL_SOURCE_NULL_CURSOR, {"columns", table->select_list},
                               {"table", table->quoted}, {"keyed", table->keyed}, {"cursor", table->quoted_cursor},
                               {"after", after_condition(arena, table, after_key)},
                               {"key", table->quoted_key}, {"rows", rows_text(arena, limits)});
    TRY(my_read(my, sql, limits.rows, limits.bytes, arena, ret_page, err));
    return check_progress(table, after_key, limits, ret_page, err);
}

bool source_read_keyless(My *my, const SourceTable *table, size_t n_before, SourceLimits limits,
                         Arena *arena, MyPage *ret_page, Error *err) {
    const char *sql = sql_fill(arena, SQL_SOURCE_KEYLESS, {"columns", table->select_list},
                               {"table", table->quoted}, {"keyless", table->keyless},
                               {"hash", source_hash(arena, table)}, {"rows", rows_text(arena, limits)},
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

/* The writers' civil time can only be told in their zone, and the session is left in UTC, as every read of rows
 * wants it; source_describe() makes sure of that again at the start of the next run, should this one be cut
 * between the two. */
bool source_clock(My *my, Arena *arena, SourceClock *ret_clock, Error *err) {
    MyPage page;
    TRY(my_exec(my, SQL_SOURCE_ZONE_OF_WRITERS, err));
    TRY(my_read(my, SQL_SOURCE_CLOCK, ONE_ROW.rows, ONE_ROW.bytes, arena, &page, err));
    TRY(my_exec(my, SQL_SOURCE_ZONE_UTC, err));
    SourceClock clock;
    if (!source_parse_time(page.fields[0], &clock.now_us) || !source_parse_time(page.fields[1], &clock.civil_us))
        return error_set(err, STATE_BUG, "the hospital's server tells a time we cannot read");
    *ret_clock = clock;
    return true;
}

bool source_parse_time(Str text, int64_t *ret_us) {
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

const char *source_format_position(Arena *arena, const SourceTable *table, int64_t us) {
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

/* Whole numbers without leading zeros, as the server prints them; unsigned ones may not fit an int64_t. */
static int compare_numbers(Str a, Str b) {
    bool a_is_negative = a.size > 0 && a.at[0] == '-', b_is_negative = b.size > 0 && b.at[0] == '-';
    if (a_is_negative != b_is_negative)
        return a_is_negative ? -1 : 1;
    int order = a.size != b.size ? (a.size < b.size ? -1 : 1) : str_compare(a, b);
    return a_is_negative ? -order : order;
}

int source_compare_positions(const SourceTable *table, Str a, Str b) {
    return table->cursor_kind == CURSOR_COUNTER ? compare_numbers(a, b) : str_compare(a, b);
}

void source_put_key_value(Buf *sql, const SourceTable *table, size_t i, Str value) {
    put_value(sql, &table->fields[table->key[i]], value);
}
