/* status.c - where claims stand: 277CA (005010X214, acknowledgement of claims) and 277 (X212, answer to an inquiry).
 *
 * TRN*2 at a patient's level bears the claim's id; the levels above speak of whole files and are not claims. The first
 * STC of the claim counts: its category (STC01-1) is a letter of the public list, A acknowledged, P pending,
 * F finalised, R more is wanted, E and D the inquiry itself went wrong. */
#include "transform/formats/x12_rows_parts.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void take_hl(X12Rows *rows, const X12Segment *segment) {
    Str level = x12_element(segment, 3);
    rows->is_claim_level = str_equal(level, STR("PT")) || str_equal(level, STR("22")) || str_equal(level, STR("23"));
}

static void take_nm1(X12Rows *rows, const X12Segment *segment) {
    Str role = x12_element(segment, 1);
    if (str_equal(role, STR("PR")) && !rows->is_claim_level)
        x12_put_around(rows, X12_PAYER_NAME, x12_element(segment, 3));
    if (rows->is_claim_level && !rows->is_open && (str_equal(role, STR("QC")) || str_equal(role, STR("IL")))) {
        x12_put_around(rows, X12_PATIENT_LAST_NAME, x12_element(segment, 3));
        x12_put_around(rows, X12_PATIENT_FIRST_NAME, x12_element(segment, 4));
        x12_put_around(rows, X12_MEMBER_ID, x12_element(segment, 9));
    }
}

static void take_trn(X12Rows *rows, const X12Segment *segment) {
    if (rows->is_claim_level && str_equal(x12_element(segment, 1), STR("2")))
        x12_begin_claim(rows, segment, x12_element(segment, 2));
}

static Str status_word(Str category) {
    static const struct {
        const char *category, *word; /* a whole category, or its letter: the first that fits */
    } WORDS[] = {
        {"A3", "Rejected"}, {"A4", "Rejected"}, {"A6", "Rejected"}, {"A7", "Rejected"}, {"A8", "Rejected"},
        {"F1", "Paid"}, {"F2", "Denied"}, {"F", "Approved"},
    };
    for (size_t i = 0; i < COUNT(WORDS); i++)
        if (category.size >= strlen(WORDS[i].category) &&
            memcmp(category.at, WORDS[i].category, strlen(WORDS[i].category)) == 0)
            return str_of(WORDS[i].word);
    return STR("Pending");
}

static void take_stc(X12Rows *rows, const X12Segment *segment) {
    if (!rows->is_open || rows->lines > 0 || !str_is_null(rows->row.fields[X12_STATUS_CODE]))
        return;
    Str category = x12_component(segment, x12_element(segment, 1), 0);
    x12_put(rows, X12_STATUS_CODE, x12_element(segment, 1));
    x12_put(rows, X12_CLAIM_STATUS, status_word(category));
    x12_put(rows, X12_CLAIM_AMOUNT, x12_element(segment, 4));
    x12_put(rows, X12_PAID_AMOUNT, x12_element(segment, 5));
    if (category.size > 0 && category.at[0] == 'F')
        x12_put(rows, X12_DECISION_DATE, x12_date(rows, segment, x12_element(segment, 6)));
}

static void take_ref(X12Rows *rows, const X12Segment *segment) {
    if (rows->is_open && str_equal(x12_element(segment, 1), STR("1K")))
        x12_put_first(rows, X12_PAYER_CLAIM_ID, x12_element(segment, 2));
}

static void take_svc(X12Rows *rows, const X12Segment *segment) {
    if (rows->is_open)
        x12_begin_line(rows, x12_component(segment, x12_element(segment, 1), 1), x12_element(segment, 2),
                       x12_element(segment, 3), x12_element(segment, 7));
}

static void take_dtp(X12Rows *rows, const X12Segment *segment) {
    if (rows->is_open && str_equal(x12_element(segment, 1), STR("472")))
        x12_line_date(rows, segment, x12_element(segment, 3));
}

static const X12Take TAKES[] = {
    {"HL", take_hl}, {"NM1", take_nm1}, {"TRN", take_trn}, {"STC", take_stc}, {"REF", take_ref}, {"SVC", take_svc},
    {"DTP", take_dtp},
};
const X12Reader X12_STATUS_READER = {TAKES, COUNT(TAKES), NULL};
