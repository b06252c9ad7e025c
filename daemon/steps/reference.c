/* reference.c - step_reference: asks registers about numbers that silver names, and tells silver what they say.
 *
 * First silver is told what is known already, for rows that came or changed since. Then the registry is asked for what
 * nobody knows or what has run out, page by page: a page's answers and what they change in silver are one transaction.
 * A service that is away fails nothing: what it was not asked stays `unchecked`, the run's note says so, and ref.service
 * keeps until when it is left alone. A run takes a minute of asking at most, so that no worker is gone for hours. */
#include "steps/steps.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/metrics.h"
#include "base/own.h"
#include "storage/audit.h"
#include "storage/reference.h"
#include "storage/run_store.h"
#include "storage/state.h"
#include "transform/code.h"

#include <stdlib.h>

enum {
    PAGE = 50,
    RUN_MS = 60 * 1000,
    ATTEMPTS = 3,
    PATIENCE_MS = 5000,  /* a longer wait is another run's */
    UNUSABLE_IN_ROW = 5, /* then it is the service, not the numbers */
    ANSWER_BYTES_MAX = 1 << 20,
    CONNECT_MS = 10 * 1000
};
static const char SERVICE[] = "npi";

typedef struct Lookup {
    RunContext *run;
    const ReferenceService *service;
    HttpClient *client;
    int64_t end_us;     /* of this run's asking */
    int n_unusable;     /* one after the other */
    bool is_away;       /* the service is left alone from here on */
    int64_t wished_ms;  /* how long it wants to be */
    Error error;        /* why */
} Lookup;

/* ---- one page into the store ---- */

/* A batch as a settle's: kpi.clock takes any other for news of a hospital's. No fact depends on a status. */
static bool close_page(RunContext *run, Pg *tx, int64_t batch_id, int64_t changed, Error *err) {
    if (changed == 0)
        return true;
    BatchCounts counts = {.rows_changed = changed};
    const char *details = arena_printf(run->arena, "{\"batch\":\"%lld\",\"changed\":%lld}", (long long)batch_id,
                                       (long long)changed);
    return state_batch_write(tx, batch_id, run->run_id, "settle", &counts, err) &&
           state_batch_settled(tx, batch_id, err) &&
           audit_write(tx, &(AuditLine){.actor = "pipeline", .action = "reference.commit", .object = "reference",
                                        .outcome = "done", .details = details}, err);
}

/* `answers` NULL: only tells silver what is known. */
static bool commit_page(RunContext *run, const NpiAnswer *answers, size_t n, int64_t *ret_changed, Error *err) {
    const ReferenceService *service = &run->config->reference.npi;
    int64_t batch_id;
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(run->pg, err);
    TRY(tx && state_placement_lock_alone(tx, err) && state_batch_id(tx, &batch_id, err));
    TRY(reference_npi_keep(tx, answers, n, service->max_age_ms, err));
    FAILPOINT("reference.after_kept");
    TRY(reference_npi_tell(tx, batch_id, answers, n, ret_changed, err));
    TRY(close_page(run, tx, batch_id, *ret_changed, err));
    TRY(lease_check(tx, &(LeaseFence){run->job, run->epoch}, err));
    FAILPOINT("reference.before_commit");
    TRY(pg_commit(&tx, PG_FLUSHED, err));
    FAILPOINT("reference.after_commit");
    run->counts.rows_changed += *ret_changed;
    run->counts.batches += *ret_changed > 0;
    return true;
}

static bool tell_known(RunContext *run, Error *err) {
    for (;;) {
        int64_t changed;
        bool is_untold;
        if (step_is_canceled(run, err))
            return false;
        TRY(reference_npi_is_untold(run->pg, &is_untold, err));
        if (!is_untold)
            return true;
        TRY(commit_page(run, NULL, 0, &changed, err));
    }
}

/* ---- asking ---- */

static void give_up(Lookup *l, const Error *why, int64_t wished_ms) {
    l->is_away = true;
    l->wished_ms = wished_ms;
    l->error = *why;
}

/* Until the next attempt: what the service wished, or twice as long each time; up to half as much more. */
static int64_t pause_ms(const NppesAnswer *answer, int attempt) {
    int64_t base_ms = answer->retry_after_ms >= 0 ? answer->retry_after_ms : INT64_C(250) << attempt;
    return base_ms + (int64_t)(arc4random() % (uint32_t)(base_ms > PATIENCE_MS ? PATIENCE_MS : base_ms / 2 + 1));
}

/* False: the run is canceled. Otherwise there is an answer, or the service is away. */
static bool ask(Lookup *l, const NppesQuestion *question, NppesAnswer *ret_answer, Error *err) {
    for (int attempt = 1;; attempt++) {
        Error failure = {0};
        TRY(http_pause(1000 / l->service->requests_per_second, l->run->canceled, err));
        if (nppes_ask(l->client, question, l->run->arena, ret_answer, &failure)) {
            METRIC_ADD(METRIC_REFERENCE_LOOKUPS, 1, SERVICE, nppes_outcome_name(ret_answer->outcome));
            return true;
        }
        if (step_is_canceled(l->run, err))
            return false;
        METRIC_ADD(METRIC_REFERENCE_LOOKUPS, 1, SERVICE, "failed");
        bool passes = error_class(&failure) == ERROR_TRANSIENT && ret_answer->retry_after_ms <= PATIENCE_MS;
        if (!passes || attempt == ATTEMPTS) {
            give_up(l, &failure, ret_answer->retry_after_ms);
            return true;
        }
        TRY(http_pause(pause_ms(ret_answer, attempt), l->run->canceled, err));
    }
}

static void count_unusable(Lookup *l, const NppesAnswer *answer) {
    Error why = {0};
    l->n_unusable = answer->outcome == NPPES_UNUSABLE ? l->n_unusable + 1 : 0;
    if (l->n_unusable < UNUSABLE_IN_ROW)
        return;
    error_set(&why, STATE_CONNECTION, "the NPI registry cannot be used: %s", answer->why);
    give_up(l, &why, -1);
}

/* Asks for these, until the service is given up or the time is over. */
static bool ask_page(Lookup *l, const NpiPending *pending, size_t n, NpiAnswer *answers, size_t *ret_n, Error *err) {
    *ret_n = 0;
    for (size_t i = 0; i < n && !l->is_away && clock_monotonic_us() < l->end_us; i++) {
        NpiAnswer *one = &answers[*ret_n];
        NppesQuestion question = {l->service->endpoint, pending[i].npi, pending[i].etag, pending[i].last_modified};
        one->npi = pending[i].npi;
        if (!npi_check_digit_is_valid(str_of(one->npi))) /* never sent, whatever silver says of it */
            continue;
        TRY(ask(l, &question, &one->answer, err));
        if (l->is_away)
            return true;
        ++*ret_n;
        l->run->counts.rows_read++;
        count_unusable(l, &one->answer);
    }
    return true;
}

static bool end_page(Lookup *l, const NpiAnswer *answers, size_t n, Error *err) {
    int64_t changed;
    if (n > 0)
        TRY(commit_page(l->run, answers, n, &changed, err));
    if (l->is_away)
        return reference_service_failed(l->run->pg, SERVICE, l->wished_ms, l->error.text, arc4random(), err);
    return n == 0 || reference_service_answered(l->run->pg, SERVICE, err);
}

static bool ask_all(Lookup *l, Error *err) {
    const char *after = "";
    NpiAnswer *answers = ARENA_ARRAY(l->run->arena, NpiAnswer, PAGE);
    for (;;) {
        NpiPending *pending;
        size_t n, n_answers;
        TRY(reference_npi_pending(l->run->pg, after, PAGE, l->run->arena, &pending, &n, err));
        if (n == 0)
            return true;
        TRY(ask_page(l, pending, n, answers, &n_answers, err));
        TRY(end_page(l, answers, n_answers, err));
        l->run->counts.pages++;
        l->run->wants_more = !l->is_away && clock_monotonic_us() >= l->end_us;
        if (l->is_away || l->run->wants_more)
            return true;
        after = pending[n - 1].npi;
    }
}

/* ---- the whole ---- */

static void say_away(RunContext *run, const char *why) {
    snprintf(run->note, sizeof run->note, "%.300s: numbers it was not asked about stay unchecked, and it is asked again later",
             why);
}

static bool is_pending(RunContext *run, bool *ret_is, Error *err) {
    NpiPending *ignored;
    size_t n;
    TRY(reference_npi_pending(run->pg, "", 1, run->arena, &ignored, &n, err));
    *ret_is = n > 0;
    return true;
}

static bool look_up(RunContext *run, Error *err) {
    const ReferenceService *service = &run->config->reference.npi;
    HttpLimits limits = {.connect_ms = CONNECT_MS, .total_ms = service->timeout_ms, .answer_bytes_max = ANSWER_BYTES_MAX};
    CLEANUP(http_drop) HttpClient *client = http_open(&limits, run->canceled, err);
    TRY(client);
    Lookup l = {.run = run, .service = service, .client = client, .end_us = clock_monotonic_us() + RUN_MS * INT64_C(1000)};
    TRY(ask_all(&l, err));
    if (l.is_away)
        say_away(run, l.error.text);
    return true;
}

bool step_reference(RunContext *run, Error *err) {
    int64_t rest_ms;
    bool has_questions;
    TRY(tell_known(run, err) && is_pending(run, &has_questions, err));
    if (!has_questions)
        return true;
    TRY(reference_service_rest(run->pg, SERVICE, &rest_ms, err));
    if (rest_ms <= 0)
        return look_up(run, err);
    say_away(run, "the NPI registry failed and is left alone for a while");
    return true;
}
