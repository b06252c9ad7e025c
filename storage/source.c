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
    DESCRIBE_MAX_COLUMNS = 4096,
    UNKNOWN_AGE_S = 60
};
static const SourceLimits ONE_ROW = {1, 1 << 16};

/* How a MySQL type is read; `before` and `after` stand around the column's name. */
static const struct {
    const char *type;
    FieldKind kind;
    const char *before, *after;
} TYPES[] = {
    {"tinyint", FIELD_NUMBER, "", ""},       {"smallint", FIELD_NUMBER, "", ""},
    {"mediumint", FIELD_NUMBER, "", ""},     {"int", FIELD_NUMBER, "", ""},
    {"bigint", FIELD_NUMBER, "", ""},        {"decimal", FIELD_NUMBER, "", ""},
    {"double", FIELD_NUMBER, "", ""},        {"year", FIELD_NUMBER, "", ""},
    /* FLOAT would be printed with six digits */
    {"float", FIELD_NUMBER, "CAST(", " AS DOUBLE)"},
    {"bit", FIELD_NUMBER, "CAST(", " AS UNSIGNED)"},
    {"date", FIELD_CIVIL, "", ""},           {"datetime", FIELD_CIVIL, "", ""},
    {"timestamp", FIELD_INSTANT, "", ""},
    {"binary", FIELD_BINARY, "HEX(", ")"},   {"varbinary", FIELD_BINARY, "HEX(", ")"},
    {"tinyblob", FIELD_BINARY, "HEX(", ")"}, {"blob", FIELD_BINARY, "HEX(", ")"},
    {"mediumblob", FIELD_BINARY, "HEX(", ")"}, {"longblob", FIELD_BINARY, "HEX(", ")"},
    {"geometry", FIELD_BINARY, "HEX(", ")"}, {"point", FIELD_BINARY, "HEX(", ")"},
};

static size_t type_index(const char *type) {
    size_t i = 0;
    while (i < sizeof TYPES / sizeof *TYPES && strcmp(TYPES[i].type, type) != 0)
        i++;
    return i; /* past the end: text */
}

static void put_rendered(Buf *list, const char *name, const char *type) {
    size_t i = type_index(type);
    bool is_known = i < sizeof TYPES / sizeof *TYPES;
    buf_put_str(list, str_of(is_known ? TYPES[i].before : ""));
    my_put_ident(list, name);
    buf_put_str(list, str_of(is_known ? TYPES[i].after : ""));
}

static void put_between(Buf *list, const char *between) {
    if (list->size > 0)
        buf_put_str(list, str_of(between));
}

static bool ends_in_ci(Str collation) {
    return collation.size > 3 && memcmp(collation.at + collation.size - 3, "_ci", 3) == 0;
}

static const char *take_text(Arena *arena, Buf *buf) {
    const char *text = arena_string(arena, buf_str(buf));
    buf_done(buf);
    return text;
}

static const char *quote(Arena *arena, const char *name) {
    Buf out;
    buf_init(&out, FRAGMENT_MAX_BYTES);
    my_put_ident(&out, name);
    return take_text(arena, &out);
}

static const char *literal(Arena *arena, Str value) {
    Buf out;
    buf_init(&out, FRAGMENT_MAX_BYTES);
    my_put_text(&out, value);
    return take_text(arena, &out);
}

static int find_field(const SourceTable *table, const char *name) {
    for (size_t i = 0; i < table->n_fields; i++)
        if (str_equal_nocase(str_of(table->fields[i].name), str_of(name)))
            return (int)i;
    return -1;
}

static void take_columns(Arena *arena, const MyPage *columns, SourceTable *table) {
    Buf list;
    buf_init(&list, FRAGMENT_MAX_BYTES);
    table->n_fields = columns->n_rows;
    table->fields = ARENA_ARRAY(arena, Field, columns->n_rows);
    table->types = ARENA_ARRAY(arena, const char *, columns->n_rows);
    for (size_t r = 0; r < columns->n_rows; r++) {
        const Str *column = columns->fields + r * columns->n_fields;
        const char *name = arena_string(arena, column[0]), *type = arena_string(arena, column[1]);
        size_t t = type_index(type);
        bool is_known = t < sizeof TYPES / sizeof *TYPES;
        table->types[r] = type;
        table->fields[r] = (Field){.name = name,
                                   .kind = is_known ? TYPES[t].kind : FIELD_TEXT,
                                   .folds_case = ends_in_ci(column[2])};
        put_between(&list, ", ");
        put_rendered(&list, name, type);
    }
    table->select_list = take_text(arena, &list);
}

/* Members of an ENUM are ordered by number but compared with a text by theirs: both must be by text. */
static void put_key_column(Buf *sql, const SourceTable *table, int index) {
    bool is_listed = strcmp(table->types[index], "enum") == 0 || strcmp(table->types[index], "set") == 0;
    if (is_listed)
        buf_put_str(sql, STR("CONCAT("));
    my_put_ident(sql, table->fields[index].name);
    if (is_listed)
        buf_put_byte(sql, ')');
}

static bool take_key(Arena *arena, const char *const *key, size_t n_key, SourceTable *table, Error *err) {
    Buf list;
    buf_init(&list, FRAGMENT_MAX_BYTES);
    for (size_t i = 0; i < n_key; i++) {
        table->key[i] = find_field(table, key[i]);
        if (table->key[i] < 0) {
            buf_done(&list);
            error_set(err, "42703", "table %s has no column %s, which `key` names", table->name, key[i]);
            return error_hint(err, "check `key` of the feed");
        }
        put_between(&list, ", ");
        put_key_column(&list, table, table->key[i]);
    }
    table->n_key = n_key;
    table->quoted_key = take_text(arena, &list);
    return true;
}

/* Only the columns of the key that may be NULL are asked: an index serves the others alone. */
static void take_nullable(Arena *arena, const MyPage *columns, SourceTable *table) {
    Buf keyed, keyless;
    buf_init(&keyed, FRAGMENT_MAX_BYTES);
    buf_init(&keyless, FRAGMENT_MAX_BYTES);
    for (size_t i = 0; i < table->n_key; i++) {
        if (!str_equal(columns->fields[(size_t)table->key[i] * columns->n_fields + 4], STR("YES")))
            continue;
        table->key_may_be_null = true;
        put_between(&keyed, " AND ");
        put_between(&keyless, " OR ");
        my_put_ident(&keyed, table->fields[table->key[i]].name);
        my_put_ident(&keyless, table->fields[table->key[i]].name);
        buf_put_str(&keyed, STR(" IS NOT NULL"));
        buf_put_str(&keyless, STR(" IS NULL"));
    }
    if (!table->key_may_be_null)
        buf_put_str(&keyed, STR("TRUE"));
    table->keyed = take_text(arena, &keyed);
    table->keyless = take_text(arena, &keyless);
}

static CursorKind kind_of_cursor(const char *type) {
    if (strcmp(type, "date") == 0)
        return CURSOR_DATE;
    if (strcmp(type, "datetime") == 0)
        return CURSOR_CIVIL;
    if (strcmp(type, "timestamp") == 0)
        return CURSOR_INSTANT;
    return CURSOR_NONE; /* no clock stands behind it: the table is read whole */
}

static bool take_cursor(Arena *arena, const MyPage *columns, const char *cursor, SourceTable *table,
                        Error *err) {
    table->cursor = -1;
    if (!cursor)
        return true;
    int index = find_field(table, cursor);
    if (index < 0) {
        error_set(err, "42703", "table %s has no column %s, which `cursor` names", table->name, cursor);
        return error_hint(err, "check `cursor` of the feed");
    }
    table->cursor_kind = kind_of_cursor(table->types[index]);
    if (table->cursor_kind == CURSOR_NONE)
        return true;
    int64_t digits = 0;
    str_to_int64(columns->fields[(size_t)index * columns->n_fields + 3], &digits);
    table->cursor = index;
    table->cursor_digits = (int)digits;
    table->quoted_cursor = quote(arena, table->fields[index].name);
    return true;
}

bool source_describe(My *my, Arena *arena, const char *name, const char *const *key, size_t n_key,
                     const char *cursor, SourceTable *ret_table, Error *err) {
    SourceTable table = {.name = name, .quoted = quote(arena, name)};
    if (n_key == 0 || n_key > SOURCE_KEY_MAX)
        return error_set(err, STATE_CONFIG, "table %s: `key` names %zu columns; 1 to %d are possible",
                         name, n_key, SOURCE_KEY_MAX);
    const char *sql = sql_fill(arena, SQL_SOURCE_COLUMNS, {"table", literal(arena, str_of(name))});
    MyPage columns;
    TRY(my_exec(my, SQL_SOURCE_ZONE_UTC, err));
    TRY(my_read(my, sql, DESCRIBE_MAX_COLUMNS, FRAGMENT_MAX_BYTES, arena, &columns, err));
    if (columns.n_rows == 0) {
        error_set(err, "42P01", "the hospital's database has no table %s", name);
        return error_hint(err, "check `table` of the feed, and that the account may read it");
    }
    take_columns(arena, &columns, &table);
    TRY(take_key(arena, key, n_key, &table, err));
    take_nullable(arena, &columns, &table);
    TRY(take_cursor(arena, &columns, cursor, &table, err));
    *ret_table = table;
    return true;
}

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
            put_key_column(&sql, table, table->key[j]);
            buf_put_str(&sql, j == i ? STR(" > ") : STR(" = "));
            put_value(&sql, field, after_key[j]);
        }
        buf_put_byte(&sql, ')');
    }
    return take_text(arena, &sql);
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
                               {"position", literal(arena, position)},
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
        put_between(&list, ", ");
        buf_put_str(&list, STR("IFNULL("));
        put_rendered(&list, table->fields[i].name, table->types[i]);
        buf_put_str(&list, STR(", X'01')"));
    }
    return take_text(arena, &list);
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
    put_key_column(&column, table, field);
    for (size_t i = 0; i < n; i++) {
        put_between(&list, ", ");
        my_put_text(&list, texts[i]);
    }
    const char *sql = sql_fill(arena, SQL_SOURCE_FIND_TEXTS, {"column", take_text(arena, &column)},
                               {"table", table->quoted}, {"texts", take_text(arena, &list)});
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
