/* run_store.c - see run_store.h. */
#include "storage/run_store.h"

#include "base/log.h"
#include "base/own.h"
#include "sql.h"
#include "storage/state.h"

#include <stdio.h>
#include <xxhash.h>

enum { ARRAY_MAX_BYTES = 1 << 20 };

/* With a job's row, for whoever asks while few workers are there for what must not wait. */
static const char PATIENCE[] = "5s";

static PgNumber milliseconds(int64_t ms) {
    PgNumber n;
    snprintf(n.text, sizeof n.text, "%lld ms", (long long)ms);
    return n;
}

static size_t find_job(const LeaseJob *jobs, size_t n, const char *name) {
    size_t i = 0;
    while (i < n && strcmp(jobs[i].name, name) != 0)
        i++;
    return i;
}

static void take_leases(const PgResult *rows, const LeaseJob *jobs, size_t n, const char *owner, Lease *leases) {
    for (int r = 0; r < pg_rows(rows); r++) {
        size_t i = find_job(jobs, n, pg_text(rows, r, 0));
        if (i == n)
            continue;
        leases[i].is_held = true;
        snprintf(leases[i].owner, sizeof leases[i].owner, "%s", owner);
        leases[i].epoch = pg_int(rows, r, 1);
        leases[i].is_paused = pg_bool(rows, r, 2);
        snprintf(leases[i].paused_by, sizeof leases[i].paused_by, "%s", pg_text(rows, r, 3));
    }
}

bool instance_lock(Pg *pg, const char *owner, Error *err) {
    if (pg_exec(pg, SQL_INSTANCE_LOCK, PG_PARAMS(owner), NULL, err))
        return true;
    if (error_class(err) != ERROR_CANCELED)
        return false;
    error_set(err, STATE_BUSY, "another revcycled runs with this configuration");
    return error_hint(err, "stop it first, or let it run the job: POST /v1/jobs/{job}/runs");
}

void lease_session_name(const char *owner, char ret_name[LEASE_SESSION_BYTES]) {
    snprintf(ret_name, LEASE_SESSION_BYTES, "revcycled %016llx", (unsigned long long)XXH3_64bits(owner, strlen(owner)));
}

/* Those that were there when its leases ran out. */
static bool end_sessions(Pg *pg, const char *owner, const char *until, Error *err) {
    char name[LEASE_SESSION_BYTES];
    lease_session_name(owner, name);
    CLEANUP(pg_result_drop) PgResult *count = pg_query(pg, SQL_JOB_END_SESSIONS, PG_PARAMS(name, until), err);
    TRY(count);
    if (pg_int(count, 0, 0) > 0) /* else it ended, in order or not */
        LOG_WARN("another daemon was not heard of any more; its sessions were ended", LOG_TEXT("owner", owner),
                 LOG_INT("sessions", pg_int(count, 0, 0)));
    return true;
}

/* `ret_owners`: an array of those whose sessions were ended. */
static bool end_overdue(Pg *pg, const char *owner, Buf *ret_owners, Error *err) {
    CLEANUP(pg_result_drop) PgResult *overdue = pg_query(pg, SQL_JOB_OVERDUE, PG_PARAMS(owner), err);
    TRY(overdue);
    for (int r = 0; r < pg_rows(overdue); r++) {
        TRY(end_sessions(pg, pg_text(overdue, r, 0), pg_text(overdue, r, 1), err));
        pg_array_text(ret_owners, pg_value(overdue, r, 0));
    }
    return true;
}

bool lease_end_overdue(Pg *pg, const char *owner, Error *err) {
    CLEANUP(buf_drop) Buf owners = pg_array(ARRAY_MAX_BYTES);
    return end_overdue(pg, owner, &owners, err);
}

/* Who has what is not held, by `params` of job_owners; what could be had would be held if its row had been free. */
static bool find_owners(Pg *pg, const PgParams *params, const LeaseJob *jobs, size_t n, Lease *leases, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_JOB_OWNERS, params, err);
    TRY(rows);
    for (int r = 0; r < pg_rows(rows); r++) {
        size_t i = find_job(jobs, n, pg_text(rows, r, 0));
        if (i == n)
            continue;
        snprintf(leases[i].owner, sizeof leases[i].owner, "%s", pg_text(rows, r, 1));
        leases[i].is_locked = !leases[i].is_held && pg_bool(rows, r, 2);
    }
    return true;
}

bool lease_claim(Pg *pg, const char *owner, int64_t lease_ms, const LeaseJob *jobs, size_t n, Lease *ret_leases,
                 Error *err) {
    CLEANUP(buf_drop) Buf names = pg_array(ARRAY_MAX_BYTES);
    CLEANUP(buf_drop) Buf kinds = pg_array(ARRAY_MAX_BYTES);
    CLEANUP(buf_drop) Buf feeds = pg_array(ARRAY_MAX_BYTES);
    CLEANUP(buf_drop) Buf schedules = pg_array(ARRAY_MAX_BYTES);
    for (size_t i = 0; i < n; i++) {
        pg_array_text(&names, str_of(jobs[i].name));
        pg_array_text(&kinds, str_of(jobs[i].kind));
        pg_array_text(&feeds, str_of(jobs[i].feed));
        pg_array_text(&schedules, str_of(jobs[i].schedule));
    }
    const char *const arrays[] = {pg_array_end(&names, err), pg_array_end(&kinds, err), pg_array_end(&feeds, err),
                                  pg_array_end(&schedules, err)};
    TRY(arrays[0] && arrays[1] && arrays[2] && arrays[3]);
    CLEANUP(buf_drop) Buf overdue = pg_array(ARRAY_MAX_BYTES);
    TRY(end_overdue(pg, owner, &overdue, err));
    const char *ended = pg_array_end(&overdue, err);
    TRY(ended);
    CLEANUP(pg_result_drop) PgResult *rows =
        pg_query(pg, SQL_JOB_CLAIM, PG_PARAMS(arrays[0], arrays[1], arrays[2], arrays[3], owner,
                                              milliseconds(lease_ms).text, ended), err);
    TRY(rows);
    for (size_t i = 0; i < n; i++)
        ret_leases[i] = (Lease){.is_held = false};
    take_leases(rows, jobs, n, owner, ret_leases);
    return find_owners(pg, PG_PARAMS(arrays[0], owner, ended), jobs, n, ret_leases, err);
}

bool lease_renew(Pg *pg, const char *owner, int64_t lease_ms, const LeaseJob *jobs, size_t n, Lease *leases,
                 Error *err) {
    CLEANUP(buf_drop) Buf names = pg_array(ARRAY_MAX_BYTES);
    CLEANUP(buf_drop) Buf epochs = pg_array(ARRAY_MAX_BYTES);
    for (size_t i = 0; i < n; i++) {
        if (!leases[i].is_held)
            continue;
        pg_array_text(&names, str_of(jobs[i].name));
        pg_array_int(&epochs, leases[i].epoch);
    }
    const char *name_array = pg_array_end(&names, err), *epoch_array = pg_array_end(&epochs, err);
    TRY(name_array && epoch_array);
    CLEANUP(pg_result_drop) PgResult *rows =
        pg_query(pg, SQL_JOB_RENEW, PG_PARAMS(name_array, epoch_array, milliseconds(lease_ms).text, owner), err);
    TRY(rows);
    for (size_t i = 0; i < n; i++)
        leases[i].is_held = leases[i].is_locked = false;
    for (int r = 0; r < pg_rows(rows); r++) {
        size_t i = find_job(jobs, n, pg_text(rows, r, 0));
        if (i == n)
            continue;
        leases[i].is_held = true;
        leases[i].is_locked = !pg_bool(rows, r, 1);
    }
    return true;
}

bool lease_free_others(Pg *pg, const char *owner, const LeaseJob *jobs, size_t n, Error *err) {
    CLEANUP(buf_drop) Buf names = pg_array(ARRAY_MAX_BYTES);
    for (size_t i = 0; i < n; i++)
        pg_array_text(&names, str_of(jobs[i].name));
    const char *array = pg_array_end(&names, err);
    return array && pg_exec(pg, SQL_HOSPITAL_FREE_JOBS, PG_PARAMS(owner, array), NULL, err);
}

bool lease_release(Pg *pg, const char *owner, Error *err) {
    return pg_exec(pg, SQL_JOB_RELEASE, PG_PARAMS(owner), NULL, err);
}

bool lease_check(Pg *pg, const LeaseFence *fence, Error *err) {
    if (!fence->job)
        return true;
    CLEANUP(pg_result_drop) PgResult *row =
        pg_query(pg, SQL_JOB_EPOCH, PG_PARAMS(fence->job, pg_number(fence->epoch).text), err);
    TRY(row);
    return pg_rows(row) == 1 || error_set(err, STATE_CONFLICT, "job %s: its lease was taken by another daemon; what this "
                                          "run wrote is dropped", fence->job);
}

bool run_close_orphans(Pg *pg, const char *owner, const char *const *jobs, size_t n, bool are_untold, Error *err) {
    CLEANUP(buf_drop) Buf names = pg_array(ARRAY_MAX_BYTES);
    pg_array_names(&names, jobs, n);
    const char *array = pg_array_end(&names, err);
    return array && pg_exec(pg, SQL_RUN_ORPHANS, PG_PARAMS(owner, jobs ? array : NULL, are_untold ? "true" : "false"), NULL, err);
}

bool job_store_pause(Pg *pg, const char *job, bool paused, const char *by, Error *err) {
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    TRY(tx && state_patience(tx, PATIENCE, err));
    TRY(pg_exec(tx, SQL_JOB_PAUSE, PG_PARAMS(job, paused ? "true" : "false", by), NULL, err));
    return pg_commit(&tx, PG_FLUSHED, err);
}

bool run_reserve_ids(Pg *pg, int n, int64_t *ret_ids, Error *err) {
    CLEANUP(pg_result_drop) PgResult *ids = pg_query(pg, SQL_RUN_RESERVE, PG_PARAMS(pg_number(n).text), err);
    TRY(ids);
    for (int i = 0; i < n; i++)
        ret_ids[i] = pg_int(ids, i, 0);
    return true;
}

bool run_write(Pg *pg, const RunRow *row, Error *err) {
    const Error *failure = row->error && row->error->state[0] ? row->error : NULL;
    PgNumber started = pg_number(row->started_us), finished = pg_number(row->finished_us);
    return pg_exec(
        pg, SQL_RUN_WRITE,
        PG_PARAMS(pg_number(row->id).text, row->job, row->mode, row->trigger, row->state,
                  pg_number(row->attempt).text, pg_number(row->queued_us).text,
                  row->started_us ? started.text : NULL, row->finished_us ? finished.text : NULL,
                  pg_number(row->rows_read).text, pg_number(row->rows_changed).text,
                  pg_number(row->rows_quarantined).text, row->steps ? row->steps : "[]", row->range_from,
                  row->range_to, failure ? failure->state : NULL,
                  failure ? error_class_name(error_class(failure)) : NULL, failure ? failure->text : NULL,
                  failure && failure->hint[0] ? failure->hint : NULL, row->is_dry ? "true" : "false",
                  row->is_untold ? "true" : "false"),
        NULL, err);
}

static const char *text_or_null(const PgResult *rows, int column, Arena *arena) {
    Str text = pg_value(rows, 0, column);
    return str_is_null(text) ? NULL : arena_string(arena, text);
}

bool run_find(Pg *pg, int64_t id, Arena *arena, RunRow *ret_row, bool *ret_found, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_RUN_FIND, PG_PARAMS(pg_number(id).text), err);
    TRY(rows);
    *ret_found = pg_rows(rows) == 1;
    if (*ret_found)
        *ret_row = (RunRow){
            .id = id, .job = text_or_null(rows, 0, arena), .mode = text_or_null(rows, 1, arena),
            .trigger = text_or_null(rows, 2, arena), .state = text_or_null(rows, 3, arena),
            .attempt = (int)pg_int(rows, 0, 4), .range_from = text_or_null(rows, 5, arena),
            .range_to = text_or_null(rows, 6, arena), .is_dry = pg_bool(rows, 0, 7),
        };
    return true;
}

bool run_find_held(Pg *pg, const char *owner, Arena *arena, HeldRun **ret_runs, size_t *ret_n, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_RUN_FIND_HELD, PG_PARAMS(owner), err);
    TRY(rows);
    HeldRun *runs = ARENA_ARRAY(arena, HeldRun, (size_t)pg_rows(rows) + 1);
    for (int r = 0; r < pg_rows(rows); r++) {
        HeldRun *run = &runs[r];
        run->row = (RunRow){
            .id = pg_int(rows, r, 0), .job = arena_string(arena, pg_value(rows, r, 1)),
            .mode = arena_string(arena, pg_value(rows, r, 2)), .trigger = arena_string(arena, pg_value(rows, r, 3)),
            .attempt = (int)pg_int(rows, r, 4), .queued_us = pg_int(rows, r, 5), .started_us = pg_int(rows, r, 6),
            .finished_us = pg_int(rows, r, 7),
        };
        error_set(&run->error, pg_text(rows, r, 8), "%s", pg_text(rows, r, 9));
        error_hint(&run->error, "%s", pg_text(rows, r, 10));
    }
    *ret_runs = runs;
    *ret_n = (size_t)pg_rows(rows);
    return true;
}

bool run_begun(Pg *pg, const RunRow *row, Error *err) {
    return pg_exec(pg, SQL_RUN_BEGUN, PG_PARAMS(pg_number(row->id).text, row->job, row->mode, row->trigger), NULL, err);
}

bool run_find_untold(Pg *pg, const char *owner, int n_max, Arena *arena, HeldRun **ret_runs, size_t *ret_n, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_RUN_UNTOLD, PG_PARAMS(owner, pg_number(n_max).text), err);
    TRY(rows);
    HeldRun *runs = ARENA_ARRAY(arena, HeldRun, (size_t)pg_rows(rows) + 1);
    for (int r = 0; r < pg_rows(rows); r++) {
        runs[r].row = (RunRow){
            .id = pg_int(rows, r, 0), .job = arena_string(arena, pg_value(rows, r, 1)),
            .state = arena_string(arena, pg_value(rows, r, 2)), .rows_changed = pg_int(rows, r, 3),
            .queued_us = pg_int(rows, r, 4), .started_us = pg_int(rows, r, 5), .finished_us = pg_int(rows, r, 6),
        };
        if (*pg_text(rows, r, 7))
            error_set(&runs[r].error, pg_text(rows, r, 7), "%s", pg_text(rows, r, 8));
    }
    *ret_runs = runs;
    *ret_n = (size_t)pg_rows(rows);
    return true;
}

bool run_told(Pg *pg, int64_t id, Error *err) {
    return pg_exec(pg, SQL_RUN_TOLD, PG_PARAMS(pg_number(id).text), NULL, err);
}
