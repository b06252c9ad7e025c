/* x12_rows.h - claims out of X12 as plain rows, which a feed's mapping reads like those of any file.
 *
 * One row per claim of an 837 (005010X222A1, X223A2: a claim as it was sent), an 835 (005010X221A1: what became of
 * it), a 277 or 277CA (005010X212, X213, X228, X214: where it stands). Columns bear the names of the model where they mean
 * the same; X12_MAP is the map a feed has that writes none. What a kind of set does not say is NULL, and
 * settle takes it from the claim's other deliveries.
 *
 * A remittance's claim is `Denied` by CLP02 = 4, or when nothing was paid and an adjustment says why other than
 * x12_is_no_denial(); `Approved` when nothing was due (all of it the patient's); `Reversed` by CLP02 = 22: then the claim stands
 * as if nothing had been paid, and its adjustments are negative, so that they cancel those they reverse.
 * CLP02 = 1 is "processed as primary" and says nothing of payment.
 * Pure; one thread at a time. */
#pragma once
#include "base/arena.h"
#include "transform/formats/x12_tally.h"
#include "transform/mapping.h"

typedef enum X12Column {
    X12_DELIVERY_KIND, /* claim, remittance, status */
    X12_CLAIM_ID,
    X12_PAYER_CLAIM_ID,
    X12_CLAIM_STATUS,
    X12_STATUS_CODE, /* CLP02; STC01's category and status */
    X12_CLAIM_AMOUNT,
    X12_PAID_AMOUNT,
    X12_PATIENT_RESPONSIBILITY,
    X12_DEDUCTIBLE,
    X12_COINSURANCE,
    X12_COPAY,
    X12_SERVICE_DATE,
    X12_CLAIM_DATE,
    X12_DECISION_DATE,
    X12_MODIFIED_AT, /* when the group was made: GS04, GS05 */
    X12_PAYER_ID,
    X12_PAYER_NAME,
    X12_PATIENT_ID, /* the hospital's record number, where the claim bears it */
    X12_MEMBER_ID,
    X12_PATIENT_LAST_NAME,
    X12_PATIENT_FIRST_NAME,
    X12_RENDERING_PROVIDER,
    X12_BILLING_PROVIDER,
    X12_DIAGNOSIS,
    X12_PAYER_TYPE, /* claim filing indicator */
    X12_FREQUENCY,
    X12_CHECK_NUMBER,
    X12_SERVICE_LINES,   /* line|procedure|charge|paid|units|date; … */
    X12_REMARK_CODES,    /* of the whole claim, from MIA and MOA */
    X12_ADJUSTMENT_LIST, /* line|group|reason|position|cents|quantity|remarks; …; line 0: the whole claim */
    X12_GROUP_CONTROL,
    X12_SET_CONTROL,
    X12_N_COLUMNS
} X12Column;

const char *x12_column_name(X12Column column);
/* Maps the columns that the model has to themselves. */
extern const MapSpec X12_MAP[];
extern const size_t N_X12_MAP;

typedef struct X12Row {
    Str fields[X12_N_COLUMNS]; /* STR_NULL: not said */
    X12Place place;            /* of its CLM, CLP or TRN */
    bool is_too_long;          /* more lines or adjustments than a row may hold: some are left out */
    int64_t bad_date_segment;  /* the first segment with a date of the claim's that no calendar has; 0: none */
    X12BadAmount bad_amount;   /* the claim's first; of a remittance the tally tells */
    const char *why_not;       /* it says nothing of any claim of ours, in a sentence; NULL: it does */
} X12Row;

typedef struct X12Rows X12Rows;

X12Rows *x12_rows_open(void);
void x12_rows_free(X12Rows *rows);
static inline void x12_rows_drop(X12Rows **owner) {
    if (*owner)
        x12_rows_free(*owner);
}
/* Takes the segments in their order. True when one ended a claim: the row's texts live until the next call. */
bool x12_rows_take(X12Rows *rows, const X12Segment *segment, X12Row *ret_row);

/* The file has no more segments. */
bool x12_rows_finish(X12Rows *rows, X12Row *ret_row);

/* What a group's date and time (GS04, GS05) show: "2025-01-31 09:30:00", civil time of the sender's clock, midnight where no
 * time stands. False: no such date or time. */
enum { X12_STAMP_BYTES = 24, X12_DAY_BYTES = 11 };
bool x12_stamp(const X12Segment *gs, char ret_stamp[X12_STAMP_BYTES]);
/* CCYYMMDD, with HHMM behind it, or CCYYMMDD-CCYYMMDD, whose first counts: as 2025-01-31. False: no such days. */
bool x12_day(Str text, char ret_day[X12_DAY_BYTES]);

/* Is a 277 of this guide (ST03 or GS08) one that answers an inquiry, asks for papers or lists what is pending (X212, X213, X228;
 * 004010X093), not an acknowledgement of claims? Its TRN is not the claim's number: REF*EJ is. */
bool x12_is_inquiry(Str version);

/* PR-1, PR-2, PR-3 (deductible, coinsurance, copay) and CO-45 (above the contract's fee). */
bool x12_is_no_denial(Str group, Str reason);
