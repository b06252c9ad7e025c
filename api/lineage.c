/* lineage.c - /v1/lineage and /v1/patients: where a figure comes from, what a patient's record was, who changed it.
 *
 * No record number stands in a URL: what is looked for by the hospital's number stands in the body. */
#include "api/resources.h"
#include "storage/lineage.h"

enum { MEMBERS_MAX = 5, MEMBER_MAX_BYTES = 1000 };

/* ---- bodies ---- */

/* A text of the body, or NULL; false when it is no text, or too long. */
static bool take_text(Call *call, const char *name, const char **ret_text) {
    const json_t *value = json_object_get(call->body, name);
    *ret_text = NULL;
    if (!value)
        return true;
    const char *text = json_string_value(value);
    if (!text || !*text || json_string_length(value) > MEMBER_MAX_BYTES)
        return reply_input_error(&call->reply, arena_printf(call->arena, "#/%s", name), "must be a text of 1 to %d bytes",
                                 MEMBER_MAX_BYTES);
    *ret_text = text;
    return true;
}

/* A positive number, as text as ids are, or as a number; 0 when it is not there. */
static bool take_number(Call *call, const char *name, int64_t *ret_number) {
    const json_t *value = json_object_get(call->body, name);
    int64_t number = json_is_integer(value) ? json_integer_value(value) : 0;
    *ret_number = 0;
    if (json_is_string(value) && !str_to_int64(str_of(json_string_value(value)), &number))
        number = 0;
    if (value && number < 1)
        return reply_input_error(&call->reply, arena_printf(call->arena, "#/%s", name), "must be a number from 1 on");
    *ret_number = number;
    return true;
}

static bool check_members(Call *call, const char *const known[MEMBERS_MAX]) {
    bool fine = true;
    const char *name;
    json_t *value;
    json_object_foreach(call->body, name, value) {
        size_t i = 0;
        while (i < MEMBERS_MAX && known[i] && strcmp(known[i], name) != 0)
            i++;
        if (i == MEMBERS_MAX || !known[i])
            fine = reply_input_error(&call->reply, arena_printf(call->arena, "#/%s", name), "unknown member");
    }
    return fine;
}

static bool is_missing(Call *call, const char *name) {
    return reply_input_error(&call->reply, arena_printf(call->arena, "#/%s", name), "is missing");
}

/* ---- answers ---- */

static Buf *begin_answer(Call *call) {
    call->reply.caching = REPLY_NO_STORE;
    reply_text(&call->reply, 200, "application/json", STR(""));
    return &call->reply.body;
}

static bool end_answer(Call *call, bool was_found) {
    buf_put_byte(&call->reply.body, '\n');
    if (!was_found)
        reply_problem(&call->reply, 404, "there is nothing with this id");
    return true;
}

bool patients_versions(Call *call, struct Pg *pg, Error *err) {
    int64_t key;
    bool was_found;
    if (!call_id_segment(call, 0, &key))
        return true;
    TRY(lineage_versions(pg, entity_find(STR("patients")), key, call->arena, begin_answer(call), &was_found, err));
    return end_answer(call, was_found);
}

bool patients_search(Call *call, struct Pg *pg, Error *err) {
    static const char *const KNOWN[MEMBERS_MAX] = {"source_system", "source_patient_id"};
    const char *source, *id;
    bool fine = check_members(call, KNOWN);
    fine = take_text(call, "source_system", &source) && fine;
    fine = take_text(call, "source_patient_id", &id) && fine;
    if (fine && !source)
        fine = is_missing(call, "source_system");
    if (fine && !id)
        fine = is_missing(call, "source_patient_id");
    if (!fine)
        return true;
    Buf *out = begin_answer(call);
    buf_put_str(out, STR("{\"items\":"));
    TRY(lineage_find_patient(pg, source, id, out, err));
    buf_put_byte(out, '}');
    return end_answer(call, true);
}

/* By silver's name or gold's. */
static const Entity *table_of(Str name) {
    for (int i = 0; i < N_ENTITIES; i++)
        if (ENTITIES[i].kind != ENTITY_CODE &&
            (str_equal(str_of(ENTITIES[i].name), name) || str_equal(str_of(ENTITIES[i].gold), name)))
            return &ENTITIES[i];
    return NULL;
}

bool lineage_get(Call *call, struct Pg *pg, Error *err) {
    const Entity *entity = table_of(call->segment[0]);
    int64_t key;
    bool was_found;
    if (!entity) {
        reply_problem(&call->reply, 404, "there is no table of this name that has rows of a source");
        return true;
    }
    if (!call_id_segment(call, 1, &key))
        return true;
    TRY(lineage_back(pg, entity, key, call->arena, begin_answer(call), &was_found, err));
    return end_answer(call, was_found);
}

static bool read_question(Call *call, LineageQuestion *question) {
    static const char *const KNOWN[MEMBERS_MAX] = {"feed", "source_key", "source_system", "file_id", "line"};
    bool fine = check_members(call, KNOWN);
    fine = take_text(call, "feed", &question->feed) && fine;
    fine = take_text(call, "source_key", &question->source_key) && fine;
    fine = take_text(call, "source_system", &question->source_system) && fine;
    fine = take_number(call, "file_id", &question->file_id) && fine;
    fine = take_number(call, "line", &question->line) && fine;
    bool by_key = question->feed && question->source_key && !question->file_id && !question->line;
    bool by_line = question->file_id && question->line && !question->feed && !question->source_key;
    if (fine && !by_key && !by_line)
        fine = reply_input_error(&call->reply, "#", "needs feed and source_key, or file_id and line");
    return fine;
}

bool lineage_search(Call *call, struct Pg *pg, Error *err) {
    static const char *const WHY[] = {
        [LINEAGE_NO_FEED] = "there is no feed of this name that has read anything",
        [LINEAGE_NO_FILE] = "there is no such file, or no row was taken from this line",
        [LINEAGE_NO_SOURCE] = "files of this feed may be of several sources: say source_system",
    };
    LineageQuestion question = {0};
    LineageOutcome outcome;
    if (!read_question(call, &question))
        return true;
    TRY(lineage_forward(pg, &question, call->arena, begin_answer(call), &outcome, err));
    if (outcome == LINEAGE_NO_SOURCE)
        reply_input_error(&call->reply, "#/source_system", "%s", WHY[outcome]);
    else if (outcome != LINEAGE_ANSWERED)
        reply_problem(&call->reply, 404, "%s", WHY[outcome]);
    else
        return end_answer(call, true);
    return true;
}
