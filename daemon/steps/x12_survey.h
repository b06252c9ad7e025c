/* x12_survey.h - an X12 file judged whole, before one of its claims is posted.
 *
 * One pass over the bytes: which transaction sets there are, whether each is sound (its envelope) and a remittance's
 * balances hold, what payers give or take beside any claim (PLB), what receivers acknowledged (999, TA1, and 277CA above its claims). Memory: some
 * hundred bytes per set, at most X12_SETS_MAX of them. */
#pragma once
#include "base/arena.h"
#include "base/error.h"
#include "steps/unpack.h"
#include "transform/formats/x12_tally.h"
#include "transform/zone.h"

enum { X12_SETS_MAX = 100000 };

/* Why the claims of a set go to quarantine; rule NULL: they do not. */
typedef struct X12Verdict {
    const char *rule;
    const char *reason;
    bool is_known; /* of a kind that is read */
} X12Verdict;

/* Groups say when they were made by a clock of no zone: it is the hospital's, unless the configuration says whose. A hospital
 * knows its own; of a payer's (277, 835, 999) only the day is known then, and it counts as of the end of that day, and of the
 * CLOCKS_APART_HOURS by which another's clock may be behind: later than all that was sent to the payer on that day. */
typedef struct X12Clock {
    const Zone *zone;
    bool is_declared;
} X12Clock;
/* Civil time as x12_stamp() shows it, to an instant in microseconds. False: there is no such time. */
bool x12_instant(const X12Clock *clock, Str stamp, int64_t *ret_us);

/* ISA15 (X12's data element I14). */
typedef enum X12Usage { X12_USAGE_UNKNOWN, X12_PRODUCTION, X12_INFORMATION, X12_TEST } X12Usage;

/* As its first interchange is written; '\0': it has no such separator. */
typedef struct X12Written {
    char element, component, repetition, terminator;
    bool has_mark; /* a byte order mark */
    X12Usage usage; /* the greatest of its interchanges */
} X12Written;

typedef struct X12Survey {
    const X12Verdict *sets; /* by place.transaction - 1 */
    size_t n_sets, n_quarantined;
    X12Written written;
    const char *warning; /* of the whole file: what is missing or was not posted; NULL: nothing */
    /* For storage/x12.h: arrays of objects. */
    const char *sets_json, *provider_json, *acknowledgements_json, *batches_json, *interchanges_json;
} X12Survey;

/* Reads the bytes from where they stand to their end. False and an Error of class data when there is nothing to be had
 * from the file: its text is the sentence for the report. All of `ret_survey` lives in `arena`. */
bool x12_survey(Unpacker *bytes, const X12Clock *clock, Arena *arena, X12Survey *ret_survey, Error *err);
/* The sentence of a date that no calendar has, and of an amount that cannot be read. */
const char *x12_bad_date(Arena *arena, int64_t segment);
const char *x12_bad_amount(Arena *arena, const X12BadAmount *bad);
/* The next chunk of bytes into the parser, or the news that there are no more. */
bool x12_feed_from(Unpacker *bytes, char *chunk, size_t size, X12Parser *x12, Error *err);
