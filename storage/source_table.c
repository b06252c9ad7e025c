/* source_table.c - see source_table.h. */
#include "storage/source_table.h"

#include "base/own.h"
#include "sql.h"
#include "storage/template.h"

enum { FRAGMENT_MAX_BYTES = 1 << 20, DESCRIBE_MAX_COLUMNS = 4096, DESCRIBE_MAX_BYTES = 8 << 20 };

/* How a type is written in a statement. Binary columns are read as they are and come as hex (my_read()):
 * HEX() of one that is longer than half of max_allowed_packet is NULL, without a word. */
typedef enum Form { FORM_PLAIN, FORM_DOUBLE, FORM_UNSIGNED, FORM_HEX } Form;
static const struct {
    const char *before, *after;
} FORMS[] = {
    [FORM_PLAIN] = {"", ""},
    [FORM_DOUBLE] = {"CAST(", " AS DOUBLE)"}, /* FLOAT would be printed with six digits */
    [FORM_UNSIGNED] = {"CAST(", " AS UNSIGNED)"},
    [FORM_HEX] = {"HEX(", ")"},
};

static const struct Type {
    const char *name;
    FieldKind kind;
    Form form;
} TYPES[] = {
    {"tinyint", FIELD_NUMBER, FORM_PLAIN},     {"smallint", FIELD_NUMBER, FORM_PLAIN},
    {"mediumint", FIELD_NUMBER, FORM_PLAIN},   {"int", FIELD_NUMBER, FORM_PLAIN},
    {"bigint", FIELD_NUMBER, FORM_PLAIN},      {"decimal", FIELD_NUMBER, FORM_PLAIN},
    {"double", FIELD_NUMBER, FORM_PLAIN},      {"year", FIELD_NUMBER, FORM_PLAIN},
    {"float", FIELD_NUMBER, FORM_DOUBLE},      {"bit", FIELD_NUMBER, FORM_UNSIGNED},
    {"date", FIELD_CIVIL, FORM_PLAIN},         {"datetime", FIELD_CIVIL, FORM_PLAIN},
    {"timestamp", FIELD_INSTANT, FORM_PLAIN},  {"binary", FIELD_BINARY, FORM_HEX},
    {"varbinary", FIELD_BINARY, FORM_HEX},     {"tinyblob", FIELD_BINARY, FORM_HEX},
    {"blob", FIELD_BINARY, FORM_HEX},          {"mediumblob", FIELD_BINARY, FORM_HEX},
    {"longblob", FIELD_BINARY, FORM_HEX},      {"vector", FIELD_BINARY, FORM_HEX},
    {"geometry", FIELD_BINARY, FORM_HEX},      {"point", FIELD_BINARY, FORM_HEX},
    {"linestring", FIELD_BINARY, FORM_HEX},    {"polygon", FIELD_BINARY, FORM_HEX},
    {"multipoint", FIELD_BINARY, FORM_HEX},    {"multilinestring", FIELD_BINARY, FORM_HEX},
    {"multipolygon", FIELD_BINARY, FORM_HEX},  {"geometrycollection", FIELD_BINARY, FORM_HEX},
    {"geomcollection", FIELD_BINARY, FORM_HEX},
};

static const struct Type *type_of(const char *name) {
    static const struct Type TEXT = {"", FIELD_TEXT, FORM_PLAIN};
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (strcmp(TYPES[i].name, name) == 0)
            return &TYPES[i];
    return &TEXT;
}

static void put_form(Buf *list, const char *name, Form form) {
    buf_put_str(list, str_of(FORMS[form].before));
    my_put_ident(list, name);
    buf_put_str(list, str_of(FORMS[form].after));
}

void source_put_rendered(Buf *list, const SourceTable *table, size_t index) {
    put_form(list, table->fields[index].name, type_of(table->types[index])->form);
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

const char *source_quote(Arena *arena, const char *name) {
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

int source_find_field(const SourceTable *table, const char *name) {
    for (size_t i = 0; i < table->n_fields; i++)
        if (str_equal_nocase(str_of(table->fields[i].name), str_of(name)))
            return (int)i;
    return -1;
}

Field source_field_of(const char *name, const char *shape) {
    char type[64];
    snprintf(type, sizeof type, "%.*s", (int)strcspn(shape, "( "), shape);
    return (Field){.name = name, .kind = type_of(type)->kind, .folds_case = ends_in_ci(str_of(shape))};
}

/* What information_schema says of a column, in the statement's order. */
typedef enum Told { TOLD_NAME, TOLD_TYPE, TOLD_COLLATION, TOLD_DIGITS, TOLD_NULLABLE, TOLD_SHAPE } Told;

static Str told(const SourceColumns *columns, size_t index, Told which) {
    return columns->rows.fields[index * columns->rows.n_fields + which];
}

/* A number's display width says nothing, unless zeros fill it; versions of the server differ in telling it. */
static Str without_width(const char *type, Str shape) {
    const char *open = memchr(shape.at, '(', shape.size), *close = memchr(shape.at, ')', shape.size);
    size_t size = strlen(type);
    bool is_whole = size >= 3 && strcmp(type + size - 3, "int") == 0;
    bool is_year = strcmp(type, "year") == 0;
    return (is_whole || is_year) && open && close && !memmem(shape.at, shape.size, "zerofill", 8)
               ? (Str){close + 1, shape.size - (size_t)(close + 1 - shape.at)}
               : STR_NULL;
}

/* "decimal(14,2)", "int unsigned", "varchar(50) utf8mb4_general_ci". */
static const char *shape_of(Arena *arena, const SourceColumns *columns, size_t index) {
    const char *type = arena_string(arena, told(columns, index, TOLD_TYPE));
    Str shape = told(columns, index, TOLD_SHAPE), collation = told(columns, index, TOLD_COLLATION);
    Str rest = without_width(type, shape);
    if (!str_is_null(rest))
        return arena_printf(arena, "%s%.*s", type, (int)rest.size, rest.at);
    return arena_printf(arena, "%.*s%s%.*s", (int)shape.size, shape.at, collation.size ? " " : "",
                        (int)collation.size, collation.at);
}

static void take_names(Arena *arena, SourceColumns *columns) {
    columns->n = columns->rows.n_rows;
    columns->names = ARENA_ARRAY(arena, const char *, columns->n);
    columns->shapes = ARENA_ARRAY(arena, const char *, columns->n);
    for (size_t i = 0; i < columns->n; i++) {
        columns->names[i] = arena_string(arena, told(columns, i, TOLD_NAME));
        columns->shapes[i] = shape_of(arena, columns, i);
    }
}

/* Rows of the list of unique indexes: index, column, its place within, whether it may be NULL. */
static Str key_told(const SourceColumns *columns, size_t row, size_t which) {
    return columns->keys.fields[row * columns->keys.n_fields + which];
}

const char *source_from(Arena *arena, const char *table, const char *query) {
    return query ? sql_fill(arena, SQL_SOURCE_DERIVED, {"query", query}) : source_quote(arena, table);
}

static void take_primary_key(Arena *arena, SourceColumns *columns) {
    columns->primary_key = ARENA_ARRAY(arena, const char *, columns->keys.n_rows + 1);
    for (size_t r = 0; r < columns->keys.n_rows; r++)
        if (str_equal(key_told(columns, r, 0), STR("PRIMARY")))
            columns->primary_key[columns->n_primary_key++] = arena_string(arena, key_told(columns, r, 1));
}

static bool read_table(My *my, Arena *arena, SourceColumns *columns, Error *err) {
    const char *table = source_literal(arena, str_of(columns->table));
    TRY(my_read(my, sql_fill(arena, SQL_SOURCE_COLUMNS, {"table", table}), DESCRIBE_MAX_COLUMNS,
                DESCRIBE_MAX_BYTES, arena, &columns->rows, err));
    if (columns->rows.n_rows == 0) {
        error_set(err, "42P01", "the hospital's database has no table %s", columns->table);
        return error_hint(err, "check `table` of the feed, and that the account may read it");
    }
    return my_read(my, sql_fill(arena, SQL_SOURCE_UNIQUE_KEYS, {"table", table}), DESCRIBE_MAX_COLUMNS,
                   DESCRIBE_MAX_BYTES, arena, &columns->keys, err);
}

static const char *collation_list(Arena *arena, const MyColumn *columns, size_t n) {
    Buf list;
    buf_init(&list, FRAGMENT_MAX_BYTES);
    for (size_t i = 0; i < n; i++) {
        source_put_between(&list, ", ");
        buf_put_str(&list, STR("COLLATION(feed."));
        my_put_ident(&list, columns[i].name);
        buf_put_byte(&list, ')');
    }
    return source_take(arena, &list);
}

static bool is_collated(const char *type) {
    return strcmp(type, "char") == 0 || strcmp(type, "varchar") == 0 || strcmp(type, "text") == 0 ||
           strcmp(type, "enum") == 0 || strcmp(type, "set") == 0;
}

static void tell_column(Arena *arena, const MyColumn *column, Str collation, Str *ret_row) {
    ret_row[TOLD_NAME] = str_of(column->name);
    ret_row[TOLD_TYPE] = str_of(column->type);
    ret_row[TOLD_COLLATION] = is_collated(column->type) && !str_is_null(collation) ? collation : STR("");
    ret_row[TOLD_DIGITS] = str_of(arena_printf(arena, "%d", column->digits));
    ret_row[TOLD_NULLABLE] = column->may_be_null ? STR("YES") : STR("NO");
    ret_row[TOLD_SHAPE] = str_of(column->shape);
}

/* Its texts' collations are asked for, because a result's description tells the session's. */
static bool read_query(My *my, Arena *arena, SourceColumns *columns, Error *err) {
    enum { FACTS = TOLD_SHAPE + 1 };
    MyColumn *made;
    MyPage collations;
    size_t n;
    const char *sql = sql_fill(arena, SQL_SOURCE_QUERY_COLUMNS, {"table", columns->quoted});
    TRY(my_describe(my, sql, arena, &made, &n, err));
    sql = sql_fill(arena, SQL_SOURCE_QUERY_COLLATIONS, {"collations", collation_list(arena, made, n)},
                   {"table", columns->quoted});
    TRY(my_read(my, sql, 1, DESCRIBE_MAX_BYTES, arena, &collations, err));
    Str *rows = ARENA_ARRAY(arena, Str, n * FACTS);
    for (size_t i = 0; i < n; i++)
        tell_column(arena, &made[i], collations.fields[i], rows + i * FACTS);
    columns->rows = (MyPage){.fields = rows, .n_rows = n, .n_fields = FACTS};
    return true;
}

static bool read_query_or_say(My *my, Arena *arena, SourceColumns *columns, Error *err) {
    if (read_query(my, arena, columns, err))
        return true;
    if (error_class(err) == ERROR_CONFIGURATION)
        error_hint(err, "try the feed's `query` with the daemon's account; each column needs a name of its own");
    return error_context(err, "its query");
}

bool source_columns(My *my, Arena *arena, const char *name, const char *query, SourceColumns *ret_columns,
                    Error *err) {
    SourceColumns columns = {.table = name, .quoted = source_from(arena, name, query), .is_query = query != NULL};
    TRY(my_exec(my, SQL_SOURCE_ZONE_UTC, err));
    TRY(query ? read_query_or_say(my, arena, &columns, err) : read_table(my, arena, &columns, err));
    take_names(arena, &columns);
    take_primary_key(arena, &columns);
    *ret_columns = columns;
    return true;
}

static bool is_in(Str name, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (str_equal_nocase(name, str_of(names[i])))
            return true;
    return false;
}

bool source_key_is_unique(const SourceColumns *columns, const char *const *key, size_t n_key) {
    bool is_within = false; /* so far, of the index at hand */
    for (size_t r = 0; r < columns->keys.n_rows; r++) {
        bool is_first = r == 0 || !str_equal(key_told(columns, r, 0), key_told(columns, r - 1, 0));
        if (is_first && is_within)
            return true;
        is_within = (is_first || is_within) && is_in(key_told(columns, r, 1), key, n_key);
    }
    return is_within;
}

static int find_told(const SourceColumns *columns, const char *name) {
    for (size_t i = 0; i < columns->n; i++)
        if (str_equal_nocase(str_of(columns->names[i]), str_of(name)))
            return (int)i;
    return -1;
}

static void take_column(const SourceColumns *columns, size_t from, size_t to, Arena *arena, SourceTable *table) {
    table->types[to] = arena_string(arena, told(columns, from, TOLD_TYPE));
    table->shapes[to] = columns->shapes[from];
    table->told[to] = from;
    table->fields[to] = (Field){.name = columns->names[from],
                                .kind = type_of(table->types[to])->kind,
                                .folds_case = ends_in_ci(told(columns, from, TOLD_COLLATION))};
}

static void take_columns(Arena *arena, const SourceColumns *columns, const char *const *names, size_t n,
                         SourceTable *table) {
    Buf list;
    buf_init(&list, FRAGMENT_MAX_BYTES);
    table->fields = ARENA_ARRAY(arena, Field, n);
    table->types = ARENA_ARRAY(arena, const char *, n);
    table->shapes = ARENA_ARRAY(arena, const char *, n);
    table->told = ARENA_ARRAY(arena, size_t, n);
    for (size_t i = 0; i < n; i++) {
        int from = find_told(columns, names[i]);
        if (from < 0)
            continue;
        size_t to = table->n_fields++;
        take_column(columns, (size_t)from, to, arena, table);
        Form form = type_of(table->types[to])->form;
        source_put_between(&list, ", ");
        put_form(&list, table->fields[to].name, form == FORM_HEX ? FORM_PLAIN : form);
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
        table->key[i] = source_find_field(table, key[i]);
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
static void take_nullable(Arena *arena, const SourceColumns *columns, SourceTable *table) {
    Buf keyed, keyless;
    buf_init(&keyed, FRAGMENT_MAX_BYTES);
    buf_init(&keyless, FRAGMENT_MAX_BYTES);
    for (size_t i = 0; i < table->n_key; i++) {
        if (!str_equal(told(columns, table->told[table->key[i]], TOLD_NULLABLE), STR("YES")))
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

static bool take_cursor(Arena *arena, const SourceColumns *columns, const char *cursor, SourceTable *table,
                        Error *err) {
    table->cursor = -1;
    if (!cursor)
        return true;
    int index = source_find_field(table, cursor);
    if (index < 0) {
        error_set(err, "42703", "table %s has no column %s, which `cursor` names", table->name, cursor);
        return error_hint(err, "check `cursor` of the feed");
    }
    table->cursor_kind = kind_of_cursor(table->types[index]);
    if (table->cursor_kind == CURSOR_NONE)
        return true;
    int64_t digits = 0;
    str_to_int64(told(columns, table->told[index], TOLD_DIGITS), &digits);
    table->cursor = index;
    table->cursor_digits = (int)digits;
    table->quoted_cursor = source_quote(arena, table->fields[index].name);
    return true;
}

bool source_bind(Arena *arena, const SourceColumns *columns, const char *const *names, size_t n_names,
                 const char *const *key, size_t n_key, const char *cursor, SourceTable *ret_table, Error *err) {
    SourceTable table = {.name = columns->table, .is_query = columns->is_query, .quoted = columns->quoted};
    if (n_key == 0 || n_key > SOURCE_KEY_MAX)
        return error_set(err, STATE_CONFIG, "table %s: `key` names %zu columns; 1 to %d are possible",
                         columns->table, n_key, SOURCE_KEY_MAX);
    take_columns(arena, columns, names, n_names, &table);
    TRY(take_key(arena, key, n_key, &table, err));
    table.key_is_unique = columns->is_query || source_key_is_unique(columns, key, n_key);
    take_nullable(arena, columns, &table);
    TRY(take_cursor(arena, columns, cursor, &table, err));
    *ret_table = table;
    return true;
}

bool source_is_still(const SourceTable *table, const SourceColumns *now) {
    for (size_t i = 0; i < table->n_fields; i++) {
        int index = find_told(now, table->fields[i].name);
        if (index < 0 || strcmp(now->shapes[index], table->shapes[i]) != 0)
            return false;
    }
    return true;
}

bool source_describe(My *my, Arena *arena, const char *name, const char *query, const char *const *key,
                     size_t n_key, const char *cursor, SourceTable *ret_table, Error *err) {
    SourceColumns columns;
    TRY(source_columns(my, arena, name, query, &columns, err));
    return source_bind(arena, &columns, columns.names, columns.n, key, n_key, cursor, ret_table, err);
}
