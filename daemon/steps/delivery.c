/* delivery.c - see delivery.h.
 *
 * The layers, each a file of its own: unpack.h gives bytes, formats/decode.h makes them UTF-8, formats/csv.h makes them
 * rows. Offsets count bytes of UTF-8: those of the unpacked file where that is UTF-8 already, else going on means
 * decoding it again up to there. A gzip that was cut ends where it is cut, like a plain file. */
#include "steps/delivery.h"

#include "base/copy.h"
#include "base/own.h"
#include "steps/delivery_header.h"
#include "steps/delivery_values.h"
#include "steps/unpack.h"
#include "steps/x12_delivery.h"
#include "transform/formats/csv.h"
#include "transform/formats/decode.h"
#include "transform/formats/endings.h"
#include "transform/formats/sniff.h"
#include "transform/text.h"

#include <errno.h>

enum { CHUNK_BYTES = 64 * 1024, FIELD_MEMORY_SHARE = 4, ROWS_CHECKED = 500, LARGE_BYTES = 8 * 1024 * 1024, FIRST_ROWS = 250 };

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
    Header header;
    Endings endings; /* of the first rows, once they were checked: the same for whoever goes on at a later page */
    int64_t header_line; /* where the columns' names stand first; 0: nowhere in the head */
    int64_t other_header_line; /* behind the page that was read last; 0: none was come upon */
    FileDetected detected;
    X12Delivery *x12; /* the format; NULL: lines of fields */
    bool is_begun;    /* a page of it was read */
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

/* ---- opening ---- */

static bool read_header(DeliveryFile *file, Arena *arena, Error *err) {
    HeaderLine line = {.status = CSV_END, .parts_better = file->parts_better, .names_line = file->header_line};
    file->first_line = 1;
    if (header_is_there(file->claims)) {
        TRY(next_row(file, &line.row, &line.status, err));
        line.cut_packing = unpack_is_cut(file->bytes) ? packing_name(unpack_packing(file->bytes)) : NULL;
        TRY(header_check(file->claims, &line, err));
        file->first_offset = line.row.end;
        file->first_line = line.row.next_line;
    }
    return header_make(file->claims, &line, arena, &file->header, err);
}

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
    if (header_is_there(claims))
        text.wanted = header_wanted_names(claims, arena, &text.n_wanted);
    if (header_is_there(claims) && claims->n_columns == 0)
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
    file->detected.has_header = header_is_there(file->claims);
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
    *ret_n = file->header.n_fields;
    return file->header.fields;
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
    file->other_header_line = 0;
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
    size_t by_memory = (size_t)file->claims->page_bytes * FIELD_MEMORY_SHARE / (file->header.n_fields * sizeof(Str));
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
    Str *fields = hand->fields + hand->n_rows * file->header.n_fields;
    for (size_t i = 0; i < row->n_fields; i++)
        fields[i] = (Str){copy.at + (row->fields[i].at - from), row->fields[i].size};
    hand->page->size_bytes += size + 1;
}

/* The row's texts, copied behind one another. Fields it lacks stay NULL; those too many stand in the last
 * one, joined, so that nothing of the raw text is lost. */
static void copy_parts(const DeliveryFile *file, PageInHand *hand, const CsvRow *row) {
    size_t size = 0, last = file->header.n_fields - 1;
    for (size_t i = 0; i < row->n_fields; i++)
        size += row->fields[i].size + 1;
    char *at = arena_alloc(hand->arena, size);
    Str *fields = hand->fields + hand->n_rows * file->header.n_fields;
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
    bool is_whole = row->n_fields == file->header.n_fields && file->claims->format != FORMAT_FIXED;
    (is_whole ? copy_whole : copy_parts)(file, hand, row);
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
static bool refuse_heading(int64_t line, Error *err) {
    error_set(err, STATE_DATA, "line %lld is a header again, of other columns than the first or in another order, as in files "
              "that were joined; nothing is read from there on", (long long)line);
    return error_hint(err, "send each of them by itself");
}

static RawReject judge_row(const DeliveryFile *file, PageInHand *hand, const CsvRow *row) {
    bool lacks = row->problem != CSV_FINE || row->n_fields < file->header.n_fields || hand->is_short;
    if (row->has_end && !lacks && row->n_fields == file->header.n_fields)
        endings_note(hand->endings, row->line, hand->ending);
    if (!row->has_end && (lacks || endings_show_cut(hand->endings, hand->ending))) {
        hand->page->was_cut = true;
        return (RawReject){RULE_LINE_CUT, "the file ends in the middle of this line"};
    }
    if (row->problem != CSV_FINE)
        return (RawReject){RULE_LINE_UNREADABLE, csv_problem_text(row->problem)};
    if (hand->is_short)
        return (RawReject){RULE_FIELD_COUNT, "the line ends before its last column begins"};
    if (row->n_fields == file->header.n_fields)
        return (RawReject){NULL, NULL};
    return (RawReject){RULE_FIELD_COUNT,
                       arena_printf(hand->arena, "the line has %zu fields, the header %zu",
                                    row->n_fields, file->header.n_fields)};
}

/* Another header ends the page, so that the rows before it are placed. */
static void take_row(DeliveryFile *file, PageInHand *hand, const CsvRow *row) {
    HeadingAnswer heading = heading_look(file->header.heading, row, hand->arena);
    if (heading == HEADING_OTHER) {
        file->other_header_line = row->line;
        return;
    }
    copy_fields(file, hand, row);
    size_t i = hand->n_rows++;
    hand->lines[i] = row->line;
    hand->rejects[i] = heading == HEADING_AGAIN ? (RawReject){RULE_HEADER_AGAIN, "the line is the header once more"}
                                                : judge_row(file, hand, row);
    hand->page->offset = row->end;
    hand->page->line = row->next_line;
}

static bool read_page(DeliveryFile *file, Arena *arena, size_t most, Endings *endings, DeliveryPage *ret_page, Error *err) {
    DeliveryPage page = {.is_last = false};
    PageInHand hand = {
        .arena = arena,
        .fields = ARENA_ARRAY(arena, Str, most * file->header.n_fields),
        .lines = ARENA_ARRAY(arena, int64_t, most),
        .rejects = ARENA_ARRAY(arena, RawReject, most),
        .endings = endings,
        .page = &page,
    };
    while (hand.n_rows < most && page.size_bytes < (size_t)file->claims->page_bytes && file->other_header_line == 0) {
        CsvRow row;
        CsvStatus status;
        TRY(next_row(file, &row, &status, err));
        page.is_last = status == CSV_END;
        if (page.is_last)
            break;
        cut_columns(file, &hand, &row);
        take_row(file, &hand, &row);
    }
    if (file->other_header_line > 0 && hand.n_rows == 0)
        return refuse_heading(file->other_header_line, err);
    page.was_cut |= page.is_last && unpack_is_cut(file->bytes);
    page.rows = (RawRows){.fields = hand.fields, .lines = hand.lines, .rejects = hand.rejects,
                          .n_rows = hand.n_rows};
    *ret_page = page;
    return true;
}

bool delivery_is_large(const DeliveryFile *file) { return unpack_size(file->bytes) > LARGE_BYTES; }

/* Until the first page is placed nothing is known of those behind it, and they wait (turns.h): that of a large file is short. */
static size_t most_of_page(const DeliveryFile *file) {
    size_t most = most_rows(file);
    bool is_short = !file->is_begun && delivery_is_large(file) && most > FIRST_ROWS;
    return is_short ? FIRST_ROWS : most;
}

bool delivery_read(DeliveryFile *file, Arena *arena, DeliveryPage *ret_page, Error *err) {
    if (file->x12)
        return x12_delivery_read(file->x12, arena, ret_page, err);
    Endings endings = file->endings;
    bool ok = read_page(file, arena, most_of_page(file), &endings, ret_page, err);
    file->is_begun = true;
    return ok;
}

bool delivery_check_values(DeliveryFile *file, const Mapping *mapping, Arena *arena, Error *err) {
    DeliveryPage page;
    if (file->x12) /* whose standard says how they are written */
        return true;
    size_t most = most_rows(file);
    TRY(read_page(file, arena, most < ROWS_CHECKED ? most : ROWS_CHECKED, &file->endings, &page, err));
    ValueSample sample = {.fields = file->header.fields, .n_fields = file->header.n_fields, .rows = &page.rows, .arena = arena};
    TRY(values_check(&sample, mapping, &file->detected.decimal, err));
    return delivery_seek(file, file->first_offset, file->first_line, err);
}
