/* delivery.c - see delivery.h.
 *
 * The layers, each a file of its own: unpack.h gives bytes, formats/decode.h makes them UTF-8, formats/csv.h makes them
 * rows. Offsets count bytes of UTF-8: those of the unpacked file where that is UTF-8 already, else going on means
 * decoding it again up to there. A gzip that was cut ends where it is cut, like a plain file. */
#include "steps/delivery.h"

#include "base/own.h"
#include "steps/unpack.h"
#include "transform/formats/csv.h"
#include "transform/formats/decode.h"
#include "transform/text.h"

#include <errno.h>

enum { CHUNK_BYTES = 64 * 1024, FIELD_MEMORY_SHARE = 4, SURE_OF_WIDTH_ROWS = 2 };

struct DeliveryFile {
    Unpacker *bytes;
    const ClaimsConfig *claims;
    Decoder decoder;
    CsvParser *csv;
    char *chunk;     /* unpacked bytes */
    char *decoded;   /* the same as UTF-8; NULL where they are it */
    int64_t to_skip; /* of what is decoded: placed before a crash */
    Field *fields;
    size_t n_fields;
    FileDetected detected;
};

/* ---- bytes and rows ---- */

static CsvParser *new_parser(const ClaimsConfig *claims) {
    CsvOptions options = {
        .delimiter = claims->delimiter,
        .max_line_bytes = (size_t)claims->max_line_bytes,
        .max_field_bytes = (size_t)claims->max_field_bytes,
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

static bool name_field(Arena *arena, DeliveryFile *file, size_t i, Str text, Error *err) {
    bool is_repaired = false;
    Str name = str_trim(text_repair(arena, text, &is_repaired));
    if (is_repaired && file->claims->encoding != DECLARED_DETECT) {
        error_set(err, STATE_DATA, "the header is not the text that `encoding` declares");
        return error_hint(err, "say `encoding: detect`, or the encoding it is in");
    }
    file->fields[i] = (Field){
        .name = name.size ? arena_string(arena, name) : arena_printf(arena, "column_%zu", i + 1),
        .kind = FIELD_TEXT,
        .folds_case = file->claims->fold_ids,
    };
    for (size_t j = 0; j < i; j++)
        if (strcmp(file->fields[j].name, file->fields[i].name) == 0)
            return error_set(err, STATE_DATA, "columns %zu and %zu of the header bear one name", j + 1, i + 1);
    return true;
}

static bool read_header(DeliveryFile *file, Arena *arena, Error *err) {
    CsvRow row;
    CsvStatus status;
    TRY(next_row(file, &row, &status, err));
    if (unpack_is_cut(file->bytes) && (status == CSV_END || !row.has_end)) {
        error_set(err, STATE_DATA, "the %s file was cut within its first line", packing_name(unpack_packing(file->bytes)));
        return error_hint(err, "send it again, whole");
    }
    if (status == CSV_END)
        return error_set(err, STATE_DATA, "the file has no header");
    if (row.problem != CSV_FINE)
        return error_set(err, STATE_DATA, "the header cannot be read: %s", csv_problem_text(row.problem));
    file->n_fields = row.n_fields;
    file->fields = ARENA_ARRAY(arena, Field, row.n_fields);
    for (size_t i = 0; i < row.n_fields; i++)
        TRY(name_field(arena, file, i, row.fields[i], err));
    return true;
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

static bool open_layers(DeliveryFile *file, int fd, Error *err) {
    UnpackLimits limits = {file->claims->max_unpacked_bytes, file->claims->max_unpacked_ratio};
    file->bytes = unpack_open(fd, limits, err);
    TRY(file->bytes);
    file->chunk = malloc(CHUNK_BYTES);
    if (!file->chunk)
        return error_set_errno(err, ENOMEM, "cannot open a claims file");
    file->detected.packing = packing_name(unpack_packing(file->bytes));
    file->detected.unpacked_bytes = unpack_size(file->bytes);
    Str head;
    TRY(read_head(file, &head, err) && find_encoding(file, head, err));
    file->csv = new_parser(file->claims);
    if (head.size > 0)
        feed_bytes(file, head);
    return true;
}

DeliveryFile *delivery_open(int fd, const ClaimsConfig *claims, Arena *arena,
                            Error *err) {
    CLEANUP(fd_drop) int owned = fd;
    CLEANUP(delivery_drop) DeliveryFile *file = calloc(1, sizeof *file);
    if (!file) {
        error_set_errno(err, ENOMEM, "cannot open a claims file");
        return NULL;
    }
    file->claims = claims;
    owned = -1;
    TRY_NULL(open_layers(file, fd, err) && read_header(file, arena, err));
    return TAKE(file);
}

void delivery_close(DeliveryFile *file) {
    if (file->bytes)
        unpack_close(file->bytes);
    if (file->csv)
        csv_free(file->csv);
    free(file->chunk);
    free(file->decoded);
    free(file);
}

const Field *delivery_fields(const DeliveryFile *file, size_t *ret_n) {
    *ret_n = file->n_fields;
    return file->fields;
}

const FileDetected *delivery_detected(DeliveryFile *file, Arena *arena) {
    const char **columns = ARENA_ARRAY(arena, const char *, file->n_fields);
    for (size_t i = 0; i < file->n_fields; i++)
        columns[i] = file->fields[i].name;
    file->detected.columns = columns;
    file->detected.n_columns = file->n_fields;
    return &file->detected;
}

bool delivery_seek(DeliveryFile *file, int64_t offset, int64_t line, Error *err) {
    TRY(unpack_seek(file->bytes, file->decoded ? 0 : offset, err));
    file->decoder.n_held = 0;
    file->to_skip = file->decoded ? offset : 0;
    csv_free(file->csv);
    file->csv = new_parser(file->claims);
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
    DeliveryPage *page;
} PageInHand;

static size_t most_rows(const DeliveryFile *file) {
    size_t most = (size_t)file->claims->page_rows;
    size_t by_memory = (size_t)file->claims->page_bytes * FIELD_MEMORY_SHARE / (file->n_fields * sizeof(Str));
    most = by_memory < most ? by_memory : most;
    return most ? most : 1;
}

/* The row's texts, copied behind one another. Fields it lacks stay NULL; those too many stand in the last
 * one, joined, so that nothing of the raw text is lost. */
static void copy_fields(const DeliveryFile *file, PageInHand *hand, const CsvRow *row) {
    size_t size = 0, last = file->n_fields - 1;
    for (size_t i = 0; i < row->n_fields; i++)
        size += row->fields[i].size + 1;
    char *at = arena_alloc(hand->arena, size);
    Str *fields = hand->fields + hand->n_rows * file->n_fields;
    for (size_t i = 0; i < row->n_fields; i++) {
        Str *field = &fields[i < last ? i : last];
        if (i > last)
            *at++ = file->claims->delimiter ? file->claims->delimiter : ',';
        else
            field->at = at;
        memcpy(at, row->fields[i].at, row->fields[i].size);
        at += row->fields[i].size;
        field->size = (size_t)(at - field->at);
    }
    hand->page->size_bytes += size;
}

/* A last line without an end has all its fields, but may be cut within the last one: sure when that is
 * shorter than in the rows before, which all have it equally long (dates, mostly). */
static bool ends_too_early(const DeliveryFile *file, const PageInHand *hand) {
    if (hand->n_rows < SURE_OF_WIDTH_ROWS + 1)
        return false;
    const Str *last = hand->fields + file->n_fields - 1;
    for (size_t i = 1; i + 1 < hand->n_rows; i++)
        if (last[i * file->n_fields].size != last[0].size)
            return false;
    return last[(hand->n_rows - 1) * file->n_fields].size < last[0].size;
}

static RawReject judge_row(const DeliveryFile *file, PageInHand *hand, const CsvRow *row) {
    bool lacks = row->problem != CSV_FINE || row->n_fields < file->n_fields;
    if (!row->has_end && (lacks || ends_too_early(file, hand))) {
        hand->page->was_cut = true;
        return (RawReject){RULE_LINE_CUT, "the file ends in the middle of this line"};
    }
    if (row->problem != CSV_FINE)
        return (RawReject){RULE_LINE_UNREADABLE, csv_problem_text(row->problem)};
    if (row->n_fields == file->n_fields)
        return (RawReject){NULL, NULL};
    return (RawReject){RULE_FIELD_COUNT,
                       arena_printf(hand->arena, "the line has %zu fields, the header %zu",
                                    row->n_fields, file->n_fields)};
}

static void take_row(const DeliveryFile *file, PageInHand *hand, const CsvRow *row) {
    copy_fields(file, hand, row);
    size_t i = hand->n_rows++;
    hand->lines[i] = row->line;
    hand->rejects[i] = judge_row(file, hand, row);
    hand->page->offset = row->end;
    hand->page->line = row->next_line;
}

bool delivery_read(DeliveryFile *file, Arena *arena, DeliveryPage *ret_page, Error *err) {
    DeliveryPage page = {.is_last = false};
    size_t most = most_rows(file);
    PageInHand hand = {
        .arena = arena,
        .fields = ARENA_ARRAY(arena, Str, most * file->n_fields),
        .lines = ARENA_ARRAY(arena, int64_t, most),
        .rejects = ARENA_ARRAY(arena, RawReject, most),
        .page = &page,
    };
    while (hand.n_rows < most && page.size_bytes < (size_t)file->claims->page_bytes) {
        CsvRow row;
        CsvStatus status;
        TRY(next_row(file, &row, &status, err));
        page.is_last = status == CSV_END;
        if (page.is_last)
            break;
        take_row(file, &hand, &row);
    }
    page.was_cut |= page.is_last && unpack_is_cut(file->bytes);
    page.rows = (RawRows){.fields = hand.fields, .lines = hand.lines, .rejects = hand.rejects,
                          .n_rows = hand.n_rows};
    *ret_page = page;
    return true;
}
