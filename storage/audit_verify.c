/* audit_verify.c - see audit_verify.h. */
#include "storage/audit_verify.h"

#include "base/own.h"
#include "sql.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

enum { SEALS_PER_STEP = 100, LINES_PER_STEP = 2000, IDS_PER_STEP = 20000, IDS_MAX_BYTES = 1 << 20 };

static const char *const FAULT_NAMES[] = {
    [AUDIT_WHOLE] = "whole",
    [AUDIT_LINE_CHANGED] = "line_changed",
    [AUDIT_LINE_REMOVED] = "line_removed",
    [AUDIT_LINE_INSERTED] = "line_inserted",
    [AUDIT_SEAL_CHANGED] = "seal_changed",
    [AUDIT_SEAL_REMOVED] = "seal_removed",
    [AUDIT_SEAL_FOREIGN] = "seal_foreign",
    [AUDIT_CHAIN_CUT] = "chain_cut",
};

const char *audit_fault_name(AuditFault fault) { return FAULT_NAMES[fault]; }

static const char *const SENTENCES[] = {
    [AUDIT_WHOLE] = "every seal and every sealed line is whole",
    [AUDIT_LINE_CHANGED] = "line {line}, of seal {seal}, was changed after it was sealed",
    [AUDIT_LINE_REMOVED] = "line {line}, of seal {seal}, was removed",
    [AUDIT_LINE_INSERTED] = "line {line} was inserted where the seals say that there is none",
    [AUDIT_SEAL_CHANGED] = "seal {seal} was changed, or does not follow the seal before it",
    [AUDIT_SEAL_REMOVED] = "seal {seal} was removed",
    [AUDIT_SEAL_FOREIGN] = "seal {seal} was made with a key that is not in the key file",
    [AUDIT_CHAIN_CUT] = "the chain does not hold seal {seal} as it is known: it was cut, or belongs to another database",
};

const char *audit_walk_sentence(const AuditWalk *walk, Arena *arena) {
    const char *at = SENTENCES[walk->fault];
    CLEANUP(buf_drop) Buf out;
    buf_init(&out, 1000);
    for (const char *place; (place = strchr(at, '{')); at = strchr(place, '}') + 1) {
        buf_put(&out, at, (size_t)(place - at));
        buf_printf(&out, "%lld", (long long)(place[1] == 'l' ? walk->fault_line : walk->fault_seal));
    }
    buf_put_str(&out, str_of(at));
    return arena_string(arena, buf_str(&out));
}

/* Ends the walk. */
static bool found(AuditWalk *walk, AuditFault fault, int64_t seal_id, int64_t line_id) {
    walk->fault = fault;
    walk->fault_seal = seal_id;
    walk->fault_line = line_id;
    walk->is_done = true;
    return true;
}

/* ---- sets of ids ---- */

/* Walks the ids of "{[1,5),[7,8)}". */
typedef struct IdSet {
    const char *at, *end;
    int64_t next, upper;
} IdSet;

static IdSet id_set(Str text) { return (IdSet){.at = text.at, .end = text.at + text.size}; }

static bool id_set_next(IdSet *set, int64_t *ret_id) {
    if (set->next == set->upper) {
        const char *open = memchr(set->at, '[', (size_t)(set->end - set->at));
        if (!open)
            return false;
        char *rest;
        set->next = strtoll(open + 1, &rest, 10);
        set->upper = strtoll(rest + 1, &rest, 10);
        set->at = rest;
    }
    *ret_id = set->next++;
    return true;
}

/* ---- one seal ---- */

typedef struct StoredSeal {
    AuditSeal seal;
    uint8_t hmac[AUDIT_HMAC_BYTES];
} StoredSeal;

static Str bytes_of(Arena *arena, Str hex) {
    uint8_t *bytes = arena_alloc(arena, hex.size / 2 + 1);
    return (Str){(const char *)bytes, audit_take_hex(hex, bytes, hex.size / 2)};
}

static StoredSeal read_seal(const PgResult *rows, int r, Arena *arena) {
    StoredSeal stored = {.seal = {
        .seal_id = pg_int(rows, r, 0), .sealed_us = pg_int(rows, r, 1), .key_id = pg_value(rows, r, 2),
        .ids = pg_value(rows, r, 3), .n_lines = pg_int(rows, r, 4), .top = pg_int(rows, r, 5),
        .open = pg_value(rows, r, 6), .digests = bytes_of(arena, pg_value(rows, r, 7)),
        .lines_hmac = bytes_of(arena, pg_value(rows, r, 8)),
    }};
    audit_take_hex(pg_value(rows, r, 9), stored.hmac, sizeof stored.hmac);
    return stored;
}

static bool is_hmac(const uint8_t expected[AUDIT_HMAC_BYTES], Str actual) {
    return actual.size == AUDIT_HMAC_BYTES && CRYPTO_memcmp(expected, actual.at, AUDIT_HMAC_BYTES) == 0;
}

/* Of the ids of a seal, those that retention dropped. */
static PgResult *read_retired(Pg *pg, const AuditSeal *seal, Arena *arena, Error *err) {
    return pg_query(pg, SQL_AUDIT_RETIRED, PG_PARAMS(arena_string(arena, seal->ids)), err);
}

static PgResult *read_lines(Pg *pg, const AuditSeal *seal, Error *err) {
    CLEANUP(buf_drop) Buf array = pg_array(IDS_MAX_BYTES);
    IdSet ids = id_set(seal->ids);
    for (int64_t id; id_set_next(&ids, &id);)
        pg_array_int(&array, id);
    const char *text = pg_array_end(&array, err);
    return text ? pg_query(pg, SQL_AUDIT_SEALED_LINES, PG_PARAMS(text), err) : NULL;
}

/* Its ids and what stands under them, side by side. The seal itself is known to be whole. */
static bool check_lines(Pg *pg, const AuditKey *key, const AuditSeal *seal, AuditWalk *walk, Error *err) {
    CLEANUP(pg_result_drop) PgResult *lines = read_lines(pg, seal, err);
    TRY(lines);
    CLEANUP(buf_drop) Buf all;
    buf_init(&all, AUDIT_SEAL_LINES_MAX * AUDIT_HMAC_BYTES);
    IdSet ids = id_set(seal->ids);
    CLEANUP(arena_drop) Arena *arena = arena_open();
    CLEANUP(pg_result_drop) PgResult *retired = NULL;
    IdSet gone = {0};
    int64_t id, gone_id = 0, n_retired = 0;
    for (int row = 0, place = 0; id_set_next(&ids, &id); place++) {
        if (row < pg_rows(lines) && pg_int(lines, row, 0) == id) {
            uint8_t hmac[AUDIT_HMAC_BYTES];
            audit_line_hmac(key, lines, row++, hmac);
            buf_put(&all, hmac, sizeof hmac);
            if (CRYPTO_memcmp(hmac, seal->digests.at + place * AUDIT_DIGEST_BYTES, AUDIT_DIGEST_BYTES) != 0)
                return found(walk, AUDIT_LINE_CHANGED, seal->seal_id, id);
            continue;
        }
        if (!retired) {
            retired = read_retired(pg, seal, arena, err);
            TRY(retired);
            gone = id_set(pg_value(retired, 0, 0));
        }
        while (gone_id < id && id_set_next(&gone, &gone_id))
            continue;
        if (gone_id != id)
            return found(walk, AUDIT_LINE_REMOVED, seal->seal_id, id);
        n_retired++;
    }
    uint8_t hmac[AUDIT_HMAC_BYTES];
    audit_bytes_hmac(key, buf_str(&all), hmac);
    if (n_retired == 0 && !is_hmac(hmac, seal->lines_hmac))
        return found(walk, AUDIT_SEAL_CHANGED, seal->seal_id, 0);
    walk->n_lines += seal->n_lines - n_retired;
    walk->n_retired += n_retired;
    return true;
}

static bool is_the_known(const AuditWalk *walk, const StoredSeal *stored) {
    return walk->known.seal_id != stored->seal.seal_id ||
           CRYPTO_memcmp(walk->known.hmac, stored->hmac, AUDIT_HMAC_BYTES) == 0;
}

static bool check_seal(Pg *pg, const AuditKeys *keys, const StoredSeal *stored, AuditWalk *walk, Error *err) {
    const AuditSeal *seal = &stored->seal;
    if (seal->seal_id != walk->next_seal)
        return found(walk, AUDIT_SEAL_REMOVED, walk->next_seal, 0);
    const AuditKey *key = audit_key_find(keys, seal->key_id);
    if (!key)
        return found(walk, AUDIT_SEAL_FOREIGN, seal->seal_id, 0);
    uint8_t hmac[AUDIT_HMAC_BYTES];
    audit_seal_hmac(key, seal, walk->last.hmac, hmac);
    bool fits = seal->digests.size == (size_t)seal->n_lines * AUDIT_DIGEST_BYTES;
    if (!fits || !is_hmac(hmac, (Str){(const char *)stored->hmac, AUDIT_HMAC_BYTES}))
        return found(walk, AUDIT_SEAL_CHANGED, seal->seal_id, 0);
    if (!is_the_known(walk, stored))
        return found(walk, AUDIT_CHAIN_CUT, seal->seal_id, 0);
    if (seal->n_lines > 0)
        TRY(check_lines(pg, key, seal, walk, err));
    if (walk->is_done)
        return true;
    walk->n_seals++;
    walk->next_seal++;
    walk->top = seal->top;
    walk->last.seal_id = seal->seal_id;
    memcpy(walk->last.hmac, stored->hmac, sizeof stored->hmac);
    return true;
}

/* ---- the walk ---- */

/* A walk that begins in the middle takes the seal before for granted. */
static bool begin(Pg *pg, AuditWalk *walk, Error *err) {
    walk->has_begun = true;
    if (walk->next_seal <= 1)
        return true;
    CLEANUP(pg_result_drop) PgResult *row =
        pg_query(pg, SQL_AUDIT_SEAL_HMAC, PG_PARAMS(pg_number(walk->next_seal - 1).text), err);
    TRY(row);
    if (pg_rows(row) == 0)
        return found(walk, AUDIT_SEAL_REMOVED, walk->next_seal - 1, 0);
    walk->last.seal_id = walk->next_seal - 1;
    audit_take_hex(pg_value(row, 0, 0), walk->last.hmac, sizeof walk->last.hmac);
    return true;
}

static bool walk_seals(Pg *pg, const AuditKeys *keys, AuditWalk *walk, Error *err) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(
        pg, SQL_AUDIT_SEALS, PG_PARAMS(pg_number(walk->next_seal).text, pg_number(SEALS_PER_STEP).text), err);
    TRY(rows);
    int64_t n_before = walk->n_lines + walk->n_retired;
    for (int r = 0; r < pg_rows(rows) && !walk->is_done; r++) {
        if (walk->n_lines + walk->n_retired - n_before > LINES_PER_STEP)
            return true;
        StoredSeal stored = read_seal(rows, r, arena);
        TRY(check_seal(pg, keys, &stored, walk, err));
    }
    if (walk->is_done || pg_rows(rows) == SEALS_PER_STEP)
        return true;
    walk->has_passed_seals = true;
    if (walk->known.seal_id >= walk->next_seal)
        return found(walk, AUDIT_CHAIN_CUT, walk->known.seal_id, 0);
    return true;
}

static bool end_walk(Pg *pg, const PgResult *newest, const char *open, AuditWalk *walk, Error *err) {
    CLEANUP(pg_result_drop) PgResult *count =
        pg_query(pg, SQL_AUDIT_COUNT_UNSEALED, PG_PARAMS(pg_number(pg_int(newest, 0, 3)).text, open), err);
    TRY(count);
    walk->n_unsealed = pg_int(count, 0, 0);
    walk->is_done = true;
    return true;
}

/* Skips ids that nobody has. */
static bool skip_gap(Pg *pg, AuditWalk *walk, Error *err) {
    CLEANUP(pg_result_drop) PgResult *least =
        pg_query(pg, SQL_AUDIT_LEAST_ID, PG_PARAMS(pg_number(walk->passed_id).text, pg_number(walk->top).text), err);
    TRY(least);
    walk->passed_id = str_is_null(pg_value(least, 0, 0)) ? walk->top : pg_int(least, 0, 0) - 1;
    return true;
}

/* `open` is that of the newest seal in this snapshot, `top` that of the last seal looked at. */
static bool walk_ids(Pg *pg, AuditWalk *walk, Error *err) {
    CLEANUP(pg_result_drop) PgResult *newest = pg_query(pg, SQL_AUDIT_SEAL_NEWEST, PG_NONE, err);
    TRY(newest);
    const char *open = str_is_null(pg_value(newest, 0, 4)) ? "{}" : pg_text(newest, 0, 4);
    TRY(skip_gap(pg, walk, err));
    if (walk->passed_id >= walk->top)
        return end_walk(pg, newest, open, walk, err);
    int64_t last = walk->passed_id + IDS_PER_STEP;
    CLEANUP(pg_result_drop) PgResult *row =
        pg_query(pg, SQL_AUDIT_INSERTED,
                 PG_PARAMS(pg_number(walk->passed_id).text, pg_number(last < walk->top ? last : walk->top).text, open), err);
    TRY(row);
    if (!str_is_null(pg_value(row, 0, 0)))
        return found(walk, AUDIT_LINE_INSERTED, 0, pg_int(row, 0, 0));
    walk->passed_id = last;
    return true;
}

bool audit_walk_step(Pg *pg, const AuditKeys *keys, AuditWalk *walk, Error *err) {
    if (walk->is_done)
        return true;
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    TRY(tx && pg_exec(tx, SQL_AUDIT_VERIFY_BEGIN, PG_NONE, NULL, err));
    TRY(pg_exec(tx, SQL_BY_INDEX, PG_NONE, NULL, err));
    if (!walk->has_begun)
        TRY(begin(tx, walk, err));
    if (!walk->is_done)
        TRY(walk->has_passed_seals ? walk_ids(tx, walk, err) : walk_seals(tx, keys, walk, err));
    return pg_commit(&tx, PG_FLUSHED, err);
}
