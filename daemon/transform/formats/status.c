/* status.c - where claims stand: 277CA (005010X214, acknowledgement of claims) and 277 (X212, answer to an inquiry; X213,
 * what more is wanted; X228, what is pending).
 *
 * A TRN at a patient's level begins a claim; the levels above speak of whole files and are not claims. An acknowledgement's TRN02
 * is the claim's number (CLM01); in the others TRN02 is the payer's, or what we asked by, and REF*EJ is the claim's
 * (X12's request for interpretation 2252). The first STC of the claim counts: its category (STC01-1) is a letter of the public
 * list, A acknowledged, P pending, F finalised, R more is wanted; by E and D the payer says that it cannot tell. */
#include "transform/formats/x12_rows_parts.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* A dependent (23) has the subscriber's member number above. */
static void take_hl(X12Rows *rows, const X12Segment *segment) {
    Str level = x12_element(segment, 3);
    bool is_dependent = str_equal(level, STR("23"));
    rows->is_claim_level = is_dependent || str_equal(level, STR("PT")) || str_equal(level, STR("22"));
    rows->around[X12_PATIENT_LAST_NAME] = rows->around[X12_PATIENT_FIRST_NAME] = STR_NULL;
    if (!is_dependent)
        rows->around[X12_MEMBER_ID] = STR_NULL;
}

static void take_nm1(X12Rows *rows, const X12Segment *segment) {
    Str role = x12_element(segment, 1);
    if (str_equal(role, STR("PR")) && !rows->is_claim_level)
        x12_put_around(rows, X12_PAYER_NAME, x12_element(segment, 3));
    if (rows->is_claim_level && !rows->is_open && (str_equal(role, STR("QC")) || str_equal(role, STR("IL")))) {
        x12_put_around(rows, X12_PATIENT_LAST_NAME, x12_element(segment, 3));
        x12_put_around(rows, X12_PATIENT_FIRST_NAME, x12_element(segment, 4));
        if (x12_element(segment, 9).size > 0)
            x12_put_around(rows, X12_MEMBER_ID, x12_element(segment, 9));
    }
}

static void take_trn(X12Rows *rows, const X12Segment *segment) {
    Str kind = x12_element(segment, 1);
    bool is_ours = str_equal(kind, STR("2"));
    if (rows->is_claim_level && (is_ours || str_equal(kind, STR("1"))))
        x12_begin_claim(rows, segment, is_ours && !rows->is_inquiry ? x12_element(segment, 2) : STR(""));
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

/* Parted by colons, whatever this interchange parts by. */
static void put_status_code(X12Rows *rows, const X12Segment *segment, Str code) {
    x12_put(rows, X12_STATUS_CODE, code);
    char *at = (char *)(uintptr_t)rows->row.fields[X12_STATUS_CODE].at; /* the claim's copy */
    for (size_t i = 0; i < code.size; i++)
        if (at[i] == segment->component && segment->component)
            at[i] = ':';
}

static void take_stc(X12Rows *rows, const X12Segment *segment) {
    if (!rows->is_open || rows->lines > 0 || !str_is_null(rows->row.fields[X12_STATUS_CODE]))
        return;
    Str category = x12_component(segment, x12_element(segment, 1), 0);
    bool tells = category.size == 0 || (category.at[0] != 'D' && category.at[0] != 'E');
    if (!tells)
        rows->row.why_not = "the payer's answer says nothing of the claim: it found none, or could not look (STC01)";
    put_status_code(rows, segment, x12_element(segment, 1));
    x12_put(rows, X12_CLAIM_STATUS, status_word(category));
    x12_put_amount(rows, X12_CLAIM_AMOUNT, segment, 4);
    x12_put_amount(rows, X12_PAID_AMOUNT, segment, 5);
    if (category.size > 0 && category.at[0] == 'F')
        x12_put(rows, X12_DECISION_DATE, x12_date(rows, segment, x12_element(segment, 6)));
}

static void take_ref(X12Rows *rows, const X12Segment *segment) {
    if (!rows->is_open || rows->lines > 0)
        return;
    if (str_equal(x12_element(segment, 1), STR("1K")))
        x12_put_first(rows, X12_PAYER_CLAIM_ID, x12_element(segment, 2));
    if (str_equal(x12_element(segment, 1), STR("EJ")))
        x12_put(rows, X12_CLAIM_ID, x12_claim_id(x12_element(segment, 2)));
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
