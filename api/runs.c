/* runs.c - /v1/runs: what ran and what is running, waiting for it, ending it, releasing it.
 *
 * The newest thousand runs are in memory and answered from there; older ones from the store. */
#include "api/resources.h"
#include "api/stored.h"
#include "base/clock.h"

enum { WAIT_MAX_S = 60 };

static bool is_final(const char *state) {
    static const char *const FINAL[] = {"held", "succeeded", "failed", "canceled"};
    for (size_t i = 0; i < sizeof FINAL / sizeof *FINAL; i++)
        if (strcmp(FINAL[i], state) == 0)
            return true;
    return false;
}

static bool check_filters(Call *call) {
    static const char *const STATES[] = {"queued", "running",   "waiting", "held",
                                         "succeeded", "failed", "canceled"};
    const char *state = call_param(call, "state"), *since = call_param(call, "since");
    size_t i = 0;
    while (state && i < 7 && strcmp(STATES[i], state) != 0)
        i++;
    bool fine = true;
    if (i == 7)
        fine = reply_input_error(&call->reply, "?state",
                                 "queued, running, waiting, held, succeeded, failed or canceled");
    if (since && !call_is_instant(since))
        fine = reply_input_error(&call->reply, "?since", "a date or an instant of RFC 3339");
    return fine;
}

bool runs_list(Call *call, struct Pg *pg, Error *err) {
    if (!check_filters(call))
        return true;
    return stored_list(call, pg, REPORT_RUNS, (const char *const[3]){"job", "state", "since"}, err);
}

/* Sets wait_until_us at the first look. False when ?wait= is wrong. */
static bool read_wait(Call *call) {
    const char *wait = call_param(call, "wait");
    int64_t seconds;
    if (!wait || call->wait_until_us)
        return true;
    if (!str_to_int64(str_of(wait), &seconds) || seconds < 0 || seconds > WAIT_MAX_S)
        return reply_input_error(&call->reply, "?wait", "seconds from 0 to %d", WAIT_MAX_S);
    call->wait_until_us = clock_monotonic_us() + seconds * 1000000;
    return true;
}

Handling runs_get(Call *call, Error *err) {
    (void)err;
    int64_t id;
    RunView run;
    if (!read_wait(call) || !call_id_segment(call, 0, &id))
        return CALL_ANSWERED;
    if (!call->control->find_run(call->control->ctx, id, &run))
        return CALL_TO_WORKER;
    if (!is_final(run.state) && call->wait_until_us > clock_monotonic_us() && !call->is_last_look)
        return CALL_WAIT;
    reply_json(&call->reply, 200, run_json(&run));
    return CALL_ANSWERED;
}

bool runs_get_stored(Call *call, struct Pg *pg, Error *err) {
    return stored_item(call, pg, REPORT_RUN, err);
}

static Handling answer_decision(Call *call, int64_t id, ControlOutcome outcome, const Error *err) {
    RunView run;
    switch (outcome) {
    case CONTROL_UNKNOWN:
        return CALL_TO_WORKER;
    case CONTROL_DONE:
        call->control->find_run(call->control->ctx, id, &run);
        reply_json(&call->reply, 202, run_json(&run));
        return CALL_ANSWERED;
    default:
        reply_problem(&call->reply, 409, "%s", err->text);
        return CALL_ANSWERED;
    }
}

Handling runs_cancel(Call *call, Error *err) {
    int64_t id;
    if (!call_id_segment(call, 0, &id))
        return CALL_ANSWERED;
    return answer_decision(call, id, call->control->cancel(call->control->ctx, id, call->actor, err), err);
}

Handling runs_approve(Call *call, Error *err) {
    int64_t id;
    if (!call_id_segment(call, 0, &id))
        return CALL_ANSWERED;
    return answer_decision(call, id, call->control->approve(call->control->ctx, id, err), err);
}

/* Not in memory: it has ended, or there never was one. */
bool runs_cancel_stored(Call *call, struct Pg *pg, Error *err) {
    TRY(stored_item(call, pg, REPORT_RUN, err));
    if (call->reply.status == 200)
        reply_problem(&call->reply, 409, "the run has ended");
    return true;
}

bool runs_approve_stored(Call *call, struct Pg *pg, Error *err) {
    TRY(stored_item(call, pg, REPORT_RUN, err));
    if (call->reply.status == 200)
        reply_problem(&call->reply, 409, "the run is not held: there is nothing to approve");
    return true;
}
