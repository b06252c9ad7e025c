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
 * function of the set all the same, because the entries are gone through in one order.
 *
 * A mapping that takes another column for the id gives one claim all rows of a file: so what is kept of its deliveries while they
 * are gone through is of one size, however many there are. Pure; any thread. */
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
} Holding;

/* Of some usable deliveries: where any stands behind an entry by period or arrival, one of these does. */
typedef struct HoldingPeaks {
    Holding of_period, of_none, latest;
    bool has_period, has_none;
} HoldingPeaks;

/* Usable deliveries that were made at one instant, and in one stage. */
typedef struct HoldingMade {
    Holding first; /* of them to come */
    size_t n;
    HoldingPeaks peaks;
} HoldingMade;

/* What is known of a claim by now. Begins zeroed, for each claim anew. Texts of periods stay the caller's. */
typedef struct HoldingFold {
    HoldingPeaks usable, unordered;  /* all of them; those that do not say when they were made */
    HoldingMade last_made, made_before; /* the last two of the others */
    Holding counting;                /* `entry` 0: none */
} HoldingFold;

/* A usable delivery, of which one at most stands at a place. One at an entry's own place is what was made of the row before it
 * became unusable, and does not stand behind it. */
void holding_add_usable(HoldingFold *fold, const Holding *usable);
/* Once all usable ones are added, the claim's entries, each behind the one to come (holding_compare()). */
void holding_add_entry(HoldingFold *fold, const Holding *entry);
/* The order of entries: those whose period is not known before the others. */
int holding_compare(const Holding *a, const Holding *b);
