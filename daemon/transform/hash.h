/* hash.h - the two hashes of rules section 2. Pure. */
#pragma once
#include "transform/record.h"

/* First 8 bytes, big endian, of SHA-256 over the fields in order: NULL as "-", else
 * "<length in bytes>:<bytes>". MySQL computes the same (storage/mysql.c). */
int64_t hash_source(const Str *fields, size_t n_fields);
/* XXH3-128, canonical (big endian), over the hashed columns and the flags; see column_is_hashed(). */
void hash_record(const Record *record, uint8_t ret_hash[16]);
