/* runs.c - /v1/runs: what ran and what is running, waiting for it, ending it, releasing it, trying it again.
 *
 * The newest thousand runs are in memory and answered from there; older ones from the store. */
#include "api/resources.h"
#include "api/stored.h"
#include "base/clock.h"
#include "storage/run_store.h"

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

Handling runs_get(Call *call, Error *err) {
    (void)err;
    int64_t id;
    RunView run;
    if (!call_read_wait(call) || !call_id_segment(call, 0, &id))
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

/* *ret_id is 0 when that was answered: no id, or no such run. */
static bool find_stored(Call *call, struct Pg *pg, int64_t *ret_id, RunRow *ret_row, Error *err) {
    bool found = true;
    *ret_id = 0;
    int64_t id;
    if (!call_id_segment(call, 0, &id))
        return true;
    TRY(run_find(pg, id, call->arena, ret_row, &found, err));
    if (!found)
        reply_problem(&call->reply, 404, "there is nothing with this id");
    *ret_id = found ? id : 0;
    return true;
}

/* Not in memory: it has ended, another daemon has it, or there never was one. */
static bool refuse_stored(Call *call, struct Pg *pg, const char *why, Error *err) {
    int64_t id;
    RunRow row;
    TRY(find_stored(call, pg, &id, &row, err));
    if (id)
        reply_problem(&call->reply, 409, "%s", strcmp(row.state, "held") == 0 ? "another daemon holds the lease of this job"
                                                                               : why);
    return true;
}

bool runs_cancel_stored(Call *call, struct Pg *pg, Error *err) {
    return refuse_stored(call, pg, "the run has ended", err);
}

bool runs_approve_stored(Call *call, struct Pg *pg, Error *err) {
    return refuse_stored(call, pg, "the run is not held: there is nothing to approve", err);
}

/* ---- again ---- */

/* NULL: a run that ended so may be tried again. */
static const char *why_no_retry(const char *state) {
    if (strcmp(state, "failed") == 0 || strcmp(state, "canceled") == 0)
        return NULL;
    if (strcmp(state, "succeeded") == 0)
        return "the run succeeded: there is nothing to try again";
    if (strcmp(state, "held") == 0)
        return "the run is held: approve it, or cancel it and then try again";
    return "the run has not ended";
}

/* As it was asked for: same job, mode, range. */
static void start_again(Call *call, const RunView *run) {
    const char *why_not = why_no_retry(run->state);
    ControlTrigger trigger = {.job = run->job, .mode = run->mode, .from = run->from, .to = run->to,
                              .dry_run = run->is_plan, .actor = call->actor};
    if (why_not)
        reply_problem(&call->reply, 409, "%s", why_not);
    else if (jobs_start_run(call, &trigger) == CONTROL_UNKNOWN)
        reply_problem(&call->reply, 409, "the configuration has no job %s any more", run->job);
}

Handling runs_retry(Call *call, Error *err) {
    (void)err;
    int64_t id;
    RunView run;
    if (!call_id_segment(call, 0, &id))
        return CALL_ANSWERED;
    if (!call->found && !call->control->find_run(call->control->ctx, id, &run))
        return CALL_TO_WORKER;
    start_again(call, call->found ? call->found : &run);
    return CALL_ANSWERED;
}

/* A run of before the last start, or one of long ago: what was asked for is known to the store alone. */
bool runs_retry_stored(Call *call, struct Pg *pg, Error *err) {
    int64_t id;
    RunRow row;
    TRY(find_stored(call, pg, &id, &row, err));
    if (!id)
        return true;
    RunView *run = ARENA_NEW(call->arena, RunView);
    *run = (RunView){.id = id, .job = row.job, .mode = row.mode, .state = row.state, .from = row.range_from,
                     .to = row.range_to, .is_plan = row.is_dry};
    call->found = run;
    return true;
}
