/* receive.c - claims files, from the drop directory to silver.
 *
 * A file's way: seen -> complete -> renamed into receiving/ -> hashed -> placed page by page, the first with its entry
 * in the ledger, the last with its end, the cursor saying how far -> flushed, its report written, moved (ended.h). Each
 * boundary may be the last thing this process does: what lies in receiving/ when a run begins is taken up where
 * its ledger entry and the cursor say. What is wrong with a file ends that file with a sentence; what is
 * wrong with the house ends the run. A plan reads the files where they lie, and enters, moves and places nothing. */
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "steps/put_back.h"
#include "steps/receiving.h"
#include "steps/remap_claims.h"
#include "storage/run_store.h"
#include "transform/text.h"

#include <poll.h>
#include <stdio.h>

enum { WAIT_SLICE_MS = 100, WAIT_MOST_MS = 30 * 1000, LOOKS = 2, FILES_A_LIST = 128 };

/* ---- what all parts ask ---- */

bool receiving_is_ours(const Receiving *r, Error *err) {
    return lease_check(r->run->pg, &(LeaseFence){r->run->job, r->run->epoch}, err);
}

const char *receiving_name(Arena *arena, const char *name) {
    char *known = arena_string(arena, str_of(name));
    for (uint8_t *c = (uint8_t *)known; !text_is_clean_utf8(str_of(known)) && *c; c++)
        *c = *c < 0x80 ? *c : '_';
    return known;
}

/* Others are looked for where they lie: they may be a million. */
void receiving_stay(Receiving *r, const char *name, const char *known_as) {
    if (strcmp(name, known_as) == 0)
        return;
    Staying *staying = ARENA_NEW(r->names, Staying);
    *staying = (Staying){r->staying, arena_string(r->names, str_of(known_as))};
    r->staying = staying;
}

/* ---- the directory ---- */

static bool tell_unfit(Receiving *r, const DropEntry *entry, Error *err) {
    if (r->run->plan) {
        if (!planned_has(&r->planned, entry->name))
            planned_note(&r->planned, entry->name, NULL, OUTLOOK_REFUSED);
        return true;
    }
    CLEANUP(arena_drop) Arena *arena = arena_open();
    FileSeen seen = {.feed = r->claims->name, .source_system = "", .name = receiving_name(arena, entry->name)};
    bool is_new;
    TRY(file_unfit(r->run->pg, &seen, entry->sentence, &is_new, err));
    if (!is_new)
        return true;
    METRIC_ADD(METRIC_FILE, 1, "failed");
    LOG_WARN("something in the drop directory is left where it is", LOG_TEXT("feed", r->claims->name),
             LOG_TEXT("reason", entry->sentence));
    return true;
}

static bool take_entry(Receiving *r, const DropEntry *entry, int64_t seen_id, int64_t *wait_ms, Error *err) {
    if (entry->kind == DROP_UNFIT)
        return tell_unfit(r, entry, err);
    if (entry->kind == DROP_GROWING) {
        *wait_ms = entry->wait_ms > *wait_ms ? entry->wait_ms : *wait_ms;
        receiving_stay(r, entry->name, entry->known_as);
        return true;
    }
    if (r->run->plan)
        return planned_has(&r->planned, entry->name) || receive_file(r, entry->name, FOUND_WAITING, 0, err);
    bool claimed;
    TRY(drop_claim(&r->drop, entry->name, &claimed, err));
    FAILPOINT("receive.after_rename");
    if (!claimed)
        receiving_stay(r, entry->name, entry->known_as);
    return !claimed || receive_file(r, entry->name, FOUND_WAITING, seen_id, err);
}

/* They are `seen` from now on, complete or not. */
static bool enter_seen(const Receiving *r, DropList *list, int64_t *ret_ids, Arena *arena, Error *err) {
    const char **names = ARENA_ARRAY(arena, const char *, list->n + 1);
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++)
        list->entries[i].known_as = receiving_name(arena, list->entries[i].name);
    for (size_t i = 0; i < list->n; i++)
        if (list->entries[i].kind != DROP_UNFIT)
            names[n++] = list->entries[i].known_as;
    if (r->run->plan || n == 0)
        return true;
    int64_t *ids = ARENA_ARRAY(arena, int64_t, n);
    TRY(file_see(r->run->pg, r->claims->name, names, n, ids, err));
    n = 0;
    for (size_t i = 0; i < list->n; i++)
        ret_ids[i] = list->entries[i].kind == DROP_UNFIT ? 0 : ids[n++];
    FAILPOINT("receive.after_seen");
    return true;
}

static bool take_entries(Receiving *r, DropList *list, DropPlace place, Arena *arena, int64_t *wait_ms, Error *err) {
    int64_t *seen_ids = ARENA_ARRAY(arena, int64_t, list->n + 1);
    if (place == DROP_WAITING && list->n > 0) /* whoever lost its lease claims no more */
        TRY(enter_seen(r, list, seen_ids, arena, err) && receiving_is_ours(r, err));
    for (size_t i = 0; i < list->n; i++) {
        if (step_is_canceled(r->run, err))
            return false;
        TRY(place == DROP_CLAIMED ? receive_file(r, list->entries[i].name, FOUND_LEFT, 0, err)
                                  : take_entry(r, &list->entries[i], seen_ids[i], wait_ms, err));
    }
    return true;
}

/* A file that ends the run leaves those behind that waited for it, not with it. */
static bool take_list(Receiving *r, DropList *list, DropPlace place, Arena *arena, int64_t *wait_ms, Error *err) {
    Error ignored = {0};
    if (take_entries(r, list, place, arena, wait_ms, err))
        return small_place(r, err);
    if (receiving_is_ours(r, &ignored) && small_place(r, &ignored))
        ended_move(&r->ended, &ignored);
    return false;
}

/* `ret_wait_ms`: after so long the files that nobody writes any more may be complete; 0: there are none. */
static bool look_through(Receiving *r, DropPlace place, int64_t *ret_wait_ms, Error *err) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    CLEANUP(drop_look_close) DropLook look = {.dir = NULL};
    TRY(drop_look_open(&r->drop, place, r->claims->settle_ms, &look, err));
    *ret_wait_ms = 0;
    r->staying = NULL;
    for (DropList list = {.n = 1}; list.n > 0;) {
        arena_empty(arena);
        drop_look_next(&look, FILES_A_LIST, arena, &list);
        TRY(take_list(r, &list, place, arena, ret_wait_ms, err));
    }
    return ended_move(&r->ended, err);
}

static bool is_staying(const Receiving *r, const char *name) {
    if (drop_has_waiting(&r->drop, name))
        return true;
    for (const Staying *s = r->staying; s; s = s->before)
        if (strcmp(s->name, name) == 0)
            return true;
    return false;
}

/* What was seen and is not there any more, though nobody received it. */
static bool forget_gone(const Receiving *r, Error *err) {
    CLEANUP(arena_drop) Arena *list = arena_open(), *names = arena_open();
    const char *last = "";
    FileWaiting *waiting;
    if (r->run->plan)
        return true;
    for (size_t n = 1; n > 0;) {
        if (step_is_canceled(r->run, err))
            return false;
        arena_empty(list);
        TRY(file_waiting(r->run->pg, r->claims->name, last, list, &waiting, &n, err));
        for (size_t i = 0; i < n; i++)
            if (!is_staying(r, waiting[i].name))
                TRY(file_gone(r->run->pg, waiting[i].file_id, err));
        arena_empty(names);
        last = n > 0 ? arena_string(names, str_of(waiting[n - 1].name)) : last;
    }
    return true;
}

/* "Unchanged for a while" has no event; cancelling is looked at meanwhile. */
static void wait_for_quiet(const Receiving *r, int64_t wait_ms) {
    int64_t until_us = clock_monotonic_us() + (wait_ms + 1) * 1000;
    while (clock_monotonic_us() < until_us && !atomic_load(r->run->canceled))
        poll(NULL, 0, WAIT_SLICE_MS);
}

/* Until nothing is left that may be complete soon. */
static bool look_until_quiet(Receiving *r, Error *err) {
    for (int look = 1; look <= LOOKS; look++) {
        int64_t wait_ms;
        r->looks_again = false;
        TRY(look_through(r, DROP_WAITING, &wait_ms, err));
        bool is_due = r->looks_again || (wait_ms > 0 && wait_ms <= WAIT_MOST_MS); /* else: the next run's */
        if (!is_due || look == LOOKS)
            break;
        wait_for_quiet(r, wait_ms);
    }
    return forget_gone(r, err);
}

static bool look_at_all(Receiving *r, Error *err) {
    int64_t ignored;
    TRY(put_back_asked(r->run, &r->drop, err));
    TRY(look_through(r, DROP_CLAIMED, &ignored, err));
    return look_until_quiet(r, err);
}

/* What has ended when a person cancels is moved all the same. */
static bool move_rest(Receiving *r, Error *err) {
    Error ignored = {0};
    if (error_class(err) == ERROR_CANCELED)
        ended_move(&r->ended, &ignored);
    return false;
}

static void receiving_done(Receiving *r) {
    together_done(&r->together);
    open_feeds_close(&r->feeds);
    ended_done(&r->ended);
    planned_done(&r->planned);
    drop_close(&r->drop);
}

static bool receive_all(RunContext *run, Error *err) {
    CLEANUP(arena_drop) Arena *names = arena_open(), *arena = arena_open(), *pages = arena_open();
    CLEANUP(receiving_done) Receiving r = {.run = run, .claims = run->claims, .drop = {.fd = -1}, .names = names,
                                           .arena = arena, .pages = pages,
                                           .feeds = {.run = run, .claims = run->claims}};
    TRY(remap_claims_if_due(run, err)); /* before anything is placed by another mapping */
    TRY(drop_open(run->claims->directory, run->plan ? DROP_LOOK : DROP_WORK, &r.drop, err));
    ended_init(&r.ended, run, &r.drop);
    planned_init(&r.planned, names);
    together_init(&r.together);
    if (!look_at_all(&r, err))
        return move_rest(&r, err);
    if (run->plan)
        planned_write(&r.planned, run->note, sizeof run->note);
    return true;
}

static bool step_of_mode(RunContext *run, Error *err) {
    if (run->mode == RUN_REMAP)
        return remap_claims(run, err);
    return run->mode == RUN_REPLAY ? replay_claims(run, err) : receive_all(run, err);
}

bool step_receive(RunContext *run, Error *err) {
    return step_of_mode(run, err) || error_context(err, "feed %s", run->claims->name);
}
