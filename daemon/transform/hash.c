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

enum {
    PREFIX_BYTES = 21, /* a size and what follows it */
    GATHER_BYTES = HASH_LONG_BYTES + PREFIX_BYTES,
    HEAD_BYTES = 1 + sizeof(uint64_t), /* of a record's value: is it set, and its number or size */
    HEADS_BYTES = (ENTITY_COLUMNS_MAX + 1) * HEAD_BYTES
};

/* Most lengths have one digit or two: a leading 0 is written over by the digit behind it. */
static char *put_number(char *at, size_t number) {
    char digits[20], *first = digits + sizeof digits;
    for (; number >= 100; number /= 10)
        *--first = (char)('0' + number % 10);
    *at = (char)('0' + number / 10);
    at += number >= 10;
    *at++ = (char)('0' + number % 10);
    while (first < digits + sizeof digits)
        *at++ = *first++;
    return at;
}

static const char HEX[] = "0123456789abcdef";

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

static char *put_long(char *at, FieldKind kind, Str field) {
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256_CTX sha;
    SHA256_Init(&sha);
    if (kind == FIELD_BINARY)
        hash_bytes(&sha, field);
    else
        SHA256_Update(&sha, field.at, field.size);
    SHA256_Final(digest, &sha);
    at = put_number(at, field.size);
    *at++ = '#';
    put_digits(at, digest, sizeof digest);
    return at + 2 * sizeof digest;
}

/* In PREFIX_BYTES and its size, or HASH_LONG_BYTES where it is larger; returns where the next one goes. */
static char *put_field(char *at, FieldKind kind, Str field) {
    if (field.size > HASH_LONG_BYTES)
        return put_long(at, kind, field);
    if (str_is_null(field)) {
        *at = '-';
        return at + 1;
    }
    at = put_number(at, field.size);
    *at++ = ':';
    copy_short(at, field.at, field.size);
    return at + field.size;
}

int64_t hash_source(const Field *columns, const Str *fields, size_t n_fields) {
    SHA256_CTX sha;
    char bytes[GATHER_BYTES], *at = bytes;
    SHA256_Init(&sha);
    for (size_t i = 0; i < n_fields; i++) {
        size_t size = fields[i].size < HASH_LONG_BYTES ? fields[i].size : HASH_LONG_BYTES;
        if ((size_t)(bytes + sizeof bytes - at) < PREFIX_BYTES + size) {
            SHA256_Update(&sha, bytes, (size_t)(at - bytes));
            at = bytes;
        }
        at = put_field(at, columns[i].kind, fields[i]);
    }
    SHA256_Update(&sha, bytes, (size_t)(at - bytes));
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256_Final(digest, &sha);
    uint64_t first;
    memcpy(&first, digest, sizeof first);
    return (int64_t)__builtin_bswap64(first);
}

/* Of a record: what was gathered, and where the next byte goes; `state` holds what had no room. */
typedef struct RecordInput {
    XXH3_state_t state;
    bool is_streaming; /* the record did not fit the buffer at once */
    char bytes[GATHER_BYTES];
} RecordInput;

static void record_flush(RecordInput *input, const char *bytes, size_t size) {
    if (!input->is_streaming)
        XXH3_128bits_reset(&input->state);
    input->is_streaming = true;
    XXH3_128bits_update(&input->state, bytes, size);
}

/* Behind `at`; returns where the next byte goes. There stays room for the heads of all values, and the flags. */
static char *record_put_text(RecordInput *input, char *at, Str text) {
    size_t used = (size_t)(at - input->bytes);
    if (used + text.size > GATHER_BYTES - HEADS_BYTES) {
        record_flush(input, input->bytes, used);
        at = input->bytes;
    }
    if (text.size > GATHER_BYTES - HEADS_BYTES) {
        record_flush(input, text.at, text.size);
        return at;
    }
    copy_short(at, text.at, text.size);
    return at + text.size;
}

/* NULL is one byte 0; else a byte 1, then a number in network order, or the length and the text. */
static char *record_put_value(RecordInput *input, char *at, bool is_text, const Value *value) {
    uint64_t wire = __builtin_bswap64(is_text ? value->size : (uint64_t)value->number);
    *at = (char)value->is_set;
    memcpy(at + 1, &wire, sizeof wire);
    at += value->is_set ? HEAD_BYTES : 1;
    return is_text && value->is_set ? record_put_text(input, at, value_str(*value)) : at;
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
    char *at = input.bytes;
    const Value *values = record->values;
    input.is_streaming = false;
    for (int i = 0, n = plan->n; i < n; i++)
        at = record_put_value(&input, at, plan->is_text[i], &values[plan->columns[i]]);
    uint64_t flags = __builtin_bswap64(record->flags & ~(UINT64_C(1) << FLAG_TIME_INFERRED));
    memcpy(at, &flags, sizeof flags);
    size_t size = (size_t)(at - input.bytes) + sizeof flags;
    XXH128_hash_t hash;
    if (input.is_streaming) {
        record_flush(&input, input.bytes, size);
        hash = XXH3_128bits_digest(&input.state);
    } else {
        hash = XXH3_128bits(input.bytes, size);
    }
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, hash);
    memcpy(ret_hash, canonical.digest, sizeof canonical.digest);
}
