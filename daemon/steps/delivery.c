/* delivery.c - see delivery.h.
 *
 * zlib reads plain bytes as they are, so that gzip needs no case of its own; offsets count the bytes
 * after unpacking. A damaged gzip ends where it is damaged, like a file that was cut. */
#include "steps/delivery.h"

#include "base/own.h"
#include "transform/formats/csv.h"

#include <errno.h>
#include <unistr.h>
#include <zlib.h>

enum { CHUNK_BYTES = 64 * 1024, FIELD_MEMORY_SHARE = 4, SURE_OF_WIDTH_ROWS = 2 };

struct DeliveryFile {
    gzFile bytes;
    const ClaimsConfig *claims;
    CsvParser *csv;
    char *chunk;
    Field *fields;
    size_t n_fields;
    bool is_damaged;
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

static bool feed_more(DeliveryFile *file, Error *err) {
    int n = gzread(file->bytes, file->chunk, CHUNK_BYTES);
    int code = Z_OK;
    if (n < CHUNK_BYTES)
        gzerror(file->bytes, &code);
    if (code == Z_ERRNO)
        return error_set_errno(err, errno, "cannot read a claims file");
    file->is_damaged = code != Z_OK && code != Z_STREAM_END;
    if (n > 0)
        csv_feed(file->csv, (Str){file->chunk, (size_t)n});
    else
        csv_finish(file->csv);
    return true;
}

static bool next_row(DeliveryFile *file, CsvRow *row, CsvStatus *ret_status, Error *err) {
    while ((*ret_status = csv_next(file->csv, row)) == CSV_MORE)
        TRY(feed_more(file, err));
    return true;
}

/* ---- the header ---- */

static bool check_first_bytes(int fd, Error *err) {
    uint8_t first[4] = {0};
    ssize_t n = pread(fd, first, sizeof first, 0);
    if (n < 0)
        return error_set_errno(err, errno, "cannot read a claims file");
    if (n == 0)
        return error_set(err, STATE_DATA, "the file is empty");
    if ((first[0] == 0xFF && first[1] == 0xFE) || (first[0] == 0xFE && first[1] == 0xFF))
        return error_set(err, STATE_DATA, "the file is UTF-16; send it as UTF-8");
    if (memcmp(first, "PK\3\4", 4) == 0)
        return error_set(err, STATE_DATA, "the file is a zip archive; send it plain or as gzip");
    return true;
}

static bool name_field(Arena *arena, DeliveryFile *file, size_t i, Str text, Error *err) {
    if (u8_check((const uint8_t *)text.at, text.size))
        return error_set(err, STATE_DATA, "the header is not UTF-8");
    Str name = str_trim(text);
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

DeliveryFile *delivery_open(int fd, const ClaimsConfig *claims, Arena *arena,
                            Error *err) {
    CLEANUP(fd_drop) int owned = fd;
    TRY_NULL(check_first_bytes(fd, err));
    CLEANUP(delivery_drop) DeliveryFile *file = calloc(1, sizeof *file);
    if (!file || !(file->chunk = malloc(CHUNK_BYTES))) {
        error_set_errno(err, ENOMEM, "cannot open a claims file");
        return NULL;
    }
    file->claims = claims;
    file->csv = new_parser(claims);
    file->bytes = gzdopen(fd, "rb");
    if (!file->bytes) {
        error_set_errno(err, errno, "cannot open a claims file");
        return NULL;
    }
    owned = -1;
    TRY_NULL(read_header(file, arena, err));
    return TAKE(file);
}

void delivery_close(DeliveryFile *file) {
    if (file->bytes)
        gzclose_r(file->bytes);
    if (file->csv)
        csv_free(file->csv);
    free(file->chunk);
    free(file);
}

const Field *delivery_fields(const DeliveryFile *file, size_t *ret_n) {
    *ret_n = file->n_fields;
    return file->fields;
}

bool delivery_seek(DeliveryFile *file, int64_t offset, int64_t line, Error *err) {
    if (gzseek(file->bytes, offset, SEEK_SET) != offset)
        return error_set(err, STATE_IO, "cannot go on within a claims file");
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
    page.was_cut |= page.is_last && file->is_damaged;
    page.rows = (RawRows){.fields = hand.fields, .lines = hand.lines, .rejects = hand.rejects,
                          .n_rows = hand.n_rows};
    *ret_page = page;
    return true;
}
