/* hash.h - the two hashes of rules section 2. Pure. */
#pragma once
#include "transform/mapping.h"

/* A value of more bytes than this is told by its own hash: a hospital's server joins no texts to more than its
 * max_allowed_packet, nor writes digits of bytes beyond, and answers NULL instead. */
enum { HASH_LONG_BYTES = 8192 };

/* First 8 bytes, big endian, of SHA-256 over the fields in order: NULL as "-", else "<length in bytes>:<bytes>"; a long
 * one as "<length in bytes>#<its SHA-256 in hexadecimal digits>", which of a FIELD_BINARY is that of its bytes, not of
 * their digits. `columns` are the fields' own. MySQL computes the same (source_hash() in storage/source.c). */
int64_t hash_source(const Field *columns, const Str *fields, size_t n_fields);
/* XXH3-128, canonical (big endian), over the hashed columns and the flags; see column_is_hashed(). */
void hash_record(const Record *record, uint8_t ret_hash[16]);

/* The same with the choice of columns made once, for who hashes many records of one entity. */
typedef struct HashPlan {
    int n;
    uint8_t columns[ENTITY_COLUMNS_MAX];
    bool is_text[ENTITY_COLUMNS_MAX];
} HashPlan;
HashPlan hash_plan(const Entity *entity);
/* Without a column: what is to be ignored is no part of the content. */
void hash_plan_leave_out(HashPlan *plan, int column);
void hash_record_by(const HashPlan *plan, const Record *record, uint8_t ret_hash[16]);
