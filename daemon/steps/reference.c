/* reference.c - step_reference: asks registers about numbers and codes that silver names, reads the customer's lists, and
 * tells silver what they say.
 *
 * One register or file after the other. First silver is told what is known already, for rows that came or changed since. Then
 * the register is asked for what nobody knows or what has run out, page by page: a page's answers and what they change
 * in silver are one transaction. A service that is away fails nothing: what it was not asked stays `unchecked`, the
 * run's note says so, and ref.service keeps until when it is left alone. A run asks each for a minute at most, so that
 * no worker is gone for hours. A file is read at every run and kept when its bytes are others than before; one that
 * cannot be read leaves what it said before, as a register that is away. */
#include "steps/reference_file.h"
#include "steps/steps.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/metrics.h"
#include "base/own.h"
#include "storage/audit.h"
#include "storage/run_store.h"
#include "storage/state.h"

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

typedef struct Lookup {
    RunContext *run;
    Reference reference;
    const ReferenceService *service;
    HttpClient *client;
    int64_t end_us;     /* of this run's asking */
    int n_unusable;     /* one after the other */
    bool is_away;       /* the service is left alone from here on */
    int64_t wished_ms;  /* how long it wants to be */
    Error error;        /* why */
} Lookup;

/* ---- one page into the store ---- */

/* A batch as a settle's: kpi.clock takes any other for news of a hospital's. No fact depends on what a list says. */
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

/* What was learnt; nothing of it: only tells silver what is known. */
typedef struct Page {
    const ReferenceAnswer *answers;
    size_t n;
    const ReferenceList *list;
} Page;

static bool keep_page(Pg *tx, const RunContext *run, Reference reference, const Page *page, Error *err) {
    if (page->list)
        return reference_list_keep(tx, reference, page->list, err);
    return reference_keep(tx, reference, page->answers, page->n, run->config->references[reference].max_age_ms, err);
}

static bool commit_page(RunContext *run, Reference reference, const Page *page, Error *err) {
    int64_t batch_id, changed;
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(run->pg, err);
    TRY(tx && state_placement_lock_alone(tx, err) && state_batch_id(tx, &batch_id, err));
    TRY(keep_page(tx, run, reference, page, err));
    FAILPOINT("reference.after_kept");
    TRY(reference_tell(tx, reference, batch_id, page->answers, page->n, run->arena, &changed, err));
    TRY(close_page(run, tx, batch_id, changed, err));
    TRY(lease_check(tx, &(LeaseFence){run->job, run->epoch}, err));
    FAILPOINT("reference.before_commit");
    TRY(pg_commit(&tx, PG_FLUSHED, err));
    FAILPOINT("reference.after_commit");
    run->counts.rows_changed += changed;
    run->counts.batches += changed > 0;
    return true;
}

static bool tell_known(RunContext *run, Reference reference, Error *err) {
    for (;;) {
        bool is_untold;
        if (step_is_canceled(run, err))
            return false;
        TRY(reference_is_untold(run->pg, reference, run->arena, &is_untold, err));
        if (!is_untold)
            return true;
        TRY(commit_page(run, reference, &(Page){0}, err));
    }
}

/* ---- asking ---- */

static void give_up(Lookup *l, const Error *why, int64_t wished_ms) {
    l->is_away = true;
    l->wished_ms = wished_ms;
    l->error = *why;
}

/* Until the next attempt: what the service wished, or twice as long each time; up to half as much more. */
static int64_t pause_ms(const LookupAnswer *answer, int attempt) {
    int64_t base_ms = answer->retry_after_ms >= 0 ? answer->retry_after_ms : INT64_C(250) << attempt;
    return base_ms + (int64_t)(arc4random() % (uint32_t)(base_ms > PATIENCE_MS ? PATIENCE_MS : base_ms / 2 + 1));
}

static void count(const Lookup *l, const char *outcome) {
    METRIC_ADD(METRIC_REFERENCE_LOOKUPS, 1, REFERENCE_KINDS[l->reference].name, outcome);
}

/* False: the run is canceled. Otherwise there is an answer, or the service is away. */
static bool ask(Lookup *l, const LookupQuestion *question, LookupAnswer *ret_answer, Error *err) {
    for (int attempt = 1;; attempt++) {
        Error failure = {0};
        TRY(http_pause(1000 / l->service->requests_per_second, l->run->canceled, err));
        if (lookup_ask(l->client, l->reference, question, l->run->arena, ret_answer, &failure)) {
            count(l, lookup_outcome_name(ret_answer->outcome));
            return true;
        }
        if (step_is_canceled(l->run, err))
            return false;
        count(l, "failed");
        bool passes = error_class(&failure) == ERROR_TRANSIENT && ret_answer->retry_after_ms <= PATIENCE_MS;
        if (!passes || attempt == ATTEMPTS) {
            give_up(l, &failure, ret_answer->retry_after_ms);
            return true;
        }
        TRY(http_pause(pause_ms(ret_answer, attempt), l->run->canceled, err));
    }
}

/* All parts of an answer, until one has the code. The validators are the first part's, and only good when that was all. */
static bool ask_through(Lookup *l, LookupQuestion question, LookupAnswer *ret_answer, Error *err) {
    do {
        TRY(ask(l, &question, ret_answer, err));
        question.from = ret_answer->next;
    } while (!l->is_away && ret_answer->outcome == LOOKUP_FURTHER);
    return true;
}

static void count_unusable(Lookup *l, const LookupAnswer *answer) {
    Error why = {0};
    l->n_unusable = answer->outcome == LOOKUP_UNUSABLE ? l->n_unusable + 1 : 0;
    if (l->n_unusable < UNUSABLE_IN_ROW)
        return;
    error_set(&why, STATE_CONNECTION, "%s cannot be used: %s", REFERENCE_KINDS[l->reference].subject, answer->why);
    give_up(l, &why, -1);
}

/* Asks for these, until the service is given up or the time is over. */
static bool ask_page(Lookup *l, const ReferencePending *pending, size_t n, ReferenceAnswer *answers, size_t *ret_n,
                     Error *err) {
    *ret_n = 0;
    for (size_t i = 0; i < n && !l->is_away && clock_monotonic_us() < l->end_us; i++) {
        ReferenceAnswer *one = &answers[*ret_n];
        LookupQuestion question = {.endpoint = l->service->endpoint, .code = pending[i].code, .etag = pending[i].etag,
                                   .last_modified = pending[i].last_modified};
        one->code = pending[i].code;
        if (!REFERENCE_KINDS[l->reference].is_formed(str_of(one->code))) /* never sent, whatever silver says of it */
            continue;
        TRY(ask_through(l, question, &one->answer, err));
        if (l->is_away)
            return true;
        ++*ret_n;
        l->run->counts.rows_read++;
        count_unusable(l, &one->answer);
    }
    return true;
}

static bool end_page(Lookup *l, const ReferenceAnswer *answers, size_t n, Error *err) {
    if (n > 0)
        TRY(commit_page(l->run, l->reference, &(Page){.answers = answers, .n = n}, err));
    METRIC_SET(METRIC_REFERENCE_AVAILABLE, !l->is_away, REFERENCE_KINDS[l->reference].name);
    if (l->is_away)
        return reference_service_failed(l->run->pg, l->reference, l->wished_ms, l->error.text, arc4random(), err);
    return n == 0 || reference_service_answered(l->run->pg, l->reference, err);
}

static bool ask_all(Lookup *l, Error *err) {
    const char *after = "";
    ReferenceAnswer *answers = ARENA_ARRAY(l->run->arena, ReferenceAnswer, PAGE);
    for (;;) {
        ReferencePending *pending;
        size_t n, n_answers;
        TRY(reference_pending(l->run->pg, l->reference, after, PAGE, l->run->arena, &pending, &n, err));
        if (n == 0)
            return true;
        TRY(ask_page(l, pending, n, answers, &n_answers, err));
        TRY(end_page(l, answers, n_answers, err));
        l->run->counts.pages++;
        bool is_over = !l->is_away && clock_monotonic_us() >= l->end_us;
        l->run->wants_more = l->run->wants_more || is_over;
        if (l->is_away || is_over)
            return true;
        after = pending[n - 1].code;
    }
}

/* ---- files ---- */

/* Behind what is said of others already. */
static void say(RunContext *run, const char *why, const char *what_follows) {
    size_t size = strlen(run->note);
    snprintf(run->note + size, sizeof run->note - size, "%s%.250s: %s", size > 0 ? "; " : "", why, what_follows);
}

/* False, with `problem` unset, when it is the store that fails. */
static bool read_list(RunContext *run, Reference reference, ReferenceList *ret_list, Error *problem, Error *err) {
    const ReferenceService *service = &run->config->references[reference];
    int64_t line, other;
    if (!reference_file_read(service, reference, run->arena, ret_list, problem))
        return true;
    TRY(reference_list_find_conflict(run->pg, reference, ret_list, &line, &other, err));
    if (line > 0)
        error_set(problem, STATE_DATA, "%s, %s: lines %lld and %lld say different things of the same",
                  REFERENCE_KINDS[reference].subject, service->file, (long long)line, (long long)other);
    return true;
}

static bool refer_to_file(RunContext *run, Reference reference, Error *err) {
    ReferenceList list;
    Error problem = {0};
    bool is_kept = true;
    TRY(read_list(run, reference, &list, &problem, err));
    METRIC_SET(METRIC_REFERENCE_AVAILABLE, problem.state[0] == '\0', REFERENCE_KINDS[reference].name);
    if (problem.state[0])
        say(run, problem.text, "what was read of it before holds");
    else
        TRY(reference_list_is_kept(run->pg, reference, &list, &is_kept, err));
    if (!is_kept) {
        TRY(commit_page(run, reference, &(Page){.list = &list}, err));
        run->counts.rows_read += (int64_t)list.n;
    }
    return tell_known(run, reference, err);
}

/* ---- the whole ---- */

static void say_away(RunContext *run, const char *why) {
    say(run, why, "what it was not asked about stays unchecked, and it is asked again later");
}

static bool is_pending(RunContext *run, Reference reference, bool *ret_is, Error *err) {
    ReferencePending *ignored;
    size_t n;
    TRY(reference_pending(run->pg, reference, "", 1, run->arena, &ignored, &n, err));
    *ret_is = n > 0;
    return true;
}

static bool look_up(RunContext *run, Reference reference, Error *err) {
    const ReferenceService *service = &run->config->references[reference];
    HttpLimits limits = {.connect_ms = CONNECT_MS, .total_ms = service->timeout_ms, .answer_bytes_max = ANSWER_BYTES_MAX};
    CLEANUP(http_drop) HttpClient *client = http_open(&limits, run->canceled, err);
    TRY(client);
    Lookup l = {.run = run, .reference = reference, .service = service, .client = client,
                .end_us = clock_monotonic_us() + RUN_MS * INT64_C(1000)};
    TRY(ask_all(&l, err));
    if (l.is_away)
        say_away(run, l.error.text);
    return true;
}

static bool refer_to_register(RunContext *run, Reference reference, Error *err) {
    int64_t rest_ms;
    bool has_questions;
    TRY(tell_known(run, reference, err) && is_pending(run, reference, &has_questions, err));
    if (!has_questions)
        return true;
    TRY(reference_service_rest(run->pg, reference, &rest_ms, err));
    if (rest_ms <= 0)
        return look_up(run, reference, err);
    say_away(run, arena_printf(run->arena, "%s failed and is left alone for a while", REFERENCE_KINDS[reference].subject));
    return true;
}

bool step_reference(RunContext *run, Error *err) {
    for (Reference reference = 0; reference < REFERENCES; reference++)
        if (run->config->references[reference].enabled)
            TRY(REFERENCE_KINDS[reference].format ? refer_to_file(run, reference, err)
                                                  : refer_to_register(run, reference, err));
    return true;
}
