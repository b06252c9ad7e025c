/* permute.h - a keyed permutation of numbers: surrogates without the order of record numbers.
 *
 * A balanced Feistel network over 2 x 31 bits with eight rounds of SHA-256 (Luby and Rackoff, 1988),
 * so every number gets another one, and only who has the secret can tell which. The SQL function
 * silver.permute() is the same. Pure; any thread. */
#pragma once
#include "base/error.h"
#include "base/str.h"

/* `number` in [0, 2^62); the result is in [1, 2^62]. Outside: XX000. */
bool permute_number(Str secret, int64_t number, int64_t *ret_permuted, Error *err);
