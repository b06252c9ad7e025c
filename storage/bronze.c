/* bronze.c - see bronze.h. */
#include "storage/bronze.h"

#include "base/own.h"
#include "base/words.h"
#include "sql.h"
#include "storage/hexkey.h"
#include "storage/silver_row.h"
#include "storage/template.h"

#include <stdlib.h>
#include <unistr.h>

enum { COPY_COLUMNS = 9, NAME_MAX_BYTES = 256, KEYS_MAX_BYTES = 64 << 20, TEXTS_MAX_BYTES = 256 << 20 };

/* "hospital_a.patients" -> hospital_a__patients<suffix>, quoted. */
static const char *relation(Arena *arena, const char *feed, const char *suffix) {
    Buf name;
    buf_init(&name, NAME_MAX_BYTES);
    for (const char *c = feed; *c; c++)
        buf_put(&name, *c == '.' ? "__" : c, *c == '.' ? 2 : 1);
    buf_put_str(&name, str_of(suffix));
    const char *quoted = pg_quote_ident(arena, arena_string(arena, buf_str(&name)));
    buf_done(&name);
    return quoted;
}

/* ---- the view ---- */

/* The columns of every schema the feed ever had, by name; each shows its place in each schema. */
typedef struct ViewColumn {
    const char *name;
    Buf places; /* " WHEN 7 THEN 3" … */
} ViewColumn;

static ViewColumn *view_column(ViewColumn *columns, size_t *n, Arena *arena, Str name) {
    for (size_t i = 0; i < *n; i++)
        if (str_equal(str_of(columns[i].name), name))
            return &columns[i];
    columns[*n].name = arena_string(arena, name);
    buf_init(&columns[*n].places, 1 << 20);
    return &columns[(*n)++];
}

/* The names a view adds itself win over a source's column of the same name. */
static bool is_taken(Str name) {
    static const char *const TAKEN[] = {"batch_id", "op", "source_hash", "received_at",
                                        "file_id", "line", "schema_id"};
    for (size_t i = 0; i < sizeof TAKEN / sizeof *TAKEN; i++)
        if (str_equal(str_of(TAKEN[i]), name))
            return true;
    return false;
}

static void put_view_column(Buf *list, Arena *arena, const ViewColumn *column) {
    const char *suffix = is_taken(str_of(column->name)) ? "_source" : "";
    const char *shown = pg_quote_ident(arena, arena_printf(arena, "%s%s", column->name, suffix));
    buf_printf(list, "ops.bronze_field(raw, CASE schema_id%.*s END) AS %s, ",
               (int)column->places.size, column->places.data, shown);
}

static bool gather_columns(Pg *pg, Arena *arena, const char *feed, ViewColumn **ret_columns, size_t *ret_n,
                           Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_BRONZE_COLUMNS, PG_PARAMS(feed), err);
    TRY(rows);
    ViewColumn *columns = ARENA_ARRAY(arena, ViewColumn, (size_t)pg_rows(rows) + 1);
    *ret_n = 0;
    for (int r = 0; r < pg_rows(rows); r++) {
        ViewColumn *column = view_column(columns, ret_n, arena, pg_value(rows, r, 2));
        buf_printf(&column->places, " WHEN %lld THEN %lld", (long long)pg_int(rows, r, 0),
                   (long long)pg_int(rows, r, 1));
    }
    *ret_columns = columns;
    return true;
}

static bool make_view(Pg *pg, Arena *arena, const char *feed, Error *err) {
    ViewColumn *columns;
    size_t n;
    TRY(gather_columns(pg, arena, feed, &columns, &n, err));
    CLEANUP(buf_drop) Buf list;
    buf_init(&list, 4 << 20);
    for (size_t i = 0; i < n; i++) {
        put_view_column(&list, arena, &columns[i]);
        buf_done(&columns[i].places);
    }
    if (buf_overflowed(&list))
        return error_set(err, BRONZE_TOO_MANY, "feed %s: its columns are too many for a view", feed);
    const char *sql = sql_fill(arena, SQL_BRONZE_VIEW, {"view", relation(arena, feed, "")},
                               {"raw", relation(arena, feed, "_raw")},
                               {"columns", arena_string(arena, buf_str(&list))});
    return pg_script(pg, sql, err);
}

bool bronze_open(Pg *pg, Arena *arena, const char *feed, int64_t schema_id, bool schema_is_new,
                 size_t n_fields, BronzeFeed *ret_bronze, Error *err) {
    const char *raw = relation(arena, feed, "_raw");
    if (schema_is_new) {
        const char *sql = sql_fill(arena, SQL_BRONZE_CREATE, {"raw", raw},
                                   {"ranges", relation(arena, feed, "_raw_ranges")});
        TRY(pg_script(pg, sql, err) && make_view(pg, arena, feed, err));
    }
    *ret_bronze = (BronzeFeed){
        .feed = feed,
        .copy = arena_printf(arena, "COPY bronze.%s FROM STDIN (FORMAT binary)", raw),
        .schema_id = schema_id,
        .n_fields = n_fields,
    };
    return true;
}

/* ---- rows ---- */

/* One byte that may not stand as it is: COPY's escapes, and \xHH for what no text can hold. */
static void put_escaped(Buf *out, uint8_t byte) {
    switch (byte) {
    case '\\':
        buf_put(out, "\\\\", 2);
        break;
    case '\t':
        buf_put(out, "\\t", 2);
        break;
    case '\n':
        buf_put(out, "\\n", 2);
        break;
    case '\r':
        buf_put(out, "\\r", 2);
        break;
    default:
        buf_printf(out, "\\x%02x", byte);
    }
}

static bool must_escape(uint8_t byte) {
    return byte == '\\' || byte == '\t' || byte == '\n' || byte == '\r' || byte == 0;
}

/* Bytes up to the next that needs an escape; `is_valid` text has no bad bytes at or above 0x80. */
static size_t plain_length(Str text, bool is_valid) {
    size_t i = 0;
    while (i < text.size && !must_escape((uint8_t)text.at[i])) {
        uint8_t byte = (uint8_t)text.at[i];
        ucs4_t ignored;
        int step = byte < 0x80 || is_valid
                       ? 1
                       : u8_mbtoucr(&ignored, (const uint8_t *)text.at + i, text.size - i);
        if (step < 1)
            break;
        i += (size_t)step;
    }
    return i;
}

/* What COPY escapes, and what is no ASCII. */
static uint64_t hard_in(uint64_t word) { return word_below(word, ' ') | word_equal(word, '\\'); }

static void put_field(Buf *out, Str text) {
    if (str_is_null(text)) {
        buf_put(out, "\\N", 2);
        return;
    }
    if (!words_have(text, hard_in)) { /* as most are */
        buf_put_str(out, text);
        return;
    }
    bool is_valid = u8_check((const uint8_t *)text.at, text.size) == NULL;
    while (text.size > 0) {
        size_t plain = plain_length(text, is_valid);
        buf_put(out, text.at, plain);
        if (plain < text.size)
            put_escaped(out, (uint8_t)text.at[plain++]);
        text = (Str){text.at + plain, text.size - plain};
    }
}

void bronze_pack(Buf *out, const Str *fields, size_t n_fields) {
    for (size_t i = 0; i < n_fields; i++) {
        if (i > 0)
            buf_put_byte(out, '\t');
        put_field(out, fields[i]);
    }
}

static const char *const ESCAPED = "tnr\\", *const PLAIN = "\t\n\r\\";

static uint8_t hex_digit(char c) { return (uint8_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10); }

/* One field's escapes taken back, in memory of its size at most. */
static Str unescape(Str packed, Arena *arena) {
    char *out = arena_alloc(arena, packed.size + 1);
    size_t size = 0;
    for (size_t i = 0; i < packed.size; i++) {
        char c = packed.at[i];
        if (c == '\\' && i + 3 < packed.size && packed.at[i + 1] == 'x') {
            c = (char)(hex_digit(packed.at[i + 2]) << 4 | hex_digit(packed.at[i + 3]));
            i += 3;
        } else if (c == '\\' && i + 1 < packed.size) {
            const char *at = strchr(ESCAPED, packed.at[++i]);
            c = at ? PLAIN[at - ESCAPED] : packed.at[i];
        }
        out[size++] = c;
    }
    return (Str){out, size};
}

bool bronze_unpack(Str raw, size_t n_fields, Arena *arena, Str *fields) {
    for (size_t i = 0; i < n_fields; i++) {
        if (str_is_null(raw))
            return false;
        const char *tab = memchr(raw.at, '\t', raw.size);
        Str field = {raw.at, tab ? (size_t)(tab - raw.at) : raw.size};
        raw = tab ? (Str){tab + 1, raw.size - field.size - 1} : STR_NULL;
        if (str_equal(field, STR("\\N")))
            fields[i] = STR_NULL;
        else
            fields[i] = memchr(field.at, '\\', field.size) ? unescape(field, arena) : field;
    }
    return str_is_null(raw);
}

const char *bronze_raw_name(Arena *arena, const char *feed) { return relation(arena, feed, "_raw"); }

/* That a fact named the member before it came does not make its arrival an update. */
static const char *op_of(const SilverRow *row) {
    if (row->fate == ROW_REJECTED)
        return "reject";
    if (row->fate == ROW_GONE)
        return "delete";
    bool is_first = row->fate == ROW_NEW || (row->known.is_found && !row->known.has_content);
    return is_first ? "insert" : "update";
}

static void put_bigint_or_null(Buf *out, int64_t value) {
    if (value)
        buf_put_i64_field(out, value);
    else
        buf_put_null_field(out);
}

static void put_row(Buf *out, const BronzeFeed *bronze, const SilverPage *page, const SilverRow *row) {
    buf_put_i16(out, COPY_COLUMNS);
    buf_put_i64_field(out, page->batch_id);
    buf_put_str_field(out, str_of(op_of(row)));
    buf_put_str_field(out, row->id);
    buf_put_i64_field(out, row->source_hash);
    buf_put_i64_field(out, page->received_us - PG_EPOCH_US);
    buf_put_i64_field(out, bronze->schema_id);
    put_bigint_or_null(out, silver_row_file(page, row).file_id);
    put_bigint_or_null(out, row->line);
    size_t length_at = out->size;
    buf_put_i32(out, 0);
    bronze_pack(out, row->fields, bronze->n_fields);
    if (buf_overflowed(out))
        return;
    uint32_t length = __builtin_bswap32((uint32_t)(out->size - length_at - 4));
    memcpy(out->data + length_at, &length, sizeof length);
}

/* Nor is what an earlier line of a file says, of rows without an id: its text is there. */
static bool is_news(const SilverRow *row) {
    return row->fate != ROW_SAME && row->fate != ROW_REPEATED && row->fate != ROW_ABSORBED && !row->held.is_repeat;
}

bool bronze_write(Pg *pg, const BronzeFeed *bronze, const SilverPage *page, Error *err) {
    size_t first = 0;
    while (first < page->n_rows && !is_news(&page->rows[first]))
        first++;
    if (first == page->n_rows)
        return true;
    CLEANUP(row_stream_drop) RowStream out;
    TRY(row_stream_begin(&out, pg, bronze->copy, err));
    for (size_t i = first; i < page->n_rows; i++) {
        if (!is_news(&page->rows[i]))
            continue;
        put_row(&out.rows, bronze, page, &page->rows[i]);
        TRY(row_stream_next(&out, err));
    }
    return row_stream_end(&out, err);
}

typedef struct TextLists {
    Buf ids, hashes, schemas, files, lines, raws;
} TextLists;

static void text_lists_drop(TextLists *lists) {
    buf_done(&lists->ids);
    buf_done(&lists->hashes);
    buf_done(&lists->schemas);
    buf_done(&lists->files);
    buf_done(&lists->lines);
    buf_done(&lists->raws);
}

static void text_lists_add(TextLists *lists, const BronzeText *text) {
    pg_array_text(&lists->ids, text->id);
    pg_array_int(&lists->hashes, text->source_hash);
    pg_array_int(&lists->schemas, text->schema_id);
    pg_array_int(&lists->files, text->file_id);
    pg_array_int(&lists->lines, text->line);
    pg_array_text(&lists->raws, text->raw);
}

bool bronze_write_texts(Pg *pg, const char *feed, const SilverPage *page, const BronzeText *texts, size_t n, Error *err) {
    CLEANUP(text_lists_drop) TextLists lists = {.ids = pg_array(KEYS_MAX_BYTES), .hashes = pg_array(KEYS_MAX_BYTES),
                                                .schemas = pg_array(KEYS_MAX_BYTES), .files = pg_array(KEYS_MAX_BYTES),
                                                .lines = pg_array(KEYS_MAX_BYTES), .raws = pg_array(TEXTS_MAX_BYTES)};
    if (n == 0)
        return true;
    for (size_t i = 0; i < n; i++)
        text_lists_add(&lists, &texts[i]);
    const char *ids = pg_array_end(&lists.ids, err), *hashes = pg_array_end(&lists.hashes, err);
    const char *schemas = pg_array_end(&lists.schemas, err), *files = pg_array_end(&lists.files, err);
    const char *lines = pg_array_end(&lists.lines, err), *raws = pg_array_end(&lists.raws, err);
    TRY(ids && hashes && schemas && files && lines && raws);
    const char *sql = sql_fill(page->arena, SQL_BRONZE_WRITE_TEXTS, {"raw", relation(page->arena, feed, "_raw")});
    char batch[24], received[24];
    snprintf(batch, sizeof batch, "%lld", (long long)page->batch_id);
    snprintf(received, sizeof received, "%lld", (long long)page->received_us);
    return pg_exec(pg, sql, PG_PARAMS(batch, received, ids, hashes, schemas, files, lines, raws), NULL, err);
}

const char *bronze_table(Arena *arena, const char *feed) { return relation(arena, feed, "_raw"); }

void bronze_summarize(Pg *pg, Arena *arena, const char *feed) {
    const char *index = arena_printf(arena, "bronze.%s", relation(arena, feed, "_raw_ranges"));
    Error ignored = {0};
    if (!pg_exec(pg, SQL_BRONZE_PATIENCE, PG_PARAMS("300ms"), NULL, &ignored))
        return;
    pg_exec(pg, SQL_BRONZE_SUMMARIZE, PG_PARAMS(index), NULL, &ignored);
    pg_exec(pg, SQL_BRONZE_PATIENCE, PG_PARAMS("0"), NULL, &ignored);
}

/* ---- what was there ---- */

bool bronze_find_fields(Pg *pg, Arena *arena, const char *feed, const Str *keys, size_t n,
                        const char *const *columns, size_t n_columns, BronzeFields *ret_found, Error *err) {
    CLEANUP(buf_drop) Buf key_list = pg_array(KEYS_MAX_BYTES);
    CLEANUP(buf_drop) Buf name_list = pg_array(KEYS_MAX_BYTES);
    pg_array_texts(&key_list, keys, n);
    pg_array_names(&name_list, columns, n_columns);
    const char *key_array = pg_array_end(&key_list, err), *name_array = pg_array_end(&name_list, err);
    TRY(key_array && name_array);
    const char *sql = sql_fill(arena, SQL_BRONZE_FIND_FIELDS, {"raw", relation(arena, feed, "_raw")});
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, sql, PG_PARAMS(feed, key_array, name_array), err);
    TRY(rows);
    BronzeFields found = {.fields = ARENA_ARRAY(arena, Str, n * n_columns + 1), /* zeroed: NULL */
                          .is_seen = ARENA_ARRAY(arena, bool, n + 1), .batch_ids = ARENA_ARRAY(arena, int64_t, n + 1)};
    for (int r = 0; r < pg_rows(rows); r++)
        for (size_t i = 0; i < n; i++) {
            if (!str_equal(keys[i], pg_value(rows, r, 0)))
                continue;
            found.is_seen[i] = true;
            found.batch_ids[i] = pg_int(rows, r, 2);
            if (!str_is_null(pg_value(rows, r, 1)))
                hexkey_take(arena, pg_value(rows, r, 1), n_columns, found.fields + i * n_columns);
        }
    *ret_found = found;
    return true;
}
