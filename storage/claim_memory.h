/* claim_memory.h - what a run that writes nothing would have made of claims by now (steps/plan.h).
 *
 * A claim's iterations depend on all of its deliveries, so each page needs those that the pages before it would have
 * placed. Keeps a claim's deliveries as they would be stored, some 300 bytes each. One run, one thread. */
#pragma once
#include "base/arena.h"
#include "transform/iteration.h"

typedef struct ClaimMemory ClaimMemory;
/* Lives in `arena`. */
ClaimMemory *claim_memory_open(Arena *arena);
/* All deliveries of a claim, by what was decided of each (iterations_derive()); replaces what was remembered. */
void claim_memory_put(ClaimMemory *memory, const char *source_system, const Delivery *deliveries, size_t n);
/* As of the last put: what would be stored. False: nothing was put, what is stored counts. */
bool claim_memory_find(const ClaimMemory *memory, const char *source_system, Str claim_id, const Delivery **ret_deliveries,
                       size_t *ret_n);
