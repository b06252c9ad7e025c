/* bigquery_call.c - see bigquery_call.h. */
#include "storage/bigquery_call.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdarg.h>
#include <sys/random.h>

enum { PAUSE_MS_MAX = 32 * 1000, RETRY_AFTER_MS_MAX = 120 * 1000 };

/* https://cloud.google.com/bigquery/docs/error-messages */
const char *bigquery_state_of_reason(const char *reason) {
    static const struct {
        const char *reason, *state;
    } REASONS[] = {
        {"accessDenied", STATE_AUTH},
        {"backendError", STATE_CONNECTION},
        {"billingNotEnabled", STATE_AUTH},
        {"billingTierLimitExceeded", STATE_CONFIG},
        {"blocked", "53400"},
        {"bytesBilledLimitExceeded", "53400"}, /* our own cap: it has room again tomorrow */
        {"duplicate", STATE_CONFLICT},
        {"internalError", STATE_CONNECTION},
        {"invalid", STATE_CONFIG},
        {"invalidQuery", STATE_CONFIG},
        {"invalidUser", STATE_AUTH},
        {"jobBackendError", STATE_CONNECTION},
        {"jobInternalError", STATE_CONNECTION},
        {"jobRateLimitExceeded", "53400"},
        {"notFound", STATE_MISSING},
        {"quotaExceeded", "53400"},
        {"rateLimitExceeded", "53400"},
        {"resourceInUse", STATE_BUSY},
        {"resourcesExceeded", "53400"},
        {"stopped", STATE_CANCELED},
        {"tableUnavailable", STATE_CONNECTION},
        {"timeout", "53400"},
    };
    for (size_t i = 0; i < sizeof REASONS / sizeof *REASONS; i++)
        if (strcmp(REASONS[i].reason, reason) == 0)
            return REASONS[i].state;
    return NULL;
}

bool bigquery_url(const BigQuery *bq, char *ret_url, Error *err, const char *prefix, const char *format,
                  ...) {
    int size = snprintf(ret_url, BIGQUERY_URL_BYTES, "%s%s/bigquery/v2/projects/%s", bq->endpoint,
                        prefix, bq->project);
    if (size < BIGQUERY_URL_BYTES) {
        va_list args;
        va_start(args, format);
        size += vsnprintf(ret_url + size, (size_t)(BIGQUERY_URL_BYTES - size), format, args);
        va_end(args);
    }
    if (size >= BIGQUERY_URL_BYTES)
        return error_set(err, STATE_CONFIG, "project and dataset make too long an address");
    return true;
}

json_t *bigquery_parse(const HttpReply *reply, const char *what, Error *err) {
    json_t *object = json_loadb(reply->body.data ? reply->body.data : "", reply->body.size, 0, NULL);
    if (!json_is_object(object)) {
        json_decref(object);
        error_set(err, STATE_CONNECTION, "%s: BigQuery's answer is not a JSON object", what);
        return NULL;
    }
    return object;
}

/* The first `reason` of an error answer, "" when there is none. */
static void find_reason(const HttpReply *reply, char ret_reason[64]) {
    CLEANUP(json_drop) json_t *object =
        json_loadb(reply->body.data ? reply->body.data : "", reply->body.size, 0, NULL);
    json_t *errors = json_object_get(json_object_get(object, "error"), "errors");
    const char *reason = json_string_value(json_object_get(json_array_get(errors, 0), "reason"));
    snprintf(ret_reason, 64, "%s", reason ? reason : "");
}

/* A 403 may be a missing right, for good, or a rate, for a moment: only the reason tells. */
static bool fail_status(const HttpReply *reply, const char *what, Error *err) {
    char reason[64];
    find_reason(reply, reason);
    const char *state = bigquery_state_of_reason(reason);
    http_status_error(reply->status, "BigQuery", err);
    if (reply->status == 403 && state)
        error_set(err, state, "BigQuery forbids the request (HTTP 403, %s)", reason);
    if (error_class(err) == ERROR_CONFIGURATION && strcmp(err->state, STATE_AUTH) == 0)
        error_hint(err, "the account needs BigQuery Data Editor on the dataset and BigQuery Job User "
                        "on the project");
    return error_context(err, "%s", what);
}

static bool is_expected(const BigQueryCall *call, int status) {
    if (status >= 200 && status < 300)
        return true;
    for (size_t i = 0; i < sizeof call->expected / sizeof *call->expected; i++)
        if (call->expected[i] == status && status != 0)
            return true;
    return false;
}

bool bigquery_try(BigQuery *bq, const BigQueryCall *call, HttpReply *reply, bool *ret_again, Error *err) {
    *ret_again = false;
    const char *token;
    if (!gcp_auth_token(bq->auth, bq->http, &token, err)) {
        *ret_again = error_class(err) == ERROR_TRANSIENT;
        return error_context(err, "%s", call->what);
    }
    HttpRequest request = {
        .method = call->method, .url = call->url, .subject = "BigQuery", .bearer = token,
        .content_type = call->content_type, .headers = {call->header}, .body = call->body};
    bq->usage.requests++;
    bq->usage.bytes_sent += (int64_t)call->body.size;
    if (!http_send(bq->http, &request, reply, err)) {
        *ret_again = error_class(err) == ERROR_TRANSIENT;
        return error_context(err, "%s", call->what);
    }
    if (is_expected(call, reply->status))
        return true;
    if (reply->status == 401 && token) { /* it may have ended early: another one, once more */
        gcp_auth_forget(bq->auth);
        *ret_again = true;
    }
    fail_status(reply, call->what, err);
    *ret_again = *ret_again || error_class(err) == ERROR_TRANSIENT;
    return false;
}

static double random_share(void) {
    uint32_t bits = 0;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != sizeof bits)
        bits = (uint32_t)clock_monotonic_us();
    return bits / 4294967296.0;
}

/* Half of the doubled pause is certain, half is chance. */
static int64_t pause_of(const BigQuery *bq, int try) {
    int64_t ms = bq->retry_ms << (try - 1);
    if (ms > PAUSE_MS_MAX)
        ms = PAUSE_MS_MAX;
    return ms / 2 + (int64_t)(random_share() * (double)ms / 2);
}

bool bigquery_pause(BigQuery *bq, int try, Error *err) { return http_pause(pause_of(bq, try), bq->cancel, err); }

bool bigquery_back_off(BigQuery *bq, int try, const HttpReply *reply, Error *err) {
    int64_t ms = pause_of(bq, try);
    if (reply->retry_after_ms > RETRY_AFTER_MS_MAX)
        return false; /* longer than a worker may be kept: the run waits instead */
    if (reply->retry_after_ms > ms)
        ms = reply->retry_after_ms;
    bq->usage.retries++;
    LOG_INFO("bigquery asked to try again", LOG_INT("try", try), LOG_INT("pause_ms", ms),
             LOG_TEXT("why", err->text));
    Error canceled = {0};
    if (http_pause(ms, bq->cancel, &canceled))
        return true;
    *err = canceled;
    return false;
}

bool bigquery_call(BigQuery *bq, const BigQueryCall *call, HttpReply *reply, Error *err) {
    for (int try = 1;; try++) {
        bool again;
        if (bigquery_try(bq, call, reply, &again, err))
            return true;
        if (!again || try >= BIGQUERY_TRIES || !bigquery_back_off(bq, try, reply, err))
            return false;
        http_reply_done(reply);
        *reply = (HttpReply){.retry_after_ms = -1};
    }
}
