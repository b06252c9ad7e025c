/* quarantine.c - /v1/quarantine: how much is kept out and why; the raw row itself for who may see it; try again, and let be.
 *
 * A replay goes from a worker to the loop: the worker notes which entries are wanted, the loop starts a run of each of
 * their feeds. A feed that has a run of another mode under way is waited for; what was noted is not lost meanwhile. */
#include "api/resources.h"
#include "api/stored.h"
#include "base/clock.h"
#include "base/own.h"
#include "steps/delivery.h"
#include "storage/quarantine.h"

enum { WAIT_S = 20, IDS_MAX = 1000, IDS_MAX_BYTES = 64 << 10 };

bool quarantine_counts(Call *call, struct Pg *pg, Error *err) {
    return stored_list(call, pg, REPORT_QUARANTINE, (const char *const[3]){"feed"}, err);
}

bool quarantine_get(Call *call, struct Pg *pg, Error *err) {
    call->reply.caching = REPLY_NO_STORE;
    return stored_item(call, pg, REPORT_QUARANTINED_ROW, err);
}

bool quarantine_dismiss_entry(Call *call, struct Pg *pg, Error *err) {
    int64_t id;
    const char *state;
    if (!call_id_segment(call, 0, &id))
        return true;
    if (json_object_size(call->body) > 0)
        return reply_input_error(&call->reply, "#", "no members are expected here") || true;
    TRY(quarantine_dismiss(pg, id, call->arena, &state, err));
    if (!state)
        reply_problem(&call->reply, 404, "there is nothing with this id");
    else if (strcmp(state, "dismissed") != 0)
        reply_problem(&call->reply, 409, "the entry is %s: there is nothing to dismiss", state);
    else
        reply_json(&call->reply, 200, json_pack("{s:s, s:s}", "id", call_segment(call, 0), "state", state));
    return true;
}

/* ---- which ---- */

static bool text_of(Call *call, const char *name, const char **ret_text) {
    const json_t *value = json_object_get(call->body, name);
    *ret_text = json_string_value(value);
    return !value || *ret_text || reply_input_error(&call->reply, arena_printf(call->arena, "#/%s", name), "must be a text");
}

static bool is_id(const char *text) {
    int64_t id;
    return text && str_to_int64(str_of(text), &id) && id > 0;
}

static bool ids_of(Call *call, const char **ret_ids, Error *err) {
    const json_t *ids = json_object_get(call->body, "ids");
    size_t n = json_array_size(ids);
    *ret_ids = NULL;
    if (!ids)
        return true;
    if (n == 0 || n > IDS_MAX)
        return reply_input_error(&call->reply, "#/ids", "must be a list of 1 to %d ids", IDS_MAX);
    CLEANUP(buf_drop) Buf list = pg_array(IDS_MAX_BYTES);
    bool fine = true;
    for (size_t i = 0; i < n; i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        if (is_id(id))
            pg_array_text(&list, str_of(id));
        else
            fine = reply_input_error(&call->reply, arena_printf(call->arena, "#/ids/%zu", i), "must be the id of an entry");
    }
    const char *array = pg_array_end(&list, err);
    if (array)
        *ret_ids = arena_string(call->arena, str_of(array));
    return fine && array;
}

static bool check_members(Call *call) {
    static const char *const KNOWN[] = {"feed", "rule", "file", "ids", "all"};
    bool fine = true;
    const char *name;
    json_t *value;
    json_object_foreach(call->body, name, value) {
        size_t i = 0;
        while (i < 5 && strcmp(KNOWN[i], name) != 0)
            i++;
        if (i == 5)
            fine = reply_input_error(&call->reply, arena_printf(call->arena, "#/%s", name), "unknown member");
    }
    const json_t *all = json_object_get(call->body, "all");
    if (all && !json_is_true(all))
        fine = reply_input_error(&call->reply, "#/all", "must be true, or not be there");
    if (json_object_size(call->body) == 0)
        fine = reply_input_error(&call->reply, "#", "say which: feed, rule, file, ids, or all");
    else if (all && json_object_size(call->body) > 1)
        fine = reply_input_error(&call->reply, "#/all", "stands alone");
    return fine;
}

static bool choice_of(Call *call, QuarantineChoice *choice, Error *err) {
    bool fine = check_members(call);
    fine = text_of(call, "feed", &choice->feed) && fine;
    fine = text_of(call, "rule", &choice->rule) && fine;
    fine = text_of(call, "file", &choice->file_id) && fine;
    if (choice->file_id && !is_id(choice->file_id))
        fine = reply_input_error(&call->reply, "#/file", "must be the id of a file");
    return ids_of(call, &choice->ids, err) && fine;
}

/* ---- their runs ---- */

typedef struct FeedReplay {
    const char *feed;
    int64_t n, run_id, busy_id;
    const char *why_not;
} FeedReplay;

typedef struct Replay {
    FeedReplay *feeds;
    size_t n_feeds;
    int64_t n;
} Replay;

bool quarantine_replay_stored(Call *call, struct Pg *pg, Error *err) {
    QuarantineChoice choice = {.never = DELIVERY_RULES};
    QuarantineAsked *asked;
    Replay *replay = ARENA_NEW(call->arena, Replay);
    if (!choice_of(call, &choice, err))
        return err->state[0] == '\0';
    TRY(quarantine_ask(pg, &choice, call->arena, &asked, &replay->n_feeds, err));
    replay->feeds = ARENA_ARRAY(call->arena, FeedReplay, replay->n_feeds + 1);
    for (size_t i = 0; i < replay->n_feeds; i++) {
        replay->feeds[i] = (FeedReplay){.feed = asked[i].feed, .n = asked[i].n};
        replay->n += asked[i].n;
    }
    call->found = replay;
    return true;
}

/* True when the feed's run has begun, or cannot. */
static bool start(Call *call, FeedReplay *feed) {
    if (feed->run_id || feed->why_not)
        return true;
    ControlTrigger trigger = {.job = feed->feed, .mode = "replay", .actor = call->actor};
    Error why = {0};
    int64_t run_id = 0;
    switch (call->control->trigger(call->control->ctx, &trigger, &run_id, &why)) {
    case CONTROL_DONE:
        feed->run_id = run_id;
        return true;
    case CONTROL_BUSY:
        feed->busy_id = run_id;
        return false;
    case CONTROL_UNKNOWN:
        feed->why_not = "the configuration has no such feed";
        return true;
    case CONTROL_REFUSED:
        feed->why_not = arena_string(call->arena, str_of(why.text));
        return true;
    }
    return true;
}

static json_t *feed_json(const FeedReplay *feed) {
    const char *busy = feed->run_id || feed->why_not ? NULL
                     : "another run of this feed is under way; the next replay takes these along";
    return json_pack("{s:s, s:I, s:o, s:o}", "feed", feed->feed, "entries", feed->n, "run",
                     feed->run_id ? json_id(feed->run_id) : json_null(), "why_not",
                     json_text(feed->why_not ? feed->why_not : busy));
}

static void answer(Call *call, const Replay *replay) {
    const FeedReplay *begun = NULL, *busy = NULL;
    json_t *feeds = json_array();
    for (size_t i = 0; i < replay->n_feeds; i++) {
        const FeedReplay *feed = &replay->feeds[i];
        json_array_append_new(feeds, feed_json(feed));
        begun = !begun && feed->run_id ? feed : begun;
        busy = !busy && !feed->run_id && !feed->why_not ? feed : busy;
    }
    json_t *body = json_pack("{s:o, s:I, s:o}", "id", begun ? json_id(begun->run_id) : json_null(), "entries", replay->n,
                             "feeds", feeds);
    if (busy && !begun) {
        json_object_set_new(body, "run", json_id(busy->busy_id));
        reply_problem_with(&call->reply, 409, body, "a run of this feed is under way; ask again when it has ended");
        return;
    }
    if (begun)
        reply_header(&call->reply, "Location", arena_printf(call->arena, "/v1/runs/%lld", (long long)begun->run_id));
    reply_json(&call->reply, 202, body);
}

Handling quarantine_replay(Call *call, Error *err) {
    (void)err;
    Replay *replay = call->found;
    if (!replay)
        return CALL_TO_WORKER;
    if (!call->wait_until_us)
        call->wait_until_us = clock_monotonic_us() + WAIT_S * INT64_C(1000000);
    bool are_settled = true;
    for (size_t i = 0; i < replay->n_feeds; i++)
        are_settled = start(call, &replay->feeds[i]) && are_settled;
    if (!are_settled && !call->is_last_look)
        return CALL_WAIT;
    answer(call, replay);
    return CALL_ANSWERED;
}
