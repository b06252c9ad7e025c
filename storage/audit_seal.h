/* audit_seal.h - binding committed lines of the audit trail into a chain (rules, section 10).
 *
 * Writers append lines and commit; nobody waits for the chain. audit_seal_round() takes the lines that are
 * committed and in no seal yet and binds them into one row of ops.audit_seal: the exact set of their ids, an
 * HMAC-SHA256 (RFC 2104) over the HMACs of the lines, and one over all of that and the seal before.
 *
 * A line's id may be drawn before another's and be committed after it. So a seal names its ids one by one, and
 * says which smaller ones are `open`: somebody may still commit them, and a later seal looks for them. An id is
 * given up when every transaction that could have drawn it has ended, which the table lock of writers tells:
 * audit_seal.c. What appears under such an id later was inserted by somebody else, and verifying says so.
 *
 * Blocking; for a worker. Several daemons may seal one trail: an advisory lock lets one in at a time. */
#pragma once
#include "storage/pg.h"

enum {
    AUDIT_HMAC_BYTES = 32,
    AUDIT_DIGEST_BYTES = 8,
    AUDIT_KEY_ID_BYTES = 17, /* 16 hex digits, terminated */
    AUDIT_KEYS_MAX = 16,
    AUDIT_KEY_MIN_BYTES = 32,
    AUDIT_SEAL_LINES_MAX = 1000,
};

typedef struct AuditKey {
    char id[AUDIT_KEY_ID_BYTES]; /* of its SHA-256: tells keys apart, and nothing of them */
    uint8_t bytes[AUDIT_HMAC_BYTES]; /* SHA-256 of the line in the file */
} AuditKey;
/* The last one seals; those before it verify what they sealed. */
typedef struct AuditKeys {
    AuditKey keys[AUDIT_KEYS_MAX];
    size_t n;
} AuditKeys;
/* `text`: one key a line, at least AUDIT_KEY_MIN_BYTES long each; blank lines are passed over. */
bool audit_keys_parse(const char *text, AuditKeys *ret_keys, Error *err);
const AuditKey *audit_key_find(const AuditKeys *keys, Str id);
/* Overwrites them; also for CLEANUP. */
void audit_keys_wipe(AuditKeys *keys);

/* Lower case; not terminated beyond what sprintf does: room for 2 n + 1. */
void audit_put_hex(const uint8_t *bytes, size_t n, char *ret_text);
/* How many bytes the text gave, up to max_bytes; the rest is left alone. */
size_t audit_take_hex(Str text, uint8_t *ret_bytes, size_t max_bytes);

/* ---- what is bound; audit_verify.c computes the same ---- */

enum { AUDIT_LINE_COLUMNS = 8 }; /* of SQL_AUDIT_UNSEALED and SQL_AUDIT_SEALED_LINES, in text form */

typedef struct AuditSeal {
    int64_t seal_id, sealed_us, n_lines, top;
    Str key_id, ids, open; /* the sets as PostgreSQL writes a multirange: {[1,5),[7,8)} */
    Str digests, lines_hmac;
} AuditSeal;

/* Of row `row` of lines. */
void audit_line_hmac(const AuditKey *key, const PgResult *lines, int row, uint8_t ret_hmac[AUDIT_HMAC_BYTES]);
void audit_bytes_hmac(const AuditKey *key, Str bytes, uint8_t ret_hmac[AUDIT_HMAC_BYTES]);
/* `previous`: of the seal before; zeros for the first. */
void audit_seal_hmac(const AuditKey *key, const AuditSeal *seal, const uint8_t previous[AUDIT_HMAC_BYTES],
                     uint8_t ret_hmac[AUDIT_HMAC_BYTES]);

/* ---- the sealer ---- */

/* Where the chain ends. */
typedef struct AuditHead {
    int64_t seal_id; /* 0: nothing is sealed */
    uint8_t hmac[AUDIT_HMAC_BYTES];
} AuditHead;

/* "17:8c3f…", as the log and /v1/audit/verify say it; false when it is something else. */
bool audit_head_parse(const char *text, AuditHead *ret_head);

/* What a sealer remembers between rounds; zeroed at the start. Belongs to one thread at a time. */
typedef struct AuditSealer {
    AuditHead head;      /* the newest seal it saw */
    int64_t watched;     /* ids up to this were drawn when `writers` were looked at */
    char writers[4096];  /* who held the writers' lock then, "3/17 5/2"; "" and 0: nobody was looked at */
    bool is_cut;         /* the seal it remembers was not there any more */
} AuditSealer;

typedef enum AuditRound {
    AUDIT_QUIET,  /* nothing to seal */
    AUDIT_SEALED, /* a seal was written: *sealer.head; there may be more */
    AUDIT_BUSY    /* another sealer is at it */
} AuditRound;

/* One seal at most. When the newest seal is not the one remembered but an older one, somebody cut the chain:
 * is_cut is set, and the new seal goes on after the remembered one, so that the gap stays to be seen. */
bool audit_seal_round(Pg *pg, const AuditKeys *keys, AuditSealer *sealer, AuditRound *ret_round, Error *err);
/* Partitions for the months to come; cheap when they are there. */
bool audit_make_months(Pg *pg, Error *err);
