/* claim_work.h - what the three calls of claim.h hand on to one another: the deliveries of a page's claims.
 *
 * claim_stored.c lists what is stored of them, claim.c adds what the page brings and decides, claim_write.c writes the
 * difference, and claim_files.c says of which files something shows now, or nothing any more. For these alone. */
#pragma once
#include "storage/claim.h"
#include "storage/silver_row.h"
#include "transform/iteration.h"

enum { CLAIM_ARRAY_MAX_BYTES = 256 << 20 }; /* of a page's claims */

struct ClaimWork {
    Delivery *deliveries;
    size_t n_stored;  /* of them, as they were looked up */
    const DeliverySet **sets; /* of the page's rows, NULL for those in none; NULL: all are in none */
    Carried *carried; /* what each takes over from its row that was withdrawn; NULL: none was */
    size_t n;
    bool is_cleaned_again;
};

static inline bool claim_was_shown(const Delivery *d) { return d->origin == DELIVERY_STORED_SHOWN; }
static inline bool claim_is_shown(const Delivery *d) { return d->fate == DELIVERY_SHOWN; }
/* Something of it is to be written. */
bool claim_is_news(const Delivery *d);
static inline bool claim_is_same(const Delivery *a, const Delivery *b) { return str_equal(a->claim_id, b->claim_id); }
/* Sorted by claim: where the deliveries end of the claim that begins at `first`. */
static inline size_t claim_end(const struct ClaimWork *work, size_t first) {
    size_t end = first + 1;
    while (end < work->n && claim_is_same(&work->deliveries[first], &work->deliveries[end]))
        end++;
    return end;
}

/* Once the page is written. A file that is being received is looked at when it is done. */
bool claim_restate_files(Pg *pg, const SilverPage *page, Error *err);
