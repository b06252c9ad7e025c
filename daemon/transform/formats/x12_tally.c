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

/* ---- amounts ---- */

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

/* The guides allow neither a plus nor an exponent (appendix B.1.1.3.1.2 of each). */
static bool is_decimal(Str text) {
    size_t digits = 0, points = 0;
    for (size_t i = text.size > 0 && text.at[0] == '-'; i < text.size; i++) {
        bool is_digit = text.at[i] >= '0' && text.at[i] <= '9';
        if (!is_digit && text.at[i] != '.')
            return false;
        digits += is_digit;
        points += !is_digit;
    }
    return digits > 0 && points <= 1;
}

/* In cents. NULL, or what is wrong with it. */
static const char *read_cents(Str text, int64_t *ret_cents) {
    *ret_cents = 0;
    text = str_trim(text);
    if (text.size == 0)
        return NULL;
    if (!is_decimal(text))
        return "is no amount (digits, a point before cents, a minus in front)";
    if (!is_whole_cents(text))
        return "has a fraction of a cent";
    return money_parse(text, (MoneyStyle){0}, ret_cents) ? NULL : "is larger than any amount";
}

bool x12_cents(Str text, int64_t *ret_cents) { return !read_cents(text, ret_cents); }

static bool note_bad(const X12Segment *segment, size_t i, const char *what, X12BadAmount *bad) {
    if (what && bad->segment == 0) {
        *bad = (X12BadAmount){.segment = segment->place.segment, .element = (int)i, .what = what};
        x12_copy(bad->name, X12_NAME_BYTES, segment->elements[0]);
    }
    return !what;
}

bool x12_amount(const X12Segment *segment, size_t i, int64_t *ret_cents, X12BadAmount *bad) {
    return note_bad(segment, i, read_cents(x12_element(segment, i), ret_cents), bad);
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
    tally->totals.unreadable_amounts += !x12_amount(segment, i, &cents, &tally->totals.bad_amount);
    return cents;
}

/* Each with its reason's code before it (of a PLB the first component): an amount without one is no adjustment that anybody could
 * keep. */
static int64_t sum_amounts(X12Tally *tally, const X12Segment *segment, size_t first, size_t step, size_t end) {
    int64_t sum = 0;
    for (size_t i = first; i < end && i < segment->n_elements; i += step) {
        int64_t cents = amount(tally, segment, i);
        bool has_reason = cents == 0 || x12_component(segment, x12_element(segment, i - 1), 0).size > 0;
        const char *what = has_reason ? NULL : "has no reason before it";
        tally->totals.unreadable_amounts += !note_bad(segment, i, what, &tally->totals.bad_amount);
        sum += cents;
    }
    return sum;
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

/* The first one is told. */
static void note(X12Misplaced *first, const X12Segment *segment, const char *outside) {
    if (first->segment)
        return;
    *first = (X12Misplaced){.segment = segment->place.segment, .outside = outside};
    x12_copy(first->name, X12_NAME_BYTES, segment->elements[0]);
}

/* Of two payments nobody knows which one the claims are of. */
static void take_bpr(X12Tally *tally, const X12Segment *segment) {
    if (tally->has_check)
        note(&tally->totals.misplaced, segment, "the one place that its set has for it");
    tally->has_check = true;
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
    int64_t cents = sum_amounts(tally, segment, CAS_FIRST_AMOUNT, CAS_STEP, CAS_END);
    add(tally, &tally->claim.adjusted, cents);
    add(tally, &tally->line.adjusted, cents);
}

static void take_plb(X12Tally *tally, const X12Segment *segment) {
    add(tally, &tally->totals.plb, sum_amounts(tally, segment, PLB_FIRST_AMOUNT, PLB_STEP, PLB_END));
}

static void take_clm(X12Tally *tally, const X12Segment *segment) { begin_claim(tally, segment, 2, 0); }
static void take_sv1(X12Tally *tally, const X12Segment *segment) { add_line(tally, amount(tally, segment, 2)); }
static void take_sv2(X12Tally *tally, const X12Segment *segment) { add_line(tally, amount(tally, segment, 3)); }

/* ---- what belongs to what ---- */

enum { IN_HEADER = 1, BETWEEN_CLAIMS = 2, IN_CLAIM = 4, IN_LINE = 8 };
enum { OF_CLAIM = IN_CLAIM | IN_LINE, ANYWHERE = IN_HEADER | BETWEEN_CLAIMS | OF_CLAIM };

/* What a segment is in a set of this kind. Those of a loop say nothing elsewhere that anybody could keep. */
typedef struct Role {
    const char *kind, *name;
    int where;
    bool says_how_much;
    bool ends_claim;
    const char *outside;
    void (*take)(X12Tally *tally, const X12Segment *segment);
} Role;
static const Role ROLES[] = {
    {"835", "DTM", .where = IN_HEADER | OF_CLAIM, .outside = "any claim"},
    {"835", "CAS", .where = OF_CLAIM, .says_how_much = true, .outside = "any claim", .take = take_cas},
    {"835", "SVC", .where = OF_CLAIM, .says_how_much = true, .outside = "any claim", .take = take_svc},
    {"835", "CLP", .where = ANYWHERE, .ends_claim = true, .take = take_clp},
    {"835", "NM1", .where = OF_CLAIM, .outside = "any claim"},
    {"835", "REF", .where = IN_HEADER | OF_CLAIM, .outside = "any claim"},
    {"835", "AMT", .where = OF_CLAIM, .outside = "any claim"},
    {"835", "QTY", .where = OF_CLAIM, .outside = "any claim"},
    {"835", "LQ", .where = IN_LINE, .outside = "any service line"},
    {"835", "MIA", .where = OF_CLAIM, .outside = "any claim"},
    {"835", "MOA", .where = OF_CLAIM, .outside = "any claim"},
    {"835", "LX", .where = ANYWHERE, .ends_claim = true},
    {"835", "TS3", .where = ANYWHERE, .ends_claim = true},
    {"835", "TS2", .where = ANYWHERE, .ends_claim = true},
    {"835", "PLB", .where = ANYWHERE, .ends_claim = true, .take = take_plb},
    {"835", "BPR", .where = IN_HEADER, .says_how_much = true, .outside = "the header of its set", .take = take_bpr},
    {"837", "SV1", .where = OF_CLAIM, .says_how_much = true, .outside = "any claim", .take = take_sv1},
    {"837", "SV2", .where = OF_CLAIM, .says_how_much = true, .outside = "any claim", .take = take_sv2},
    {"837", "SV3", .where = OF_CLAIM, .says_how_much = true, .outside = "any claim", .take = take_sv1},
    {"837", "CLM", .where = ANYWHERE, .ends_claim = true, .take = take_clm},
    {"837", "HL", .where = ANYWHERE, .ends_claim = true},
    {"277", "HL", .where = ANYWHERE, .ends_claim = true},
    {"277", "TRN", .where = ANYWHERE, .ends_claim = true},
};

/* Looked up for every segment of a file: by the first letter before anything else. */
static const Role *role_of(const char *kind, const X12Segment *segment) {
    Str name = segment->elements[0];
    for (size_t i = 0; name.size > 0 && i < sizeof ROLES / sizeof *ROLES; i++)
        if (ROLES[i].name[0] == name.at[0] && x12_is(segment, ROLES[i].name) && strcmp(ROLES[i].kind, kind) == 0)
            return &ROLES[i];
    return NULL;
}

bool x12_ends_claim(const char *kind, const X12Segment *segment) {
    const Role *role = role_of(kind, segment);
    return role && role->ends_claim;
}

static int where_now(const X12Tally *tally) {
    return tally->line.is_open ? IN_LINE : tally->claim.is_open ? IN_CLAIM : tally->is_past_header ? BETWEEN_CLAIMS : IN_HEADER;
}

static void take(X12Tally *tally, const X12Segment *segment) {
    const Role *role = role_of(tally->totals.kind, segment);
    if (!role)
        return;
    if (role->ends_claim) {
        end_claim(tally);
        tally->is_past_header = true;
    }
    if (!(role->where & where_now(tally)))
        note(role->says_how_much ? &tally->totals.misplaced : &tally->totals.unread, segment, role->outside);
    else if (role->take)
        role->take(tally, segment);
}

static void begin_set(X12Tally *tally, const X12Segment *segment) {
    tally->is_open = true;
    tally->claim.is_open = tally->line.is_open = tally->is_miscounted = false;
    tally->has_check = tally->is_debit = tally->is_past_header = false;
    tally->totals = (X12Totals){.place = segment->place};
    x12_copy(tally->totals.kind, X12_KIND_BYTES, x12_element(segment, 1));
    x12_copy(tally->totals.control, X12_CONTROL_BYTES, x12_element(segment, 2));
    Str version = x12_element(segment, 3);
    x12_copy(tally->totals.version, X12_VERSION_BYTES, version.size > 0 ? version : str_of(tally->group_version));
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
    if (x12_is(segment, "ST") || x12_is(segment, "GS") || x12_is(segment, "GE") || x12_is(segment, "IEA") || x12_is(segment, "ISA"))
        is_ended = x12_tally_finish(tally, ret_totals);
    if (x12_leaves_group(segment))
        tally->group_version[0] = '\0';
    if (x12_is(segment, "GS"))
        x12_copy(tally->group_version, X12_VERSION_BYTES, x12_element(segment, 8));
    if (x12_is(segment, "ST"))
        begin_set(tally, segment);
    if (tally->is_open)
        take(tally, segment);
    return is_ended;
}
