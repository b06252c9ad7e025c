/* files.c - /v1/files: the ledger of claims files, a file sent instead of dropped, one read once more.
 *
 * A file that is sent is put into its feed's drop directory and is from then on one like any that was dropped: the answer
 * is its row of the ledger, `seen`, and ?wait= at that row awaits the end. The name decides whose it is (steps/whose.h),
 * so what belongs to nobody is refused before its first byte. The same bytes again are told to be so and go nowhere. */
#include "api/disposition.h"
#include "api/resources.h"
#include "api/stored.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/own.h"
#include "steps/drop.h"
#include "steps/whose.h"
#include "storage/pg.h"
#include "transform/text.h"

static const int64_t LOOK_EVERY_US = 1000000;

bool files_list(Call *call, struct Pg *pg, Error *err) {
    return stored_list(call, pg, REPORT_FILES, (const char *const[3]){"feed", "state"}, err);
}

/* ---- one, and waiting for its end ---- */

/* The store is asked again when a run has changed, and every second: a change may come while it is being asked. */
Handling files_get(Call *call, Error *err) {
    (void)err;
    int64_t id, now_us = clock_monotonic_us();
    if (!call->awaited && (!call_read_wait(call) || !call_id_segment(call, 0, &id)))
        return CALL_ANSWERED;
    if (!call->awaited)
        call->awaited = call->wait_until_us ? call->wait_until_us : now_us;
    call->is_last_look = call->awaited <= now_us;
    if (!call->found)
        return CALL_TO_WORKER;
    call->found = NULL;
    call->wait_until_us = call->awaited < now_us + LOOK_EVERY_US ? call->awaited : now_us + LOOK_EVERY_US;
    return CALL_WAIT;
}

bool files_get_stored(Call *call, struct Pg *pg, Error *err) {
    bool is_open = false;
    int64_t id;
    if (!call->is_last_look && call_id_segment(call, 0, &id))
        TRY(file_is_open(pg, id, &is_open, err));
    call->found = is_open ? call : NULL;
    return is_open || stored_item(call, pg, REPORT_FILE, err);
}

/* ---- a file that is sent ---- */

static const ClaimsConfig *find_feed(Call *call) {
    const char *name = call_param(call, "feed");
    const Config *config = call->control->config(call->control->ctx);
    for (size_t i = 0; i < config->n_claims; i++)
        if (name ? strcmp(config->claims[i].name, name) == 0 : config->n_claims == 1)
            return &config->claims[i];
    if (name)
        reply_input_error(&call->reply, "?feed", "there is no claims feed of this name");
    else
        reply_input_error(&call->reply, "?feed", "names the claims feed, as /v1/jobs does; there are %zu", config->n_claims);
    return NULL;
}

static const char *find_name(Call *call) {
    static const char HEADER[] = "Content-Disposition";
    const char *header = http_request_header(call->request, HEADER);
    Str name = header ? disposition_filename(call->arena, header) : STR_NULL;
    const char *why = str_is_null(name) ? "names the file: attachment; filename=\"…\"" : NULL;
    if (!why && !text_is_clean_utf8(name))
        why = "is not UTF-8";
    if (!why)
        why = drop_refuses_name(name);
    if (!why)
        return arena_string(call->arena, name);
    reply_input_error(&call->reply, HEADER, "the name %s", why);
    return NULL;
}

/* Of the configuration nothing is kept: it may be another when the file is whole. */
static const char *keep(Call *call, const char *text) { return text ? arena_string(call->arena, str_of(text)) : NULL; }

bool files_expect(Call *call) {
    Error why = {0};
    const char *period, *name;
    const ClaimsConfig *claims = find_feed(call);
    if (!claims || !(name = find_name(call)))
        return false;
    const FilePattern *pattern = whose_file(claims, name, &why);
    if (!pattern || !whose_period(claims, pattern, name, call->arena, &period, &why))
        return reply_input_error(&call->reply, "Content-Disposition", "%s; %s", why.text, why.hint);
    FileSeen *sent = ARENA_NEW(call->arena, FileSeen);
    *sent = (FileSeen){.feed = keep(call, claims->name), .source_system = keep(call, pattern->source), .name = name,
                       .period = period};
    call->sent = sent;
    call->upload = upload_open(claims->directory, name, call->id);
    return true;
}

static bool show(Call *call, Pg *pg, int64_t file_id, int status, Error *err) {
    bool found;
    reply_text(&call->reply, status, "application/json", STR(""));
    reply_header(&call->reply, "Location", arena_printf(call->arena, "/v1/files/%lld", (long long)file_id));
    TRY(report_item(pg, REPORT_FILE, file_id, &call->reply.body, &found, err));
    buf_put_byte(&call->reply.body, '\n');
    return true;
}

/* Received before: its row says so. On its way: that row is the answer. */
static bool answer_known(Call *call, Pg *pg, const FileSeen *sent, int64_t file_id, bool is_received, Error *err) {
    if (!is_received)
        return show(call, pg, file_id, 202, err);
    int64_t duplicate_id;
    TRY(file_duplicate(pg, sent, file_id, &duplicate_id, err));
    return show(call, pg, duplicate_id, 200, err);
}

/* Entered and named in one transaction: no run sees a row without its file. */
static bool land(Call *call, Pg *pg, const FileSeen *sent, int64_t *ret_file_id, Error *err) {
    bool is_landed;
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    TRY(tx && file_upload(tx, sent, ret_file_id, err));
    if (!*ret_file_id)
        return true;
    FAILPOINT("upload.before_name");
    TRY(upload_land(call->upload, &is_landed, err));
    FAILPOINT("upload.after_name");
    if (!is_landed) {
        *ret_file_id = 0;
        return true;
    }
    return pg_commit(&tx, PG_FLUSHED, err);
}

bool files_post(Call *call, struct Pg *pg, Error *err) {
    FileSeen sent = *call->sent;
    int64_t file_id;
    bool is_received;
    sent.bytes = upload_bytes(call->upload);
    if (sent.bytes->size_bytes == 0) {
        reply_input_error(&call->reply, "#", "the body is empty: there is no file");
        return true;
    }
    TRY(file_same(pg, &sent, &file_id, &is_received, err));
    if (file_id)
        return answer_known(call, pg, &sent, file_id, is_received, err);
    TRY(upload_finish(call->upload, err) && land(call, pg, &sent, &file_id, err));
    if (file_id)
        return show(call, pg, file_id, 202, err);
    reply_problem(&call->reply, 409, "another file of this name waits in the drop directory");
    return true;
}

/* ---- read once more ---- */

typedef struct Again {
    FileReplay file;
    bool may_be, is_asked;
} Again;

/* A sentence, or NULL. */
static const char *why_not_again(Call *call, const FileReplay *file) {
    const Config *config = call->control->config(call->control->ctx);
    const ClaimsConfig *claims = NULL;
    for (size_t i = 0; i < config->n_claims; i++)
        if (strcmp(config->claims[i].name, file->feed) == 0)
            claims = &config->claims[i];
    if (strcmp(file->state, "seen") == 0 || strcmp(file->state, "receiving") == 0)
        return "the file is on its way already";
    if (strcmp(file->state, "duplicate") == 0)
        return "the file is a duplicate: ask for the one whose bytes it has";
    if (!claims)
        return "the configuration has no such feed any more";
    Error ignored = {0};
    CLEANUP(drop_close) Drop drop = {.fd = -1};
    DropEnd end = strcmp(file->state, "failed") == 0 ? DROP_FAILED : DROP_DONE;
    bool is_there = file->stored_as[0] && drop_open(claims->directory, DROP_LOOK, &drop, &ignored) &&
                    drop_has(&drop, end, file->stored_as);
    if (!is_there)
        return "its bytes are not in done/ or failed/: send it again";
    return drop_has_waiting(&drop, file->name) ? "another file of its name waits in the drop directory" : NULL;
}

/* Looked up by the worker, judged here, asked for by the worker, and its feed woken here. */
Handling files_replay(Call *call, Error *err) {
    (void)err;
    Again *again = call->found;
    if (!again)
        return CALL_TO_WORKER;
    if (again->is_asked) {
        call->control->wake(call->control->ctx, again->file.feed);
        return CALL_ANSWERED;
    }
    const char *why = why_not_again(call, &again->file);
    again->may_be = why == NULL;
    if (!why)
        return CALL_TO_WORKER;
    reply_problem(&call->reply, 409, "%s", why);
    return CALL_ANSWERED;
}

static bool find_again(Call *call, Pg *pg, Error *err) {
    int64_t id;
    bool found = true;
    if (!call_id_segment(call, 0, &id))
        return true;
    Again *again = ARENA_NEW(call->arena, Again);
    TRY(file_replayable(pg, id, call->arena, &again->file, &found, err));
    if (found)
        call->found = again;
    else
        reply_problem(&call->reply, 404, "there is nothing with this id");
    return true;
}

bool files_replay_stored(Call *call, struct Pg *pg, Error *err) {
    Again *again = call->found;
    if (!again)
        return find_again(call, pg, err);
    TRY(file_ask_replay(pg, again->file.file_id, &again->is_asked, err));
    if (!again->is_asked)
        call->found = NULL;
    if (again->is_asked)
        return show(call, pg, again->file.file_id, 202, err);
    reply_problem(&call->reply, 409, "the file is on its way already");
    return true;
}
