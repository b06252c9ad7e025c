/* source_table.c - see source_table.h. */
#include "storage/source_table.h"

#include "base/own.h"
#include "sql.h"
#include "storage/template.h"

enum { FRAGMENT_MAX_BYTES = 1 << 20, DESCRIBE_MAX_COLUMNS = 4096 };

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

void source_put_rendered(Buf *list, const SourceTable *table, size_t index) {
    size_t i = type_index(table->types[index]);
    bool is_known = i < sizeof TYPES / sizeof *TYPES;
    buf_put_str(list, str_of(is_known ? TYPES[i].before : ""));
    my_put_ident(list, table->fields[index].name);
    buf_put_str(list, str_of(is_known ? TYPES[i].after : ""));
}

void source_put_between(Buf *list, const char *between) {
    if (list->size > 0)
        buf_put_str(list, str_of(between));
}

static bool ends_in_ci(Str collation) {
    return collation.size > 3 && memcmp(collation.at + collation.size - 3, "_ci", 3) == 0;
}

const char *source_take(Arena *arena, Buf *buf) {
    const char *text = arena_string(arena, buf_str(buf));
    buf_done(buf);
    return text;
}

static const char *quote(Arena *arena, const char *name) {
    Buf out;
    buf_init(&out, FRAGMENT_MAX_BYTES);
    my_put_ident(&out, name);
    return source_take(arena, &out);
}

const char *source_literal(Arena *arena, Str value) {
    Buf out;
    buf_init(&out, FRAGMENT_MAX_BYTES);
    my_put_text(&out, value);
    return source_take(arena, &out);
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
        source_put_between(&list, ", ");
        source_put_rendered(&list, table, r);
    }
    table->select_list = source_take(arena, &list);
}

/* Members of an ENUM are ordered by number but compared with a text by theirs: both must be by text. */
void source_put_key_column(Buf *sql, const SourceTable *table, int index) {
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
        source_put_between(&list, ", ");
        source_put_key_column(&list, table, table->key[i]);
    }
    table->n_key = n_key;
    table->quoted_key = source_take(arena, &list);
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
        source_put_between(&keyed, " AND ");
        source_put_between(&keyless, " OR ");
        my_put_ident(&keyed, table->fields[table->key[i]].name);
        my_put_ident(&keyless, table->fields[table->key[i]].name);
        buf_put_str(&keyed, STR(" IS NOT NULL"));
        buf_put_str(&keyless, STR(" IS NULL"));
    }
    if (!table->key_may_be_null)
        buf_put_str(&keyed, STR("TRUE"));
    table->keyed = source_take(arena, &keyed);
    table->keyless = source_take(arena, &keyless);
}

/* Of another type: nothing is known of its order in time, the table is read whole. */
static CursorKind kind_of_cursor(const char *type) {
    static const struct {
        const char *type;
        CursorKind kind;
    } KINDS[] = {
        {"date", CURSOR_DATE},         {"datetime", CURSOR_CIVIL},   {"timestamp", CURSOR_INSTANT},
        {"tinyint", CURSOR_COUNTER},   {"smallint", CURSOR_COUNTER}, {"mediumint", CURSOR_COUNTER},
        {"int", CURSOR_COUNTER},       {"bigint", CURSOR_COUNTER},
    };
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
        if (strcmp(KINDS[i].type, type) == 0)
            return KINDS[i].kind;
    return CURSOR_NONE;
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
    const char *sql = sql_fill(arena, SQL_SOURCE_COLUMNS, {"table", source_literal(arena, str_of(name))});
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
