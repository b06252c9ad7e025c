/* remittance.c - what became of claims: 835 (005010X221A1).
 *
 * CAS behind a CLP is the whole claim's (line 0), behind a SVC the line's; LQ*HE names the remarks of the line's adjustments,
 * MIA and MOA those of the claim. */
#include "transform/formats/x12_rows_parts.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
enum { CAS_FIRST = 2, CAS_STEP = 3, CAS_END = 20 };

static void take_bpr(X12Rows *rows, const X12Segment *segment) {
    x12_put_around(rows, X12_DECISION_DATE, x12_date(rows, segment, x12_element(segment, 16)));
}

static void take_trn(X12Rows *rows, const X12Segment *segment) {
    x12_put_around(rows, X12_CHECK_NUMBER, x12_element(segment, 2));
}

/* The day the remittance was made says better when the payer decided than the day of the payment. */
static void take_dtm(X12Rows *rows, const X12Segment *segment) {
    Str qualifier = x12_element(segment, 1), date = x12_element(segment, 2);
    if (!rows->is_open && str_equal(qualifier, STR("405")) && date.size > 0)
        x12_put_around(rows, X12_DECISION_DATE, x12_date(rows, segment, date));
    else if (rows->is_open && rows->lines > 0 &&
             (str_equal(qualifier, STR("472")) || str_equal(qualifier, STR("150"))))
        x12_line_date(rows, segment, date);
    else if (rows->is_open && str_equal(qualifier, STR("232")))
        x12_put_first(rows, X12_SERVICE_DATE, x12_date(rows, segment, date));
}

static void take_n1(X12Rows *rows, const X12Segment *segment) {
    if (!rows->is_open && str_equal(x12_element(segment, 1), STR("PR")))
        x12_put_around(rows, X12_PAYER_NAME, x12_element(segment, 2));
    if (!rows->is_open && str_equal(x12_element(segment, 1), STR("PE")))
        x12_put_around(rows, X12_BILLING_PROVIDER, x12_element(segment, 4));
}

/* 005010X221A1, 1.10.2.8: what is taken back is said with its sign turned round, the charge, too. A reversal that says it as the
 * first payment did adds up all the same, and would be that payment once more. */
static void check_reversal(X12Rows *rows, const X12Segment *segment, int64_t charged) {
    if (charged > 0)
        rows->row.bad_amount = (X12BadAmount){
            .segment = segment->place.segment, .name = "CLP", .element = 3,
            .what = "is above nothing, and a reversal (CLP02 = 22) has the amounts that it takes back with a minus in front"};
}

static void take_clp(X12Rows *rows, const X12Segment *segment) {
    x12_begin_claim(rows, segment, x12_element(segment, 1));
    int64_t charged;
    rows->status = arena_copy(rows->arena, x12_element(segment, 2));
    x12_cents(x12_element(segment, 3), &charged);
    x12_cents(x12_element(segment, 4), &rows->sum.paid);
    bool is_reversal = str_equal(rows->status, STR("22"));
    if (is_reversal)
        check_reversal(rows, segment, charged);
    x12_put_cents(rows, X12_CLAIM_AMOUNT, is_reversal ? -charged : charged);
    x12_put_cents(rows, X12_PAID_AMOUNT, is_reversal ? 0 : rows->sum.paid);
    x12_put(rows, X12_STATUS_CODE, rows->status);
    x12_put(rows, X12_PATIENT_RESPONSIBILITY, x12_element(segment, 5));
    x12_put(rows, X12_PAYER_TYPE, x12_element(segment, 6));
    x12_put(rows, X12_PAYER_CLAIM_ID, x12_element(segment, 7));
    x12_put(rows, X12_FREQUENCY, x12_element(segment, 9));
}

static void take_nm1(X12Rows *rows, const X12Segment *segment) {
    Str role = x12_element(segment, 1);
    if (!rows->is_open)
        return;
    if (str_equal(role, STR("QC"))) {
        x12_put_first(rows, X12_PATIENT_LAST_NAME, x12_element(segment, 3));
        x12_put_first(rows, X12_PATIENT_FIRST_NAME, x12_element(segment, 4));
        x12_put_first(rows, X12_MEMBER_ID, x12_element(segment, 9));
    }
    if (str_equal(role, STR("82")))
        x12_put_first(rows, X12_RENDERING_PROVIDER, x12_element(segment, 9));
}

static void take_ref(X12Rows *rows, const X12Segment *segment) {
    if (rows->is_open && rows->lines == 0 && str_equal(x12_element(segment, 1), STR("EA")))
        x12_put_first(rows, X12_PATIENT_ID, x12_element(segment, 2));
}

static void take_svc(X12Rows *rows, const X12Segment *segment) {
    if (rows->is_open)
        x12_begin_line(rows, x12_component(segment, x12_element(segment, 1), 1), x12_element(segment, 2),
                       x12_element(segment, 3), x12_element(segment, 5));
}

/* A sum that grows beyond all measure stays where it is: the tally has said so, and its set is not posted. */
static void add(int64_t *sum, int64_t cents) {
    if (*sum <= X12_SUM_MAX && *sum >= -X12_SUM_MAX)
        *sum += cents;
}

static void add_to_share(X12Sum *sum, Str group, Str reason, int64_t cents) {
    if (!str_equal(group, STR("PR")))
        return;
    add(&sum->deductible, str_equal(reason, STR("1")) ? cents : 0);
    add(&sum->coinsurance, str_equal(reason, STR("2")) ? cents : 0);
    add(&sum->copay, str_equal(reason, STR("3")) ? cents : 0);
}

/* Letters and digits: codes are nothing else. The list's own signs must not stand in one, nor may it become another without them. */
static void put_code(Buf *list, Str code) {
    for (size_t i = 0; i < code.size; i++)
        buf_put_byte(list, strchr("|;,", code.at[i]) ? (uint8_t)' ' : (uint8_t)code.at[i]);
}

static void put_adjustment(X12Rows *rows, Str group, Str reason, int64_t cents, Str quantity) {
    Buf *list = &rows->adjustments;
    buf_printf(list, "%s%d|", list->size ? ";" : "", rows->lines);
    put_code(list, group);
    buf_put_byte(list, '|');
    put_code(list, reason);
    buf_printf(list, "|%d|%lld|", ++rows->position, (long long)cents);
    put_code(list, quantity);
    buf_put_byte(list, '|');
    /* The payer before it has decided, this one has not: no denial of this payer's. */
    bool is_other_payers = str_equal(group, STR("OA")) && str_equal(reason, STR("23"));
    rows->sum.has_denial |= cents > 0 && !is_other_payers && !x12_is_no_denial(group, reason);
}

static void take_cas(X12Rows *rows, const X12Segment *segment) {
    Str group = x12_element(segment, 1);
    for (size_t i = CAS_FIRST; rows->is_open && i + 1 < CAS_END && i < segment->n_elements; i += CAS_STEP) {
        Str reason = x12_element(segment, i);
        int64_t cents;
        x12_cents(x12_element(segment, i + 1), &cents);
        if (reason.size == 0)
            continue;
        add_to_share(&rows->sum, group, reason, cents);
        put_adjustment(rows, group, reason, cents, x12_element(segment, i + 2));
    }
}

static void add_remark(Buf *remarks, Str code) {
    if (code.size == 0)
        return;
    if (remarks->size)
        buf_put_byte(remarks, ',');
    put_code(remarks, code);
}

static void take_lq(X12Rows *rows, const X12Segment *segment) {
    if (rows->is_open && rows->lines > 0 && str_equal(x12_element(segment, 1), STR("HE")))
        add_remark(&rows->line_remarks, x12_element(segment, 2));
}

static void add_remarks(X12Rows *rows, const X12Segment *segment, size_t first, size_t last) {
    for (size_t i = first; rows->is_open && i <= last; i++) {
        add_remark(&rows->remarks, x12_element(segment, i));
        if (rows->lines == 0)
            add_remark(&rows->line_remarks, x12_element(segment, i));
    }
}

static void take_moa(X12Rows *rows, const X12Segment *segment) { add_remarks(rows, segment, 3, 7); }
static void take_mia(X12Rows *rows, const X12Segment *segment) {
    add_remarks(rows, segment, 5, 5);
    add_remarks(rows, segment, 20, 23);
}

/* CLP02, in the order of the guide's list; what is not listed is decided by what was paid. */
static Str status_word(const X12Rows *rows) {
    static const struct {
        const char *code, *word;
    } WORDS[] = {{"4", "Denied"}, {"22", "Reversed"}, {"23", "Pending"}, {"25", "Pending"}};
    for (size_t i = 0; i < COUNT(WORDS); i++)
        if (str_equal(rows->status, str_of(WORDS[i].code)))
            return str_of(WORDS[i].word);
    return rows->sum.paid != 0 ? STR("Paid") : rows->sum.has_denial ? STR("Denied") : STR("Approved");
}

static void end_remittance(X12Rows *rows) {
    bool is_reversal = str_equal(rows->status, STR("22"));
    x12_put(rows, X12_CLAIM_STATUS, status_word(rows));
    x12_put_cents(rows, X12_DEDUCTIBLE, is_reversal ? 0 : rows->sum.deductible);
    x12_put_cents(rows, X12_COINSURANCE, is_reversal ? 0 : rows->sum.coinsurance);
    x12_put_cents(rows, X12_COPAY, is_reversal ? 0 : rows->sum.copay);
}

static const X12Take TAKES[] = {
    {"SVC", take_svc}, {"CAS", take_cas}, {"DTM", take_dtm}, {"LQ", take_lq}, {"CLP", take_clp}, {"NM1", take_nm1},
    {"REF", take_ref}, {"MOA", take_moa}, {"MIA", take_mia}, {"BPR", take_bpr}, {"TRN", take_trn}, {"N1", take_n1},
};
const X12Reader X12_REMITTANCE_READER = {TAKES, COUNT(TAKES), end_remittance};
