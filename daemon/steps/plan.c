/* plan.c - see plan.h. A set of 128 bits a row, open addressing. */
#include "steps/plan.h"

#include "base/arena.h"
#include "storage/claim_memory.h"

#include <stdlib.h>
#include <xxhash.h>

enum { SLOTS_FIRST = 1024 };

struct Plan {
    XXH128_hash_t *slots; /* both zero: free */
    size_t n_slots, n;
    Arena *arena; /* of the claims; NULL: none */
    ClaimMemory *claims;
};

Plan *plan_open(void) {
    Plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        abort();
    plan->n_slots = SLOTS_FIRST;
    plan->slots = calloc(plan->n_slots, sizeof *plan->slots);
    if (!plan->slots)
        abort();
    return plan;
}

void plan_free(Plan *plan) {
    free(plan->slots);
    if (plan->arena)
        arena_free(plan->arena);
    free(plan);
}

static XXH128_hash_t mark_of(Str id, int64_t source_hash) {
    return XXH3_128bits_withSeed(str_is_null(id) ? "" : id.at, id.size, (XXH64_hash_t)source_hash);
}

static XXH128_hash_t *slot_of(const Plan *plan, XXH128_hash_t mark) {
    size_t i = mark.low64 & (plan->n_slots - 1);
    while ((plan->slots[i].low64 || plan->slots[i].high64) && !XXH128_isEqual(plan->slots[i], mark))
        i = (i + 1) & (plan->n_slots - 1);
    return &plan->slots[i];
}

bool plan_has(const Plan *plan, Str id, int64_t source_hash) {
    XXH128_hash_t mark = mark_of(id, source_hash);
    return XXH128_isEqual(*slot_of(plan, mark), mark);
}

static void grow(Plan *plan) {
    Plan larger = *plan;
    larger.n_slots *= 2;
    larger.slots = calloc(larger.n_slots, sizeof *larger.slots);
    if (!larger.slots)
        abort();
    for (size_t i = 0; i < plan->n_slots; i++)
        if (plan->slots[i].low64 || plan->slots[i].high64)
            *slot_of(&larger, plan->slots[i]) = plan->slots[i];
    free(plan->slots);
    *plan = larger;
}

void plan_add(Plan *plan, Str id, int64_t source_hash) {
    XXH128_hash_t mark = mark_of(id, source_hash), *slot = slot_of(plan, mark);
    if (XXH128_isEqual(*slot, mark))
        return;
    *slot = mark;
    if (++plan->n * 2 > plan->n_slots)
        grow(plan);
}

/* An id that no row has: they are trimmed. */
static const Str RENEWED = {" entry", 6};

bool plan_has_renewed(const Plan *plan, int64_t entry) { return plan_has(plan, RENEWED, entry); }

void plan_add_renewed(Plan *plan, int64_t entry) { plan_add(plan, RENEWED, entry); }

/* ---- claims ---- */

ClaimMemory *plan_claims(Plan *plan) {
    if (!plan->claims) {
        plan->arena = arena_open();
        plan->claims = claim_memory_open(plan->arena);
    }
    return plan->claims;
}
