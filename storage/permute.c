/* permute.c - see permute.h. */
#include "storage/permute.h"

#include <openssl/sha.h>
#include <string.h>

enum { ROUNDS = 8, HALF_BITS = 31, SECRET_MAX = 64 };
static const uint32_t HALF_MASK = 0x7fffffff;

static void put_u32(uint8_t *out, uint32_t value) {
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t get_u32(const uint8_t *in) {
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

/* The first four bytes of SHA-256(secret, round, half), less the top bit. */
static uint32_t round_value(Str secret, int round, uint32_t half) {
    uint8_t input[SECRET_MAX + 5], digest[SHA256_DIGEST_LENGTH];
    memcpy(input, secret.at, secret.size);
    input[secret.size] = (uint8_t)round;
    put_u32(input + secret.size + 1, half);
    SHA256(input, secret.size + 5, digest);
    return get_u32(digest) & HALF_MASK;
}

bool permute_number(Str secret, int64_t number, int64_t *ret_permuted, Error *err) {
    if (number < 0 || number >> (2 * HALF_BITS) != 0 || secret.size > SECRET_MAX)
        return error_set(err, STATE_BUG, "a key sequence's number or its secret is out of range");
    uint32_t high = (uint32_t)(number >> HALF_BITS), low = (uint32_t)number & HALF_MASK;
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t mixed = high ^ round_value(secret, round, low);
        high = low;
        low = mixed;
    }
    *ret_permuted = ((int64_t)high << HALF_BITS | low) + 1;
    return true;
}
