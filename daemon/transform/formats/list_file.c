/* list_file.c - see list_file.h. */
#include "transform/formats/list_file.h"

#include "base/own.h"
#include "transform/formats/csv.h"
#include "transform/formats/decode.h"
#include "transform/formats/sniff.h"
#include "transform/text.h"

enum { HEAD_BYTES = 64 << 10, ROWS_FIRST = 256 };

typedef struct Reading {
    const ListFormat *format;
    Arena *arena;
    int places[LIST_COLUMNS_MAX]; /* of the format's columns in a row; -1: absent */
    size_t n_fields;
    ListRow *rows;
    size_t n, room;
} Reading;

/* ---- bytes to text ---- */

static bool decode(Str bytes, Arena *arena, Str *ret_text, Error *err) {
    EncodingFound found;
    TRY(encoding_find((Str){bytes.at, bytes.size < HEAD_BYTES ? bytes.size : HEAD_BYTES}, DECLARED_DETECT, &found, err));
    Decoder decoder = {.encoding = found.encoding};
    char *text = arena_alloc(arena, decoder_room(bytes.size));
    Str decoded = {text, decoder_take(&decoder, bytes, true, text)};
    if (decoded.size >= 3 && memcmp(decoded.at, "\xef\xbb\xbf", 3) == 0)
        decoded = (Str){decoded.at + 3, decoded.size - 3};
    *ret_text = decoded;
    return true;
}

static char find_delimiter(Str text, const ListFormat *format) {
    const char *wanted[LIST_COLUMNS_MAX];
    for (int i = 0; i < format->n; i++)
        wanted[i] = format->columns[i].name;
    bool is_whole = text.size <= HEAD_BYTES;
    SniffText sniff = {.head = {text.at, is_whole ? text.size : HEAD_BYTES}, .is_whole = is_whole,
                       .quote = CSV_QUOTE_DOUBLE, .wanted = wanted, .n_wanted = (size_t)format->n};
    char delimiter = ',';
    sniff_delimiter(&sniff, &delimiter);
    return delimiter;
}

/* ---- text to rows ---- */

static bool read_header(Reading *r, const CsvRow *row, Error *err) {
    r->n_fields = row->n_fields;
    for (int i = 0; i < r->format->n; i++) {
        r->places[i] = -1;
        for (size_t field = 0; field < row->n_fields; field++)
            if (str_equal_nocase(str_trim(row->fields[field]), str_of(r->format->columns[i].name)))
                r->places[i] = (int)field;
        if (r->places[i] < 0 && r->format->columns[i].is_required)
            return error_set(err, STATE_DATA, "its first line names no column `%s`", r->format->columns[i].name);
    }
    return true;
}

static ListRow *new_row(Reading *r) {
    if (r->n == r->room) {
        ListRow *old = r->rows;
        r->room = r->room ? r->room * 2 : ROWS_FIRST;
        r->rows = ARENA_ARRAY(r->arena, ListRow, r->room);
        if (old)
            memcpy(r->rows, old, r->n * sizeof *old);
    }
    return &r->rows[r->n++];
}

static bool read_row(Reading *r, const CsvRow *csv, Error *err) {
    if (csv->n_fields == 1 && str_trim(csv->fields[0]).size == 0)
        return true;
    if (csv->n_fields != r->n_fields)
        return error_set(err, STATE_DATA, "line %lld has %zu fields, its first line %zu", (long long)csv->line,
                         csv->n_fields, r->n_fields);
    ListRow *row = new_row(r);
    row->line = csv->line;
    for (int i = 0; i < r->format->n; i++) {
        Str field = r->places[i] < 0 ? STR_NULL : csv->fields[r->places[i]];
        bool ignored;
        field = text_trim(text_repair(r->arena, field, &ignored));
        row->values[i] = field.size > 0 ? arena_copy(r->arena, field) : STR_NULL;
        if (field.size == 0 && r->format->columns[i].is_required)
            return error_set(err, STATE_DATA, "line %lld has no `%s`", (long long)csv->line, r->format->columns[i].name);
    }
    return true;
}

static bool read_line(Reading *r, const CsvRow *row, Error *err) {
    if (row->problem != CSV_FINE)
        return error_set(err, STATE_DATA, "line %lld: %s", (long long)row->line, csv_problem_text(row->problem));
    return r->n_fields == 0 ? read_header(r, row, err) : read_row(r, row, err);
}

static bool read_rows(Reading *r, Str text, Error *err) {
    CsvOptions options = {.delimiter = find_delimiter(text, r->format), .quote = CSV_QUOTE_DOUBLE};
    CLEANUP(csv_drop) CsvParser *csv = csv_open(&options);
    CsvRow row;
    bool is_fed = false;
    for (CsvStatus status; (status = csv_next(csv, &row)) != CSV_END;) {
        if (status == CSV_ROW)
            TRY(read_line(r, &row, err));
        else if (!is_fed)
            csv_feed(csv, text);
        else
            csv_finish(csv);
        is_fed = is_fed || status == CSV_MORE;
    }
    return true;
}

bool list_read(Str bytes, const ListFormat *format, Arena *arena, ListRow **ret_rows, size_t *ret_n, Error *err) {
    Reading reading = {.format = format, .arena = arena};
    Str text;
    TRY(decode(bytes, arena, &text, err) && read_rows(&reading, text, err));
    if (reading.n == 0)
        return error_set(err, STATE_DATA, "it lists nothing");
    *ret_rows = reading.rows;
    *ret_n = reading.n;
    return true;
}
