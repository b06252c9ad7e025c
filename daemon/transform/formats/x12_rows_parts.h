/* x12_rows_parts.h - what the readers of the single sets share (x12_rows.c, claim.c, remittance.c, status.c). */
#pragma once
#include "base/buf.h"
#include "transform/formats/x12_rows.h"

enum { X12_LIST_BYTES_MAX = 1024 * 1024 };

/* What a claim's segments add up to, cents. */
typedef struct X12Sum {
    int64_t paid, deductible, coinsurance, copay;
    bool has_denial;
} X12Sum;

struct X12Rows {
    Arena *arena, *last_arena; /* texts of the claim, and of the one given out before */
    Arena *set, *last_set;     /* likewise of the set and its loops */
    Str around[X12_N_COLUMNS]; /* what holds for the claims that follow */
    Str group_control, group_date;
    char kind[X12_KIND_BYTES];
    bool is_inquiry, is_inquiry_group; /* 277: see x12_is_inquiry(); by ST03, or else by GS08 */
    bool is_open;   /* a claim is being read */
    X12Row row;
    Str status;     /* 835: CLP02 */
    int lines, position;
    bool is_claim_level; /* 277: the hierarchy's level is a patient */
    X12Sum sum;
    size_t line_adjustments; /* where this line's begin in `adjustments` */
    Buf adjustments, service_lines, remarks, line_remarks;
    char day[X12_DAY_BYTES];        /* the last date read */
    char first_date[X12_DAY_BYTES]; /* least service date of the lines; "": none */
    int64_t group_bad_date, around_bad_date; /* segments with such dates, of what holds for the claims that follow */
    Arena *line_texts;
    struct {
        Str code, charge, paid, units;
        char date[X12_DAY_BYTES];
    } line;
};

/* Copies for as long as the claim, or the set, lasts. */
void x12_put(X12Rows *rows, X12Column column, Str text);
void x12_put_around(X12Rows *rows, X12Column column, Str text);
/* Only where nothing stands yet. */
void x12_put_first(X12Rows *rows, X12Column column, Str text);
void x12_put_cents(X12Rows *rows, X12Column column, int64_t cents);
/* Element i as it stands: cleaners read more kinds of amounts than the guides allow, and round, so it is looked at here. */
void x12_put_amount(X12Rows *rows, X12Column column, const X12Segment *segment, size_t i);
/* As 2025-01-31, until the next date is read; STR_NULL where none stands, and where the calendar has none: then the claims
 * that it holds for have a date that cannot be read. */
Str x12_date(X12Rows *rows, const X12Segment *segment, Str text);
/* A payer that does not know the hospital's number of a claim writes 0 (005010X221, CLP01). */
Str x12_claim_id(Str text);
void x12_begin_claim(X12Rows *rows, const X12Segment *segment, Str id);
/* A service line ends, its adjustments get its remarks. */
void x12_end_line(X12Rows *rows);
void x12_begin_line(X12Rows *rows, Str code, Str charge, Str paid, Str units);
void x12_line_date(X12Rows *rows, const X12Segment *segment, Str text);

typedef struct X12Take {
    const char *name;
    void (*take)(X12Rows *rows, const X12Segment *segment);
} X12Take;
typedef struct X12Reader {
    const X12Take *takes;
    size_t n_takes;
    void (*end)(X12Rows *rows); /* the claim is whole; or NULL */
} X12Reader;
extern const X12Reader X12_CLAIM_READER, X12_REMITTANCE_READER, X12_STATUS_READER;
