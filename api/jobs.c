/* jobs.c - /v1/jobs: what exists, run it now, hold it back. Answered from memory. */
#include "api/page.h"
#include "api/resources.h"

#include <stdlib.h>

static json_t *steps_json(const RunView *run) {
    if (!run->finished_us)
        return json_array();
    json_t *attributes = json_array();
    for (int i = 0; i < run->n_attributes; i++)
        json_array_append_new(attributes, json_pack("{s:s, s:I, s:I}", "attribute", run->attributes[i].name, "versions",
                                                    run->attributes[i].versions, "corrected",
                                                    run->attributes[i].corrected));
    return json_pack("[{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}]", "step", run->step, "rows_read",
                     run->rows_read, "rows_new", run->rows_new, "rows_changed", run->rows_changed, "bytes_read",
                     run->bytes_read, "bytes_sent", run->bytes_sent, "pages", run->pages, "ms",
                     (run->finished_us - run->started_us) / 1000, "note", json_text(run->note),
                     "attributes", attributes);
}

static json_t *error_json(const RunView *run) {
    if (!run->error)
        return json_null();
    return json_pack("{s:o, s:s, s:o}", "code", json_text(run->error_code), "detail", run->error,
                     "hint", json_text(run->hint));
}

json_t *run_json(const RunView *run) {
    if (!run->id)
        return json_null();
    return json_pack("{s:o, s:s, s:s, s:b, s:s, s:s, s:i, s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:o}", "id",
                     json_id(run->id), "job", run->job, "mode", run->mode, "dry_run", run->is_plan, "trigger", run->trigger,
                     "state", run->state, "attempt", run->attempt, "queued_at",
                     json_instant(run->queued_us), "started_at", json_instant(run->started_us),
                     "finished_at", json_instant(run->finished_us), "rows_read", run->rows_read,
                     "rows_changed", run->rows_changed, "rows_quarantined", run->rows_quarantined,
                     "steps", steps_json(run), "error", error_json(run));
}

static json_t *job_json(const JobView *job) {
    return json_pack("{s:s, s:s, s:o, s:s, s:s, s:o, s:o, s:o, s:b, s:o, s:o, s:o}", "name", job->name,
                     "kind", job->kind, "feed", json_text(job->feed), "schedule", job->schedule,
                     "state", job->state, "owner", json_text(job->owner), "why_not", json_text(job->why_not), "next_due_at",
                     json_instant(job->next_due_us), "paused", job->paused, "paused_by",
                     json_text(job->paused_by), "last_success_at",
                     json_instant(job->last_success_us), "last_run", run_json(&job->last_run));
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const JobView *)a)->name, ((const JobView *)b)->name);
}

Handling jobs_list(Call *call, Error *err) {
    (void)err;
    const Control *control = call->control;
    Page page;
    if (!page_read(call, &page))
        return CALL_ANSWERED;
    size_t n = control->n_jobs(control->ctx);
    JobView *jobs = ARENA_ARRAY(call->arena, JobView, n + 1);
    for (size_t i = 0; i < n; i++)
        control->job_at(control->ctx, i, &jobs[i]);
    qsort(jobs, n, sizeof *jobs, by_name);
    json_t *items = json_array(), *next = json_null();
    for (size_t i = 0; i < n; i++) {
        if (page.after && strcmp(jobs[i].name, page.after) <= 0)
            continue;
        if ((int)json_array_size(items) == page.limit) {
            next = json_string(page_cursor(call, jobs[i - 1].name));
            break;
        }
        json_array_append_new(items, job_json(&jobs[i]));
    }
    reply_json(&call->reply, 200, json_pack("{s:o, s:o}", "items", items, "next_cursor", next));
    return CALL_ANSWERED;
}

static Handling no_such_job(Call *call) {
    reply_problem(&call->reply, 404, "there is no such job");
    return CALL_ANSWERED;
}

Handling jobs_get(Call *call, Error *err) {
    (void)err;
    JobView job;
    if (!call->control->find_job(call->control->ctx, call_segment(call, 0), &job))
        return no_such_job(call);
    reply_json(&call->reply, 200, job_json(&job));
    return CALL_ANSWERED;
}

/* ---- triggering -------------------------------------------------------------------------------- */

static bool is_mode(const char *mode) {
    static const char *const MODES[] = {"incremental", "full",      "backfill",
                                        "remap",       "reconcile", "rebuild"};
    for (size_t i = 0; i < sizeof MODES / sizeof *MODES; i++)
        if (strcmp(MODES[i], mode) == 0)
            return true;
    return false;
}

/* A text member or NULL; anything but a text is a mistake. */
static bool text_member(Call *call, const char *name, const char **ret_text) {
    const json_t *value = json_object_get(call->body, name);
    *ret_text = json_string_value(value);
    if (!value || json_is_null(value) || *ret_text)
        return true;
    return reply_input_error(&call->reply, arena_printf(call->arena, "#/%s", name),
                             "must be a text");
}

static bool date_member(Call *call, const char *name, const char **ret_date) {
    if (!text_member(call, name, ret_date))
        return false;
    if (!*ret_date || call_is_date(*ret_date))
        return true;
    return reply_input_error(&call->reply, arena_printf(call->arena, "#/%s", name),
                             "must be a date like 2026-01-31");
}

static bool flag_member(Call *call, const char *name, bool *ret_flag) {
    const json_t *value = json_object_get(call->body, name);
    *ret_flag = json_is_true(value);
    if (!value || json_is_null(value) || json_is_boolean(value))
        return true;
    return reply_input_error(&call->reply, arena_printf(call->arena, "#/%s", name), "must be true or false");
}

static bool check_members(Call *call) {
    static const char *const KNOWN[] = {"mode", "from", "to", "dry_run"};
    bool fine = true;
    const char *name;
    json_t *value;
    json_object_foreach(call->body, name, value) {
        size_t i = 0;
        while (i < 4 && strcmp(KNOWN[i], name) != 0)
            i++;
        if (i == 4)
            fine = reply_input_error(&call->reply,
                                     arena_printf(call->arena, "#/%s", name), "unknown member");
    }
    return fine;
}

static bool read_trigger(Call *call, ControlTrigger *ret_trigger) {
    ControlTrigger trigger = {.job = call_segment(call, 0), .actor = call->actor};
    bool fine = check_members(call);
    fine = text_member(call, "mode", &trigger.mode) && fine;
    fine = date_member(call, "from", &trigger.from) && fine;
    fine = date_member(call, "to", &trigger.to) && fine;
    if (!trigger.mode)
        trigger.mode = "incremental";
    if (!is_mode(trigger.mode))
        fine = reply_input_error(&call->reply, "#/mode",
                                 "must be incremental, full, backfill, remap, reconcile or rebuild");
    fine = flag_member(call, "dry_run", &trigger.dry_run) && fine;
    if ((trigger.from || trigger.to) && strcmp(trigger.mode, "backfill") != 0)
        fine = reply_input_error(&call->reply, "#/from", "a range belongs to the mode backfill");
    if (strcmp(trigger.mode, "backfill") == 0 && !trigger.from && !trigger.to)
        fine = reply_input_error(&call->reply, "#/from", "the mode backfill needs a first day, a last day, or both");
    if (trigger.from && trigger.to && strcmp(trigger.from, trigger.to) > 0)
        fine = reply_input_error(&call->reply, "#/to", "must not lie before `from`");
    *ret_trigger = trigger;
    return fine;
}

ControlOutcome jobs_start_run(Call *call, const ControlTrigger *trigger) {
    Error err = {0};
    int64_t run_id;
    RunView run = {0};
    ControlOutcome outcome = call->control->trigger(call->control->ctx, trigger, &run_id, &err);
    switch (outcome) {
    case CONTROL_UNKNOWN:
        break;
    case CONTROL_REFUSED:
        reply_error(&call->reply, &err);
        break;
    case CONTROL_BUSY:
        reply_problem_with(&call->reply, 409, json_pack("{s:o}", "run", json_id(run_id)),
                           "a run of this job is under way");
        break;
    case CONTROL_DONE:
        call->control->find_run(call->control->ctx, run_id, &run);
        reply_header(&call->reply, "Location", arena_printf(call->arena, "/v1/runs/%lld", (long long)run_id));
        reply_json(&call->reply, 202, run_json(&run));
        break;
    }
    return outcome;
}

Handling jobs_post_run(Call *call, Error *err) {
    (void)err;
    ControlTrigger trigger;
    if (!read_trigger(call, &trigger))
        return CALL_ANSWERED;
    return jobs_start_run(call, &trigger) == CONTROL_UNKNOWN ? no_such_job(call) : CALL_ANSWERED;
}

/* ---- pausing ----------------------------------------------------------------------------------- */

static Handling set_paused(Call *call, bool paused, Error *err) {
    if (json_object_size(call->body) > 0) {
        reply_input_error(&call->reply, "#", "no members are expected here");
        return CALL_ANSWERED;
    }
    const Control *control = call->control;
    switch (control->pause(control->ctx, call_segment(call, 0), paused, call->actor, err)) {
    case CONTROL_DONE:
        return jobs_get(call, err);
    case CONTROL_UNKNOWN:
        return no_such_job(call);
    default:
        return CALL_FAILED;
    }
}

Handling jobs_post_pause(Call *call, Error *err) { return set_paused(call, true, err); }
Handling jobs_post_resume(Call *call, Error *err) { return set_paused(call, false, err); }
