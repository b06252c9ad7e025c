/* delivery.c - see delivery.h.
 *
 * The layers, each a file of its own: unpack.h gives bytes, formats/decode.h makes them UTF-8, formats/csv.h makes them
 * rows. Offsets count bytes of UTF-8: those of the unpacked file where that is UTF-8 already, else going on means
 * decoding it again up to there. A gzip that was cut ends where it is cut, like a plain file. */
#include "steps/delivery.h"

#include "base/copy.h"
#include "base/own.h"
#include "steps/unpack.h"
#include "steps/x12_delivery.h"
#include "transform/evidence.h"
#include "transform/formats/csv.h"
#include "transform/formats/decode.h"
#include "transform/formats/heading.h"
#include "transform/formats/sniff.h"
#include "transform/text.h"

#include <errno.h>

enum { CHUNK_BYTES = 64 * 1024, FIELD_MEMORY_SHARE = 4, SURE_OF_WIDTH_ROWS = 2, ROWS_CHECKED = 500 };

/* How rows that were read end: whether a last one that ends elsewhere was cut. */
typedef struct Endings {
    size_t n, n_told; /* rows; those whose last field says something */
    int64_t line;     /* of the last of them */
    size_t width, tail;
    bool is_even, has_even_tails; /* all of one width; of one length behind their last sign */
} Endings;

struct DeliveryFile {
    const atomic_bool *canceled; /* or NULL */
    Unpacker *bytes;
    const ClaimsConfig *claims;
    char delimiter;    /* as configured or detected */
    char parts_better; /* what finds more columns than the configured one; 0: nothing */
    Decoder decoder;
    CsvParser *csv;
    char *chunk;     /* unpacked bytes */
    char *decoded;   /* the same as UTF-8; NULL where they are it */
    int64_t first_offset, first_line; /* where rows begin */
    int64_t to_skip; /* of what is decoded: placed before a crash */
    Field *fields;
    size_t n_fields;
    const Heading *heading;
    Endings endings; /* of the first rows, once they were checked: the same for whoever goes on at a later page */
    int64_t header_line; /* where the columns' names stand first; 0: nowhere in the head */
    FileDetected detected;
    X12Delivery *x12; /* the format; NULL: lines of fields */
};

/* ---- bytes and rows ---- */

static CsvParser *new_parser(const DeliveryFile *file) {
    const ClaimsConfig *claims = file->claims;
    bool is_fixed = claims->format == FORMAT_FIXED;
    CsvOptions options = {
        .delimiter = file->delimiter,
        .quote = is_fixed ? CSV_QUOTE_NONE : claims->quote,
        .max_line_bytes = (size_t)claims->max_line_bytes,
        .max_field_bytes = (size_t)(is_fixed ? claims->max_line_bytes : claims->max_field_bytes),
    };
    return csv_open(&options);
}

/* No bytes: the end. */
static void feed_bytes(DeliveryFile *file, Str bytes) {
    Str text = bytes;
    if (file->decoded)
        text = (Str){file->decoded, decoder_take(&file->decoder, bytes, bytes.size == 0, file->decoded)};
    size_t skipped = file->to_skip < (int64_t)text.size ? (size_t)file->to_skip : text.size;
    file->to_skip -= (int64_t)skipped;
    if (text.size > skipped)
        csv_feed(file->csv, (Str){text.at + skipped, text.size - skipped});
    if (bytes.size == 0)
        csv_finish(file->csv);
}

static bool feed_more(DeliveryFile *file, Error *err) {
    size_t n;
    if (file->canceled && atomic_load(file->canceled)) /* one line may be ten gigabytes */
        return error_set(err, STATE_CANCELED, "the run was canceled while a file was read");
    TRY(unpack_read(file->bytes, file->chunk, CHUNK_BYTES, &n, err));
    feed_bytes(file, (Str){file->chunk, n});
    return true;
}

static bool next_row(DeliveryFile *file, CsvRow *row, CsvStatus *ret_status, Error *err) {
    while ((*ret_status = csv_next(file->csv, row)) == CSV_MORE)
        TRY(feed_more(file, err));
    return true;
}

/* The first chunk, full or the whole file: what is detected is detected in it. */
static bool read_head(DeliveryFile *file, Str *ret_head, Error *err) {
    size_t used = 0;
    for (size_t n = 1; n > 0 && used < CHUNK_BYTES; used += n)
        TRY(unpack_read(file->bytes, file->chunk + used, CHUNK_BYTES - used, &n, err));
    *ret_head = (Str){file->chunk, used};
    return true;
}

/* ---- the header ---- */

/* All names by which the configuration may know a column. */
static const char *const *wanted_names(const ClaimsConfig *claims, Arena *arena, size_t *ret_n) {
    size_t n = 0;
    for (size_t i = 0; i < claims->mapping.n_columns; i++)
        n += claims->mapping.columns[i].n_from;
    for (size_t i = 0; i < claims->n_aliases; i++)
        n += claims->aliases[i].n_others;
    const char **names = ARENA_ARRAY(arena, const char *, n + 1);
    *ret_n = 0;
    for (size_t i = 0; i < claims->mapping.n_columns; i++)
        for (size_t j = 0; j < claims->mapping.columns[i].n_from; j++)
            names[(*ret_n)++] = claims->mapping.columns[i].from[j];
    for (size_t i = 0; i < claims->n_aliases; i++)
        for (size_t j = 0; j < claims->aliases[i].n_others; j++)
            names[(*ret_n)++] = claims->aliases[i].others[j];
    return names;
}

static bool has_header(const ClaimsConfig *claims) {
    return claims->header == HEADER_AUTO ? claims->n_columns == 0 : claims->header == HEADER_YES;
}

static bool has_field(const DeliveryFile *file, const char *name) {
    for (size_t i = 0; i < file->n_fields; i++)
        if (strcmp(file->fields[i].name, name) == 0)
            return true;
    return false;
}

static bool is_among(Str name, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (str_equal_nocase(name, str_of(names[i])))
            return true;
    return false;
}

const char *delivery_column_name(const ClaimsConfig *claims, Str name) {
    for (size_t i = 0; i < claims->n_aliases; i++)
        if (is_among(name, claims->aliases[i].others, claims->aliases[i].n_others))
            return claims->aliases[i].name;
    for (size_t i = 0; i < claims->mapping.n_columns; i++)
        for (size_t j = 0; j < claims->mapping.columns[i].n_from; j++)
            if (str_equal_nocase(name, str_of(claims->mapping.columns[i].from[j])))
                return claims->mapping.columns[i].from[j];
    return NULL;
}

static bool check_names(const DeliveryFile *file, Error *err) {
    for (size_t i = 0; i < file->n_fields; i++)
        for (size_t j = 0; j < i; j++) {
            if (strcmp(file->fields[j].name, file->fields[i].name) != 0)
                continue;
            error_set(err, STATE_DATA, "columns %zu and %zu of the header bear one name", j + 1, i + 1);
            return error_hint(err, "name them apart where the file is made, or by `columns` with `header: true`");
        }
    return true;
}

static bool refuse_alike(size_t first, size_t second, const char *name, Error *err) {
    error_set(err, STATE_DATA, "columns %zu and %zu of the header are both called as `%s` may be", first + 1, second + 1, name);
    return error_hint(err, "take the one that is not meant out of `aliases`, or call it otherwise where the file is made");
}

/* A name that the file itself uses for another column is not taken from that one; which of two is meant is not guessed. */
static bool rename_fields(DeliveryFile *file, Arena *arena, Error *err) {
    TRY(check_names(file, err));
    bool *is_renamed = ARENA_ARRAY(arena, bool, file->n_fields);
    for (size_t i = 0; i < file->n_fields; i++) {
        const char *name = delivery_column_name(file->claims, str_of(file->fields[i].name));
        for (size_t j = 0; name && j < i; j++)
            if (is_renamed[j] && strcmp(file->fields[j].name, name) == 0)
                return refuse_alike(j, i, name, err);
        is_renamed[i] = name && !has_field(file, name);
        if (is_renamed[i])
            file->fields[i].name = name;
    }
    return true;
}

static bool name_field(Arena *arena, DeliveryFile *file, size_t i, Str text, Error *err) {
    bool is_repaired = false;
    Str name = heading_name(arena, text_repair(arena, text, &is_repaired));
    if (is_repaired && file->claims->encoding != DECLARED_DETECT) {
        error_set(err, STATE_DATA, "the header is not the text that `encoding` declares");
        return error_hint(err, "say `encoding: detect`, or the encoding it is in");
    }
    file->fields[i].name = name.size ? arena_string(arena, name) : arena_printf(arena, "column_%zu", i + 1);
    return true;
}

static bool check_header(const DeliveryFile *file, CsvStatus status, const CsvRow *row, Error *err) {
    if (unpack_is_cut(file->bytes) && (status == CSV_END || !row->has_end)) {
        error_set(err, STATE_DATA, "the %s file was cut within its first line", packing_name(unpack_packing(file->bytes)));
        return error_hint(err, "send it again, whole");
    }
    if (status == CSV_END) {
        error_set(err, STATE_DATA, "the file has no header: it holds blank lines at most");
        return error_hint(err, "send it again, whole");
    }
    if (row->problem != CSV_FINE) {
        error_set(err, STATE_DATA, "the header cannot be read: %s", csv_problem_text(row->problem));
        return error_hint(err, "mend line 1 where the file is made, or say how it is written (`format`, `quote`)");
    }
    if (file->claims->n_columns == 0 || file->claims->format == FORMAT_FIXED || row->n_fields == file->claims->n_columns)
        return true;
    error_set(err, STATE_DATA, "line 1 has %zu columns, and `columns` names %zu", row->n_fields, file->claims->n_columns);
    return error_hint(err, "name the columns that the file has, in their order");
}

static void make_fields(DeliveryFile *file, Arena *arena, size_t n) {
    file->n_fields = n;
    file->fields = ARENA_ARRAY(arena, Field, n);
    for (size_t i = 0; i < n; i++)
        file->fields[i] = (Field){.kind = FIELD_TEXT, .folds_case = file->claims->fold_ids};
}

/* Names from the configuration; those of line 1, where there is one, are passed over. */
static void take_columns(DeliveryFile *file, Arena *arena) {
    make_fields(file, arena, file->claims->n_columns);
    for (size_t i = 0; i < file->n_fields; i++)
        file->fields[i].name = file->claims->columns[i].name;
}

/* Where line 1 holds none of the columns it is a row, and nothing of it may stand in a sentence. */
static bool check_known(const DeliveryFile *file, Error *err) {
    const ClaimsConfig *claims = file->claims;
    for (size_t i = 0; i < file->n_fields; i++)
        for (size_t j = 0; j < claims->mapping.n_columns; j++)
            for (size_t k = 0; k < claims->mapping.columns[j].n_from; k++)
                if (strcmp(claims->mapping.columns[j].from[k], file->fields[i].name) == 0)
                    return true;
    error_set(err, STATE_DATA, "line 1 is no header of %s: none of its columns stands there", claims->name);
    if (file->parts_better)
        return error_hint(err, "a %s parts its fields: say so by `format`, or `format: detect`", sniff_delimiter_name(file->parts_better));
    if (file->header_line > 1)
        return error_hint(err, "they stand in line %lld: have what is above them left out where the file is made",
                          (long long)file->header_line);
    return error_hint(err, "name the columns by `columns`, if the files have no header");
}

/* What would be a header among the rows: line 1 once more, or the names of the configuration. */
static void make_heading(DeliveryFile *file, const CsvRow *row, Arena *arena) {
    size_t n = row ? row->n_fields : file->n_fields, n_wanted;
    Str *names = ARENA_ARRAY(arena, Str, n);
    for (size_t i = 0; i < n; i++)
        names[i] = row ? heading_name(arena, arena_copy(arena, row->fields[i])) : str_of(file->fields[i].name);
    const char *const *wanted = wanted_names(file->claims, arena, &n_wanted);
    file->heading = heading_make(arena, names, n, wanted, n_wanted);
}

static bool read_header(DeliveryFile *file, Arena *arena, Error *err) {
    CsvRow row = {0};
    CsvStatus status;
    file->first_line = 1;
    if (has_header(file->claims)) {
        TRY(next_row(file, &row, &status, err) && check_header(file, status, &row, err));
        file->first_offset = row.end;
        file->first_line = row.next_line;
    }
    if (file->claims->n_columns > 0) {
        take_columns(file, arena);
        make_heading(file, has_header(file->claims) ? &row : NULL, arena);
        return true;
    }
    make_fields(file, arena, row.n_fields);
    make_heading(file, &row, arena);
    for (size_t i = 0; i < row.n_fields; i++)
        TRY(name_field(arena, file, i, row.fields[i], err));
    return rename_fields(file, arena, err) && check_known(file, err);
}

/* ---- opening ---- */

static bool find_encoding(DeliveryFile *file, Str head, Error *err) {
    EncodingFound found;
    TRY(encoding_find(head, file->claims->encoding, &found, err));
    file->decoder = (Decoder){.encoding = found.encoding};
    file->detected.encoding = found.name;
    file->detected.has_mark = found.has_mark;
    if (found.encoding == ENCODING_UTF_8)
        return true;
    file->decoded = malloc(decoder_room(CHUNK_BYTES));
    return file->decoded || error_set_errno(err, ENOMEM, "cannot open a claims file");
}

static bool starts_with(Str text, Str start) {
    return text.size >= start.size && memcmp(text.at, start.at, start.size) == 0;
}

/* Texts, but not of rows: a page to log in, an export in another form. */
static bool refuse_foreign(Str head, Error *err) {
    if (starts_with(head, STR("\xEF\xBB\xBF")))
        head.at += 3, head.size -= 3;
    if (starts_with(head, STR("PK\3\4")) || starts_with(head, STR("\x1F\x8B"))) {
        error_set(err, STATE_DATA, "the file is packed twice");
        return error_hint(err, "pack it once, as gzip or as zip");
    }
    head = str_trim(head);
    const char *what = starts_with(head, STR("<")) ? "HTML or XML" : starts_with(head, STR("{")) || starts_with(head, STR("[{")) ? "JSON"
                       : head.size > 6 && starts_with(head, STR("ISA")) && head.at[3] == head.at[6] ? "X12" : NULL;
    if (!what)
        return true;
    error_set(err, STATE_DATA, "the file is %s, not rows of fields", what);
    return error_hint(err, strcmp(what, "X12") == 0 ? "X12 has a directory of its own, with `format: x12`"
                                                    : "send its rows in the `format` that is configured");
}

static const char FORMAT_DELIMITERS[] = {
    [FORMAT_CSV] = ',', [FORMAT_TSV] = '\t', [FORMAT_SEMICOLON] = ';', [FORMAT_PIPE] = '|', [FORMAT_FIXED] = CSV_WHOLE_LINES,
    [FORMAT_DETECT] = ',',
};

static bool find_delimiter(DeliveryFile *file, Str head, bool is_whole, Arena *arena, Error *err) {
    const ClaimsConfig *claims = file->claims;
    file->delimiter = claims->delimiter ? claims->delimiter : FORMAT_DELIMITERS[claims->format];
    SniffText text = {.head = head, .is_whole = is_whole, .quote = claims->quote, .n_columns = claims->n_columns};
    if (has_header(claims))
        text.wanted = wanted_names(claims, arena, &text.n_wanted);
    if (has_header(claims) && claims->n_columns == 0)
        file->header_line = sniff_header(&text, claims->format == FORMAT_DETECT ? '\0' : file->delimiter);
    char found = ',';
    SniffAnswer answer = claims->format == FORMAT_FIXED ? SNIFF_ONE_COLUMN : sniff_delimiter(&text, &found);
    if (claims->format != FORMAT_DETECT) {
        file->parts_better = answer == SNIFF_FOUND && found != file->delimiter ? found : '\0';
        return true;
    }
    file->delimiter = found;
    if (answer != SNIFF_SEVERAL)
        return true;
    error_set(err, STATE_DATA, "what parts the fields of the file cannot be told: more than one character would");
    return error_hint(err, "say it: `format: csv`, `tsv`, `semicolon` or `pipe`");
}

/* What the head shows, in UTF-8 as the rows will be. */
static bool look_at_head(DeliveryFile *file, Str head, Arena *arena, Error *err) {
    bool is_whole = head.size < CHUNK_BYTES;
    Decoder decoder = file->decoder;
    Str text = head;
    if (file->decoded)
        text = (Str){file->decoded, decoder_take(&decoder, head, is_whole, file->decoded)};
    TRY(refuse_foreign(text, err) && find_delimiter(file, text, is_whole, arena, err));
    bool is_fixed = file->claims->format == FORMAT_FIXED;
    file->detected.format = is_fixed ? "fixed" : "delimited";
    file->detected.delimiter = is_fixed ? NULL : arena_string(arena, (Str){&file->delimiter, 1});
    file->detected.line_end = sniff_line_end(text);
    file->detected.has_header = has_header(file->claims);
    return true;
}

static bool open_bytes(DeliveryFile *file, int fd, const atomic_bool *canceled, Error *err) {
    UnpackLimits limits = {file->claims->max_unpacked_bytes, file->claims->max_unpacked_ratio, canceled};
    file->bytes = unpack_open(fd, limits, err);
    TRY(file->bytes);
    file->detected.packing = packing_name(unpack_packing(file->bytes));
    file->detected.unpacked_bytes = unpack_size(file->bytes);
    file->chunk = malloc(CHUNK_BYTES);
    return file->chunk || error_set_errno(err, ENOMEM, "cannot open a claims file");
}

static bool open_layers(DeliveryFile *file, Arena *arena, Error *err) {
    Str head;
    TRY(read_head(file, &head, err) && find_encoding(file, head, err) && look_at_head(file, head, arena, err));
    file->csv = new_parser(file);
    if (head.size > 0)
        feed_bytes(file, head);
    return true;
}

/* A separator as text; NULL: there is none. Half a character of UTF-8 is no text that the ledger could keep: as 0x85. */
static const char *sign(Arena *arena, char c) {
    if (!c)
        return NULL;
    bool is_text = (unsigned char)c < 0x80;
    return is_text ? arena_string(arena, (Str){&c, 1}) : arena_printf(arena, "0x%02x", (unsigned)(unsigned char)c);
}

static void note_written(DeliveryFile *file, const X12Written *written, Arena *arena) {
    static const char *const USAGES[] = {[X12_PRODUCTION] = "production", [X12_INFORMATION] = "information", [X12_TEST] = "test"};
    file->detected.has_mark = written->has_mark;
    file->detected.usage = USAGES[written->usage];
    file->detected.delimiter = sign(arena, written->element);
    file->detected.component_separator = sign(arena, written->component);
    file->detected.repetition_separator = sign(arena, written->repetition);
    file->detected.segment_terminator = sign(arena, written->terminator);
}

static bool open_x12(DeliveryFile *file, const FilePattern *pattern, Arena *arena, Error *err) {
    file->detected.format = "x12";
    file->x12 = x12_delivery_open(file->bytes, file->claims, pattern, arena, err);
    if (file->x12)
        note_written(file, &x12_delivery_survey(file->x12)->written, arena);
    return file->x12 != NULL;
}

DeliveryFile *delivery_open(int fd, const ClaimsConfig *claims, const FilePattern *pattern, const atomic_bool *canceled,
                            Arena *arena, Error *err) {
    CLEANUP(fd_drop) int owned = fd;
    CLEANUP(delivery_drop) DeliveryFile *file = calloc(1, sizeof *file);
    if (!file) {
        error_set_errno(err, ENOMEM, "cannot open a claims file");
        return NULL;
    }
    file->claims = claims;
    file->canceled = canceled;
    owned = -1;
    TRY_NULL(open_bytes(file, fd, canceled, err));
    if (claims->format == FORMAT_X12)
        TRY_NULL(open_x12(file, pattern, arena, err));
    else
        TRY_NULL(open_layers(file, arena, err) && read_header(file, arena, err));
    return TAKE(file);
}

void delivery_close(DeliveryFile *file) {
    x12_delivery_drop(&file->x12);
    if (file->bytes)
        unpack_close(file->bytes);
    if (file->csv)
        csv_free(file->csv);
    free(file->chunk);
    free(file->decoded);
    free(file);
}

const Field *delivery_fields(const DeliveryFile *file, size_t *ret_n) {
    if (file->x12)
        return x12_delivery_fields(file->x12, ret_n);
    *ret_n = file->n_fields;
    return file->fields;
}

const X12Survey *delivery_survey(const DeliveryFile *file) {
    return file->x12 ? x12_delivery_survey(file->x12) : NULL;
}

const FileDetected *delivery_detected(DeliveryFile *file, Arena *arena) {
    size_t n;
    const Field *fields = delivery_fields(file, &n);
    const char **columns = ARENA_ARRAY(arena, const char *, n);
    for (size_t i = 0; i < n; i++)
        columns[i] = fields[i].name;
    file->detected.columns = columns;
    file->detected.n_columns = n;
    return &file->detected;
}

bool delivery_seek(DeliveryFile *file, int64_t offset, int64_t line, Error *err) {
    if (file->x12) {
        x12_delivery_seek(file->x12, line);
        return true;
    }
    TRY(unpack_seek(file->bytes, file->decoded ? 0 : offset, err));
    file->decoder.n_held = 0;
    file->to_skip = file->decoded ? offset : 0;
    csv_free(file->csv);
    file->csv = new_parser(file);
    csv_resume_at(file->csv, offset, line);
    return true;
}

/* ---- pages ---- */

typedef struct PageInHand {
    Arena *arena;
    Str *fields;
    int64_t *lines;
    RawReject *rejects;
    size_t n_rows;
    bool is_short; /* the row in hand: its line ends before its last column begins */
    Str ending;    /* of the row in hand: its last field, of fixed width its line */
    Endings *endings; /* of the rows before it */
    DeliveryPage *page;
} PageInHand;

static size_t most_rows(const DeliveryFile *file) {
    size_t most = (size_t)file->claims->page_rows;
    size_t by_memory = (size_t)file->claims->page_bytes * FIELD_MEMORY_SHARE / (file->n_fields * sizeof(Str));
    most = by_memory < most ? by_memory : most;
    size_t by_size = (size_t)unpack_size(file->bytes) / 2 + 1; /* a row has a letter and an end, but for the last */
    most = by_size < most ? by_size : most;
    return most ? most : 1;
}

/* A row as most are: its texts stand in their order, and are copied with what parts them. */
static void copy_whole(const DeliveryFile *file, PageInHand *hand, const CsvRow *row) {
    const Str *last = &row->fields[row->n_fields - 1];
    const char *from = row->fields[0].at;
    size_t size = (size_t)(last->at + last->size - from);
    Str copy = arena_copy(hand->arena, (Str){from, size});
    Str *fields = hand->fields + hand->n_rows * file->n_fields;
    for (size_t i = 0; i < row->n_fields; i++)
        fields[i] = (Str){copy.at + (row->fields[i].at - from), row->fields[i].size};
    hand->page->size_bytes += size + 1;
}

/* The row's texts, copied behind one another. Fields it lacks stay NULL; those too many stand in the last
 * one, joined, so that nothing of the raw text is lost. */
static void copy_parts(const DeliveryFile *file, PageInHand *hand, const CsvRow *row) {
    size_t size = 0, last = file->n_fields - 1;
    for (size_t i = 0; i < row->n_fields; i++)
        size += row->fields[i].size + 1;
    char *at = arena_alloc(hand->arena, size);
    Str *fields = hand->fields + hand->n_rows * file->n_fields;
    for (size_t i = 0; i < row->n_fields; i++) {
        Str *field = &fields[i < last ? i : last];
        if (i > last)
            *at++ = file->delimiter;
        else
            field->at = at;
        copy_short(at, row->fields[i].at, row->fields[i].size);
        at += row->fields[i].size;
        field->size = (size_t)(at - field->at);
    }
    hand->page->size_bytes += size;
}

static void copy_fields(const DeliveryFile *file, PageInHand *hand, const CsvRow *row) {
    bool is_whole = row->n_fields == file->n_fields && file->claims->format != FORMAT_FIXED;
    (is_whole ? copy_whole : copy_parts)(file, hand, row);
}

/* What stands behind the last sign of a text: the cents of an amount, the day of a date; 0 bytes without one. */
static size_t tail_of(Str text) {
    size_t n = 0;
    while (n < text.size && !strchr(".,-/:", text.at[text.size - 1 - n]))
        n++;
    return n < text.size ? n : 0;
}

/* How rows end: those in the page in hand, and the file's first ones, for a page may begin with the last row. */
static void note_ending(Endings *endings, int64_t line, Str last) {
    size_t tail = tail_of(last);
    if (line <= endings->line)
        return;
    endings->line = line;
    if (endings->n == 0)
        endings->width = last.size;
    endings->is_even = (endings->n == 0 || endings->is_even) && endings->width == last.size;
    endings->n++;
    if (last.size == 0)
        return;
    endings->has_even_tails = tail > 0 && (endings->n_told == 0 || (endings->has_even_tails && endings->tail == tail));
    endings->tail = tail;
    endings->n_told++;
}

/* A last line without an end has all its fields, but may be cut within the last one: sure when that is shorter than in
 * the rows before, which all have it equally long (dates, mostly), or lacks digits behind its last sign that all others
 * have (amounts). Of fixed width it is the line that may be shorter. */
static bool ends_too_early(const Endings *endings, Str last) {
    if (endings->n >= SURE_OF_WIDTH_ROWS && endings->is_even)
        return last.size < endings->width;
    bool may_be_empty = last.size == 0 && endings->n_told < endings->n;
    return endings->n_told >= SURE_OF_WIDTH_ROWS && endings->has_even_tails && !may_be_empty && tail_of(last) < endings->tail;
}

/* Of a line of fixed width: its columns instead of the line. One that cannot be read stays as it is. */
static void cut_columns(const DeliveryFile *file, PageInHand *hand, CsvRow *row) {
    const ClaimsConfig *claims = file->claims;
    hand->is_short = false;
    hand->ending = row->fields[row->n_fields - 1];
    if (claims->format != FORMAT_FIXED || row->problem != CSV_FINE)
        return;
    Str *fields = ARENA_ARRAY(hand->arena, Str, claims->n_columns);
    hand->is_short = fixed_cut(row->fields[0], claims->columns, claims->n_columns, fields) < claims->n_columns;
    row->n_fields = claims->n_columns;
    row->fields = fields;
}

/* Behind another header the columns of this one stand elsewhere. */
static bool refuse_heading(const CsvRow *row, Error *err) {
    error_set(err, STATE_DATA, "line %lld is a header again, of other columns than the first or in another order, as in files "
              "that were joined; nothing is read from there on", (long long)row->line);
    return error_hint(err, "send each of them by itself");
}

static RawReject judge_row(const DeliveryFile *file, PageInHand *hand, const CsvRow *row) {
    bool lacks = row->problem != CSV_FINE || row->n_fields < file->n_fields || hand->is_short;
    if (row->has_end && !lacks && row->n_fields == file->n_fields)
        note_ending(hand->endings, row->line, hand->ending);
    if (!row->has_end && (lacks || ends_too_early(hand->endings, hand->ending))) {
        hand->page->was_cut = true;
        return (RawReject){RULE_LINE_CUT, "the file ends in the middle of this line"};
    }
    if (row->problem != CSV_FINE)
        return (RawReject){RULE_LINE_UNREADABLE, csv_problem_text(row->problem)};
    if (hand->is_short)
        return (RawReject){RULE_FIELD_COUNT, "the line ends before its last column begins"};
    if (row->n_fields == file->n_fields)
        return (RawReject){NULL, NULL};
    return (RawReject){RULE_FIELD_COUNT,
                       arena_printf(hand->arena, "the line has %zu fields, the header %zu",
                                    row->n_fields, file->n_fields)};
}

static bool take_row(const DeliveryFile *file, PageInHand *hand, const CsvRow *row, Error *err) {
    HeadingAnswer heading = heading_look(file->heading, row, hand->arena);
    if (heading == HEADING_OTHER)
        return refuse_heading(row, err);
    copy_fields(file, hand, row);
    size_t i = hand->n_rows++;
    hand->lines[i] = row->line;
    hand->rejects[i] = heading == HEADING_AGAIN ? (RawReject){RULE_HEADER_AGAIN, "the line is the header once more"}
                                                : judge_row(file, hand, row);
    hand->page->offset = row->end;
    hand->page->line = row->next_line;
    return true;
}

static bool read_page(DeliveryFile *file, Arena *arena, size_t most, Endings *endings, DeliveryPage *ret_page, Error *err) {
    DeliveryPage page = {.is_last = false};
    PageInHand hand = {
        .arena = arena,
        .fields = ARENA_ARRAY(arena, Str, most * file->n_fields),
        .lines = ARENA_ARRAY(arena, int64_t, most),
        .rejects = ARENA_ARRAY(arena, RawReject, most),
        .endings = endings,
        .page = &page,
    };
    while (hand.n_rows < most && page.size_bytes < (size_t)file->claims->page_bytes) {
        CsvRow row;
        CsvStatus status;
        TRY(next_row(file, &row, &status, err));
        page.is_last = status == CSV_END;
        if (page.is_last)
            break;
        cut_columns(file, &hand, &row);
        TRY(take_row(file, &hand, &row, err));
    }
    page.was_cut |= page.is_last && unpack_is_cut(file->bytes);
    page.rows = (RawRows){.fields = hand.fields, .lines = hand.lines, .rejects = hand.rejects,
                          .n_rows = hand.n_rows};
    *ret_page = page;
    return true;
}

bool delivery_read(DeliveryFile *file, Arena *arena, DeliveryPage *ret_page, Error *err) {
    if (file->x12)
        return x12_delivery_read(file->x12, arena, ret_page, err);
    Endings endings = file->endings;
    return read_page(file, arena, most_rows(file), &endings, ret_page, err);
}

/* ---- are dates and amounts written as declared ---- */

static Str *texts_of(const DeliveryFile *file, const RawRows *rows, int field, Arena *arena) {
    Str *texts = ARENA_ARRAY(arena, Str, rows->n_rows + 1);
    for (size_t i = 0; i < rows->n_rows; i++)
        texts[i] = rows->rejects[i].rule ? STR_NULL : rows->fields[i * file->n_fields + (size_t)field];
    return texts;
}

static bool refuse_dates(const char *name, const char *const *formats, size_t n, Error *err) {
    if (n > 1) {
        error_set(err, STATE_DATA, "whether the dates of column `%s` have the month or the day first "
                  "cannot be told from them, and nothing declares it", name);
        return error_hint(err, "say `date_format: \"%s\"` or `date_format: \"%s\"`", formats[0], formats[1]);
    }
    error_set(err, STATE_DATA, "the dates of column `%s` are not written as declared, and all first ones fit %s",
              name, formats[0]);
    return error_hint(err, "if the sender means that, say `date_format: \"%s\"`", formats[0]);
}

static bool check_dates(const char *name, const Str *texts, size_t n, Error *err) {
    const char *formats[EVIDENCE_FORMATS_MAX];
    size_t n_formats = evidence_date_formats(texts, n, formats);
    return n_formats == 0 || refuse_dates(name, formats, n_formats, err);
}

static bool check_amounts(const char *name, const Str *texts, size_t n, Error *err) {
    DecimalEvidence evidence = evidence_decimal(texts, n);
    bool is_comma = evidence.n_comma > 0;
    if (evidence.n_neither > 0 || (evidence.n_comma > 0) == (evidence.n_point > 0))
        return true;
    error_set(err, STATE_DATA, "the amounts of column `%s` have a decimal %s, and that is not declared", name,
              is_comma ? "comma" : "point");
    return error_hint(err, "say `decimal: %s`, or so in the column's `clean`", is_comma ? "comma" : "point");
}

static bool check_reader(const DeliveryFile *file, const RawRows *rows, MappingReader reader, bool is_unread, DecimalEvidence *sum,
                         Arena *arena, Error *err) {
    const char *name = file->fields[reader.field].name;
    const Str *texts = texts_of(file, rows, reader.field, arena);
    if (reader.type != TYPE_MONEY)
        return !is_unread || check_dates(name, texts, rows->n_rows, err);
    DecimalEvidence evidence = evidence_decimal(texts, rows->n_rows);
    sum->n_comma += evidence.n_comma;
    sum->n_point += evidence.n_point;
    return !is_unread || check_amounts(name, texts, rows->n_rows, err);
}

static bool check_page(DeliveryFile *file, const Mapping *mapping, const RawRows *rows, Arena *arena, Error *err) {
    MappingReader readers[ENTITY_COLUMNS_MAX];
    size_t n = mapping_readers(mapping, readers);
    uint64_t unread = 0;
    for (size_t i = 0; i < rows->n_rows; i++)
        if (!rows->rejects[i].rule)
            unread |= mapping_unread(mapping, rows->fields + i * file->n_fields, arena);
    DecimalEvidence decimal = {0};
    for (size_t i = 0; i < n; i++)
        TRY(check_reader(file, rows, readers[i], unread >> i & 1, &decimal, arena, err));
    if ((decimal.n_comma > 0) != (decimal.n_point > 0))
        file->detected.decimal = decimal.n_comma > 0 ? "comma" : "point";
    return true;
}

bool delivery_check_values(DeliveryFile *file, const Mapping *mapping, Arena *arena, Error *err) {
    DeliveryPage page;
    if (file->x12) /* whose standard says how they are written */
        return true;
    size_t most = most_rows(file);
    TRY(read_page(file, arena, most < ROWS_CHECKED ? most : ROWS_CHECKED, &file->endings, &page, err));
    TRY(check_page(file, mapping, &page.rows, arena, err));
    return delivery_seek(file, file->first_offset, file->first_line, err);
}
