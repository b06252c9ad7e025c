/* holding.h - which of a claim's unusable rows counts, from the set of its deliveries (rules, section 7).
 *
 * Every unusable row of a claims file that has an id is an entry of quarantine by itself, as every usable one is a delivery. One
 * of a claim's entries counts: people work through it, and a replay cleans it. It is the last of those that no usable delivery
 * of the claim stands behind; none counts where one stands behind them all.
 *
 * What stands behind another: by when the source changed it, of X12 by when its set was made, where both say so and differ (of
 * what was made at one instant in the order of a claim's life: sent, acknowledged, adjudicated); else by the period of its file,
 * likewise; else by what came later, for a row and its correction of one period tell no other order. (By the file's SHA-256, as
 * iterations are ordered, was tried: half of all corrections would stand before what they mend.) An unusable row often does not
 * say when it was changed, because that cannot be read either: then it is not the oldest, as a delivery would be, but goes by
 * its period. So the order is none that a sort could use, three rows may stand behind one another in a circle; the result is a
 * function of the set all the same, because the entries are gone through in one order. Pure; any thread. */
#pragma once
#include "base/str.h"
#include "transform/value.h"

typedef struct Holding {
    Str claim_id;          /* for the caller to group by */
    Value ordered_at;      /* microseconds since 1970; NULL: it does not say */
    int stage;             /* of X12 0 sent, 1 acknowledged, 2 adjudicated; else 0 */
    Str period;            /* of its file; STR_NULL: none */
    int64_t file_id, line; /* files are numbered as they come */
    int64_t entry;         /* in quarantine; 0: it is usable */
    bool did_count;        /* the caller's */
    bool counts;           /* set by holdings_derive() */
} Holding;

/* All entries and usable deliveries of one claim: sorts them and decides. A usable delivery at an entry's own place is what was
 * made of the row before it became unusable, and does not stand behind it. */
void holdings_derive(Holding *holdings, size_t n);
