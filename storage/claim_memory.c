/* claim_memory.c - see claim_memory.h. Open addressing by 128 bits of source and claim. */
#include "storage/claim_memory.h"

#include <string.h>
#include <xxhash.h>

enum { SLOTS_FIRST = 1024 };

typedef struct Remembered {
    XXH128_hash_t mark; /* both zero: free */
    Delivery *deliveries;
    size_t n;
} Remembered;

struct ClaimMemory {
    Arena *arena;
    Remembered *slots;
    size_t n_slots, n;
    int64_t n_keys; /* keys that the run would draw: below zero, so that they are nobody's */
};

ClaimMemory *claim_memory_open(Arena *arena) {
    ClaimMemory *memory = ARENA_NEW(arena, ClaimMemory);
    *memory = (ClaimMemory){.arena = arena, .n_slots = SLOTS_FIRST, .slots = ARENA_ARRAY(arena, Remembered, SLOTS_FIRST)};
    return memory;
}

static XXH128_hash_t mark_of(const char *source_system, Str claim_id) {
    return XXH3_128bits_withSeed(claim_id.at, claim_id.size, XXH3_64bits(source_system, strlen(source_system)));
}

static Remembered *slot_of(const ClaimMemory *memory, XXH128_hash_t mark) {
    size_t i = mark.low64 & (memory->n_slots - 1);
    while ((memory->slots[i].mark.low64 || memory->slots[i].mark.high64) && !XXH128_isEqual(memory->slots[i].mark, mark))
        i = (i + 1) & (memory->n_slots - 1);
    return &memory->slots[i];
}

static void grow(ClaimMemory *memory) {
    ClaimMemory larger = *memory;
    larger.n_slots *= 2;
    larger.slots = ARENA_ARRAY(memory->arena, Remembered, larger.n_slots);
    for (size_t i = 0; i < memory->n_slots; i++)
        if (memory->slots[i].mark.low64 || memory->slots[i].mark.high64)
            *slot_of(&larger, memory->slots[i].mark) = memory->slots[i];
    *memory = larger;
}

static Str keep(ClaimMemory *memory, Str text) { return str_is_null(text) ? text : arena_copy(memory->arena, text); }

static const DeliverySet *keep_set(ClaimMemory *memory, const DeliverySet *set) {
    if (!set)
        return NULL;
    DeliverySet *kept = ARENA_NEW(memory->arena, DeliverySet);
    *kept = *set;
    kept->payment = keep(memory, set->payment);
    kept->reference = keep(memory, set->reference);
    return kept;
}

static Delivery stored_form(ClaimMemory *memory, const Delivery *decided) {
    Delivery d = *decided;
    bool is_shown = d.fate == DELIVERY_SHOWN;
    d.claim_id = keep(memory, d.claim_id);
    d.period = keep(memory, d.period);
    d.sha256 = keep(memory, d.sha256);
    d.set = keep_set(memory, d.set);
    if (d.status.is_set)
        d.status = value_text(arena_copy(memory->arena, value_str(d.status)));
    d.origin = is_shown ? DELIVERY_STORED_SHOWN : DELIVERY_STORED_ABSORBED;
    d.claim_key = is_shown ? (d.key ? d.key : --memory->n_keys) : 0;
    d.was_iteration = d.iteration;
    d.was_final = d.is_final;
    d.has_row = d.differs = false;
    return d;
}

void claim_memory_put(ClaimMemory *memory, const char *source_system, const Delivery *deliveries, size_t n) {
    XXH128_hash_t mark = mark_of(source_system, deliveries[0].claim_id);
    Remembered *slot = slot_of(memory, mark);
    memory->n += slot->deliveries == NULL;
    *slot = (Remembered){.mark = mark, .deliveries = arena_alloc(memory->arena, n * sizeof(Delivery))};
    for (size_t i = 0; i < n; i++)
        if (deliveries[i].fate != DELIVERY_FORGOTTEN)
            slot->deliveries[slot->n++] = stored_form(memory, &deliveries[i]);
    if (memory->n * 2 > memory->n_slots)
        grow(memory);
}

bool claim_memory_find(const ClaimMemory *memory, const char *source_system, Str claim_id, const Delivery **ret_deliveries,
                       size_t *ret_n) {
    const Remembered *slot = slot_of(memory, mark_of(source_system, claim_id));
    *ret_deliveries = slot->deliveries;
    *ret_n = slot->n;
    return slot->deliveries != NULL;
}
