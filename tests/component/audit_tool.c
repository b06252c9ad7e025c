/* audit_tool - the sealer and the verifier alone, step by step, for tests/component/test_audit.py.
 *
 *     audit_tool DSN KEY_FILE
 *
 * Reads commands from stdin, one a line, and answers each with one line:
 *     seal               one round: quiet, sealed or busy; the newest seal; 1 when the chain was cut
 *     verify [SEAL:HMAC] a whole walk: fault, seal, line, seals, lines, retired, unsealed */
#include "base/own.h"
#include "sealer.h"

#include <stdio.h>

static const char *const ROUNDS[] = {[AUDIT_QUIET] = "quiet", [AUDIT_SEALED] = "sealed", [AUDIT_BUSY] = "busy"};

static bool seal(Pg *pg, const AuditKeys *keys, AuditSealer *sealer, Error *err) {
    AuditRound round;
    TRY(audit_seal_round(pg, keys, sealer, &round, err));
    printf("%s %lld %d\n", ROUNDS[round], (long long)sealer->head.seal_id, sealer->is_cut);
    return true;
}

static bool verify(Pg *pg, const AuditKeys *keys, const char *known, Error *err) {
    AuditWalk walk = {.next_seal = 1};
    if (*known && !audit_head_parse(known, &walk.known))
        return error_set(err, STATE_CONFIG, "no seal: %s", known);
    while (!walk.is_done)
        TRY(audit_walk_step(pg, keys, &walk, err));
    printf("%s %lld %lld %lld %lld %lld %lld\n", audit_fault_name(walk.fault), (long long)walk.fault_seal,
           (long long)walk.fault_line, (long long)walk.n_seals, (long long)walk.n_lines, (long long)walk.n_retired,
           (long long)walk.n_unsealed);
    return true;
}

static bool serve(Pg *pg, const AuditKeys *keys, Error *err) {
    static AuditSealer sealer;
    char line[200];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (strcmp(line, "seal") == 0)
            TRY(seal(pg, keys, &sealer, err));
        else
            TRY(verify(pg, keys, line[6] ? line + 7 : "", err));
        fflush(stdout);
    }
    return true;
}

int main(int argc, char **argv) {
    Error err = {0};
    CLEANUP(audit_keys_wipe) AuditKeys keys = {.n = 0};
    CLEANUP(pg_drop) Pg *pg = argc == 3 ? pg_open(argv[1], "audit_tool", 0, &err) : NULL;
    if (pg && sealer_keys(argv[2], &keys, &err) && serve(pg, &keys, &err))
        return 0;
    fprintf(stderr, "%s %s\n%s\n", err.state, err.text, err.hint);
    return 1;
}
