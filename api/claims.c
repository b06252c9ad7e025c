/* claims.c - POST /v1/claims: rows of a claims feed as they happen, each answered with what became of it.
 *
 * The loop finds the feed and the source, which a query names where the configuration leaves a choice; a worker reads
 * the rows and places them (steps/post.h). Members are named as the columns of files are, by their aliases too. What is
 * not a row of such members is refused whole, with the place of each mistake: nothing is guessed, nothing half
 * placed. No value of a row goes into an answer. */
#include "api/resources.h"
#include "base/clock.h"
#include "steps/delivery.h"
#include "steps/post.h"

#include <stdio.h>

enum { ROWS_MAX = 10000, MISTAKES_MAX = 20, POINTER_BYTES = 160 };

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

/* ---- the rows ---- */

typedef struct Rows {
    Call *call;
    const ClaimsConfig *claims;
    const char *const *names;
    size_t n_names;
    Str *values; /* row-major */
    size_t n, capacity;
    int n_mistakes;
} Rows;

/* "#/17/ClaimID", RFC 6901. The member's name is the client's own. */
static const char *pointer_to(Rows *rows, const char *member) {
    char text[POINTER_BYTES];
    size_t size = (size_t)snprintf(text, sizeof text, "#/%zu%s", rows->n, member ? "/" : "");
    for (; member && *member && size + 3 < sizeof text; member++) {
        if (*member == '~' || *member == '/')
            text[size++] = '~';
        text[size++] = *member == '~' ? '0' : *member == '/' ? '1' : *member;
    }
    text[size] = 0;
    return arena_string(rows->call->arena, str_of(text));
}

static void mistake(Rows *rows, const char *member, const char *detail) {
    if (rows->n_mistakes++ < MISTAKES_MAX)
        reply_input_error(&rows->call->reply, pointer_to(rows, member), "%s", detail);
}

static bool add_row(Rows *rows) {
    if (rows->n == ROWS_MAX) {
        reply_problem(&rows->call->reply, 413, "the body holds more than %d rows", ROWS_MAX);
        rows->n_mistakes++;
        return false;
    }
    if (rows->n == rows->capacity) {
        size_t capacity = rows->capacity ? 2 * rows->capacity : 16;
        Str *grown = ARENA_ARRAY(rows->call->arena, Str, capacity * rows->n_names);
        if (rows->n)
            memcpy(grown, rows->values, rows->n * rows->n_names * sizeof *grown);
        rows->values = grown;
        rows->capacity = capacity;
    }
    for (size_t i = 0; i < rows->n_names; i++)
        rows->values[rows->n * rows->n_names + i] = STR_NULL;
    return true;
}

static const char *column_of(const Rows *rows, const char *member, size_t *ret_index) {
    const char *name = delivery_column_name(rows->claims, str_of(member));
    for (size_t i = 0; i < rows->n_names; i++)
        if (strcmp(rows->names[i], member) == 0 || (name && strcmp(rows->names[i], name) == 0)) {
            *ret_index = i;
            return rows->names[i];
        }
    return NULL;
}

/* Text as in a file; a number with a fraction has lost its digits when it gets here. */
static const char *take_value(Rows *rows, const json_t *value, Str *ret_text) {
    Arena *arena = rows->call->arena;
    if (json_is_string(value))
        *ret_text = arena_copy(arena, (Str){json_string_value(value), json_string_length(value)});
    else if (json_is_integer(value))
        *ret_text = str_of(arena_printf(arena, "%lld", (long long)json_integer_value(value)));
    else if (!json_is_null(value))
        return json_is_real(value) ? "a number with a fraction is written as a string, so that no digit is lost"
                                   : "a string, a whole number or null is expected";
    return NULL;
}

static void take_row(Rows *rows, json_t *row) {
    bool *is_given = ARENA_ARRAY(rows->call->arena, bool, rows->n_names + 1);
    const char *member, *why;
    json_t *value;
    if (!json_is_object(row)) {
        mistake(rows, NULL, "a row is a JSON object");
        return;
    }
    json_object_foreach(row, member, value) {
        size_t i;
        if (!column_of(rows, member, &i))
            mistake(rows, member, "the feed's mapping asks for no such member");
        else if (is_given[i])
            mistake(rows, member, "this column is given twice, by two of its names");
        else if ((why = take_value(rows, value, &rows->values[rows->n * rows->n_names + i])))
            mistake(rows, member, why);
        else
            is_given[i] = true;
    }
}

static void read_array(Rows *rows) {
    json_error_t why;
    json_t *body = json_loadb(rows->call->raw.at, rows->call->raw.size, JSON_REJECT_DUPLICATES, &why), *row;
    size_t i;
    if (!body)
        reply_input_error(&rows->call->reply, "#", "the body is not JSON: mistake at line %d, column %d", why.line, why.column);
    else if (!json_is_array(body))
        reply_input_error(&rows->call->reply, "#", "the body is not a JSON array of rows");
    rows->n_mistakes += !json_is_array(body);
    json_array_foreach(body, i, row) {
        if (!add_row(rows))
            break;
        take_row(rows, row);
        rows->n++;
    }
    json_decref(body);
}

static void read_line(Rows *rows, Str line, size_t number) {
    json_error_t why;
    json_t *row = json_loadb(line.at, line.size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (!row)
        mistake(rows, NULL, arena_printf(rows->call->arena, "line %zu is not JSON: mistake at column %d", number, why.column));
    else
        take_row(rows, row);
    json_decref(row);
}

/* Empty lines are none. */
static void read_lines(Rows *rows) {
    Str rest = rows->call->raw;
    for (size_t number = 1; rest.size > 0; number++) {
        const char *end = memchr(rest.at, '\n', rest.size);
        Str line = {rest.at, end ? (size_t)(end - rest.at) : rest.size};
        size_t taken = line.size + (end != NULL);
        rest = (Str){rest.at + taken, rest.size - taken};
        line = str_trim(line);
        if (line.size == 0)
            continue;
        if (!add_row(rows))
            return;
        read_line(rows, line, number);
        rows->n++;
    }
}

/* False with a reply that says where the mistakes are. */
static bool read_rows(Call *call, Rows *ret_rows) {
    Rows rows = {.call = call, .claims = call->guest.claims};
    rows.names = post_columns(rows.claims, call->arena, &rows.n_names);
    if (call->is_ndjson)
        read_lines(&rows);
    else if (call->raw.size > 0)
        read_array(&rows);
    if (rows.n == 0 && rows.n_mistakes == 0)
        rows.n_mistakes += !reply_input_error(&call->reply, "#", "the body holds no row");
    *ret_rows = rows;
    return rows.n_mistakes == 0;
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
    Rows rows;
    const char *source = find_source(call, claims);
    if (!source)
        return true;
    if (claims->format == FORMAT_X12) {
        reply_input_error(&call->reply, "?feed", "%s takes X12 files, not rows", claims->name);
        return true;
    }
    if (!read_rows(call, &rows))
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
