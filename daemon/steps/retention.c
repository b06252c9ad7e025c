/* retention.c - step_retention: what is older than it is kept, and needed by nobody, is deleted.
 *
 * Raw rows feed by feed, ended entries of quarantine, reports of reconciles, runs that left nothing, whole months of the
 * audit trail. A page of some thousand rows is one transaction with its line in the trail; so a run that is canceled or
 * killed leaves what is right as far as it came, and the next one goes on. A hold that is set meanwhile counts from the
 * next page on. What is never chosen, whatever its age: docs/architecture.md. */
#include "steps/steps.h"

#include "base/failpoint.h"
#include "base/metrics.h"
#include "base/own.h"
#include "storage/audit.h"
#include "storage/retention.h"
#include "storage/run_store.h"

enum { PAGE = 5000 };

/* What there is to keep, in the order it is looked at. */
typedef enum Kind { BRONZE, QUARANTINE, PROOFS, RUNS, AUDIT, KINDS } Kind;
static const struct {
    const char *name; /* of the metric's label, and for people */
    RetentionLedger ledger;
} NAMES[KINDS] = {
    [BRONZE] = {"bronze", RETENTION_LEDGERS},        [QUARANTINE] = {"quarantine", RETENTION_QUARANTINE},
    [PROOFS] = {"reconciliations", RETENTION_PROOFS}, [RUNS] = {"runs", RETENTION_RUNS},
    [AUDIT] = {"audit", RETENTION_LEDGERS},
};

typedef struct Retention {
    RunContext *run;
    const char *holds; /* as they are when rows are chosen */
    int64_t n[KINDS], unsealed;
} Retention;

static int64_t age_of(const RunContext *run, Kind kind) {
    const RetentionConfig *config = &run->config->retention;
    const int64_t ages_ms[KINDS] = {config->bronze_ms, config->quarantine_ms, config->runs_ms, config->runs_ms, config->audit_ms};
    return ages_ms[kind];
}

static void count(Retention *r, Kind kind, int64_t n) {
    r->n[kind] += n;
    r->run->counts.rows_read += n;
    r->run->counts.rows_changed += n;
}

/* ---- a page ---- */

/* Ends the transaction: with a line, or, where nothing was deleted, undone. */
static bool close_page(Retention *r, Pg **tx, Kind kind, const char *object, const char *before, int64_t n, Error *err) {
    RunContext *run = r->run;
    if (n == 0)
        return true;
    const char *details = arena_printf(run->arena, "{\"kind\":\"%s\",\"rows\":%lld,\"before\":\"%s\",\"run\":\"%lld\"}",
                                       NAMES[kind].name, (long long)n, before, (long long)run->run_id);
    TRY(audit_write(*tx, &(AuditLine){.actor = "pipeline", .action = "retention.delete", .object = object,
                                      .outcome = "done", .details = details}, err));
    TRY(lease_check(*tx, &(LeaseFence){run->job, run->epoch}, err));
    FAILPOINT("retention.before_commit");
    TRY(pg_commit(tx, PG_FLUSHED, err));
    FAILPOINT("retention.after_commit");
    METRIC_ADD(METRIC_RETENTION_DELETED, (double)n, NAMES[kind].name);
    run->counts.pages++;
    count(r, kind, n);
    return true;
}

/* ---- raw rows ---- */

static bool delete_raw_page(Retention *r, const RetentionFeed *feed, int64_t first, bool *ret_is_same, Error *err) {
    int64_t n = 0;
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(r->run->pg, err);
    TRY(tx && retention_lock(tx, r->holds, r->run->arena, ret_is_same, err));
    if (!*ret_is_same)
        return true;
    TRY(retention_raw_delete(tx, feed, first, first + PAGE - 1, r->run->arena, &n, err));
    FAILPOINT("retention.after_deleted");
    return close_page(r, &tx, BRONZE, feed->feed, feed->before, n, err);
}

/* False in *ret_is_same: other holds are in force than those that the rows were chosen under. */
static bool delete_raw_chosen(Retention *r, const RetentionFeed *feed, bool *ret_is_same, Error *err) {
    int64_t n;
    *ret_is_same = true;
    TRY(retention_holds(r->run->pg, r->run->arena, &r->holds, err) &&
        retention_raw_choose(r->run->pg, feed, r->run->arena, &n, err));
    for (int64_t first = 1; first <= n && *ret_is_same; first += PAGE) {
        if (step_is_canceled(r->run, err))
            return false;
        FAILPOINT("retention.after_chosen");
        ArenaMark mark = arena_mark(r->run->arena);
        TRY(delete_raw_page(r, feed, first, ret_is_same, err));
        arena_rewind(r->run->arena, mark);
    }
    return true;
}

static bool keep_feed(Retention *r, const RetentionFeed *feed, Error *err) {
    int64_t n;
    bool is_same = false;
    if (r->run->plan) {
        TRY(retention_raw_count(r->run->pg, feed, r->run->arena, &n, err));
        count(r, BRONZE, n);
        return true;
    }
    while (!is_same)
        TRY(delete_raw_chosen(r, feed, &is_same, err));
    return true;
}

static bool keep_bronze(Retention *r, Error *err) {
    RetentionFeed *feeds;
    size_t n;
    const char *before;
    TRY(retention_before(r->run->pg, age_of(r->run, BRONZE), r->run->arena, &before, err) &&
        retention_feeds(r->run->pg, r->run->arena, &feeds, &n, err));
    for (size_t i = 0; i < n; i++) {
        if (step_is_canceled(r->run, err))
            return false;
        feeds[i].before = before;
        TRY(keep_feed(r, &feeds[i], err));
    }
    return true;
}

/* ---- ledgers ---- */

/* The page is chosen under the lock, so that no hold can be missed. */
static bool delete_ledger_page(Retention *r, Kind kind, const char *before, int64_t *after, int64_t *ret_n, Error *err) {
    bool ignored;
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(r->run->pg, err);
    TRY(tx && retention_lock(tx, "", r->run->arena, &ignored, err));
    TRY(retention_delete(tx, NAMES[kind].ledger, before, PAGE, r->run->arena, after, ret_n, err));
    FAILPOINT("retention.after_ledger");
    return close_page(r, &tx, kind, NAMES[kind].name, before, *ret_n, err);
}

static bool keep_ledger(Retention *r, Kind kind, Error *err) {
    const char *before;
    int64_t after = 0, n = 1;
    TRY(retention_before(r->run->pg, age_of(r->run, kind), r->run->arena, &before, err));
    if (r->run->plan) {
        TRY(retention_count(r->run->pg, NAMES[kind].ledger, before, r->run->arena, &n, err));
        count(r, kind, n);
        return true;
    }
    while (n > 0) {
        if (step_is_canceled(r->run, err))
            return false;
        ArenaMark mark = arena_mark(r->run->arena);
        TRY(delete_ledger_page(r, kind, before, &after, &n, err));
        arena_rewind(r->run->arena, mark);
    }
    return true;
}

/* ---- the audit trail ---- */

static bool drop_month(Retention *r, const RetentionMonth *month, const char *before, Error *err) {
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(r->run->pg, err);
    TRY(tx && retention_month_drop(tx, month, age_of(r->run, AUDIT), err));
    FAILPOINT("retention.after_month");
    /* an empty month is dropped, too; its line is the owner's function's */
    if (month->lines == 0)
        return pg_commit(&tx, PG_FLUSHED, err);
    return close_page(r, &tx, AUDIT, arena_printf(r->run->arena, "ops.%s", month->partition), before, month->lines, err);
}

static bool keep_audit(Retention *r, Error *err) {
    RetentionMonth *months;
    size_t n;
    const char *before;
    int64_t age_ms = age_of(r->run, AUDIT);
    TRY(retention_before(r->run->pg, age_ms, r->run->arena, &before, err) &&
        retention_months(r->run->pg, age_ms, r->run->arena, &months, &n, &r->unsealed, err));
    for (size_t i = 0; i < n; i++) {
        if (step_is_canceled(r->run, err))
            return false;
        if (r->run->plan)
            count(r, AUDIT, months[i].lines);
        else
            TRY(drop_month(r, &months[i], before, err));
    }
    return true;
}

/* ---- the whole ---- */

static void say(Retention *r) {
    RunContext *run = r->run;
    size_t size = 0;
    for (Kind kind = 0; kind < KINDS; kind++)
        if (r->n[kind] > 0)
            size += (size_t)snprintf(run->note + size, sizeof run->note - size, "%s%s %lld", size ? ", " : run->plan ? "would delete: " : "deleted: ",
                                     NAMES[kind].name, (long long)r->n[kind]);
    if (r->unsealed > 0)
        snprintf(run->note + size, sizeof run->note - size, "%s%lld months of the audit trail stay, for lines of theirs are not sealed",
                 size ? "; " : "", (long long)r->unsealed);
}

bool step_retention(RunContext *run, Error *err) {
    Retention r = {.run = run};
    bool ok = true;
    for (Kind kind = 0; kind < KINDS && ok; kind++) {
        if (age_of(run, kind) == 0) /* for ever */
            continue;
        ok = kind == BRONZE ? keep_bronze(&r, err) : kind == AUDIT ? keep_audit(&r, err) : keep_ledger(&r, kind, err);
    }
    say(&r);
    return ok;
}
