/* audit.c - /v1/audit: who did what, and whether the trail is what was sealed. */
#include "api/dispatch.h"
#include "api/resources.h"
#include "api/stored.h"
#include "base/clock.h"
#include "base/own.h"
#include "sealer.h"

/* A longer walk goes on with the next request: `next`. */
static const int64_t WALK_MAX_US = 15 * 1000000;

bool audit_list(Call *call, struct Pg *pg, Error *err) {
    const char *since = call_param(call, "since");
    if (since && !call_is_instant(since)) {
        reply_input_error(&call->reply, "?since", "a date or an instant of RFC 3339");
        return true;
    }
    return stored_list(call, pg, REPORT_AUDIT, (const char *const[3]){"who", "since", "object"}, err);
}

static bool read_walk(Call *call, AuditWalk *ret_walk) {
    const char *from = call_param(call, "from"), *known = call_param(call, "known");
    AuditWalk walk = {.next_seal = 1};
    bool fine = true;
    if (from && (!str_to_int64(str_of(from), &walk.next_seal) || walk.next_seal < 1))
        fine = reply_input_error(&call->reply, "?from", "the number of a seal");
    if (known && !audit_head_parse(known, &walk.known))
        fine = reply_input_error(&call->reply, "?known", "a seal as SEAL:HMAC, as an earlier answer gave it in `head`");
    *ret_walk = walk;
    return fine;
}

static json_t *seal_or_null(int64_t number) { return number ? json_id(number) : json_null(); }

static json_t *walk_json(const AuditWalk *walk) {
    char hmac[2 * AUDIT_HMAC_BYTES + 1];
    audit_put_hex(walk->last.hmac, AUDIT_HMAC_BYTES, hmac);
    json_t *head = walk->last.seal_id ? json_sprintf("%lld:%s", (long long)walk->last.seal_id, hmac) : json_null();
    return json_pack("{s:I, s:I, s:I, s:I, s:o, s:o}", "seals", (json_int_t)walk->n_seals, "lines",
                     (json_int_t)walk->n_lines, "retired", (json_int_t)walk->n_retired, "unsealed",
                     (json_int_t)walk->n_unsealed, "head", head, "next",
                     seal_or_null(walk->is_done ? 0 : walk->next_seal));
}

static void answer_fault(Call *call, const AuditWalk *walk) {
    json_t *members = walk_json(walk);
    json_object_set_new(members, "fault", json_string(audit_fault_name(walk->fault)));
    json_object_set_new(members, "seal", seal_or_null(walk->fault_seal));
    json_object_set_new(members, "line", seal_or_null(walk->fault_line));
    reply_problem_with(&call->reply, 409, members, "%s", audit_walk_sentence(walk, call->arena));
}

bool audit_verify_get(Call *call, struct Pg *pg, Error *err) {
    const char *key_file = call->api->options.audit_key_file;
    int64_t end_us = clock_monotonic_us() + WALK_MAX_US;
    AuditWalk walk;
    call->reply.caching = REPLY_NO_STORE;
    if (!read_walk(call, &walk))
        return true;
    if (!key_file) {
        reply_problem(&call->reply, 409, "the audit trail is not sealed: the configuration names no audit.key_file");
        return true;
    }
    CLEANUP(audit_keys_wipe) AuditKeys keys = {.n = 0};
    TRY(sealer_keys(key_file, &keys, err));
    while (!walk.is_done && clock_monotonic_us() < end_us)
        TRY(audit_walk_step(pg, &keys, &walk, err));
    if (walk.fault != AUDIT_WHOLE)
        answer_fault(call, &walk);
    else
        reply_json(&call->reply, 200, walk_json(&walk));
    return true;
}
