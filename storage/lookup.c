/* lookup.c - see lookup.h. */
#include "storage/lookup.h"

#include "base/own.h"
#include "storage/clinical_tables.h"
#include "storage/nppes.h"

enum { VALIDATOR_LINE_BYTES = 300 };

DEFINE_DROP(json_t, json_drop, json_decref)

static const struct {
    const char *probe;
    const char *(*url)(Arena *arena, const LookupQuestion *question);
    void (*read)(const json_t *root, const LookupQuestion *question, Arena *arena, LookupAnswer *answer);
} SERVICES[REFERENCE_REGISTERS] = {
    [REFERENCE_NPI] = {"1234567893", nppes_url, nppes_read}, /* CMS's own example of the check digit */
    [REFERENCE_ICD10] = {"E11.9", icd10_list_url, clinical_tables_read},
    [REFERENCE_HCPCS] = {"A0428", hcpcs_list_url, clinical_tables_read},
};

static const char *const OUTCOMES[] = {"found", "not_found", "unchanged", "unusable", "further"};
const char *lookup_outcome_name(LookupOutcome outcome) { return OUTCOMES[outcome]; }

void lookup_say_unusable(LookupAnswer *answer, const char *why) {
    answer->outcome = LOOKUP_UNUSABLE;
    answer->why = why;
}

static bool is_json(const HttpReply *reply) {
    return strncasecmp(reply->content_type, "application/json", strlen("application/json")) == 0;
}

static const char *kept(Arena *arena, const char *header) {
    return header[0] ? arena_string(arena, str_of(header)) : NULL;
}

static void read_reply(const HttpReply *reply, Reference reference, const LookupQuestion *question, Arena *arena,
                       LookupAnswer *answer) {
    if (question->from == 0) {
        answer->etag = kept(arena, reply->etag);
        answer->last_modified = kept(arena, reply->last_modified);
    }
    if (!is_json(reply)) {
        lookup_say_unusable(answer, "its answer is no JSON");
        return;
    }
    CLEANUP(json_drop) json_t *root = json_loadb(reply->body.data ? reply->body.data : "", reply->body.size, 0, NULL);
    if (!root)
        lookup_say_unusable(answer, "its answer cannot be read");
    else
        SERVICES[reference].read(root, question, arena, answer);
}

static bool has_validators(const LookupQuestion *question) {
    return question->from == 0 && (question->etag || question->last_modified);
}

static bool send(HttpClient *client, Reference reference, const LookupQuestion *question, Arena *arena,
                 HttpReply *reply, Error *err) {
    char etag[VALIDATOR_LINE_BYTES], modified[VALIDATOR_LINE_BYTES];
    HttpRequest request = {.method = "GET", .subject = REFERENCE_KINDS[reference].subject,
                           .url = SERVICES[reference].url(arena, question), .body = STR_NULL};
    size_t n = 0;
    bool asks_whether_changed = has_validators(question);
    if (asks_whether_changed && question->etag &&
        snprintf(etag, sizeof etag, "If-None-Match: %s", question->etag) < (int)sizeof etag)
        request.headers[n++] = etag;
    if (asks_whether_changed && question->last_modified &&
        snprintf(modified, sizeof modified, "If-Modified-Since: %s", question->last_modified) < (int)sizeof modified)
        request.headers[n++] = modified;
    return http_send(client, &request, reply, err);
}

bool lookup_ask(HttpClient *client, Reference reference, const LookupQuestion *question, Arena *arena,
                LookupAnswer *ret_answer, Error *err) {
    CLEANUP(http_reply_done) HttpReply reply;
    LookupAnswer answer = {.retry_after_ms = -1};
    bool came = send(client, reference, question, arena, &reply, err);
    answer.retry_after_ms = reply.retry_after_ms;
    *ret_answer = answer;
    if (!came && strcmp(err->state, "54000") == 0) { /* an answer, of a sort */
        error_clear(err);
        lookup_say_unusable(ret_answer, "its answer is too long");
        return true;
    }
    TRY(came);
    if (reply.status == 304 && has_validators(question))
        ret_answer->outcome = LOOKUP_UNCHANGED;
    else if (reply.status == 200)
        read_reply(&reply, reference, question, arena, ret_answer);
    else
        return http_status_error(reply.status, REFERENCE_KINDS[reference].subject, err);
    return true;
}

bool lookup_probe(HttpClient *client, Reference reference, const char *endpoint, Arena *arena, Error *err) {
    LookupQuestion question = {.endpoint = endpoint, .code = SERVICES[reference].probe};
    LookupAnswer answer;
    TRY(lookup_ask(client, reference, &question, arena, &answer, err));
    if (answer.outcome == LOOKUP_UNUSABLE)
        return error_set(err, STATE_CONNECTION, "%s cannot be used: %s", REFERENCE_KINDS[reference].subject, answer.why);
    return true;
}
