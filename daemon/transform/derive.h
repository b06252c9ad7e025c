/* derive.h - columns that follow from other columns of the same row (model.md, section 3).
 *
 * Filled by place: a claim's payment_status and coverage_percent, a provider's npi_status. What needs another
 * table's row too (a transaction's payment_status, an age) is a function here and called by who has that row.
 * Pure; any thread. */
#pragma once
#include "base/arena.h"
#include "transform/record.h"

typedef struct Derivation Derivation;

/* The derivations of an entity; NULL when it has none. Lives in `arena`. */
const Derivation *derive_compile(Arena *arena, const Entity *entity);
/* Sets the derived values and their flags from the values that are there. */
void derive(const Derivation *derivation, Record *record);

/* Denied or Rejected: Denied; Pending: Pending; else by what was paid of the claim amount less what
 * the patient owes (deductible, coinsurance, copay; unknown ones owe nothing). Borrowed constants. */
typedef struct ClaimAmounts {
    Value status, claimed, paid, deductible, coinsurance, copay;
} ClaimAmounts;
Str derive_claim_status(const ClaimAmounts *claim);
/* `is_denied`: a final claim names the transaction, and all that do are denied. Borrowed constants. */
Str derive_transaction_status(Value amount, Value paid, bool is_denied);
/* Whole years from birth to day; who was born on 29 February counts on 1 March. NULL when either is unknown,
 * and, `*ret_out_of_range` then being true, when negative or over 120. */
Value derive_age(Value birth, Value day, bool *ret_out_of_range);
/* 100 x paid / claimed in hundredths, half away from zero. NULL when nothing was claimed, when either
 * is unknown, and beyond numeric(7,2). */
Value derive_coverage(Value claimed, Value paid);
