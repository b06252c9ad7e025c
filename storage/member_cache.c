/* member_cache.c - see member_cache.h. A name stands within WINDOW slots of its place; nothing is ever taken out,
 * so a free slot ends the search. */
#define XXH_INLINE_ALL
#include "storage/member_cache.h"

#include <stdlib.h>
#include <xxhash.h>

enum { CACHE_MIN = 1024, GROWTH = 16, WINDOW = 64 /* with seven of eight slots taken one name in 170 displaces another; with 16, one in 27 */ };

typedef struct MemberSlot {
    uint32_t hash[3]; /* 96 bits of it; all 0: free */
    int32_t birth_days; /* INT32_MIN: none */
    uint64_t key;       /* twice, and 1 more when the member is inferred */
} Slot;

static bool is_free(const Slot *slot) { return (slot->hash[0] | slot->hash[1] | slot->hash[2]) == 0; }

static bool bears(const Slot *slot, const uint32_t hash[3]) {
    return ((slot->hash[0] ^ hash[0]) | (slot->hash[1] ^ hash[1]) | (slot->hash[2] ^ hash[2])) == 0;
}

/* The place that the hash gives it, and those behind it. */
static Slot *slot_at(const MemberCache *cache, const uint32_t hash[3], size_t i) {
    size_t place = (size_t)((uint64_t)hash[0] * cache->n_slots >> 32) + i;
    return &cache->slots[place < cache->n_slots ? place : place - cache->n_slots];
}

/* The slot that holds the hash, else the first free one of its window, else NULL. */
static Slot *cache_slot(const MemberCache *cache, const uint32_t hash[3]) {
    for (size_t i = 0; i < WINDOW; i++) {
        Slot *slot = slot_at(cache, hash, i);
        if (is_free(slot) || bears(slot, hash))
            return slot;
    }
    return NULL;
}

static Slot slot_of(Str name, const MemberAnswer *answer) {
    XXH128_hash_t hash = XXH3_128bits(name.at, name.size);
    return (Slot){
        .hash = {(uint32_t)hash.low64, (uint32_t)(hash.low64 >> 32), (uint32_t)hash.high64},
        .birth_days = answer->has_birth ? answer->birth_days : INT32_MIN,
        .key = (uint64_t)answer->key * 2 + answer->is_inferred, /* a surrogate is at most 2^62 (permute.h) */
    };
}

bool member_cache_find(const MemberCache *cache, Str name, MemberAnswer *ret_answer) {
    if (cache->n_slots == 0)
        return false;
    Slot wanted = slot_of(name, &(MemberAnswer){0});
    const Slot *slot = cache_slot(cache, wanted.hash);
    if (!slot || is_free(slot))
        return false;
    *ret_answer = (MemberAnswer){
        .key = (int64_t)(slot->key >> 1), .birth_days = slot->birth_days, .is_known = true, .is_only = true,
        .is_inferred = slot->key & 1, .has_birth = slot->birth_days != INT32_MIN,
    };
    return true;
}

static void cache_insert(MemberCache *cache, const Slot *new) {
    Slot *slot = cache_slot(cache, new->hash);
    if (!slot)
        slot = slot_at(cache, new->hash, cache->turn++ % WINDOW);
    else if (is_free(slot))
        cache->n_used++;
    *slot = *new;
}

static void cache_grow(MemberCache *cache) {
    MemberCache old = *cache;
    *cache = (MemberCache){.n_slots = old.n_slots ? old.n_slots * GROWTH : CACHE_MIN};
    cache->n_slots = cache->n_slots < MEMBER_CACHE_MAX ? cache->n_slots : MEMBER_CACHE_MAX;
    cache->slots = calloc(cache->n_slots, sizeof *cache->slots);
    if (!cache->slots)
        abort();
    for (size_t i = 0; i < old.n_slots; i++)
        if (!is_free(&old.slots[i]))
            cache_insert(cache, &old.slots[i]);
    free(old.slots);
}

void member_cache_put(MemberCache *cache, Str name, const MemberAnswer *answer) {
    if (cache->n_slots < MEMBER_CACHE_MAX && cache->n_used * 2 >= cache->n_slots)
        cache_grow(cache);
    Slot slot = slot_of(name, answer);
    cache_insert(cache, &slot);
}

void member_cache_empty(MemberCache *cache) {
    free(cache->slots);
    *cache = (MemberCache){0};
}
