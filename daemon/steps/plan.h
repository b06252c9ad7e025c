/* plan.h - what a run would do, without doing it: the run's own code, which stops before it writes.
 *
 * A run with a Plan reads, cleans and decides as any other, on a session that PostgreSQL itself keeps from writing, and
 * counts. No page sees what the one before it would have placed, so the Plan remembers each row that a page would have
 * written: the same content later in the run is no news. That costs 32 bytes a row. One thread. */
#pragma once
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct ClaimMemory;
typedef struct Plan Plan;
Plan *plan_open(void);
void plan_free(Plan *plan);
static inline void plan_drop(Plan **owner) {
    if (*owner)
        plan_free(*owner);
}
/* A row of this id (STR_NULL: of none) with this content would have been placed by now. */
bool plan_has(const Plan *plan, Str id, int64_t source_hash);
void plan_add(Plan *plan, Str id, int64_t source_hash);

/* A remap would have made this entry of quarantine one of today's mapping. */
bool plan_has_renewed(const Plan *plan, int64_t entry);
void plan_add_renewed(Plan *plan, int64_t entry);

/* Claims: their deliveries count one by one, whatever the content, so that more must be remembered
 * (storage/claim_memory.h). */
struct ClaimMemory *plan_claims(Plan *plan);
