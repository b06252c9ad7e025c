/* sealer.c - see sealer.h. */
#include "sealer.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "pool.h"
#include "secret.h"
#include "storage/pg_pool.h"

#include <stdlib.h>

enum {
    TICK_MS = 1000,
    ROUNDS_PER_TICK = 50,
    STATEMENT_TIMEOUT_MS = 5000,
    WALK_US_PER_TICK = 50000, /* the least share of a core that gets through a year's trail in a day */
};
static const int64_t WALK_EVERY_US = INT64_C(24) * 3600 * 1000000, TELL_EVERY_US = INT64_C(600) * 1000000;

struct Sealer {
    Loop *loop;
    LoopTimer *timer;
    Pool *pool; /* one worker */
    const char *dsn, *session;
    LoopCall stopped;
    void *stopped_context;
    bool is_working, is_last;

    /* the worker's */
    AuditKeys keys;
    Pg *pg;
    AuditSealer chain;
    AuditWalk walk;
    int64_t walk_due_us, tell_due_us, months_due_us, told_seal;
    bool is_failing, cut_is_told;
};

bool sealer_keys(const char *key_file, AuditKeys *ret_keys, Error *err) {
    CLEANUP(secret_wipe) Secret secret = {.size = 0};
    TRY(secret_read(key_file, NULL, "the audit key", &secret, err));
    return audit_keys_parse(secret.text, ret_keys, err);
}

/* ---- on the worker ---- */

static void tell_fault(const AuditWalk *walk) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    LOG_ERROR("the audit trail is broken", LOG_TEXT("fault", audit_fault_name(walk->fault)),
              LOG_INT("seal", walk->fault_seal), LOG_INT("line", walk->fault_line),
              LOG_TEXT("sentence", audit_walk_sentence(walk, arena)));
}

/* The newest seal, for those who keep the log: what is cut off later is missed. */
static void tell_head(Sealer *sealer, int64_t now_us) {
    const AuditHead *head = &sealer->chain.head;
    if (head->seal_id == sealer->told_seal || (now_us < sealer->tell_due_us && !sealer->is_last))
        return;
    char hmac[2 * AUDIT_HMAC_BYTES + 1];
    audit_put_hex(head->hmac, sizeof head->hmac, hmac);
    LOG_INFO("audit trail sealed", LOG_INT("seal", head->seal_id), LOG_TEXT("hmac", hmac));
    sealer->told_seal = head->seal_id;
    sealer->tell_due_us = now_us + TELL_EVERY_US;
}

static bool seal(Sealer *sealer, Error *err) {
    AuditRound round = AUDIT_SEALED;
    for (int i = 0; i < ROUNDS_PER_TICK && round == AUDIT_SEALED; i++)
        TRY(audit_seal_round(sealer->pg, &sealer->keys, &sealer->chain, &round, err));
    METRIC_SET(METRIC_AUDIT_LAST_SEAL, sealer->chain.head.seal_id);
    if (sealer->chain.is_cut && !sealer->cut_is_told) {
        LOG_ERROR("the audit trail was cut: its newest seal is not the one that was written last",
                  LOG_INT("seal", sealer->chain.head.seal_id));
        METRIC_SET(METRIC_AUDIT_CHAIN_OK, 0);
        sealer->cut_is_told = true;
    }
    return true;
}

static bool look_through(Sealer *sealer, int64_t now_us, Error *err) {
    if (now_us < sealer->walk_due_us)
        return true;
    if (sealer->walk.is_done || sealer->walk.next_seal == 0)
        sealer->walk = (AuditWalk){.next_seal = 1};
    while (!sealer->walk.is_done && clock_monotonic_us() - now_us < WALK_US_PER_TICK)
        TRY(audit_walk_step(sealer->pg, &sealer->keys, &sealer->walk, err));
    if (!sealer->walk.is_done)
        return true;
    sealer->walk_due_us = now_us + WALK_EVERY_US;
    METRIC_SET(METRIC_AUDIT_CHAIN_OK, sealer->walk.fault == AUDIT_WHOLE && !sealer->chain.is_cut);
    if (sealer->walk.fault != AUDIT_WHOLE)
        tell_fault(&sealer->walk);
    return true;
}

static bool turn(Sealer *sealer, Error *err) {
    int64_t now_us = clock_monotonic_us();
    if (!sealer->pg)
        sealer->pg = pg_open(sealer->dsn, sealer->session, STATEMENT_TIMEOUT_MS, err);
    TRY(sealer->pg && seal(sealer, err));
    tell_head(sealer, now_us);
    if (sealer->is_last)
        return true;
    if (now_us >= sealer->months_due_us) {
        TRY(audit_make_months(sealer->pg, err));
        sealer->months_due_us = now_us + WALK_EVERY_US;
    }
    return look_through(sealer, clock_monotonic_us(), err);
}

static void work(void *context) {
    Sealer *sealer = context;
    Error err = {0};
    bool ok = turn(sealer, &err);
    if (!ok && !sealer->is_failing)
        LOG_FAILURE(LOG_LEVEL_WARN, "the audit trail is not sealed at present", &err);
    else if (ok && sealer->is_failing)
        LOG_INFO("the audit trail is sealed again");
    sealer->is_failing = !ok;
    if (!ok && sealer->pg)
        pg_close(TAKE(sealer->pg));
}

/* ---- on the loop ---- */

static void submit(Sealer *sealer);

static void done(void *context) {
    Sealer *sealer = context;
    sealer->is_working = false;
    if (!sealer->stopped)
        return;
    if (sealer->is_last)
        sealer->stopped(sealer->stopped_context);
    else
        submit(sealer);
}

static void submit(Sealer *sealer) {
    sealer->is_working = true;
    sealer->is_last = sealer->stopped != NULL;
    pool_submit(sealer->pool, (PoolWork){work, done, sealer});
}

static void tick(void *context) {
    Sealer *sealer = context;
    if (!sealer->is_working)
        submit(sealer);
}

static void no_thread_setup(void) {}

Sealer *sealer_open(Loop *loop, const char *dsn, const char *session, const char *key_file, Error *err) {
    Sealer *sealer = calloc(1, sizeof *sealer);
    if (!sealer)
        abort();
    sealer->loop = loop;
    sealer->dsn = dsn;
    sealer->session = session;
    sealer->pool = pool_open(loop_uv(loop), 1, no_thread_setup, no_thread_setup, err);
    if (!sealer->pool || !sealer_keys(key_file, &sealer->keys, err)) {
        sealer_close(sealer);
        return NULL;
    }
    sealer->timer = loop_timer_open(loop, tick, sealer);
    loop_timer_start(sealer->timer, 0, TICK_MS);
    return sealer;
}

void sealer_stop(Sealer *sealer, LoopCall stopped, void *context) {
    loop_timer_stop(sealer->timer);
    sealer->stopped = stopped;
    sealer->stopped_context = context;
    if (!sealer->is_working)
        submit(sealer);
}

void sealer_close(Sealer *sealer) {
    if (sealer->timer)
        loop_timer_close(sealer->timer);
    if (sealer->pool)
        pool_close(sealer->pool);
    if (sealer->pg)
        pg_close(sealer->pg);
    audit_keys_wipe(&sealer->keys);
    free(sealer);
}
