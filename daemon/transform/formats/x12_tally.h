/* x12_tally.h - what a transaction set adds up to, and whether it balances.
 *
 * Fed with segments in order; whenever a set ends (SE, or the next ST or the file's end without one) its totals are
 * whole. Looks at one segment at a time and keeps sums only, so a remittance of any size is judged before one of
 * its claims is posted. Amounts are cents. Pure; one thread at a time.
 *
 * The three balances of an 835 (ASC X12N/005010X221, 1.10.2.1):
 *     line         SVC02 - its CAS amounts = SVC03
 *     claim        CLP03 - all CAS amounts of the claim and its lines = CLP04
 *     transaction  the claims' CLP04 - PLB amounts = BPR02
 * BPR02 bears no sign. BPR03 = D is a debit that the payee draws on the payer, and balances as a credit does. Payers write
 * it, too, of what they take back: where the claims less PLB come to just as much below nothing, that is what it says, and
 * `check` is negative. Any other sum of a debit is out of balance as a credit's is.
 * An 837 has no balances; its lines' charges should add up to the claim's (CLM02).
 *
 * What belongs to a claim is what stands behind it up to x12_ends_claim(): the same is read of it by x12_rows.h. What
 * stands outside any is counted nowhere, and told. */
#pragma once
#include "transform/formats/x12.h"

#define X12_SUM_MAX INT64_C(100000000000000000) /* cents that are added up */
enum { X12_KIND_BYTES = 8, X12_VERSION_BYTES = 16, X12_NAME_BYTES = 4 };

/* An amount that cannot be read: "CAS03 has a fraction of a cent". */
typedef struct X12BadAmount {
    int64_t segment; /* 0: there is none */
    char name[X12_NAME_BYTES];
    int element;
    const char *what; /* the sentence's end */
} X12BadAmount;

/* A segment that stands outside what it could be of: "a CAS stands outside any claim". */
typedef struct X12Misplaced {
    int64_t segment; /* 0: there is none */
    char name[X12_NAME_BYTES];
    const char *outside;
} X12Misplaced;

typedef struct X12Totals {
    char kind[X12_KIND_BYTES];       /* ST01: 835, 837, 277, 999 … */
    char version[X12_VERSION_BYTES]; /* ST03, or the group's GS08: 005010X221A1 */
    char control[X12_CONTROL_BYTES]; /* ST02 */
    X12Place place;                  /* of its ST */
    bool is_complete;                /* its SE came, with the right count and control number, and no segment was lost */
    bool is_se_count_ok;
    int64_t claims, lines, reversals; /* reversals: CLP02 = 22 */
    int64_t charged, paid, plb, check;
    int64_t lines_out_of_balance, claims_out_of_balance;
    int64_t claims_whose_line_charges_differ; /* of the claims that have lines */
    int64_t first_difference;                 /* of the first line or claim out of balance; its place: */
    int64_t first_segment;
    int64_t unreadable_amounts;
    X12BadAmount bad_amount; /* the first of them */
    X12Misplaced misplaced;  /* the first that says how much: nobody knows of what */
    X12Misplaced unread;     /* the first that says anything else */
    bool is_too_large; /* a sum went beyond X12_SUM_MAX and means nothing */
} X12Totals;

/* Claims - PLB - check. */
static inline int64_t x12_difference(const X12Totals *totals) { return totals->paid - totals->plb - totals->check; }
/* All three balances of an 835 hold. One with a segment that is `misplaced` may, and is not to be trusted all the same. */
static inline bool x12_is_balanced(const X12Totals *totals) {
    return totals->lines_out_of_balance == 0 && totals->claims_out_of_balance == 0 &&
           totals->unreadable_amounts == 0 && !totals->is_too_large && x12_difference(totals) == 0;
}

typedef struct X12Tally {
    X12Totals totals;
    bool is_open, is_miscounted; /* within a transaction set; its SE01 is wrong */
    bool has_check;              /* a BPR came */
    bool is_debit;               /* BPR03 = D */
    bool is_past_header;         /* a loop that may have claims has begun */
    char group_version[X12_VERSION_BYTES];
    struct {
        bool is_open;
        int64_t segment, charge, paid, adjusted, line_charges, lines;
    } claim;
    struct {
        bool is_open;
        int64_t segment, charge, paid, adjusted;
    } line;
} X12Tally;

/* `is_se_count_ok` of a set is told by the faults: hand each to x12_tally_fault() as it comes. */
void x12_tally_fault(X12Tally *tally, const X12Fault *fault);
/* True when this segment ended a set: `*ret_totals` is its. A set that has no SE ends at the next ST, GS, GE, IEA or ISA. */
bool x12_tally_take(X12Tally *tally, const X12Segment *segment, X12Totals *ret_totals);
/* The file has no more segments. */
bool x12_tally_finish(X12Tally *tally, X12Totals *ret_totals);

/* Does this segment begin another claim, or end the claims, in a set of this kind (ST01)? An 835's claims (loop 2100) stand each
 * behind a CLP, up to the next one, to the next header (loop 2000: LX, TS3, TS2) or to PLB. */
bool x12_ends_claim(const char *kind, const X12Segment *segment);

/* An amount (data type R: digits, with a point or without, a minus in front) in cents; "" is 0. False: no number, or fractions
 * of a cent. */
bool x12_cents(Str text, int64_t *ret_cents);
/* Element i of the segment likewise; what is wrong with it is noted, unless something is already. */
bool x12_amount(const X12Segment *segment, size_t i, int64_t *ret_cents, X12BadAmount *bad);
