/* nppes.c - see nppes.h. */
#include "storage/nppes.h"

#include "base/own.h"

#include <jansson.h>

enum { TAXONOMIES_MAX = 64, VALIDATOR_LINE_BYTES = 300 };

DEFINE_DROP(json_t, json_drop, json_decref)

static const char *const OUTCOMES[] = {"found", "not_found", "unchanged", "unusable"};
const char *nppes_outcome_name(NppesOutcome outcome) { return OUTCOMES[outcome]; }

static void say_unusable(NppesAnswer *answer, const char *why) {
    answer->outcome = NPPES_UNUSABLE;
    answer->why = why;
}

/* ---- what the answer's JSON says ---- */

static bool is_number(const json_t *value, const char *npi) {
    char text[24] = "";
    if (json_is_integer(value))
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
    return strcmp(json_is_string(value) ? json_string_value(value) : text, npi) == 0;
}

static const json_t *find_entry(const json_t *results, const char *npi) {
    for (size_t i = 0; i < json_array_size(results); i++)
        if (is_number(json_object_get(json_array_get(results, i), "number"), npi))
            return json_array_get(results, i);
    return NULL;
}

static void take_taxonomies(const json_t *list, Arena *arena, NppesAnswer *answer) {
    Str *taxonomies = ARENA_ARRAY(arena, Str, TAXONOMIES_MAX);
    for (size_t i = 0; i < json_array_size(list) && answer->n_taxonomies < TAXONOMIES_MAX; i++) {
        const char *words = json_string_value(json_object_get(json_array_get(list, i), "desc"));
        if (words && *words)
            taxonomies[answer->n_taxonomies++] = str_of(arena_string(arena, str_of(words)));
    }
    answer->taxonomies = taxonomies;
}

static void take_entry(const json_t *entry, Arena *arena, NppesAnswer *answer) {
    const char *status = json_string_value(json_object_get(json_object_get(entry, "basic"), "status"));
    const char *kind = json_string_value(json_object_get(entry, "enumeration_type"));
    answer->outcome = !status || strcmp(status, "A") == 0 ? NPPES_FOUND : NPPES_NOT_FOUND;
    answer->is_organization = kind && strcmp(kind, "NPI-2") == 0;
    take_taxonomies(json_object_get(entry, "taxonomies"), arena, answer);
}

static void read_json(const json_t *root, const char *npi, Arena *arena, NppesAnswer *answer) {
    const json_t *results = json_object_get(root, "results"), *count = json_object_get(root, "result_count");
    const json_t *entry = find_entry(results, npi);
    if (json_object_get(root, "Errors"))
        say_unusable(answer, "it answers with errors");
    else if (!json_is_array(results) || !json_is_integer(count))
        say_unusable(answer, "its answer has no results");
    else if (entry)
        take_entry(entry, arena, answer);
    else if (json_array_size(results) > 0 || json_integer_value(count) != 0)
        say_unusable(answer, "its answer is about another number");
    else
        answer->outcome = NPPES_NOT_FOUND;
}

/* ---- the request ---- */

static bool is_json(const HttpReply *reply) {
    return strncasecmp(reply->content_type, "application/json", strlen("application/json")) == 0;
}

static const char *kept(Arena *arena, const char *header) {
    return header[0] ? arena_string(arena, str_of(header)) : NULL;
}

static void read_reply(const HttpReply *reply, const char *npi, Arena *arena, NppesAnswer *answer) {
    answer->etag = kept(arena, reply->etag);
    answer->last_modified = kept(arena, reply->last_modified);
    if (!is_json(reply)) {
        say_unusable(answer, "its answer is no JSON");
        return;
    }
    CLEANUP(json_drop) json_t *root = json_loadb(reply->body.data ? reply->body.data : "", reply->body.size, 0, NULL);
    if (!json_is_object(root))
        say_unusable(answer, "its answer cannot be read");
    else
        read_json(root, npi, arena, answer);
}

static bool send(HttpClient *client, const NppesQuestion *question, Arena *arena, HttpReply *reply, Error *err) {
    char etag[VALIDATOR_LINE_BYTES], modified[VALIDATOR_LINE_BYTES];
    HttpRequest request = {.method = "GET", .subject = "the NPI registry", .body = STR_NULL};
    request.url = arena_printf(arena, "%s%cversion=2.1&number=%s", question->endpoint,
                               strchr(question->endpoint, '?') ? '&' : '?', question->npi);
    size_t n = 0;
    if (question->etag && snprintf(etag, sizeof etag, "If-None-Match: %s", question->etag) < (int)sizeof etag)
        request.headers[n++] = etag;
    if (question->last_modified &&
        snprintf(modified, sizeof modified, "If-Modified-Since: %s", question->last_modified) < (int)sizeof modified)
        request.headers[n++] = modified;
    return http_send(client, &request, reply, err);
}

bool nppes_ask(HttpClient *client, const NppesQuestion *question, Arena *arena, NppesAnswer *ret_answer, Error *err) {
    CLEANUP(http_reply_done) HttpReply reply;
    NppesAnswer answer = {.retry_after_ms = -1};
    bool came = send(client, question, arena, &reply, err);
    answer.retry_after_ms = reply.retry_after_ms;
    *ret_answer = answer;
    if (!came && strcmp(err->state, "54000") == 0) { /* an answer, of a sort */
        error_clear(err);
        say_unusable(ret_answer, "its answer is too long");
        return true;
    }
    TRY(came);
    if (reply.status == 304 && (question->etag || question->last_modified))
        ret_answer->outcome = NPPES_UNCHANGED;
    else if (reply.status == 200)
        read_reply(&reply, question->npi, arena, ret_answer);
    else
        return http_status_error(reply.status, "the NPI registry", err);
    return true;
}
