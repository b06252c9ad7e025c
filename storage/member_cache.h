/* member_cache.h - names of dimension members and what is known of them, a bounded number.
 *
 * A name is remembered by 96 bits of its hash (XXH3): among 2^18 names one that was never put is taken for
 * another with a chance of 2^-78. Grows as it fills, to MEMBER_CACHE_MAX slots of 24 bytes; then a new name
 * takes the place of an old one. Zeroed memory is an empty cache. One thread at a time. */
#pragma once
#include "base/str.h"

enum { MEMBER_CACHE_MAX = 7 << 15 /* 5.25 MiB */ };

/* What is known of a member on a day. */
typedef struct MemberAnswer {
    int64_t key;        /* 0 to 2^62 */
    int32_t birth_days; /* patients; not INT32_MIN */
    bool is_known, is_inferred, has_birth;
    bool is_only; /* the same on every day: these alone are to be put */
} MemberAnswer;

typedef struct MemberCache {
    struct MemberSlot *slots;
    size_t n_slots, n_used;
    uint32_t turn; /* which slot goes next where there is no free one */
} MemberCache;

/* False, and nothing written, when the name is not remembered. */
bool member_cache_find(const MemberCache *cache, Str name, MemberAnswer *ret_answer);
void member_cache_put(MemberCache *cache, Str name, const MemberAnswer *answer);
/* Forgets everything and gives the memory back. */
void member_cache_empty(MemberCache *cache);
