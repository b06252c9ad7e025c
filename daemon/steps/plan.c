/* plan.c - see plan.h. A set of 128 bits a row, open addressing. */
#include "steps/plan.h"

#include "base/arena.h"
#include "storage/claim_memory.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { SLOTS_FIRST = 1024 };

/* Claims that would have got or lost an entry of quarantine: few. */
typedef struct Entry {
    XXH128_hash_t mark;
    int64_t source_hash;
    bool is_open;
} Entry;

struct Plan {
    XXH128_hash_t *slots; /* both zero: free */
    size_t n_slots, n;
    Entry *entries;
    size_t n_entry_slots, n_entries;
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
    free(plan->entries);
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

/* ---- claims ---- */

ClaimMemory *plan_claims(Plan *plan) {
    if (!plan->claims) {
        plan->arena = arena_open();
        plan->claims = claim_memory_open(plan->arena);
    }
    return plan->claims;
}

/* Where the entry stands, or would: free, its mark is zero. */
static Entry *entry_of(const Plan *plan, XXH128_hash_t mark) {
    size_t i = mark.low64 & (plan->n_entry_slots - 1);
    while ((plan->entries[i].mark.low64 || plan->entries[i].mark.high64) && !XXH128_isEqual(plan->entries[i].mark, mark))
        i = (i + 1) & (plan->n_entry_slots - 1);
    return &plan->entries[i];
}

static XXH128_hash_t mark_of_entry(const char *source_system, Str id) {
    return mark_of(id, (int64_t)XXH3_64bits(source_system, strlen(source_system)));
}

PlannedEntry plan_entry(const Plan *plan, const char *source_system, Str id, int64_t *ret_source_hash) {
    XXH128_hash_t mark = mark_of_entry(source_system, id);
    const Entry *entry = plan->entries ? entry_of(plan, mark) : NULL;
    bool is_known = entry && XXH128_isEqual(entry->mark, mark);
    *ret_source_hash = is_known ? entry->source_hash : 0;
    return !is_known ? ENTRY_AS_STORED : entry->is_open ? ENTRY_OPEN : ENTRY_NONE;
}

static void grow_entries(Plan *plan) {
    Plan larger = *plan;
    larger.n_entry_slots = plan->n_entry_slots ? plan->n_entry_slots * 2 : SLOTS_FIRST;
    larger.entries = calloc(larger.n_entry_slots, sizeof *larger.entries);
    if (!larger.entries)
        abort();
    for (size_t i = 0; i < plan->n_entry_slots; i++)
        if (plan->entries[i].mark.low64 || plan->entries[i].mark.high64)
            *entry_of(&larger, plan->entries[i].mark) = plan->entries[i];
    free(plan->entries);
    *plan = larger;
}

static void set_entry(Plan *plan, const char *source_system, Str id, int64_t source_hash, bool is_open) {
    if (plan->n_entries * 2 >= plan->n_entry_slots)
        grow_entries(plan);
    Entry wanted = {mark_of_entry(source_system, id), source_hash, is_open}, *entry = entry_of(plan, wanted.mark);
    plan->n_entries += !XXH128_isEqual(entry->mark, wanted.mark);
    *entry = wanted;
}

void plan_hold(Plan *plan, const char *source_system, Str id, int64_t source_hash) {
    set_entry(plan, source_system, id, source_hash, true);
}

void plan_release(Plan *plan, const char *source_system, Str id) { set_entry(plan, source_system, id, 0, false); }
