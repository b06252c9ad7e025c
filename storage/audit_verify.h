/* audit_verify.h - is the audit trail what was sealed?
 *
 * A walk goes over the seals in their order and over the lines of each, then over all ids for lines that no seal
 * names, in steps that each hold one seal's lines at most. It ends at the first fault, or when all is whole.
 *
 * What it finds: a line changed, removed, or inserted where seals say there is none; a seal changed, removed or put
 * elsewhere in the order; a seal of a key that is not at hand. What it cannot find by itself: that the newest seals and all
 * their lines were cut off, for what is left is whole. For that somebody outside must remember a seal: the
 * log and a metric tell the newest, and AuditWalk.known is compared. Nor lines removed before they were sealed,
 * within a second of their commit.
 * Lines that retention dropped (ops.audit_drop_month) are missing with a line that says so, and are no fault. */
#pragma once
#include "storage/audit_seal.h"

typedef enum AuditFault {
    AUDIT_WHOLE,
    AUDIT_LINE_CHANGED,
    AUDIT_LINE_REMOVED,
    AUDIT_LINE_INSERTED,
    AUDIT_SEAL_CHANGED,
    AUDIT_SEAL_REMOVED,
    AUDIT_SEAL_FOREIGN, /* its key is not in the key file */
    AUDIT_CHAIN_CUT     /* the known seal is not there, or is another */
} AuditFault;
const char *audit_fault_name(AuditFault fault); /* "line_changed", … */

/* Zeroed but for `next_seal` (1) and `known`: the start. */
typedef struct AuditWalk {
    int64_t next_seal; /* to be looked at */
    AuditHead known;   /* must be passed; seal_id 0: none */
    AuditHead last;    /* the last one found whole */
    int64_t top;       /* of that one */
    int64_t passed_id; /* ids up to this are known to be in seals, or nobody's */
    bool has_begun, has_passed_seals, is_done;
    AuditFault fault;
    int64_t fault_seal, fault_line; /* 0: none */
    int64_t n_seals, n_lines, n_retired, n_unsealed;
} AuditWalk;

/* One step; nothing once is_done. In a transaction of its own, reading only. */
bool audit_walk_step(Pg *pg, const AuditKeys *keys, AuditWalk *walk, Error *err);
/* "line 17 of seal 3 was changed after it was sealed"; in `arena`. */
const char *audit_walk_sentence(const AuditWalk *walk, Arena *arena);
