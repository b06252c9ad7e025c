/* config.c - /v1/config: the configuration in force, and taking another one. */
#include "api/resources.h"
#include "base/clock.h"

enum { WAIT_S = 55 };

Handling config_get(Call *call, Error *err) {
    (void)err;
    reply_json(&call->reply, 200, config_json(call->control->config(call->control->ctx)));
    return CALL_ANSWERED;
}

static void answer_taken(Call *call, const ReloadOutcome *outcome) {
    reply_json(&call->reply, 200, json_pack("{s:s, s:b, s:o}", "state", "taken", "needs_restart",
                                            outcome->needs_restart, "changes", config_changes_json(&outcome->changes)));
}

static void answer_refused(Call *call, const ReloadOutcome *outcome) {
    json_t *errors = json_array();
    for (size_t i = 0; i < outcome->n_mistakes; i++)
        json_array_append_new(errors, json_pack("{s:s, s:s}", "pointer", outcome->mistakes[i].place, "detail",
                                                outcome->mistakes[i].sentence));
    reply_problem_with(&call->reply, 422, json_pack("{s:o}", "errors", errors),
                       "the configuration has mistakes; the old one stays in force");
}

/* What the configuration wants and the store cannot give is the asker's to mend, not a fault of ours. */
static Handling answer_failed(Call *call, const Error *why, Error *err) {
    *err = *why;
    if (error_class(why) != ERROR_CONFIGURATION)
        return CALL_FAILED;
    reply_problem(&call->reply, 409, "%s%s%s", why->text, why->hint[0] ? "; " : "", why->hint);
    return CALL_ANSWERED;
}

/* Waits for the end, which comes when the runs under way have come to the end of their page. */
Handling config_post_reload(Call *call, Error *err) {
    if (!call->awaited) {
        if (json_object_size(call->body) > 0) {
            reply_input_error(&call->reply, "#", "no members are expected here");
            return CALL_ANSWERED;
        }
        call->awaited = reloads_ask(call->control->reloads, call->actor);
        call->wait_until_us = clock_monotonic_us() + WAIT_S * 1000000LL;
    }
    ReloadOutcome outcome = reloads_find(call->control->reloads, call->awaited);
    switch (outcome.state) {
    case RELOAD_TAKEN:
        answer_taken(call, &outcome);
        return CALL_ANSWERED;
    case RELOAD_REFUSED:
        answer_refused(call, &outcome);
        return CALL_ANSWERED;
    case RELOAD_FAILED:
        return answer_failed(call, &outcome.error, err);
    default:
        if (!call->is_last_look)
            return CALL_WAIT;
        reply_json(&call->reply, 202, json_pack("{s:s}", "state", "under way"));
        return CALL_ANSWERED;
    }
}
