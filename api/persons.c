/* persons.c - /v1/persons: who is linked to whom and why, what a person has to look at, and what was decided.
 *
 * Persons' ids are random, so they may stand in a URL; hospitals' numbers stand in bodies alone. */
#include "api/resources.h"
#include "api/stored.h"
#include "base/own.h"
#include "storage/person.h"

enum { UUID_BYTES = 36, MEMBERS_MAX = 1000, LIST_MAX_BYTES = 1 << 20 };

static bool is_uuid(const char *text) {
    for (size_t i = 0; i < UUID_BYTES; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_dash ? text[i] != '-' : !text[i] || !strchr("0123456789abcdefABCDEF", text[i]))
            return false;
    }
    return text[UUID_BYTES] == '\0';
}

static bool no_such_person(Call *call) {
    reply_problem(&call->reply, 404, "there is no such person");
    return true;
}

bool persons_get(Call *call, struct Pg *pg, Error *err) {
    const char *id = call_segment(call, 0);
    bool was_found;
    if (!is_uuid(id))
        return no_such_person(call);
    call->reply.caching = REPLY_NO_STORE;
    reply_text(&call->reply, 200, "application/json", STR(""));
    TRY(person_show(pg, id, &call->reply.body, &was_found, err));
    buf_put_byte(&call->reply.body, '\n');
    return was_found || no_such_person(call);
}

bool persons_review(Call *call, struct Pg *pg, Error *err) {
    call->reply.caching = REPLY_NO_STORE;
    return stored_list(call, pg, REPORT_PERSON_REVIEWS, (const char *const[3]){NULL}, err);
}

/* ---- decisions ---- */

/* Nothing but this member. */
static bool only_member(Call *call, const char *known) {
    bool fine = true;
    const char *name;
    json_t *value;
    json_object_foreach(call->body, name, value) {
        if (strcmp(name, known) != 0)
            fine = reply_input_error(&call->reply, arena_printf(call->arena, "#/%s", name), "unknown member");
    }
    return fine;
}

static bool put_member(Call *call, size_t place, Buf *systems, Buf *ids) {
    const json_t *member = json_array_get(json_object_get(call->body, "members"), place);
    const char *source = json_string_value(json_object_get(member, "source_system"));
    const char *id = json_string_value(json_object_get(member, "source_patient_id"));
    if (!source || !id || json_object_size(member) != 2)
        return reply_input_error(&call->reply, arena_printf(call->arena, "#/members/%zu", place),
                                 "must be source_system and source_patient_id, both texts");
    pg_array_text(systems, str_of(source));
    pg_array_text(ids, str_of(id));
    return true;
}

/* Who leaves, as two array literals of the arena. False when the body is wrong: the reply says so. */
static bool read_members(Call *call, PersonDecision *decision, Error *err) {
    const json_t *members = json_object_get(call->body, "members");
    size_t n = json_array_size(members);
    if (n == 0 || n > MEMBERS_MAX)
        return reply_input_error(&call->reply, "#/members", "must be a list of 1 to %d members", MEMBERS_MAX);
    CLEANUP(buf_drop) Buf systems = pg_array(LIST_MAX_BYTES);
    CLEANUP(buf_drop) Buf ids = pg_array(LIST_MAX_BYTES);
    bool fine = only_member(call, "members");
    for (size_t i = 0; i < n; i++)
        fine = put_member(call, i, &systems, &ids) && fine;
    const char *system_list = pg_array_end(&systems, err), *id_list = pg_array_end(&ids, err);
    if (!fine || !system_list || !id_list)
        return false;
    decision->source_systems = arena_string(call->arena, str_of(system_list));
    decision->source_ids = arena_string(call->arena, str_of(id_list));
    return true;
}

static bool read_other(Call *call, PersonDecision *decision) {
    decision->other_id = json_string_value(json_object_get(call->body, "person_id"));
    bool fine = only_member(call, "person_id");
    if (!decision->other_id || !is_uuid(decision->other_id))
        return reply_input_error(&call->reply, "#/person_id", "must be the id of the other person");
    return fine;
}

static void answer(Call *call, PersonDecided decided, json_t *body) {
    static const struct {
        int status;
        const char *why;
    } REFUSALS[] = {
        [PERSON_UNKNOWN] = {404, "there is no such person"},
        [PERSON_NOT_MEMBER] = {422, "somebody named is not a member of this person"},
        [PERSON_ALL_NAMED] = {422, "all members are named: nobody would stay"},
    };
    if (decided == PERSON_DECIDED) {
        call->has_news = true;
        reply_json(&call->reply, 200, body);
        return;
    }
    json_decref(body);
    reply_problem(&call->reply, REFUSALS[decided].status, "%s", REFUSALS[decided].why);
}

bool persons_dismiss(Call *call, struct Pg *pg, Error *err) {
    int64_t review;
    PersonDecided decided;
    if (!call_id_segment(call, 0, &review))
        return true;
    TRY(person_dismiss(pg, review, call->actor, &decided, err));
    if (decided == PERSON_DECIDED)
        reply_json(&call->reply, 200, json_pack("{s:s, s:s}", "id", call_segment(call, 0), "state", "dismissed"));
    else
        reply_problem(&call->reply, 404, "there is no such conflict, or it is gone");
    return true;
}

/* Patients are counted as persons; no settle need follow a decision. */
static void wake_figures(Call *call) {
    if (call->has_news)
        call->control->wake(call->control->ctx, "kpi");
}

Handling persons_decide(Call *call, Error *err) {
    (void)err;
    call->over = wake_figures;
    return CALL_TO_WORKER;
}

bool persons_split(Call *call, struct Pg *pg, Error *err) {
    PersonDecision decision = {.person_id = call_segment(call, 0), .actor = call->actor, .arena = call->arena};
    PersonDecided decided;
    const char *left = NULL;
    if (!is_uuid(decision.person_id))
        return no_such_person(call);
    if (!read_members(call, &decision, err))
        return err->state[0] == '\0';
    TRY(person_split(pg, &decision, &decided, &left, err));
    answer(call, decided, json_pack("{s:s, s:o}", "person_id", decision.person_id, "left", json_text(left)));
    return true;
}

bool persons_merge(Call *call, struct Pg *pg, Error *err) {
    PersonDecision decision = {.person_id = call_segment(call, 0), .actor = call->actor, .arena = call->arena};
    PersonDecided decided;
    const char *survivor = NULL;
    if (!is_uuid(decision.person_id))
        return no_such_person(call);
    if (!read_other(call, &decision))
        return true;
    TRY(person_merge(pg, &decision, &decided, &survivor, err));
    answer(call, decided, json_pack("{s:o}", "person_id", json_text(survivor)));
    return true;
}
