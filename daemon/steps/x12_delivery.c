/* x12_delivery.c - see x12_delivery.h. */
#include "steps/x12_delivery.h"

#include "base/own.h"
#include "transform/date.h"
#include "transform/formats/x12_rows.h"

#include <errno.h>

enum { CHUNK_BYTES = 64 * 1024, FIELD_MEMORY_SHARE = 4 };

struct X12Delivery {
    Unpacker *bytes;
    const ClaimsConfig *claims;
    X12Clock clock;
    X12Survey survey;
    Field *fields;
    X12Parser *x12;
    X12Rows *rows;
    char *chunk;
    int64_t placed_through; /* segment */
};

typedef struct PageInHand {
    Arena *arena;
    Str *fields;
    int64_t *lines;
    RawReject *rejects;
    size_t n_rows;
    DeliveryPage *page;
} PageInHand;

static Field *name_fields(const ClaimsConfig *claims, Arena *arena) {
    Field *fields = ARENA_ARRAY(arena, Field, X12_N_COLUMNS);
    for (int i = 0; i < X12_N_COLUMNS; i++)
        fields[i] = (Field){.name = x12_column_name((X12Column)i), .kind = FIELD_TEXT,
                            .folds_case = claims->fold_ids};
    return fields;
}

X12Delivery *x12_delivery_open(Unpacker *bytes, const ClaimsConfig *claims, const FilePattern *pattern, Arena *arena,
                               Error *err) {
    CLEANUP(x12_delivery_drop) X12Delivery *delivery = calloc(1, sizeof *delivery);
    if (!delivery || !(delivery->chunk = malloc(CHUNK_BYTES))) {
        error_set_errno(err, ENOMEM, "cannot open a claims file");
        return NULL;
    }
    delivery->bytes = bytes;
    delivery->claims = claims;
    delivery->fields = name_fields(claims, arena);
    delivery->clock = (X12Clock){.zone = pattern->clock ? pattern->clock : pattern->zone, .is_declared = pattern->clock};
    TRY_NULL(x12_survey(bytes, &delivery->clock, arena, &delivery->survey, err));
    TRY_NULL(unpack_seek(bytes, 0, err));
    delivery->x12 = x12_open(&(X12Options){0});
    delivery->rows = x12_rows_open();
    return TAKE(delivery);
}

void x12_delivery_close(X12Delivery *delivery) {
    x12_drop(&delivery->x12);
    x12_rows_drop(&delivery->rows);
    free(delivery->chunk);
    free(delivery);
}

const Field *x12_delivery_fields(const X12Delivery *delivery, size_t *ret_n) {
    *ret_n = X12_N_COLUMNS;
    return delivery->fields;
}

const X12Survey *x12_delivery_survey(const X12Delivery *delivery) { return &delivery->survey; }

void x12_delivery_seek(X12Delivery *delivery, int64_t segment) { delivery->placed_through = segment; }

/* ---- pages ---- */

static bool next_row(X12Delivery *delivery, X12Row *ret_row, bool *ret_found, Error *err) {
    X12Segment segment;
    X12Fault fault; /* the survey has told of it */
    for (X12Status status; (status = x12_next(delivery->x12, &segment, &fault)) != X12_END;) {
        if (status == X12_MORE)
            TRY(x12_feed_from(delivery->bytes, delivery->chunk, CHUNK_BYTES, delivery->x12, err));
        *ret_found = status == X12_SEGMENT && x12_rows_take(delivery->rows, &segment, ret_row);
        if (*ret_found)
            return true;
    }
    *ret_found = x12_rows_finish(delivery->rows, ret_row);
    return true;
}

static RawReject judge_row(const X12Delivery *delivery, Arena *arena, const X12Row *row) {
    size_t set = (size_t)row->place.transaction;
    if (set == 0 || set > delivery->survey.n_sets) /* the file changed between the passes */
        return (RawReject){RULE_LINE_UNREADABLE, "the claim stands in no transaction set", STR_NULL};
    const X12Verdict *verdict = &delivery->survey.sets[set - 1];
    if (verdict->rule)
        return (RawReject){verdict->rule, verdict->reason, STR_NULL};
    if (row->why_not)
        return (RawReject){RULE_X12_CLAIM, row->why_not, STR_NULL};
    if (row->bad_date_segment)
        return (RawReject){RULE_X12_DATE, x12_bad_date(arena, row->bad_date_segment), STR_NULL};
    if (row->bad_amount.segment)
        return (RawReject){RULE_X12_AMOUNT, x12_bad_amount(arena, &row->bad_amount), STR_NULL};
    if (row->is_too_long)
        return (RawReject){RULE_LINE_UNREADABLE, "the claim has more service lines or adjustments than are read", STR_NULL};
    return (RawReject){NULL, NULL, STR_NULL};
}

/* As an instant: which clock it was stays with the row. */
static Str declared_stamp(const X12Delivery *delivery, Arena *arena, Str stamp) {
    int64_t us;
    if (str_is_null(stamp) || !delivery->clock.is_declared || !x12_instant(&delivery->clock, stamp, &us))
        return stamp;
    int64_t days = (us - (us < 0 ? US_PER_DAY - 1 : 0)) / US_PER_DAY, seconds = (us - days * US_PER_DAY) / US_PER_SECOND;
    CivilDate date = date_from_days(days);
    return str_of(arena_printf(arena, "%04d-%02d-%02d %02d:%02d:%02dZ", date.year, date.month, date.day,
                               (int)(seconds / 3600), (int)(seconds / 60 % 60), (int)(seconds % 60)));
}

static void take_row(const X12Delivery *delivery, PageInHand *hand, const X12Row *row) {
    Str *fields = hand->fields + hand->n_rows * X12_N_COLUMNS;
    for (int i = 0; i < X12_N_COLUMNS; i++) {
        fields[i] = str_is_null(row->fields[i]) ? STR_NULL : arena_copy(hand->arena, row->fields[i]);
        hand->page->size_bytes += fields[i].size + 1;
    }
    fields[X12_MODIFIED_AT] = declared_stamp(delivery, hand->arena, fields[X12_MODIFIED_AT]);
    hand->lines[hand->n_rows] = row->place.segment;
    hand->rejects[hand->n_rows] = judge_row(delivery, hand->arena, row);
    hand->n_rows++;
    hand->page->offset = row->place.offset;
    hand->page->line = row->place.segment;
}

static size_t most_rows(const ClaimsConfig *claims) {
    size_t most = (size_t)claims->page_rows;
    size_t by_memory = (size_t)claims->page_bytes * FIELD_MEMORY_SHARE / (X12_N_COLUMNS * sizeof(Str));
    most = by_memory < most ? by_memory : most;
    return most ? most : 1;
}

bool x12_delivery_read(X12Delivery *delivery, Arena *arena, DeliveryPage *ret_page, Error *err) {
    DeliveryPage page = {.is_last = false};
    size_t most = most_rows(delivery->claims);
    PageInHand hand = {
        .arena = arena,
        .fields = ARENA_ARRAY(arena, Str, most * X12_N_COLUMNS),
        .lines = ARENA_ARRAY(arena, int64_t, most),
        .rejects = ARENA_ARRAY(arena, RawReject, most),
        .page = &page,
    };
    while (!page.is_last && hand.n_rows < most && page.size_bytes < (size_t)delivery->claims->page_bytes) {
        X12Row row;
        bool is_found;
        TRY(next_row(delivery, &row, &is_found, err));
        page.is_last = !is_found;
        if (is_found && row.place.segment > delivery->placed_through)
            take_row(delivery, &hand, &row);
    }
    page.rows = (RawRows){.fields = hand.fields, .lines = hand.lines, .rejects = hand.rejects, .n_rows = hand.n_rows};
    *ret_page = page;
    return true;
}
