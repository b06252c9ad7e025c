/* x12_rows.c - see x12_rows.h. Each set has its reader, a table of segments; this file keeps the row in hand. */
#include "transform/formats/x12_rows_parts.h"

#include "base/own.h"
#include "transform/date.h"

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
enum { SET_BYTES = 512 * 1024, DAY_SIZE = 8 };

static const char *const NAMES[X12_N_COLUMNS] = {
    [X12_DELIVERY_KIND] = "delivery_kind", [X12_CLAIM_ID] = "source_claim_id",
    [X12_PAYER_CLAIM_ID] = "payer_claim_id", [X12_CLAIM_STATUS] = "claim_status",
    [X12_STATUS_CODE] = "status_code", [X12_CLAIM_AMOUNT] = "claim_amount", [X12_PAID_AMOUNT] = "paid_amount",
    [X12_PATIENT_RESPONSIBILITY] = "patient_responsibility", [X12_DEDUCTIBLE] = "deductible",
    [X12_COINSURANCE] = "coinsurance", [X12_COPAY] = "copay", [X12_SERVICE_DATE] = "service_date",
    [X12_CLAIM_DATE] = "claim_date", [X12_DECISION_DATE] = "decision_date",
    [X12_MODIFIED_AT] = "source_modified_at", [X12_PAYER_ID] = "source_payer_id", [X12_PAYER_NAME] = "payer_name",
    [X12_PATIENT_ID] = "source_patient_id", [X12_MEMBER_ID] = "member_id",
    [X12_PATIENT_LAST_NAME] = "patient_last_name", [X12_PATIENT_FIRST_NAME] = "patient_first_name",
    [X12_RENDERING_PROVIDER] = "rendering_provider", [X12_BILLING_PROVIDER] = "billing_provider",
    [X12_DIAGNOSIS] = "diagnosis_code", [X12_PAYER_TYPE] = "filing_indicator", [X12_FREQUENCY] = "frequency_code",
    [X12_CHECK_NUMBER] = "check_number", [X12_SERVICE_LINES] = "service_lines", [X12_REMARK_CODES] = "remark_codes",
    [X12_ADJUSTMENT_LIST] = "adjustment_list", [X12_GROUP_CONTROL] = "group_control",
    [X12_SET_CONTROL] = "set_control",
};

#define SELF(name) {.column = name, .from = (const char *const[]){name}, .n_from = 1}
const MapSpec X12_MAP[] = {
    SELF("source_claim_id"), SELF("payer_claim_id"), SELF("delivery_kind"), SELF("claim_status"),
    SELF("claim_amount"), SELF("paid_amount"), SELF("deductible"), SELF("coinsurance"), SELF("copay"),
    SELF("service_date"), SELF("claim_date"), SELF("decision_date"), SELF("source_modified_at"),
    SELF("source_payer_id"), SELF("source_patient_id"), SELF("adjustment_list"),
};
const size_t N_X12_MAP = COUNT(X12_MAP);

const char *x12_column_name(X12Column column) { return NAMES[column]; }

bool x12_is_no_denial(Str group, Str reason) {
    static const struct {
        const char *group, *reason;
    } NONE[] = {{"PR", "1"}, {"PR", "2"}, {"PR", "3"}, {"CO", "45"}};
    for (size_t i = 0; i < COUNT(NONE); i++)
        if (str_equal(group, str_of(NONE[i].group)) && str_equal(reason, str_of(NONE[i].reason)))
            return true;
    return false;
}

/* ---- for the readers ---- */

void x12_put(X12Rows *rows, X12Column column, Str text) {
    if (text.size > 0)
        rows->row.fields[column] = arena_copy(rows->arena, text);
}

void x12_put_first(X12Rows *rows, X12Column column, Str text) {
    if (str_is_null(rows->row.fields[column]))
        x12_put(rows, column, text);
}

void x12_put_cents(X12Rows *rows, X12Column column, int64_t cents) {
    int64_t whole = cents < 0 ? -cents : cents;
    rows->row.fields[column] = str_of(arena_printf(rows->arena, "%s%lld.%02lld", cents < 0 ? "-" : "",
                                                   (long long)(whole / 100), (long long)(whole % 100)));
}

void x12_put_amount(X12Rows *rows, X12Column column, const X12Segment *segment, size_t i) {
    int64_t cents;
    x12_amount(segment, i, &cents, &rows->row.bad_amount);
    x12_put(rows, column, x12_element(segment, i));
}

static bool are_digits(Str text) {
    for (size_t i = 0; i < text.size; i++)
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
    return true;
}

static bool is_day(const char *at, char ret_day[X12_DAY_BYTES]) {
    CivilTime civil;
    if (!are_digits((Str){at, DAY_SIZE}))
        return false;
    snprintf(ret_day, X12_DAY_BYTES, "%.4s-%.2s-%.2s", at, at + 4, at + 6);
    return civil_parse_iso((Str){ret_day, X12_DAY_BYTES - 1}, &civil);
}

bool x12_day(Str text, char ret_day[X12_DAY_BYTES]) {
    char last[X12_DAY_BYTES];
    if (text.size < DAY_SIZE || !is_day(text.at, ret_day))
        return false;
    Str rest = {text.at + DAY_SIZE, text.size - DAY_SIZE};
    if (rest.size == DAY_SIZE + 1 && rest.at[0] == '-')
        return is_day(rest.at + 1, last);
    return rest.size == 0 || (rest.size == 4 && are_digits(rest));
}

Str x12_date(X12Rows *rows, const X12Segment *segment, Str text) {
    if (text.size == 0)
        return STR_NULL;
    if (x12_day(text, rows->day))
        return str_of(rows->day);
    int64_t *bad = rows->is_open ? &rows->row.bad_date_segment : &rows->around_bad_date;
    if (*bad == 0)
        *bad = segment->place.segment;
    return STR_NULL;
}

static void swap(Arena **a, Arena **b) {
    Arena *other = *a;
    *a = *b;
    *b = other;
    arena_empty(*a);
}

/* A set of many claims names as many payers and patients: what holds no longer is let go. */
static void renew_set(X12Rows *rows) {
    swap(&rows->set, &rows->last_set);
    for (int i = 0; i < X12_N_COLUMNS; i++)
        if (!str_is_null(rows->around[i]))
            rows->around[i] = arena_copy(rows->set, rows->around[i]);
    if (!str_is_null(rows->group_date))
        rows->group_date = arena_copy(rows->set, rows->group_date);
    rows->group_control = arena_copy(rows->set, rows->group_control);
}

/* No claim's fields point into what is renewed while none is open. */
void x12_put_around(X12Rows *rows, X12Column column, Str text) {
    rows->around[column] = STR_NULL;
    if (!rows->is_open && arena_size_bytes(rows->set) > SET_BYTES)
        renew_set(rows);
    if (text.size > 0)
        rows->around[column] = arena_copy(rows->set, text);
}

Str x12_claim_id(Str text) { return str_equal(text, STR("0")) ? STR("") : text; }

void x12_begin_claim(X12Rows *rows, const X12Segment *segment, Str id) {
    swap(&rows->arena, &rows->last_arena);
    if (arena_size_bytes(rows->set) > SET_BYTES)
        renew_set(rows);
    rows->row = (X12Row){.place = segment->place,
                         .bad_date_segment = rows->group_bad_date ? rows->group_bad_date : rows->around_bad_date};
    memcpy(rows->row.fields, rows->around, sizeof rows->around);
    x12_put(rows, X12_CLAIM_ID, x12_claim_id(id));
    rows->is_open = true;
    rows->lines = rows->position = 0;
    rows->sum = (X12Sum){0};
    rows->first_date[0] = '\0';
    rows->line_adjustments = 0;
    buf_clear(&rows->adjustments);
    buf_clear(&rows->service_lines);
    buf_clear(&rows->remarks);
    buf_clear(&rows->line_remarks);
}

/* What parts the lists may not stand in them. */
static void put_part(Buf *list, Str text) {
    for (size_t i = 0; i < text.size; i++)
        buf_put_byte(list, text.at[i] == '|' || text.at[i] == ';' ? (uint8_t)' ' : (uint8_t)text.at[i]);
}

static void put_line(X12Rows *rows) {
    Buf *list = &rows->service_lines;
    const Str parts[] = {rows->line.code, rows->line.charge, rows->line.paid, rows->line.units, str_of(rows->line.date)};
    buf_printf(list, "%s%d", list->size ? ";" : "", rows->lines);
    for (size_t i = 0; i < COUNT(parts); i++) {
        buf_put_byte(list, '|');
        put_part(list, parts[i]);
    }
}

/* Each adjustment from `line_adjustments` on ends with "|": the remarks go behind it. */
static void put_remarks(X12Rows *rows) {
    if (rows->line_remarks.size == 0 || rows->adjustments.size == rows->line_adjustments)
        return;
    Str old = arena_copy(rows->arena, (Str){rows->adjustments.data + rows->line_adjustments,
                                            rows->adjustments.size - rows->line_adjustments});
    rows->adjustments.size = rows->line_adjustments;
    for (size_t i = 0; i < old.size; i++) {
        if (old.at[i] == ';' && i > 0)
            buf_put_str(&rows->adjustments, buf_str(&rows->line_remarks));
        buf_put_byte(&rows->adjustments, (uint8_t)old.at[i]);
    }
    buf_put_str(&rows->adjustments, buf_str(&rows->line_remarks));
}

void x12_end_line(X12Rows *rows) {
    if (rows->lines > 0)
        put_line(rows);
    put_remarks(rows);
    buf_clear(&rows->line_remarks);
    rows->line_adjustments = rows->adjustments.size;
    rows->position = 0;
}

void x12_begin_line(X12Rows *rows, Str code, Str charge, Str paid, Str units) {
    x12_end_line(rows);
    rows->lines++;
    arena_empty(rows->line_texts);
    rows->line.code = arena_copy(rows->line_texts, code);
    rows->line.charge = arena_copy(rows->line_texts, charge);
    rows->line.paid = arena_copy(rows->line_texts, paid);
    rows->line.units = arena_copy(rows->line_texts, units);
    rows->line.date[0] = '\0';
}

void x12_line_date(X12Rows *rows, const X12Segment *segment, Str text) {
    if (str_is_null(x12_date(rows, segment, text)))
        return;
    memcpy(rows->line.date, rows->day, sizeof rows->day);
    if (!rows->first_date[0] || strcmp(rows->day, rows->first_date) < 0)
        memcpy(rows->first_date, rows->day, sizeof rows->day);
}

/* ---- the sets ---- */

typedef struct Set {
    const char *kind, *word;
    const X12Reader *reader;
    const char *nameless; /* of a claim without an id */
} Set;
static const Set SETS[] = {
    {"837", "claim", &X12_CLAIM_READER, "the claim has no number (CLM01)"},
    {"835", "remittance", &X12_REMITTANCE_READER, "the payer names no claim of the hospital's (CLP01 is empty or 0)"},
    {"277", "status", &X12_STATUS_READER, "the payer names no claim of the hospital's (no REF*EJ, nor a TRN that would be one)"},
};

static const Set *set_of(const char *kind) {
    for (size_t i = 0; i < COUNT(SETS); i++)
        if (strcmp(SETS[i].kind, kind) == 0)
            return &SETS[i];
    return NULL;
}

static bool end_claim(X12Rows *rows, X12Row *ret_row) {
    if (!rows->is_open)
        return false;
    rows->is_open = false;
    x12_end_line(rows);
    const Set *set = set_of(rows->kind);
    if (set->reader->end)
        set->reader->end(rows);
    if (str_is_null(rows->row.fields[X12_CLAIM_ID]))
        rows->row.why_not = set->nameless;
    x12_put_first(rows, X12_SERVICE_DATE, str_of(rows->first_date));
    x12_put(rows, X12_SERVICE_LINES, buf_str(&rows->service_lines));
    x12_put(rows, X12_ADJUSTMENT_LIST, buf_str(&rows->adjustments));
    x12_put(rows, X12_REMARK_CODES, buf_str(&rows->remarks));
    rows->row.is_too_long = buf_overflowed(&rows->adjustments) || buf_overflowed(&rows->service_lines);
    *ret_row = rows->row;
    return true;
}

/* CCYYMMDD, and HHMM or HHMMSS. */
bool x12_stamp(const X12Segment *gs, char ret_stamp[X12_STAMP_BYTES]) {
    Str date = x12_element(gs, 4), time = x12_element(gs, 5);
    if (date.size != 8 || !are_digits(date))
        return false;
    bool has_time = time.size >= 4 && are_digits(time);
    bool has_seconds = has_time && time.size >= 6;
    snprintf(ret_stamp, X12_STAMP_BYTES, "%.4s-%.2s-%.2s %.2s:%.2s:%.2s", date.at, date.at + 4, date.at + 6,
             has_time ? time.at : "00", has_time ? time.at + 2 : "00", has_seconds ? time.at + 4 : "00");
    CivilTime civil;
    return (has_time || time.size == 0) && civil_parse_iso(str_of(ret_stamp), &civil);
}

bool x12_is_inquiry(Str version) {
    static const char *const GUIDES[] = {"X212", "X213", "X228", "X093"};
    enum { RELEASE_SIZE = 6, GUIDE_SIZE = 4 }; /* 005010X212 */
    for (size_t i = 0; i < COUNT(GUIDES); i++)
        if (version.size >= RELEASE_SIZE + GUIDE_SIZE && memcmp(version.at + RELEASE_SIZE, GUIDES[i], GUIDE_SIZE) == 0)
            return true;
    return false;
}

static void begin_set(X12Rows *rows, Str kind, Str control, Str version) {
    x12_copy(rows->kind, X12_KIND_BYTES, kind);
    memset(rows->around, 0, sizeof rows->around);
    renew_set(rows);
    rows->is_claim_level = false;
    rows->is_inquiry = version.size > 0 ? x12_is_inquiry(version) : rows->is_inquiry_group;
    rows->around_bad_date = 0;
    const Set *set = set_of(rows->kind);
    if (set)
        x12_put_around(rows, X12_DELIVERY_KIND, str_of(set->word));
    rows->around[X12_MODIFIED_AT] = rows->group_date;
    rows->around[X12_GROUP_CONTROL] = rows->group_control;
    x12_put_around(rows, X12_SET_CONTROL, control);
}

/* What a group's sets are (GS01): its claims are to be found also where the first set lost its ST. */
static Str kind_of_group(Str functional) {
    static const struct {
        const char *functional, *kind;
    } GROUPS[] = {{"HP", "835"}, {"HC", "837"}, {"HN", "277"}};
    for (size_t i = 0; i < COUNT(GROUPS); i++)
        if (str_equal(functional, str_of(GROUPS[i].functional)))
            return str_of(GROUPS[i].kind);
    return STR("");
}

static void begin_group(X12Rows *rows, const X12Segment *gs) {
    char stamp[X12_STAMP_BYTES];
    bool is_dated = x12_stamp(gs, stamp);
    rows->group_date = is_dated ? arena_copy(rows->set, str_of(stamp)) : STR_NULL;
    rows->group_bad_date = is_dated ? 0 : gs->place.segment;
    rows->group_control = arena_copy(rows->set, x12_element(gs, 6));
    rows->is_inquiry_group = x12_is_inquiry(x12_element(gs, 8));
    begin_set(rows, kind_of_group(x12_element(gs, 1)), STR(""), STR(""));
}

static void leave_group(X12Rows *rows) {
    rows->group_date = STR_NULL;
    rows->group_bad_date = 0;
    rows->group_control = STR("");
    rows->is_inquiry_group = false;
}

static bool follow_envelope(X12Rows *rows, const X12Segment *segment, X12Row *ret_row) {
    bool is_ended = end_claim(rows, ret_row);
    if (x12_leaves_group(segment))
        leave_group(rows);
    if (x12_is(segment, "GS"))
        begin_group(rows, segment);
    if (x12_is(segment, "ST"))
        begin_set(rows, x12_element(segment, 1), x12_element(segment, 2), x12_element(segment, 3));
    return is_ended;
}

static bool is_envelope(const X12Segment *segment) {
    static const char *const ENVELOPE[] = {"ISA", "GS", "ST", "SE", "GE", "IEA"};
    for (size_t i = 0; i < COUNT(ENVELOPE); i++)
        if (x12_is(segment, ENVELOPE[i]))
            return true;
    return false;
}

static void take(X12Rows *rows, const X12Segment *segment) {
    const Set *set = set_of(rows->kind);
    for (size_t i = 0; set && i < set->reader->n_takes; i++)
        if (x12_is(segment, set->reader->takes[i].name)) {
            set->reader->takes[i].take(rows, segment);
            return;
        }
}

bool x12_rows_take(X12Rows *rows, const X12Segment *segment, X12Row *ret_row) {
    bool is_ended = false;
    if (is_envelope(segment))
        return follow_envelope(rows, segment, ret_row);
    if (x12_ends_claim(rows->kind, segment))
        is_ended = end_claim(rows, ret_row);
    take(rows, segment);
    return is_ended;
}

bool x12_rows_finish(X12Rows *rows, X12Row *ret_row) { return end_claim(rows, ret_row); }

X12Rows *x12_rows_open(void) {
    X12Rows *rows = calloc(1, sizeof *rows);
    if (!rows)
        abort(); /* as arena.h */
    rows->arena = arena_open();
    rows->last_arena = arena_open();
    rows->set = arena_open();
    rows->last_set = arena_open();
    rows->line_texts = arena_open();
    rows->group_control = STR("");
    buf_init(&rows->adjustments, X12_LIST_BYTES_MAX);
    buf_init(&rows->service_lines, X12_LIST_BYTES_MAX);
    buf_init(&rows->remarks, X12_LIST_BYTES_MAX);
    buf_init(&rows->line_remarks, X12_LIST_BYTES_MAX);
    return rows;
}

void x12_rows_free(X12Rows *rows) {
    arena_free(rows->arena);
    arena_free(rows->last_arena);
    arena_free(rows->set);
    arena_free(rows->last_set);
    arena_free(rows->line_texts);
    buf_done(&rows->adjustments);
    buf_done(&rows->service_lines);
    buf_done(&rows->remarks);
    buf_done(&rows->line_remarks);
    free(rows);
}
