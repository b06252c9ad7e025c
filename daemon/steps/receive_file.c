/* receive_file.c - see receiving.h: one file, from receiving/ to its end. */
#include "base/failpoint.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "steps/receiving.h"
#include "steps/whose.h"
#include "storage/run_store.h"

/* The ledger's number of a file that a plan takes for received. */
enum { PLANNED_FILE_ID = -1 };

static bool plan_file(Receiving *r, const Incoming *file, Outlook outlook) {
    planned_note(&r->planned, file->name, &file->seen, outlook);
    return true;
}

/* ---- its end ---- */

static bool end(Receiving *r, const Incoming *file, int64_t file_id, DropEnd where, const char *outcome, const char *sentence,
                Error *err) {
    EndedFile ended = {.file_id = file_id, .end = where, .name = file->name, .stamp = file->stamp, .known_as = file->known_as,
                       .outcome = outcome, .sentence = sentence};
    return ended_add(&r->ended, &ended, err);
}

/* A page is fenced by its cursor; what ends a file without one, by the lease: who lost it must not end another's. */
static bool commit_fenced(const Receiving *r, Pg **tx, PgCommit commit, Error *err) {
    return receiving_is_ours(r, err) && pg_commit(tx, commit, err);
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

/* ---- its rows ---- */

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

bool receiving_is_files_fault(const Error *why) {
    return error_class(why) == ERROR_DATA || error_class(why) == ERROR_CONFIGURATION;
}

/* Several small files are placed as one page, before the next one that is not. */
static bool place_rows(Receiving *r, Reading *reading, bool *ret_waits, Error *err) {
    AheadPage first = {.arena = r->pages};
    TRY(reading_first(reading, &first, err));
    *ret_waits = small_may_wait(r, reading, first.read);
    if (*ret_waits)
        return small_wait(r, reading, first.read, err);
    TRY(small_place_before(r, reading, err));
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
    CLEANUP(reading_done) Reading reading = {.run = r->run, .claims = r->claims, .drop = &r->drop, .ended = &r->ended,
                                             .file = file, .delivery = delivery, .feed = feed};
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

/* ---- its way ---- */

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
        TRY(small_place(r, err));
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
    if (is_good ? error_class(&why) == ERROR_DATA : receiving_is_files_fault(&why))
        return end_failed(r, file, &why, err);
    *err = why;
    return false;
}

/* Opened to be written again between the look and the claim: it goes back. */
static bool is_given_back(Receiving *r, const Incoming *file, int fd) {
    bool is_moved = false;
    Error ignored = {0}; /* then it is read, and found out at its end */
    if (r->run->plan || file->is_leftover || !drop_is_written(fd) || !receiving_is_ours(r, &ignored))
        return false;
    if (drop_give_back(&r->drop, file->name, &file->stamp, &is_moved, &ignored) && is_moved)
        receiving_stay(r, file->name, file->known_as);
    return is_moved;
}

static bool receive_claimed(Receiving *r, Incoming *file, Error *err) {
    DropPlace place = r->run->plan && !file->is_leftover ? DROP_WAITING : DROP_CLAIMED;
    CLEANUP(fd_drop) int fd = drop_open_file(&r->drop, place, file->name, &file->stamp, err);
    TRY(fd >= 0);
    if (is_given_back(r, file, fd))
        return true;
    if (file->stamp.size_bytes > TOGETHER_BYTES_A_FILE) /* small ones do not wait for it */
        TRY(small_place(r, err));
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
bool receive_file(Receiving *r, const char *name, Found found, int64_t seen_id, Error *err) {
    arena_empty(r->arena);
    arena_empty(r->pages);
    Incoming file = {.name = name, .known_as = receiving_name(r->arena, name), .is_leftover = found == FOUND_LEFT};
    file.seen = (FileSeen){.feed = r->claims->name, .source_system = "", .name = file.known_as, .seen_id = seen_id};
    return receive_claimed(r, &file, err);
}
