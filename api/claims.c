/* claims.c - POST /v1/claims: rows of a claims feed as they happen, each answered with what became of it.
 *
 * The loop finds the feed and the source, which a query names where the configuration leaves a choice; a worker reads
 * the rows and places them (steps/post.h). Members are named as the columns of files are, by their aliases too. What is
 * not a row of such members is refused whole, with the place of each mistake: nothing is guessed, nothing half
 * placed. No value of a row goes into an answer. */
#include "api/resources.h"
#include "api/rows.h"
#include "base/clock.h"
#include "steps/post.h"

#include <stdio.h>

/* ---- whose rows they are ---- */

/* The feed that is named, or the only one; NULL with a reply. */
static const char *find_feed(Call *call) {
    const char *name = call_param(call, "feed");
    const Config *config = call->control->config(call->control->ctx);
    if (name)
        return name;
    if (config->n_claims == 1)
        return config->claims[0].name;
    reply_input_error(&call->reply, "?feed", "names the claims feed, as /v1/jobs does; there are %zu", config->n_claims);
    return NULL;
}

/* The source that is named, or the only one of the feed's patterns; NULL with a reply. */
static const char *find_source(Call *call, const ClaimsConfig *claims) {
    const char *name = call_param(call, "source");
    bool is_only = claims->n_from > 0;
    for (size_t i = 0; i < claims->n_from; i++) {
        if (name && strcmp(claims->from[i].source, name) == 0)
            return claims->from[i].source;
        is_only &= strcmp(claims->from[i].source, claims->from[0].source) == 0;
    }
    if (!name && is_only)
        return claims->from[0].source;
    reply_input_error(&call->reply, "?source", "names one of the sources that `from` of %s names", claims->name);
    return NULL;
}

static void leave(Call *call) { call->control->leave(call->control->ctx, call->has_news); }

Handling claims_post(Call *call, Error *err) {
    const char *feed = find_feed(call);
    if (!feed)
        return CALL_ANSWERED;
    switch (call->control->enter(call->control->ctx, feed, &call->guest, err)) {
    case CONTROL_DONE:
        call->over = leave;
        return CALL_TO_WORKER;
    case CONTROL_UNKNOWN:
        reply_input_error(&call->reply, "?feed", "there is no claims feed of this name");
        return CALL_ANSWERED;
    default:
        return CALL_FAILED;
    }
}

/* ---- placing ---- */

static void answer(Call *call, const PostResult *result) {
    switch (result->outcome) {
    case POST_KEY_TAKEN:
        reply_problem(&call->reply, 422, "this Idempotency-Key was used for another request");
        return;
    case POST_NOT_READY:
        reply_header(&call->reply, "Retry-After", "5");
        reply_problem(&call->reply, 503, "the feed's mapping changed, and what it has is cleaned anew first");
        return;
    case POST_ANSWERED:
        reply_header(&call->reply, "Idempotency-Replayed", "true");
        break;
    case POST_PLACED:
        break;
    }
    call->reply.caching = REPLY_NO_STORE;
    reply_header(&call->reply, "Location", arena_printf(call->arena, "/v1/files/%lld", (long long)result->file_id));
    reply_text(&call->reply, 200, "application/json", result->answer);
}

/* The request's id goes in: the same body sent again is another delivery, unless its key says that it is not. */
static FileBytes bytes_of(const Call *call) {
    FileBytes bytes = {.size_bytes = (int64_t)call->raw.size};
    idempotency_print(call->method, call->id, call->raw, bytes.sha256);
    return bytes;
}

bool claims_place(Call *call, struct Pg *pg, Error *err) {
    const ClaimsConfig *claims = call->guest.claims;
    PostedRows rows;
    const char *source = find_source(call, claims);
    if (!source)
        return true;
    if (claims->format == FORMAT_X12) {
        reply_input_error(&call->reply, "?feed", "%s takes X12 files, not rows", claims->name);
        return true;
    }
    if (!rows_read(call->raw, call->is_ndjson ? ROWS_LINES : ROWS_ARRAY, claims, call->arena, &call->reply, &rows))
        return true;
    PostedKey key = {.token_id = call->token_id};
    if (call->idempotency_key)
        idempotency_print("key", "", str_of(call->idempotency_key), key.key);
    memcpy(key.request, call->print, sizeof key.request);
    Post post = {.config = call->guest.config, .claims = claims, .source_system = source, .epoch = call->guest.epoch,
                 .values = rows.values, .n_rows = rows.n, .posted_us = clock_wall_us(), .bytes = bytes_of(call),
                 .key = call->idempotency_key ? &key : NULL};
    PostResult result;
    TRY(post_claims(&post, pg, call->arena, &result, err));
    call->has_news = result.has_news;
    answer(call, &result);
    return true;
}
