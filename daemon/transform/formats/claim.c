/* claim.c - claims as they were sent: 837P (005010X222A1), 837I (X223A2), 837D (X224A2).
 *
 * The hierarchy (HL) goes billing provider 20, subscriber 22, patient 23; what a level says holds for the claims
 * below it. Within a claim only the loops of the claim itself and its lines are read: what it repeats of other
 * payers (loop 2320 and on, from SBR) is theirs. */
#include "transform/formats/x12_rows_parts.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Which elements of a NM1 say who it is. */
enum { NM1_ROLE = 1, NM1_LAST = 3, NM1_FIRST = 4, NM1_ID = 9 };

static void forget(X12Rows *rows, const X12Column *columns, size_t n) {
    for (size_t i = 0; i < n; i++)
        rows->around[columns[i]] = STR_NULL;
}

static void take_hl(X12Rows *rows, const X12Segment *segment) {
    static const X12Column PATIENT[] = {X12_PATIENT_LAST_NAME, X12_PATIENT_FIRST_NAME};
    static const X12Column SUBSCRIBER[] = {X12_PAYER_ID, X12_PAYER_NAME, X12_MEMBER_ID, X12_PAYER_TYPE};
    Str level = x12_element(segment, 3);
    forget(rows, PATIENT, COUNT(PATIENT));
    if (str_equal(level, STR("20")))
        rows->around[X12_BILLING_PROVIDER] = STR_NULL;
    if (str_equal(level, STR("20")) || str_equal(level, STR("22")))
        forget(rows, SUBSCRIBER, COUNT(SUBSCRIBER));
}

static void take_bht(X12Rows *rows, const X12Segment *segment) {
    x12_put_around(rows, X12_CLAIM_DATE, x12_date(rows, segment, x12_element(segment, 4)));
}

static void take_sbr(X12Rows *rows, const X12Segment *segment) {
    if (rows->is_open)
        rows->is_claim_level = false; /* another payer's loop begins */
    else
        x12_put_around(rows, X12_PAYER_TYPE, x12_element(segment, 9));
}

/* Named before the claim: who holds for those that follow. */
static void name_around(X12Rows *rows, const X12Segment *segment, Str role) {
    bool is_subscriber = str_equal(role, STR("IL"));
    if (is_subscriber)
        x12_put_around(rows, X12_MEMBER_ID, x12_element(segment, NM1_ID));
    if (is_subscriber || str_equal(role, STR("QC"))) {
        x12_put_around(rows, X12_PATIENT_LAST_NAME, x12_element(segment, NM1_LAST));
        x12_put_around(rows, X12_PATIENT_FIRST_NAME, x12_element(segment, NM1_FIRST));
    }
    if (str_equal(role, STR("PR"))) {
        x12_put_around(rows, X12_PAYER_NAME, x12_element(segment, NM1_LAST));
        x12_put_around(rows, X12_PAYER_ID, x12_element(segment, NM1_ID));
    }
    if (str_equal(role, STR("85")))
        x12_put_around(rows, X12_BILLING_PROVIDER, x12_element(segment, NM1_ID));
}

static void take_nm1(X12Rows *rows, const X12Segment *segment) {
    Str role = x12_element(segment, NM1_ROLE);
    if (!rows->is_open)
        name_around(rows, segment, role);
    else if (rows->is_claim_level && rows->lines == 0 && (str_equal(role, STR("82")) || str_equal(role, STR("71"))))
        x12_put_first(rows, X12_RENDERING_PROVIDER, x12_element(segment, NM1_ID));
}

/* CLM05 is facility, qualifier and frequency: 1 original, 7 replaces, 8 takes back. */
static void take_clm(X12Rows *rows, const X12Segment *segment) {
    x12_begin_claim(rows, segment, x12_element(segment, 1));
    rows->is_claim_level = true;
    x12_put_amount(rows, X12_CLAIM_AMOUNT, segment, 2);
    Str frequency = x12_component(segment, x12_element(segment, 5), 2);
    x12_put(rows, X12_FREQUENCY, frequency);
    x12_put(rows, X12_CLAIM_STATUS, str_equal(frequency, STR("8")) ? STR("Voided") : STR("Pending"));
}

static void take_ref(X12Rows *rows, const X12Segment *segment) {
    if (!rows->is_open || !rows->is_claim_level || rows->lines > 0)
        return;
    if (str_equal(x12_element(segment, 1), STR("EA")))
        x12_put_first(rows, X12_PATIENT_ID, x12_element(segment, 2));
    if (str_equal(x12_element(segment, 1), STR("F8")))
        x12_put_first(rows, X12_PAYER_CLAIM_ID, x12_element(segment, 2));
}

static void take_hi(X12Rows *rows, const X12Segment *segment) {
    Str first = x12_element(segment, 1), qualifier = x12_component(segment, first, 0);
    if (rows->is_open && (str_equal(qualifier, STR("BK")) || str_equal(qualifier, STR("ABK"))))
        x12_put_first(rows, X12_DIAGNOSIS, x12_component(segment, first, 1));
}

static void take_dtp(X12Rows *rows, const X12Segment *segment) {
    Str qualifier = x12_element(segment, 1), date = x12_element(segment, 3);
    if (!rows->is_open)
        return;
    if (str_equal(qualifier, STR("434")))
        x12_put_first(rows, X12_SERVICE_DATE, x12_date(rows, segment, date));
    if (str_equal(qualifier, STR("472")))
        x12_line_date(rows, segment, date);
}

static void take_line(X12Rows *rows, const X12Segment *segment, size_t code, size_t charge, size_t units) {
    if (!rows->is_open)
        return;
    rows->is_claim_level = true;
    x12_begin_line(rows, x12_component(segment, x12_element(segment, code), 1), x12_element(segment, charge),
                   STR(""), x12_element(segment, units));
}

static void take_sv1(X12Rows *rows, const X12Segment *segment) { take_line(rows, segment, 1, 2, 4); }
static void take_sv2(X12Rows *rows, const X12Segment *segment) { take_line(rows, segment, 2, 3, 5); }
static void take_sv3(X12Rows *rows, const X12Segment *segment) { take_line(rows, segment, 1, 2, 6); }

static const X12Take TAKES[] = {
    {"SV1", take_sv1}, {"SV2", take_sv2}, {"SV3", take_sv3}, {"DTP", take_dtp}, {"CLM", take_clm}, {"HI", take_hi},
    {"NM1", take_nm1}, {"REF", take_ref}, {"HL", take_hl}, {"SBR", take_sbr}, {"BHT", take_bht},
};
const X12Reader X12_CLAIM_READER = {TAKES, COUNT(TAKES), NULL};
