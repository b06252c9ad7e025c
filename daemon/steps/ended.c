/* ended.c - see ended.h. */
#include "steps/ended.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "storage/run_store.h"

enum { REPORTS_AT_ONCE = 16 }; /* each may list a thousand lines */
static const int64_t WAIT_MOST_US = 300 * 1000;

void ended_init(EndedFiles *ended, RunContext *run, const Drop *drop) {
    *ended = (EndedFiles){.run = run, .drop = drop, .arena = arena_open()};
}

void ended_done(EndedFiles *ended) {
    if (ended->arena)
        arena_free(ended->arena);
    ended->arena = NULL;
}

static const char *copy(Arena *arena, const char *text) { return text ? arena_string(arena, str_of(text)) : NULL; }

/* What is chosen is not there yet: two of one name are not moved together. */
static bool is_chosen(const EndedFiles *ended, DropEnd end, const char *stored_as) {
    for (size_t i = 0; i < ended->n; i++)
        if (ended->files[i].end == end && strcmp(ended->files[i].stored_as, stored_as) == 0)
            return true;
    return false;
}

static const char *free_name(const EndedFiles *ended, const EndedFile *file) {
    return drop_free_name(ended->drop, ended->arena, file->end, file->known_as, file->file_id);
}

bool ended_add(EndedFiles *ended, const EndedFile *file, Error *err) {
    const char *stored_as = file->stored_as;
    if (!stored_as)
        stored_as = free_name(ended, file);
    if (is_chosen(ended, file->end, stored_as)) {
        TRY(ended_move(ended, err));
        stored_as = free_name(ended, file);
    }
    if (ended->n == 0)
        ended->since_us = clock_monotonic_us();
    EndedFile *kept = &ended->files[ended->n++];
    *kept = *file;
    kept->name = copy(ended->arena, file->name);
    kept->known_as = copy(ended->arena, file->known_as);
    kept->stored_as = copy(ended->arena, stored_as);
    kept->sentence = copy(ended->arena, file->sentence);
    return ended->n < ENDED_MOST ? ended_move_old(ended, err) : ended_move(ended, err);
}

bool ended_move_old(EndedFiles *ended, Error *err) {
    return ended->n == 0 || clock_monotonic_us() < ended->since_us + WAIT_MOST_US || ended_move(ended, err);
}

static void tell(const EndedFiles *ended, const EndedFile *file) {
    METRIC_ADD(METRIC_FILE, 1, file->outcome);
    LogLevel level = strcmp(file->outcome, "failed") == 0 || file->sentence ? LOG_LEVEL_WARN : LOG_LEVEL_INFO;
    log_write(level, "file finished", (LogField[]){
        LOG_TEXT("feed", ended->run->claims->name), LOG_INT("run", ended->run->run_id), LOG_INT("file", file->file_id),
        LOG_TEXT("outcome", file->outcome), LOG_TEXT("reason", file->sentence)}, file->sentence ? 5 : 4);
}

static bool move_some(EndedFiles *ended, size_t first, size_t n, const int64_t *ids, Error *err) {
    FileReport reports[REPORTS_AT_ONCE];
    ArenaMark mark = arena_mark(ended->arena);
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(ended->run->pg, err);
    TRY(tx && file_lock(tx, ids, n, err) && file_reports(tx, ids, n, ended->arena, reports, err) &&
        lease_check(tx, &(LeaseFence){ended->run->job, ended->run->epoch}, err));
    FAILPOINT("receive.before_move");
    for (size_t i = 0; i < n; i++) {
        const EndedFile *file = &ended->files[first + i];
        DropReport report = {reports[i].json, reports[i].text};
        TRY(drop_finish(ended->drop, ended->arena, file->name, &file->stamp, file->end, file->stored_as, &report, err));
        tell(ended, file);
    }
    arena_rewind(ended->arena, mark);
    return pg_commit(&tx, PG_RELAXED, err);
}

/* Flushed, and what ended by then with it. */
static bool write_names(const EndedFiles *ended, const int64_t *ids, const char *const *names, Error *err) {
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(ended->run->pg, err);
    return tx && file_stored(tx, ids, names, ended->n, err) &&
           lease_check(tx, &(LeaseFence){ended->run->job, ended->run->epoch}, err) && pg_commit(&tx, PG_FLUSHED, err);
}

bool ended_move(EndedFiles *ended, Error *err) {
    int64_t ids[ENDED_MOST];
    const char *names[ENDED_MOST];
    if (ended->n == 0)
        return true;
    for (size_t i = 0; i < ended->n; i++) {
        ids[i] = ended->files[i].file_id;
        names[i] = ended->files[i].stored_as;
    }
    TRY(write_names(ended, ids, names, err));
    FAILPOINT("receive.after_done");
    for (size_t i = 0; i < ended->n; i += REPORTS_AT_ONCE) {
        size_t n = ended->n - i;
        TRY(move_some(ended, i, n < REPORTS_AT_ONCE ? n : REPORTS_AT_ONCE, ids + i, err));
    }
    TRY(drop_sync_ends(ended->drop, err));
    ended->n = 0;
    arena_empty(ended->arena);
    return true;
}
