/* holds.c - /v1/holds: what retention may not delete, by whose order. A patient is named by the surrogate: a hospital's
 * number stands in no URL and in no answer. */
#include "api/resources.h"
#include "api/stored.h"
#include "base/own.h"
#include "storage/hold.h"

enum { REASON_MAX_BYTES = 500, UUID_BYTES = 36 };

bool holds_list(Call *call, struct Pg *pg, Error *err) {
    const char *state = call_param(call, "state");
    if (state && strcmp(state, "in_force") != 0 && strcmp(state, "released") != 0) {
        reply_problem(&call->reply, 400, "`state` must be in_force or released");
        return true;
    }
    return stored_list(call, pg, REPORT_HOLDS, (const char *const[3]){"state"}, err);
}

bool holds_get(Call *call, struct Pg *pg, Error *err) { return stored_item(call, pg, REPORT_HOLD, err); }

/* ---- setting one ---- */

static bool is_text(const char *text) { return text[0] != '\0'; }

static bool is_key(const char *text) {
    int64_t key;
    return str_to_int64(str_of(text), &key) && key > 0;
}

static bool is_uuid(const char *text) {
    return strlen(text) == UUID_BYTES && strspn(text, "0123456789abcdefABCDEF-") == UUID_BYTES && text[8] == '-' &&
           text[13] == '-' && text[18] == '-' && text[23] == '-';
}

static const struct {
    const char *member, *kind, *what;
    bool (*is_fit)(const char *text);
} OBJECTS[] = {
    {"source", "source", "the name of a source", is_text},
    {"feed", "feed", "the name of a feed", is_text},
    {"patient_key", "patient", "a patient's surrogate key", is_key},
    {"person_id", "person", "a person's id", is_uuid},
};
enum { N_OBJECTS = sizeof OBJECTS / sizeof *OBJECTS };

static int find_object(const char *member) {
    for (int i = 0; i < N_OBJECTS; i++)
        if (strcmp(OBJECTS[i].member, member) == 0)
            return i;
    return -1;
}

static bool read_member(Call *call, const char *name, const char *text, HoldOrder *order, const char **ret_pointer) {
    const char *pointer = arena_printf(call->arena, "#/%s", name);
    int object = find_object(name);
    if (strcmp(name, "reason") == 0) {
        order->reason = text;
        return (text && *text && strlen(text) <= REASON_MAX_BYTES) ||
               reply_input_error(&call->reply, pointer, "must be a text of 1 to %d bytes", REASON_MAX_BYTES);
    }
    if (object < 0)
        return reply_input_error(&call->reply, pointer, "unknown member");
    if (!text || !OBJECTS[object].is_fit(text))
        return reply_input_error(&call->reply, pointer, "must be %s", OBJECTS[object].what);
    if (order->object)
        return reply_input_error(&call->reply, pointer, "one hold is on one thing");
    order->kind = OBJECTS[object].kind;
    order->object = text;
    *ret_pointer = pointer;
    return true;
}

/* False: the reply says what is wrong. */
static bool read_order(Call *call, HoldOrder *order, const char **ret_pointer) {
    bool fine = true;
    const char *name;
    json_t *value;
    json_object_foreach(call->body, name, value)
        fine = read_member(call, name, json_string_value(value), order, ret_pointer) && fine;
    if (fine && !order->object)
        fine = reply_input_error(&call->reply, "#", "say what is held: source, feed, patient_key or person_id");
    if (fine && !order->reason)
        fine = reply_input_error(&call->reply, "#/reason", "must be there: who reads this later asks why");
    return fine;
}

bool holds_post(Call *call, struct Pg *pg, Error *err) {
    HoldOrder order = {.actor = call->actor, .request_id = call->id};
    const char *pointer = "#";
    int64_t id;
    bool found;
    if (!read_order(call, &order, &pointer))
        return true;
    TRY(hold_set(pg, &order, &id, err));
    if (id == 0)
        return reply_input_error(&call->reply, pointer, "there is no such thing") || true;
    reply_text(&call->reply, 201, "application/json", STR(""));
    reply_header(&call->reply, "Location", arena_printf(call->arena, "/v1/holds/%lld", (long long)id));
    TRY(report_item(pg, REPORT_HOLD, id, &call->reply.body, &found, err));
    buf_put_byte(&call->reply.body, '\n');
    return true;
}

bool holds_delete(Call *call, struct Pg *pg, Error *err) {
    int64_t id;
    HoldRelease outcome;
    if (!call_id_segment(call, 0, &id))
        return true;
    TRY(hold_release(pg, id, call->actor, call->id, &outcome, err));
    if (outcome == HOLD_RELEASED)
        return stored_item(call, pg, REPORT_HOLD, err);
    if (outcome == HOLD_UNKNOWN)
        reply_problem(&call->reply, 404, "there is nothing with this id");
    else
        reply_problem(&call->reply, 409, "the hold was released before");
    return true;
}
