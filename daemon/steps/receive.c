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
#include "steps/open_feeds.h"
#include "steps/planned.h"
#include "steps/put_back.h"
#include "steps/reading.h"
#include "steps/remap_claims.h"
#include "steps/together.h"
#include "steps/whose.h"
#include "storage/run_store.h"
#include "transform/text.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>

enum { WAIT_SLICE_MS = 100, WAIT_MOST_MS = 30 * 1000, LOOKS = 2, FILES_A_LIST = 128 };

/* What waits in the drop directory, and is known by another name than it bears there. */
typedef struct Staying {
    struct Staying *before;
    const char *name;
} Staying;

typedef enum Found { FOUND_WAITING, FOUND_LEFT } Found;

typedef struct Receiving {
    RunContext *run;
    const ClaimsConfig *claims;
    Drop drop;
    EndedFiles ended;
    Together together; /* read, and not placed yet */
    bool is_each_alone; /* they could not be placed so */
    OpenFeeds feeds;
    const char *position; /* of the cursor when the run began; NULL once a page has moved it */
    bool has_position;    /* it was read */
    int64_t page;         /* pages committed so far, of the feed */
    Arena *arena; /* one file's */
    Arena *pages; /* one page's */
    Arena *names; /* the run's */
    Planned planned; /* a plan's */
    Staying *staying; /* the last; of this look */
    bool looks_again; /* a file was given back that may be complete by now */
} Receiving;

/* The ledger's number of a file that a plan takes for received. */
enum { PLANNED_FILE_ID = -1 };

static bool plan_file(Receiving *r, const Incoming *file, Outlook outlook) {
    planned_note(&r->planned, file->name, &file->seen, outlook);
    return true;
}

/* A name is any bytes to the file system, and text to the ledger: what is no letter stands there as `_`. */
static const char *known_name(Arena *arena, const char *name) {
    char *known = arena_string(arena, str_of(name));
    for (uint8_t *c = (uint8_t *)known; !text_is_clean_utf8(str_of(known)) && *c; c++)
        *c = *c < 0x80 ? *c : '_';
    return known;
}

/* ---- the end of a file ---- */

static bool end(Receiving *r, const Incoming *file, int64_t file_id, DropEnd where, const char *outcome, const char *sentence,
                Error *err) {
    EndedFile ended = {.file_id = file_id, .end = where, .name = file->name, .stamp = file->stamp, .known_as = file->known_as,
                       .outcome = outcome, .sentence = sentence};
    return ended_add(&r->ended, &ended, err);
}

static bool is_ours_still(const Receiving *r, Error *err) {
    return lease_check(r->run->pg, &(LeaseFence){r->run->job, r->run->epoch}, err);
}

/* A page is fenced by its cursor; what ends a file without one, by the lease: who lost it must not end another's. */
static bool commit_fenced(const Receiving *r, Pg **tx, PgCommit commit, Error *err) {
    return is_ours_still(r, err) && pg_commit(tx, commit, err);
}

/* What was placed of it stays. */
static bool enter_failed(Pg *tx, const Incoming *file, const char *sentence, int64_t *ret_file_id, Error *err) {
    *ret_file_id = file->entry.file_id;
    return file->entry.file_id ? file_failed(tx, file->entry.file_id, sentence, err)
                               : file_reject(tx, &file->seen, file->detected, sentence, ret_file_id, err);
}

/* The file is no good: `why` is its sentence. */
static bool end_failed(Receiving *r, const Incoming *file, const Error *why, Error *err) {
    if (r->run->plan)
        return plan_file(r, file, OUTLOOK_REFUSED);
    const char *sentence = why->hint[0] ? arena_printf(r->arena, "%s; %s", why->text, why->hint) : why->text;
    int64_t file_id;
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(r->run->pg, err);
    TRY(tx && enter_failed(tx, file, sentence, &file_id, err) && commit_fenced(r, &tx, PG_RELAXED, err));
    FAILPOINT("receive.after_failed");
    return end(r, file, file_id, DROP_FAILED, "failed", sentence, err);
}

/* Somebody had it open and wrote on: it goes back to where it waits, and is read when it is complete. What was placed
 * of it is what a first delivery of it would be. */
static bool end_changed(Receiving *r, const Incoming *file, Error *err) {
    static const char WHY[] = "it was written to while it was read; it is read again when it is complete";
    int64_t file_id;
    const char *nowhere = "";
    bool is_moved = false;
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(r->run->pg, err);
    TRY(tx && enter_failed(tx, file, WHY, &file_id, err) && file_stored(tx, &file_id, &nowhere, 1, err) &&
        commit_fenced(r, &tx, PG_FLUSHED, err));
    FAILPOINT("receive.before_give_back");
    TRY(drop_give_back(&r->drop, file->name, &file->stamp, &is_moved, err));
    if (!is_moved) /* another of its name waits there */
        return end(r, file, file_id, DROP_FAILED, "failed", WHY, err);
    r->looks_again = true;
    METRIC_ADD(METRIC_FILE, 1, "failed");
    LOG_WARN("file finished", LOG_TEXT("feed", r->claims->name), LOG_INT("run", r->run->run_id), LOG_INT("file", file_id),
             LOG_TEXT("outcome", "failed"), LOG_TEXT("reason", WHY));
    return true;
}

static bool end_duplicate(Receiving *r, const Incoming *file, int64_t of_file_id, Error *err) {
    if (r->run->plan)
        return plan_file(r, file, OUTLOOK_KNOWN);
    int64_t file_id;
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(r->run->pg, err);
    TRY(tx && file_duplicate(tx, &file->seen, of_file_id, &file_id, err) && commit_fenced(r, &tx, PG_RELAXED, err));
    return end(r, file, file_id, DROP_DONE, "duplicate", NULL, err);
}

/* ---- the rows of a file ---- */

/* The position that the run began with is a file's that was being read. */
static void note_position(Receiving *r, const PlaceFeed *place) {
    if (r->has_position)
        return;
    r->has_position = true;
    r->page = place->cursor.page;
    if (place->cursor.position)
        r->position = arena_string(r->names, str_of(place->cursor.position));
}

/* Columns are asked for by name: a missing one fails the file, with the sentence that names it and the
 * nearest. So do dates and amounts that are written in another way than is declared. */
static bool check_columns(Receiving *r, const Incoming *file, DeliveryFile *delivery, Error *why) {
    size_t n;
    const Field *fields = delivery_fields(delivery, &n);
    const PlaceFeed *open = open_feeds_find(&r->feeds, file->pattern, fields, n);
    const Mapping *mapping = open ? open->mapping
                                  : mapping_compile(r->arena, &r->claims->mapping, fields, n, r->run->config->zone, why);
    ArenaMark mark = arena_mark(r->pages);
    bool is_good = mapping && delivery_check_values(delivery, mapping, r->pages, why);
    arena_rewind(r->pages, mark);
    return is_good;
}

static bool is_files_fault(const Error *why) {
    return error_class(why) == ERROR_DATA || error_class(why) == ERROR_CONFIGURATION;
}

/* ---- small files ---- */

static bool end_together(Receiving *r, Error *err) {
    const Together *together = &r->together;
    r->run->counts.bytes_read += (int64_t)together->size_bytes;
    for (size_t i = 0; i < together->n; i++) {
        const SmallFile *file = &together->files[i];
        EndedFile ended = {.file_id = file->seen.seen_id, .end = DROP_DONE, .name = file->name, .stamp = file->stamp,
                           .known_as = file->seen.name, .outcome = "done"};
        TRY(ended_add(&r->ended, &ended, err));
    }
    return true;
}

static bool receive_one(Receiving *r, const char *name, Found found, int64_t seen_id, Error *err);

/* As if they had come so, with memory of their own: another file may be in hand. One that somebody took away is gone. */
static bool receive_each(Receiving *r, Error *err) {
    CLEANUP(arena_drop) Arena *arena = arena_open(), *pages = arena_open();
    Arena *in_hand = r->arena, *in_hand_pages = r->pages;
    bool ok = true;
    r->arena = arena;
    r->pages = pages;
    r->is_each_alone = true;
    for (size_t i = 0; ok && i < r->together.n; i++)
        ok = !drop_has_claimed(&r->drop, r->together.files[i].name) ||
             (!step_is_canceled(r->run, err) &&
              receive_one(r, r->together.files[i].name, FOUND_WAITING, r->together.files[i].seen.seen_id, err));
    r->arena = in_hand;
    r->pages = in_hand_pages;
    r->is_each_alone = false;
    return ok;
}

/* A fault that may be one file's alone. */
static bool is_one_of_theirs(const Error *why) {
    return is_files_fault(why) || refused_is_likely(why) || error_class(why) == ERROR_CONFLICT;
}

static bool place_them(Receiving *r, Error *err) {
    CLEANUP(arena_drop) Arena *page = arena_open();
    Error why = {0};
    r->together.feed->cursor.page = r->page;
    if (!together_place(&r->together, &r->drop, page, &why)) {
        if (!is_one_of_theirs(&why)) {
            *err = why;
            return false;
        }
        LOG_FAILURE(LOG_LEVEL_INFO, "small files are placed each by itself", &why, LOG_TEXT("feed", r->claims->name));
        return is_ours_still(r, err) && receive_each(r, err); /* and not those of whoever took over */
    }
    FAILPOINT("receive.after_page");
    r->page = r->together.feed->cursor.page;
    r->position = NULL;
    return end_together(r, err);
}

/* What waits. Whatever becomes of it, it lies in receiving/ until it has ended. */
static bool place_together(Receiving *r, Error *err) {
    if (r->together.n == 0 || r->is_each_alone)
        return true;
    bool ok = !step_is_canceled(r->run, err) && place_them(r, err);
    open_feeds_give(r->together.feed);
    together_empty(&r->together);
    return ok;
}

/* Nothing is to be said of it but that it was received. */
static bool is_plain(const Receiving *r, const Reading *reading, const DeliveryPage *page) {
    const Incoming *file = reading->file;
    size_t n = page->rows.n_rows;
    return !r->run->plan && !r->is_each_alone && !delivery_survey(reading->delivery) && reading->former.n == 0 &&
           file->entry.file_id == 0 && file->seen.seen_id > 0 && page->is_last && !page->was_cut && n > 0 &&
           n <= TOGETHER_ROWS_A_FILE && n <= together_most_rows(reading->feed);
}

/* The feed may be one that they were of. */
static bool place_before(Receiving *r, Reading *reading, Error *err) {
    TRY(place_together(r, err));
    reading->feed->cursor.page = r->page;
    return true;
}

static bool wait_with_others(Receiving *r, Reading *reading, const DeliveryPage *page, Error *err) {
    const Incoming *file = reading->file;
    SmallFile small = {.name = file->name, .stamp = file->stamp, .bytes = file->bytes, .seen = file->seen, .detected = *file->detected};
    if (!together_fits(&r->together, reading->feed, page, r->pages))
        TRY(place_before(r, reading, err));
    if (r->together.n == 0)
        open_feeds_hold(reading->feed);
    together_add(&r->together, reading->feed, &small, page, r->pages);
    return true;
}

/* Several small files are placed as one page, before the next one that is not. */
static bool place_rows(Receiving *r, Reading *reading, bool *ret_waits, Error *err) {
    AheadPage first = {.arena = r->pages};
    TRY(reading_first(reading, &first, err));
    *ret_waits = is_plain(r, reading, first.read);
    if (*ret_waits)
        return wait_with_others(r, reading, first.read, err);
    TRY(place_before(r, reading, err));
    bool ok = reading_place(reading, &first, err);
    r->page = reading->feed->cursor.page;
    if (reading->has_placed)
        r->position = NULL;
    return ok;
}

static bool receive_as(Receiving *r, Incoming *file, DeliveryFile *delivery, PlaceFeed *feed, Error *err) {
    note_position(r, feed);
    feed->cursor.page = r->page;
    bool waits;
    CLEANUP(reading_done) Reading reading = {.run = r->run, .claims = r->claims, .drop = &r->drop, .ended = &r->ended, .file = file,
                                             .delivery = delivery, .feed = feed};
    TRY(reading_begin(&reading, r->position, err) && place_rows(r, &reading, &waits, err));
    if (waits)
        return true;
    return r->run->plan ? plan_file(r, file, OUTLOOK_RECEIVED)
                        : end(r, file, file->entry.file_id, DROP_DONE, "done", reading_warning(&reading), err);
}

static bool receive_rows(Receiving *r, Incoming *file, DeliveryFile *delivery, Error *err) {
    size_t n;
    const Field *fields = delivery_fields(delivery, &n);
    PlaceFeed *feed = open_feeds_take(&r->feeds, file->pattern, fields, n, err);
    TRY(feed);
    bool ok = receive_as(r, file, delivery, feed, err);
    open_feeds_give(feed);
    return ok;
}

/* ---- one file ---- */

static bool identify(const Receiving *r, Incoming *file, int fd, Error *err) {
    TRY(file_hash(fd, r->run->canceled, &file->bytes, err));
    FAILPOINT("receive.after_hash");
    file->seen.bytes = &file->bytes;
    return true;
}

/* It was seen since: a person has moved it back from where it ended, to be read again. But the row may be another's of its
 * name, which waits still; what is done is done in either case, and only moved. */
static bool is_seen_anew(const Receiving *r, const Incoming *file, int64_t ended_id, bool is_failed) {
    return file->seen.seen_id > ended_id && (is_failed || !drop_has_waiting(&r->drop, file->name));
}

/* Killed between the ledger's entry and the move: only the move is left. */
static bool finish_move(Receiving *r, const Incoming *file, bool *ret_finished, Error *err) {
    int64_t file_id;
    const char *state, *stored_as;
    *ret_finished = false;
    TRY(file_finished(r->run->pg, &file->seen, r->arena, &file_id, &state, &stored_as, err));
    if (file_id == 0)
        return true;
    bool is_failed = strcmp(state, "failed") == 0;
    if (is_seen_anew(r, file, file_id, is_failed))
        return true;
    EndedFile ended = {.file_id = file_id, .end = is_failed ? DROP_FAILED : DROP_DONE, .name = file->name, .stamp = file->stamp,
                       .known_as = file->known_as, .stored_as = stored_as,
                       .outcome = is_failed ? "failed" : strcmp(state, "duplicate") == 0 ? "duplicate" : "done"};
    if (stored_as && drop_has(&r->drop, ended.end, stored_as)) /* another one's end */
        return true;
    *ret_finished = true;
    return r->run->plan || ended_add(&r->ended, &ended, err);
}

/* What a crash left before its first page has the row of when it was seen. */
static bool look_back(Receiving *r, Incoming *file, bool *ret_finished, Error *err) {
    TRY(file_seen_id(r->run->pg, r->claims->name, file->known_as, &file->seen.seen_id, err));
    return finish_move(r, file, ret_finished, err);
}

static bool look_up(const Receiving *r, Incoming *file, Error *err) {
    FileLook look;
    TRY(file_look(r->run->pg, &file->seen, r->arena, &look, err));
    file->entry = look.entry;
    file->former = look.former;
    file->n_former = look.n_former;
    if (!r->run->plan)
        return true;
    if (planned_is_received(&r->planned, &file->seen))
        file->entry.answer = FILE_KNOWN;
    else if (file->entry.answer == FILE_NEW)
        file->entry.file_id = PLANNED_FILE_ID;
    return true;
}

static bool receive_new(Receiving *r, Incoming *file, int fd, Error *err) {
    CLEANUP(fd_drop) int owned = fd;
    Error why = {0};
    file->pattern = whose_file(r->claims, file->name, &why);
    if (!file->pattern)
        return end_failed(r, file, &why, err);
    file->seen.source_system = file->pattern->source;
    if (together_has(&r->together, file->seen.source_system, &file->bytes)) /* then it is known */
        TRY(place_together(r, err));
    TRY(whose_period(r->claims, file->pattern, file->known_as, r->arena, &file->seen.period, err) && look_up(r, file, err));
    if (file->entry.answer == FILE_KNOWN)
        return end_duplicate(r, file, file->entry.file_id, err);
    owned = -1;
    CLEANUP(delivery_drop) DeliveryFile *delivery =
        delivery_open(fd, r->claims, file->pattern, r->run->canceled, r->arena, &why);
    bool is_good = delivery && check_columns(r, file, delivery, &why);
    if (delivery)
        file->detected = delivery_detected(delivery, r->arena);
    FAILPOINT("receive.after_detected");
    if (is_good ? receive_rows(r, file, delivery, &why) : false)
        return true;
    if (file->is_changed)
        return end_changed(r, file, err);
    if (is_good ? error_class(&why) == ERROR_DATA : is_files_fault(&why))
        return end_failed(r, file, &why, err);
    *err = why;
    return false;
}

/* Others are looked for where they lie: they may be a million. */
static void stay(Receiving *r, const char *name, const char *known_as) {
    if (strcmp(name, known_as) == 0)
        return;
    Staying *staying = ARENA_NEW(r->names, Staying);
    *staying = (Staying){r->staying, arena_string(r->names, str_of(known_as))};
    r->staying = staying;
}

/* Opened to be written again between the look and the claim: it goes back. */
static bool is_given_back(Receiving *r, const Incoming *file, int fd) {
    bool is_moved = false;
    Error ignored = {0}; /* then it is read, and found out at its end */
    if (r->run->plan || file->is_leftover || !drop_is_written(fd) || !is_ours_still(r, &ignored))
        return false;
    if (drop_give_back(&r->drop, file->name, &file->stamp, &is_moved, &ignored) && is_moved)
        stay(r, file->name, file->known_as);
    return is_moved;
}

static bool receive_claimed(Receiving *r, Incoming *file, Error *err) {
    DropPlace place = r->run->plan && !file->is_leftover ? DROP_WAITING : DROP_CLAIMED;
    CLEANUP(fd_drop) int fd = drop_open_file(&r->drop, place, file->name, &file->stamp, err);
    TRY(fd >= 0);
    if (is_given_back(r, file, fd))
        return true;
    if (file->stamp.size_bytes > TOGETHER_BYTES_A_FILE) /* small ones do not wait for it */
        TRY(place_together(r, err));
    TRY(identify(r, file, fd, err));
    bool finished = false;
    if (file->is_leftover)
        TRY(look_back(r, file, &finished, err));
    if (finished)
        return true;
    int handed_over = fd;
    fd = -1;
    return receive_new(r, file, handed_over, err);
}

/* Memory of one file serves the next. */
static bool receive_one(Receiving *r, const char *name, Found found, int64_t seen_id, Error *err) {
    arena_empty(r->arena);
    arena_empty(r->pages);
    Incoming file = {.name = name, .known_as = known_name(r->arena, name), .is_leftover = found == FOUND_LEFT};
    file.seen = (FileSeen){.feed = r->claims->name, .source_system = "", .name = file.known_as, .seen_id = seen_id};
    return receive_claimed(r, &file, err);
}

/* ---- the directory ---- */

static bool tell_unfit(Receiving *r, const DropEntry *entry, Error *err) {
    if (r->run->plan) {
        if (!planned_has(&r->planned, entry->name))
            planned_note(&r->planned, entry->name, NULL, OUTLOOK_REFUSED);
        return true;
    }
    CLEANUP(arena_drop) Arena *arena = arena_open();
    FileSeen seen = {.feed = r->claims->name, .source_system = "", .name = known_name(arena, entry->name)};
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
        stay(r, entry->name, entry->known_as);
        return true;
    }
    if (r->run->plan)
        return planned_has(&r->planned, entry->name) || receive_one(r, entry->name, FOUND_WAITING, 0, err);
    bool claimed;
    TRY(drop_claim(&r->drop, entry->name, &claimed, err));
    FAILPOINT("receive.after_rename");
    if (!claimed)
        stay(r, entry->name, entry->known_as);
    return !claimed || receive_one(r, entry->name, FOUND_WAITING, seen_id, err);
}

/* They are `seen` from now on, complete or not. */
static bool enter_seen(const Receiving *r, DropList *list, int64_t *ret_ids, Arena *arena, Error *err) {
    const char **names = ARENA_ARRAY(arena, const char *, list->n + 1);
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++)
        list->entries[i].known_as = known_name(arena, list->entries[i].name);
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
        TRY(enter_seen(r, list, seen_ids, arena, err) && is_ours_still(r, err));
    for (size_t i = 0; i < list->n; i++) {
        if (step_is_canceled(r->run, err))
            return false;
        TRY(place == DROP_CLAIMED ? receive_one(r, list->entries[i].name, FOUND_LEFT, 0, err)
                                  : take_entry(r, &list->entries[i], seen_ids[i], wait_ms, err));
    }
    return true;
}

/* A file that ends the run leaves those behind that waited for it, not with it. */
static bool take_list(Receiving *r, DropList *list, DropPlace place, Arena *arena, int64_t *wait_ms, Error *err) {
    Error ignored = {0};
    if (take_entries(r, list, place, arena, wait_ms, err))
        return place_together(r, err);
    if (is_ours_still(r, &ignored) && place_together(r, &ignored))
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
