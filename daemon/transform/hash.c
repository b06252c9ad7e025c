/* hash.c - see hash.h.
 *
 * Both hashes gather their input in a buffer on the stack, so that a row of usual size costs one
 * call of the hash function. SHA-256 is used through its three plain functions: a digest context
 * (EVP) would have to live somewhere between rows, and fetching one per row costs as much as the row.
 * They are marked deprecated in OpenSSL 3 in favour of EVP, not withdrawn. */
#define OPENSSL_SUPPRESS_DEPRECATED
#define XXH_INLINE_ALL
#include "transform/hash.h"

#include "base/copy.h"

#include <openssl/sha.h>
#include <xxhash.h>

enum { GATHER_BYTES = 4096, PREFIX_BYTES = 21 };

/* Most lengths have one digit or two. */
static char *put_number(char *at, size_t number) {
    char digits[20], *first = digits + sizeof digits;
    for (; number >= 100; number /= 10)
        *--first = (char)('0' + number % 10);
    if (number >= 10)
        *at++ = (char)('0' + number / 10);
    *at++ = (char)('0' + number % 10);
    while (first < digits + sizeof digits)
        *at++ = *first++;
    return at;
}

typedef struct SourceInput {
    SHA256_CTX sha;
    size_t used;
    char bytes[GATHER_BYTES];
} SourceInput;

static const char HEX[] = "0123456789abcdef";

static void source_flush(SourceInput *input) {
    SHA256_Update(&input->sha, input->bytes, input->used);
    input->used = 0;
}

static void put_digits(char *at, const uint8_t *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) {
        *at++ = HEX[bytes[i] >> 4];
        *at++ = HEX[bytes[i] & 15];
    }
}

static uint8_t digit_value(char digit) {
    return (uint8_t)(digit <= '9' ? digit - '0' : (digit | 32) - 'a' + 10);
}

/* What the digits stand for, in pieces. */
static void hash_bytes(SHA256_CTX *sha, Str digits) {
    uint8_t bytes[GATHER_BYTES];
    size_t used = 0;
    for (size_t i = 0; i + 1 < digits.size; i += 2) {
        bytes[used++] = (uint8_t)(digit_value(digits.at[i]) << 4 | digit_value(digits.at[i + 1]));
        if (used < sizeof bytes)
            continue;
        SHA256_Update(sha, bytes, used);
        used = 0;
    }
    SHA256_Update(sha, bytes, used);
}

static void source_put_long(SourceInput *input, FieldKind kind, Str field) {
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256_CTX sha;
    SHA256_Init(&sha);
    if (kind == FIELD_BINARY)
        hash_bytes(&sha, field);
    else
        SHA256_Update(&sha, field.at, field.size);
    SHA256_Final(digest, &sha);
    source_flush(input);
    char *at = put_number(input->bytes, field.size);
    *at++ = '#';
    put_digits(at, digest, sizeof digest);
    input->used = (size_t)(at - input->bytes) + 2 * sizeof digest;
}

static void source_put(SourceInput *input, FieldKind kind, Str field) {
    if (field.size > HASH_LONG_BYTES) {
        source_put_long(input, kind, field);
        return;
    }
    if (GATHER_BYTES - input->used < PREFIX_BYTES + field.size)
        source_flush(input);
    char *at = input->bytes + input->used;
    if (str_is_null(field)) {
        *at = '-';
        input->used++;
        return;
    }
    at = put_number(at, field.size);
    *at++ = ':';
    input->used = (size_t)(at - input->bytes);
    if (field.size > GATHER_BYTES - input->used) {
        source_flush(input);
        SHA256_Update(&input->sha, field.at, field.size);
        return;
    }
    copy_short(at, field.at, field.size);
    input->used += field.size;
}

int64_t hash_source(const Field *columns, const Str *fields, size_t n_fields) {
    SourceInput input;
    input.used = 0;
    SHA256_Init(&input.sha);
    for (size_t i = 0; i < n_fields; i++)
        source_put(&input, columns[i].kind, fields[i]);
    source_flush(&input);
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256_Final(digest, &input.sha);
    uint64_t first;
    memcpy(&first, digest, sizeof first);
    return (int64_t)__builtin_bswap64(first);
}

typedef struct RecordInput {
    XXH3_state_t state;
    bool is_streaming; /* the record did not fit the buffer at once */
    size_t used;
    char bytes[GATHER_BYTES];
} RecordInput;

static void record_flush(RecordInput *input) {
    if (!input->is_streaming)
        XXH3_128bits_reset(&input->state);
    input->is_streaming = true;
    XXH3_128bits_update(&input->state, input->bytes, input->used);
    input->used = 0;
}

static void record_put(RecordInput *input, const char *bytes, size_t size) {
    if (size > GATHER_BYTES - input->used)
        record_flush(input);
    if (size > GATHER_BYTES) {
        XXH3_128bits_update(&input->state, bytes, size);
        return;
    }
    copy_short(input->bytes + input->used, bytes, size);
    input->used += size;
}

/* NULL is one byte 0; else a byte 1, then a number in network order, or the length and the text. */
static void record_put_value(RecordInput *input, bool is_text, const Value *value) {
    char head[1 + sizeof(uint64_t)] = {(char)value->is_set};
    uint64_t wire = __builtin_bswap64(is_text ? value->size : (uint64_t)value->number);
    memcpy(head + 1, &wire, sizeof wire);
    if (sizeof head > GATHER_BYTES - input->used)
        record_flush(input);
    memcpy(input->bytes + input->used, head, sizeof head);
    input->used += value->is_set ? sizeof head : 1;
    if (is_text && value->is_set)
        record_put(input, value->at, value->size);
}

HashPlan hash_plan(const Entity *entity) {
    HashPlan plan = {0};
    for (int i = 0; i < entity->n_columns; i++) {
        if (!column_is_hashed(&entity->columns[i]))
            continue;
        plan.columns[plan.n] = (uint8_t)i;
        plan.is_text[plan.n++] = entity->columns[i].type == TYPE_TEXT;
    }
    return plan;
}

void hash_plan_leave_out(HashPlan *plan, int column) {
    int kept = 0;
    for (int i = 0; i < plan->n; i++) {
        plan->columns[kept] = plan->columns[i];
        plan->is_text[kept] = plan->is_text[i];
        kept += plan->columns[i] != column;
    }
    plan->n = kept;
}

void hash_record(const Record *record, uint8_t ret_hash[16]) {
    HashPlan plan = hash_plan(record->entity);
    hash_record_by(&plan, record, ret_hash);
}

void hash_record_by(const HashPlan *plan, const Record *record, uint8_t ret_hash[16]) {
    RecordInput input;
    input.is_streaming = false;
    input.used = 0;
    for (int i = 0; i < plan->n; i++)
        record_put_value(&input, plan->is_text[i], &record->values[plan->columns[i]]);
    uint64_t flags = __builtin_bswap64(record->flags & ~(UINT64_C(1) << FLAG_TIME_INFERRED));
    record_put(&input, (const char *)&flags, sizeof flags);
    XXH128_hash_t hash;
    if (input.is_streaming) {
        record_flush(&input);
        hash = XXH3_128bits_digest(&input.state);
    } else {
        hash = XXH3_128bits(input.bytes, input.used);
    }
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, hash);
    memcpy(ret_hash, canonical.digest, sizeof canonical.digest);
}
