/* audit_seal.c - see audit_seal.h.
 *
 * When an id is nobody's for good. An INSERT takes its table's lock before it draws the id, and keeps the lock
 * until its transaction has ended and what it did can be seen. So: read the last id drawn, S; then read who holds
 * the lock, V. Whoever drew an id up to S either has ended or is in V. Once none of V holds the lock any more, a
 * snapshot taken then shows every line up to S that there will ever be. S and V are kept between rounds, so
 * a long transaction keeps a few ids open and delays nobody else's lines. */
#include "storage/audit_seal.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/own.h"
#include "sql.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>

enum { TEXT_MAX_BYTES = 1 << 20, CANONICAL_MAX_BYTES = 1 << 30 };

/* ---- keys ---- */

void audit_put_hex(const uint8_t *bytes, size_t n, char *ret_text) {
    for (size_t i = 0; i < n; i++)
        sprintf(ret_text + 2 * i, "%02x", bytes[i]);
}

static int digit_of(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t audit_take_hex(Str text, uint8_t *ret_bytes, size_t max_bytes) {
    size_t n = 0;
    for (; n < max_bytes && 2 * n + 1 < text.size; n++) {
        int high = digit_of(text.at[2 * n]), low = digit_of(text.at[2 * n + 1]);
        if (high < 0 || low < 0)
            break;
        ret_bytes[n] = (uint8_t)(high << 4 | low);
    }
    return n;
}

static void make_key(Str text, AuditKey *ret_key) {
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)text.at, text.size, ret_key->bytes);
    SHA256(ret_key->bytes, sizeof ret_key->bytes, digest);
    audit_put_hex(digest, (AUDIT_KEY_ID_BYTES - 1) / 2, ret_key->id);
}

bool audit_keys_parse(const char *text, AuditKeys *ret_keys, Error *err) {
    AuditKeys keys = {.n = 0};
    while (*text) {
        size_t size = strcspn(text, "\n");
        Str line = str_trim((Str){text, size});
        text += size + (text[size] == '\n');
        if (line.size == 0)
            continue;
        if (line.size < AUDIT_KEY_MIN_BYTES || keys.n == AUDIT_KEYS_MAX) {
            error_set(err, STATE_CONFIG, "the audit key file must hold 1 to %d keys of at least %d characters, one a line",
                      AUDIT_KEYS_MAX, AUDIT_KEY_MIN_BYTES);
            return error_hint(err, "openssl rand -hex 32");
        }
        make_key(line, &keys.keys[keys.n++]);
    }
    if (keys.n == 0) {
        error_set(err, STATE_CONFIG, "the audit key file is empty");
        return error_hint(err, "openssl rand -hex 32");
    }
    *ret_keys = keys;
    return true;
}

const AuditKey *audit_key_find(const AuditKeys *keys, Str id) {
    for (size_t i = 0; i < keys->n; i++)
        if (str_equal(str_of(keys->keys[i].id), id))
            return &keys->keys[i];
    return NULL;
}

void audit_keys_wipe(AuditKeys *keys) { OPENSSL_cleanse(keys, sizeof *keys); }

/* ---- what is bound ---- */

void audit_bytes_hmac(const AuditKey *key, Str bytes, uint8_t ret_hmac[AUDIT_HMAC_BYTES]) {
    unsigned size = 0;
    if (!HMAC(EVP_sha256(), key->bytes, sizeof key->bytes, (const unsigned char *)bytes.at, bytes.size, ret_hmac, &size))
        abort();
}

/* Its length before it: no two lists of fields are the same bytes. NULL has a length of its own. */
static void put_field(Buf *out, Str field) {
    buf_put_i64(out, str_is_null(field) ? -1 : (int64_t)field.size);
    buf_put_str(out, field);
}

void audit_line_hmac(const AuditKey *key, const PgResult *lines, int row, uint8_t ret_hmac[AUDIT_HMAC_BYTES]) {
    CLEANUP(buf_drop) Buf bytes;
    buf_init(&bytes, CANONICAL_MAX_BYTES);
    for (int column = 0; column < AUDIT_LINE_COLUMNS; column++)
        put_field(&bytes, pg_value(lines, row, column));
    audit_bytes_hmac(key, buf_str(&bytes), ret_hmac);
}

void audit_seal_hmac(const AuditKey *key, const AuditSeal *seal, const uint8_t previous[AUDIT_HMAC_BYTES],
                     uint8_t ret_hmac[AUDIT_HMAC_BYTES]) {
    CLEANUP(buf_drop) Buf bytes;
    buf_init(&bytes, CANONICAL_MAX_BYTES);
    put_field(&bytes, STR("revcycle audit seal 1"));
    buf_put(&bytes, previous, AUDIT_HMAC_BYTES);
    const int64_t numbers[] = {seal->seal_id, seal->sealed_us, seal->n_lines, seal->top};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        buf_put_i64(&bytes, numbers[i]);
    const Str texts[] = {seal->key_id, seal->ids, seal->open, seal->digests, seal->lines_hmac};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        put_field(&bytes, texts[i]);
    audit_bytes_hmac(key, buf_str(&bytes), ret_hmac);
}

bool audit_head_parse(const char *text, AuditHead *ret_head) {
    const char *colon = strchr(text, ':');
    AuditHead head = {0};
    if (!colon || !str_to_int64((Str){text, (size_t)(colon - text)}, &head.seal_id) || head.seal_id < 1 ||
        strlen(colon + 1) != 2 * AUDIT_HMAC_BYTES ||
        audit_take_hex(str_of(colon + 1), head.hmac, AUDIT_HMAC_BYTES) != AUDIT_HMAC_BYTES)
        return false;
    *ret_head = head;
    return true;
}

/* ---- which ids are decided ---- */

/* Both are words between blanks. */
static bool share_a_word(const char *a, const char *b) {
    while (*a) {
        size_t size = strcspn(a, " ");
        for (const char *at = b; *at; at += strspn(at, " ")) {
            size_t other = strcspn(at, " ");
            if (size == other && memcmp(a, at, size) == 0)
                return true;
            at += other;
        }
        a += size;
        a += strspn(a, " ");
    }
    return false;
}

/* Ids up to *ret_decided that no snapshot taken from now on shows will never be seen. */
static bool look_at_writers(Pg *pg, int64_t drawn, AuditSealer *sealer, int64_t *ret_decided, Error *err) {
    CLEANUP(pg_result_drop) PgResult *row = pg_query(pg, SQL_AUDIT_WRITERS, PG_NONE, err);
    TRY(row);
    const char *writers = pg_text(row, 0, 0);
    *ret_decided = 0;
    if (sealer->watched > 0 && share_a_word(sealer->writers, writers))
        return true;
    *ret_decided = *writers ? sealer->watched : drawn;
    bool fits = strlen(writers) < sizeof sealer->writers; /* else: looked at again in the next round */
    sealer->watched = fits ? drawn : 0;
    snprintf(sealer->writers, sizeof sealer->writers, "%s", fits ? writers : "");
    return true;
}

/* ---- a seal ---- */

/* Where the chain stands, as the store says. */
typedef struct Chain {
    int64_t drawn, seal_id, top;
    uint8_t hmac[AUDIT_HMAC_BYTES];
    char *open; /* of the arena */
} Chain;

static bool read_chain(Pg *pg, Arena *arena, Chain *ret_chain, Error *err) {
    CLEANUP(pg_result_drop) PgResult *row = pg_query(pg, SQL_AUDIT_SEAL_NEWEST, PG_NONE, err);
    TRY(row);
    bool is_first = str_is_null(pg_value(row, 0, 1));
    *ret_chain = (Chain){
        .drawn = pg_int(row, 0, 0),
        .seal_id = pg_int(row, 0, 1),
        .top = pg_int(row, 0, 3),
        .open = is_first ? "{}" : arena_string(arena, pg_value(row, 0, 4)),
    };
    audit_take_hex(pg_value(row, 0, 2), ret_chain->hmac, sizeof ret_chain->hmac);
    return true;
}

static bool has_work(const Chain *chain) { return chain->drawn > chain->top || strcmp(chain->open, "{}") != 0; }

/* Goes on after what it remembers when that is newer than what is there. */
static void compare_heads(AuditSealer *sealer, Chain *chain) {
    const AuditHead *known = &sealer->head;
    bool is_same = known->seal_id != chain->seal_id ||
                   CRYPTO_memcmp(known->hmac, chain->hmac, AUDIT_HMAC_BYTES) == 0;
    if (known->seal_id > chain->seal_id || !is_same)
        sealer->is_cut = true;
    if (known->seal_id > chain->seal_id) {
        chain->seal_id = known->seal_id;
        memcpy(chain->hmac, known->hmac, sizeof chain->hmac);
    }
}

typedef struct Draft {
    AuditSeal seal;
    uint8_t lines_hmac[AUDIT_HMAC_BYTES];
    uint8_t digests[AUDIT_SEAL_LINES_MAX * AUDIT_DIGEST_BYTES];
    uint8_t hmac[AUDIT_HMAC_BYTES];
} Draft;

static void bind_lines(const AuditKey *key, const PgResult *lines, Draft *draft) {
    CLEANUP(buf_drop) Buf all;
    buf_init(&all, AUDIT_SEAL_LINES_MAX * AUDIT_HMAC_BYTES);
    for (int row = 0; row < pg_rows(lines); row++) {
        uint8_t hmac[AUDIT_HMAC_BYTES];
        audit_line_hmac(key, lines, row, hmac);
        buf_put(&all, hmac, sizeof hmac);
        memcpy(draft->digests + row * AUDIT_DIGEST_BYTES, hmac, AUDIT_DIGEST_BYTES);
    }
    audit_bytes_hmac(key, buf_str(&all), draft->lines_hmac);
    draft->seal.n_lines = pg_rows(lines);
    draft->seal.digests = (Str){(const char *)draft->digests, (size_t)pg_rows(lines) * AUDIT_DIGEST_BYTES};
    draft->seal.lines_hmac = (Str){(const char *)draft->lines_hmac, sizeof draft->lines_hmac};
}

/* The sets of ids, by PostgreSQL's arithmetic. */
static bool make_sets(Pg *pg, Arena *arena, const Chain *chain, const PgResult *lines, int64_t decided,
                      AuditSeal *seal, Error *err) {
    CLEANUP(buf_drop) Buf ids = pg_array(TEXT_MAX_BYTES);
    for (int row = 0; row < pg_rows(lines); row++)
        pg_array_int(&ids, pg_int(lines, row, 0));
    const char *array = pg_array_end(&ids, err);
    TRY(array);
    CLEANUP(pg_result_drop) PgResult *sets =
        pg_query(pg, SQL_AUDIT_SEAL_SETS,
                 PG_PARAMS(array, pg_number(chain->top).text, chain->open, pg_number(seal->top).text, pg_number(decided).text),
                 err);
    TRY(sets);
    seal->ids = arena_copy(arena, pg_value(sets, 0, 0));
    seal->open = arena_copy(arena, pg_value(sets, 0, 1));
    return true;
}

static const char *hex(Arena *arena, const uint8_t *bytes, size_t n) {
    char *text = arena_alloc(arena, 2 * n + 1);
    *text = 0;
    audit_put_hex(bytes, n, text);
    return text;
}

static bool write_draft(Pg *pg, Arena *arena, const Draft *draft, Error *err) {
    const AuditSeal *seal = &draft->seal;
    return pg_exec(pg, SQL_AUDIT_SEAL_WRITE,
                   PG_PARAMS(pg_number(seal->seal_id).text, pg_number(seal->sealed_us).text,
                             arena_string(arena, seal->key_id), arena_string(arena, seal->ids),
                             pg_number(seal->n_lines).text, pg_number(seal->top).text, arena_string(arena, seal->open),
                             hex(arena, draft->digests, seal->digests.size),
                             hex(arena, draft->lines_hmac, AUDIT_HMAC_BYTES),
                             hex(arena, draft->hmac, AUDIT_HMAC_BYTES)),
                   NULL, err);
}

/* The lines of the next seal, read behind the look at the writers: see the top of this file. */
static PgResult *read_unsealed(Pg *pg, const Chain *chain, Error *err) {
    return pg_query(pg, SQL_AUDIT_UNSEALED,
                    PG_PARAMS(pg_number(chain->top).text, chain->open, pg_number(AUDIT_SEAL_LINES_MAX).text), err);
}

static int64_t top_after(const Chain *chain, const PgResult *lines, int64_t decided) {
    int n = pg_rows(lines);
    int64_t top = chain->top, last = n > 0 ? pg_int(lines, n - 1, 0) : 0;
    if (last > top)
        top = last;
    if (n < AUDIT_SEAL_LINES_MAX && decided > top)
        top = decided;
    return top;
}

static bool seal_lines(Pg *pg, const AuditKeys *keys, const Chain *chain, int64_t decided, Arena *arena,
                       AuditHead *ret_head, bool *ret_written, Error *err) {
    const AuditKey *key = &keys->keys[keys->n - 1];
    CLEANUP(pg_result_drop) PgResult *lines = read_unsealed(pg, chain, err);
    TRY(lines);
    Draft draft = {.seal = {.seal_id = chain->seal_id + 1, .sealed_us = clock_wall_us(),
                            .top = top_after(chain, lines, decided), .key_id = str_of(key->id)}};
    TRY(make_sets(pg, arena, chain, lines, decided, &draft.seal, err));
    bool is_news = pg_rows(lines) > 0 || draft.seal.top > chain->top ||
                   !str_equal(draft.seal.open, str_of(chain->open));
    *ret_written = is_news;
    if (!is_news)
        return true;
    bind_lines(key, lines, &draft);
    audit_seal_hmac(key, &draft.seal, chain->hmac, draft.hmac);
    TRY(write_draft(pg, arena, &draft, err));
    ret_head->seal_id = draft.seal.seal_id;
    memcpy(ret_head->hmac, draft.hmac, sizeof draft.hmac);
    return true;
}

/* In a transaction of its own, which `tx` is. */
static bool seal_once(Pg *tx, const AuditKeys *keys, AuditSealer *sealer, Arena *arena, AuditHead *ret_head,
                      AuditRound *ret_round, Error *err) {
    TRY(pg_exec(tx, SQL_AUDIT_SEAL_BEGIN, PG_NONE, NULL, err));
    TRY(pg_exec(tx, SQL_BY_INDEX, PG_NONE, NULL, err));
    CLEANUP(pg_result_drop) PgResult *lock = pg_query(tx, SQL_AUDIT_SEAL_LOCK, PG_NONE, err);
    TRY(lock);
    *ret_round = AUDIT_BUSY;
    if (!pg_bool(lock, 0, 0))
        return true;
    Chain chain;
    TRY(read_chain(tx, arena, &chain, err)); /* another sealer may have been faster */
    compare_heads(sealer, &chain);
    int64_t decided;
    TRY(look_at_writers(tx, chain.drawn, sealer, &decided, err));
    ret_head->seal_id = chain.seal_id;
    memcpy(ret_head->hmac, chain.hmac, sizeof chain.hmac);
    bool is_written;
    TRY(seal_lines(tx, keys, &chain, decided, arena, ret_head, &is_written, err));
    *ret_round = is_written ? AUDIT_SEALED : AUDIT_QUIET;
    return true;
}

bool audit_seal_round(Pg *pg, const AuditKeys *keys, AuditSealer *sealer, AuditRound *ret_round, Error *err) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    Chain chain;
    *ret_round = AUDIT_QUIET;
    TRY(read_chain(pg, arena, &chain, err));
    if (!has_work(&chain) && chain.seal_id == sealer->head.seal_id)
        return true;
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    TRY(tx);
    AuditHead head = {0};
    AuditRound round;
    TRY(seal_once(tx, keys, sealer, arena, &head, &round, err));
    if (round == AUDIT_SEALED)
        FAILPOINT("seal.before_commit");
    TRY(pg_commit(&tx, PG_FLUSHED, err));
    if (round == AUDIT_SEALED)
        FAILPOINT("seal.after_commit");
    if (round != AUDIT_BUSY)
        sealer->head = head;
    *ret_round = round;
    return true;
}

bool audit_make_months(Pg *pg, Error *err) { return pg_exec(pg, SQL_AUDIT_MAKE_MONTHS, PG_NONE, NULL, err); }
