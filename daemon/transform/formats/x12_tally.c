/* x12_tally.c - see x12_tally.h. */
#include "transform/formats/x12_tally.h"

#include "transform/money.h"

enum {
    CAS_FIRST_AMOUNT = 3, /* CAS03, 06, … 18 */
    CAS_STEP = 3,
    CAS_END = 20,
    PLB_FIRST_AMOUNT = 4, /* PLB04, 06, … 14 */
    PLB_STEP = 2,
    PLB_END = 15
};

/* Digits behind the second after the point are noughts, or there are none. */
static bool is_whole_cents(Str text) {
    const char *point = memchr(text.at, '.', text.size);
    if (!point)
        return true;
    for (const char *at = point + 1; at < text.at + text.size; at++)
        if (at - point > 2 && *at != '0')
            return false;
    return true;
}

bool x12_cents(Str text, int64_t *ret_cents) {
    *ret_cents = 0;
    text = str_trim(text);
    if (text.size == 0)
        return true;
    for (size_t i = 0; i < text.size; i++) {
        bool is_sign = i == 0 && (text.at[i] == '-' || text.at[i] == '+'); /* of type R it stands in front alone */
        if ((text.at[i] < '0' || text.at[i] > '9') && text.at[i] != '.' && !is_sign)
            return false;
    }
    return is_whole_cents(text) && money_parse(text, (MoneyStyle){0}, ret_cents);
}

/* Each with its reason before it: an amount without one is no adjustment that anybody could keep. */
static bool sum_elements(const X12Segment *segment, size_t first, size_t step, size_t end, int64_t *ret_cents) {
    int64_t sum = 0, cents;
    bool is_readable = true;
    for (size_t i = first; i < end && i < segment->n_elements; i += step) {
        is_readable &= x12_cents(segment->elements[i], &cents) && (cents == 0 || x12_element(segment, i - 1).size > 0);
        sum += cents;
    }
    *ret_cents = sum;
    return is_readable;
}

bool x12_cas_total(const X12Segment *cas, int64_t *ret_cents) {
    return sum_elements(cas, CAS_FIRST_AMOUNT, CAS_STEP, CAS_END, ret_cents);
}

static void copy(char *to, size_t size, Str text) {
    size_t n = text.size < size - 1 ? text.size : size - 1;
    memcpy(to, text.at, n);
    to[n] = '\0';
}

/* Sums that no payer pays are no sums, and nothing overflows. */
static void add(X12Tally *tally, int64_t *sum, int64_t cents) {
    *sum += cents;
    if (*sum <= X12_SUM_MAX && *sum >= -X12_SUM_MAX)
        return;
    *sum = 0;
    tally->totals.is_too_large = true;
}

static int64_t amount(X12Tally *tally, const X12Segment *segment, size_t i) {
    int64_t cents;
    tally->totals.unreadable_amounts += !x12_cents(x12_element(segment, i), &cents);
    return cents;
}

static void differ(X12Tally *tally, int64_t *counter, int64_t segment, int64_t difference) {
    X12Totals *totals = &tally->totals;
    if (difference == 0)
        return;
    if (totals->lines_out_of_balance + totals->claims_out_of_balance == 0) {
        totals->first_difference = difference;
        totals->first_segment = segment;
    }
    ++*counter;
}

static void end_line(X12Tally *tally) {
    if (tally->line.is_open)
        differ(tally, &tally->totals.lines_out_of_balance, tally->line.segment,
               tally->line.charge - tally->line.adjusted - tally->line.paid);
    tally->line.is_open = false;
}

static void end_claim(X12Tally *tally) {
    end_line(tally);
    if (!tally->claim.is_open)
        return;
    tally->claim.is_open = false;
    tally->totals.claims_whose_line_charges_differ +=
        tally->claim.lines > 0 && tally->claim.line_charges != tally->claim.charge;
    if (strcmp(tally->totals.kind, "835") == 0)
        differ(tally, &tally->totals.claims_out_of_balance, tally->claim.segment,
               tally->claim.charge - tally->claim.adjusted - tally->claim.paid);
}

static void begin_claim(X12Tally *tally, const X12Segment *segment, size_t charge, size_t paid) {
    end_claim(tally);
    memset(&tally->claim, 0, sizeof tally->claim);
    tally->claim.is_open = true;
    tally->claim.segment = segment->place.segment;
    tally->claim.charge = amount(tally, segment, charge);
    tally->claim.paid = paid ? amount(tally, segment, paid) : 0;
    tally->totals.claims++;
    add(tally, &tally->totals.charged, tally->claim.charge);
    add(tally, &tally->totals.paid, tally->claim.paid);
}

static void add_line(X12Tally *tally, int64_t charge) {
    tally->totals.lines++;
    tally->claim.lines++;
    add(tally, &tally->claim.line_charges, charge);
}

/* ---- one function per segment that counts ---- */

static void take_bpr(X12Tally *tally, const X12Segment *segment) {
    tally->totals.check = amount(tally, segment, 2);
    tally->is_debit = str_equal(x12_element(segment, 3), STR("D"));
}

static void take_clp(X12Tally *tally, const X12Segment *segment) {
    begin_claim(tally, segment, 3, 4);
    tally->totals.reversals += str_equal(x12_element(segment, 2), STR("22"));
}

static void take_svc(X12Tally *tally, const X12Segment *segment) {
    end_line(tally);
    tally->line.is_open = true;
    tally->line.segment = segment->place.segment;
    tally->line.charge = amount(tally, segment, 2);
    tally->line.paid = amount(tally, segment, 3);
    tally->line.adjusted = 0;
    add_line(tally, tally->line.charge);
}

static void take_cas(X12Tally *tally, const X12Segment *segment) {
    int64_t cents;
    tally->totals.unreadable_amounts += !x12_cas_total(segment, &cents);
    add(tally, &tally->claim.adjusted, cents);
    add(tally, &tally->line.adjusted, cents);
}

static void take_plb(X12Tally *tally, const X12Segment *segment) {
    int64_t cents;
    end_claim(tally);
    tally->totals.unreadable_amounts += !sum_elements(segment, PLB_FIRST_AMOUNT, PLB_STEP, PLB_END, &cents);
    add(tally, &tally->totals.plb, cents);
}

static void take_clm(X12Tally *tally, const X12Segment *segment) { begin_claim(tally, segment, 2, 0); }
static void take_sv1(X12Tally *tally, const X12Segment *segment) { add_line(tally, amount(tally, segment, 2)); }
static void take_sv2(X12Tally *tally, const X12Segment *segment) { add_line(tally, amount(tally, segment, 3)); }

static const struct {
    const char *kind, *name;
    void (*take)(X12Tally *tally, const X12Segment *segment);
} TAKES[] = {
    {"835", "SVC", take_svc}, {"835", "CAS", take_cas}, {"835", "CLP", take_clp}, {"835", "PLB", take_plb},
    {"835", "BPR", take_bpr}, {"837", "CLM", take_clm}, {"837", "SV1", take_sv1}, {"837", "SV2", take_sv2},
    {"837", "SV3", take_sv1},
};

static void begin_set(X12Tally *tally, const X12Segment *segment) {
    tally->is_open = true;
    tally->claim.is_open = tally->line.is_open = tally->is_miscounted = tally->is_debit = false;
    tally->totals = (X12Totals){.place = segment->place};
    copy(tally->totals.kind, X12_KIND_BYTES, x12_element(segment, 1));
    copy(tally->totals.control, X12_CONTROL_BYTES, x12_element(segment, 2));
    Str version = x12_element(segment, 3);
    copy(tally->totals.version, X12_VERSION_BYTES, version.size > 0 ? version : str_of(tally->group_version));
}

void x12_tally_fault(X12Tally *tally, const X12Fault *fault) {
    tally->is_miscounted |= fault->kind == X12_SE_COUNT;
}

/* Money that goes to the payer is written without a sign; of a debit that is drawn for the payee the claims say so. */
static void sign_check(X12Tally *tally) {
    X12Totals *totals = &tally->totals;
    if (tally->is_debit && totals->check > 0 && totals->paid - totals->plb == -totals->check)
        totals->check = -totals->check;
}

bool x12_tally_finish(X12Tally *tally, X12Totals *ret_totals) {
    if (!tally->is_open)
        return false;
    end_claim(tally);
    sign_check(tally);
    tally->is_open = false;
    *ret_totals = tally->totals;
    return true;
}

bool x12_tally_take(X12Tally *tally, const X12Segment *segment, X12Totals *ret_totals) {
    if (x12_is(segment, "SE") && tally->is_open) {
        tally->totals.is_complete = !segment->is_fault;
        tally->totals.is_se_count_ok = !tally->is_miscounted;
        return x12_tally_finish(tally, ret_totals);
    }
    bool is_ended = false;
    if (x12_is(segment, "ST") || x12_is(segment, "GS") || x12_is(segment, "GE") || x12_is(segment, "IEA"))
        is_ended = x12_tally_finish(tally, ret_totals);
    if (x12_is(segment, "GS"))
        copy(tally->group_version, X12_VERSION_BYTES, x12_element(segment, 8));
    if (x12_is(segment, "ST"))
        begin_set(tally, segment);
    for (size_t i = 0; tally->is_open && i < sizeof TAKES / sizeof *TAKES; i++)
        if (x12_is(segment, TAKES[i].name) && strcmp(tally->totals.kind, TAKES[i].kind) == 0) {
            TAKES[i].take(tally, segment);
            break;
        }
    return is_ended;
}
