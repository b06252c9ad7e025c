/* iteration.h - the iterations of one claim, from the set of its deliveries (rules, section 7).
 *
 * Deliveries are ordered by (source_modified_at, file period, SHA-256 of the file, line). Of X12 the place is that of its set:
 * by when the set was made, or, of a payer's whose clock is not known, when its day was over; what was made at the same
 * instant in the order of a claim's life (sent, acknowledged, adjudicated). A remittance that was made again, of the same
 * payment, takes the place of the first one, and of such those of the last made count alone: see `payment`. An acknowledgement
 * that names the set it answers stands behind the claim of that set, whatever was sent since: see `reference`. A remittance
 * that corrects a claim first and then takes its earlier payment back is read the other way round, as 005010X221A1, 1.10.2.8
 * tells it and X12's RFI 791 recommends to write it: only where the claim stands paid or denied before that set; else the
 * reversal takes back what the set itself said. Neighbours that agree in status and amounts form a run; each run is an
 * iteration, 1, 2, … in that order, the last is final. An iteration shows the content of its run's newest delivery, as it
 * first came with that content: so source_modified_at is the last change of content. The result is a function of the set,
 * whatever order the deliveries came in. That is why those that do not show are remembered ("absorbed"): late ones may slot in
 * between them. (Keeping only the first and the last of neighbours with equal text was tried: two late ones that differ,
 * either side of one left out, then become neighbours.)
 * Pure; any thread. */
#pragma once
#include "base/str.h"
#include "transform/value.h"

/* Of a claim's life, as ops.x12_stage() has them. */
enum { STAGE_SENT, STAGE_ACKNOWLEDGED, STAGE_ADJUDICATED };

enum { CLAIM_AMOUNTS = 5 }; /* claim_amount, paid_amount, deductible, coinsurance, copay */

typedef enum __attribute__((packed)) DeliveryOrigin { /* one byte, as the next */
    DELIVERY_STORED_SHOWN,    /* a row of silver.claims */
    DELIVERY_STORED_ABSORBED, /* a row of silver.claims_absorbed */
    DELIVERY_NEW
} DeliveryOrigin;

typedef enum __attribute__((packed)) DeliveryFate {
    DELIVERY_SHOWN,    /* is an iteration */
    DELIVERY_ABSORBED, /* remembered */
    DELIVERY_FORGOTTEN /* the same delivery twice, or one that is gone */
} DeliveryFate;

/* The X12 set that a delivery stands in, as its place in the order wants it. */
typedef struct DeliverySet {
    Value ordered_at; /* instead of modified_at; NULL: by that */
    int64_t begin;    /* line of its first segment */
    Str payment;      /* of remittances: payer, check, day, payee and amount; else STR_NULL */
    Str reference;    /* SENT: what its sender calls the set; ACKNOWLEDGED: the one it answers; else STR_NULL */
    int stage;        /* STAGE_... */
} DeliverySet;

/* In the order of sizes, here and below: a page holds thousands. */
typedef struct Delivery {
    Str claim_id; /* for the caller to group by */
    /* its place in the order */
    Value modified_at;
    Str period;
    Str sha256; /* raw bytes */
    int64_t line;
    const DeliverySet *set; /* NULL: it stands in none */
    /* what makes an iteration, and what corrects one */
    Value status;
    Value amounts[CLAIM_AMOUNTS];
    Value inserted_at; /* content, no place in the order */
    int64_t source_hash;
    uint8_t record_hash[16];
    /* where it stands now */
    int64_t file_id;
    int64_t claim_key;     /* STORED_SHOWN */
    int32_t was_iteration; /* STORED_SHOWN */
    uint32_t row;          /* with has_row: index in the page */
    DeliveryOrigin origin;
    bool was_final;        /* STORED_SHOWN */
    bool has_row; /* the caller's: its content stands in a page; of all NEW ones, and of stored ones cleaned again */
    bool is_elsewhere; /* the caller's: a stored one that another feed read, and whose text is there */
    bool differs; /* the caller's: a stored one whose content is not what is stored */
    bool is_gone; /* the caller's: a stored one that its file does not hold any more, read in another way; with `differs` */
    /* what becomes of it: set by iterations_derive() */
    DeliveryFate fate;
    bool is_superseded; /* the remittance was made again, and tells of this claim there: remembered, counts no more */
    bool is_final;      /* SHOWN */
    bool is_repeated;   /* a neighbour that the same feed read keeps the same text, or the same delivery twice */
    int32_t iteration;  /* SHOWN */
    uint32_t place;     /* in the order */
    uint32_t seat;      /* its place, or that of the remittance which it is made again of, or of the claim that it answers */
    uint32_t turn;      /* among what its remittance says of the claim */
    int64_t heir_key;   /* key of the superseded one whose part this one plays now; 0: none */
    int64_t key;        /* SHOWN: the key that stays with the iteration; 0: it wants a new one */
} Delivery;

/* All deliveries of one claim: sorts them and decides. */
void iterations_derive(Delivery *deliveries, size_t n);
