/* claim_work.h - what the three calls of claim.h hand on to one another: a page's claims, and what is to be written of them.
 *
 * claim_stored.c lists the claims and reads what is stored of them, claim.c adds what the page brings and decides, claim by
 * claim, claim_files.c says of which files something shows now, or nothing any more, and claim_write.c writes the difference.
 * However much is stored of a page's claims, no more is held than one claim's deliveries and what changes. For these alone. */
#pragma once
#include "storage/claim.h"
#include "storage/silver_row.h"
#include "transform/iteration.h"

enum { CLAIM_ARRAY_MAX_BYTES = 256 << 20 }; /* of a page's claims */

typedef struct ClaimRow {
    Str id;
    uint32_t row; /* index in the page */
} ClaimRow;

/* One claim that the page names, by rows of its or by what earlier readings made of its lines. */
typedef struct PageClaim {
    Str id;
    const ClaimRow *rows; /* in the page's order */
    size_t n_rows;
} PageClaim;

typedef struct FileIds {
    int64_t *ids;
    size_t n, n_room;
} FileIds;

struct ClaimWork {
    PageClaim *claims; /* in the order of their ids */
    size_t n_claims;
    bool may_be_stored;       /* something of any of them */
    const DeliverySet **sets; /* of the page's rows, NULL for those in none; NULL: all are in none */
    /* once it is decided: what changes, in the order of claims; of what was stored without its texts and its set */
    Delivery *deliveries;
    size_t n, n_room, n_stored; /* n_stored: those of them that were */
    FileIds stored_files, new_files; /* see claim_touch_files() */
    Carried *carried; /* what each takes over from its row that was withdrawn; NULL: none was */
    bool is_cleaned_again;
};

/* The result's one row, see claim_each_stored(): of which claim it is, and the delivery, with its texts in `arena`. */
size_t claim_of_stored(const PgResult *found);
Delivery claim_stored(Str claim_id, const PgResult *found, Arena *arena);
/* What is stored of the page's claims, row by row in the order of claims. */
bool claim_each_stored(Pg *pg, const SilverPage *page, PgTake take, void *ctx, Error *err);

static inline bool claim_was_shown(const Delivery *d) { return d->origin == DELIVERY_STORED_SHOWN; }
static inline bool claim_is_shown(const Delivery *d) { return d->fate == DELIVERY_SHOWN; }
/* Something of it is to be written. */
bool claim_is_news(const Delivery *d);

/* All deliveries of one claim, as they were decided: notes the files of those that show now and did not, or the other way
 * round. */
void claim_touch_files(const SilverPage *page, const Delivery *claim, size_t n, Arena *scratch);
/* Once the page is written: says so of the files that were noted. One that is being received is looked at when it is done. */
bool claim_restate_files(Pg *pg, const SilverPage *page, Error *err);
