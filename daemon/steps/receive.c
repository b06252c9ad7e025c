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
#include "steps/ahead.h"
#include "steps/delivery.h"
#include "steps/ended.h"
#include "steps/lane.h"
#include "steps/open_feeds.h"
#include "steps/planned.h"
#include "steps/put_back.h"
#include "steps/remap_claims.h"
#include "steps/together.h"
#include "steps/whose.h"
#include "steps/x12_survey.h"
#include "storage/former.h"
#include "storage/run_store.h"
#include "storage/x12.h"
#include "transform/text.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <xxhash.h>

enum { WAIT_SLICE_MS = 100, WAIT_MOST_MS = 30 * 1000, LOOKS = 2, FILES_A_LIST = 128, POSITION_BYTES = 112, IN_VAIN_MOST = 4 };

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

/* One claimed file. */
typedef struct Incoming {
    const char *name;     /* where it lies: any bytes */
    const char *known_as; /* in the ledger and when it has ended: UTF-8 */
    bool is_leftover; /* lay in receiving/ when the run began */
    DropStamp stamp;
    FileBytes bytes;
    FileSeen seen;
    const FilePattern *pattern;
    const FileDetected *detected; /* NULL: not yet */
    FileEntry entry;              /* file_id 0: it is not entered */
    int64_t *former;              /* rows of the ledger that may have placed rows of the same bytes before */
    size_t n_former;
    bool is_changed;              /* somebody wrote to it while it was read */
} Incoming;

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

/* How far a file was placed, as the cursor's position says it: "file offset line cut way". */
typedef struct Progress {
    int64_t offset, line;
    bool was_cut;
} Progress;

static uint64_t hash_mix(uint64_t hash, const void *bytes, size_t size) { return XXH3_64bits_withSeed(bytes, size, hash); }

/* Offsets mean something only to whoever reads in the same way, and no more once it is to be read again. */
static uint64_t way_of_reading(const ClaimsConfig *c, int32_t readings) {
    uint64_t hash = (uint64_t)readings;
    const int parts[] = {(int)c->format, c->delimiter, (int)c->quote, (int)c->header, (int)c->encoding, c->max_line_bytes,
                         c->max_field_bytes, (int)c->n_columns};
    hash = hash_mix(hash, parts, sizeof parts);
    for (size_t i = 0; i < c->n_columns; i++) {
        const int place[] = {c->columns[i].start, c->columns[i].width};
        hash = hash_mix(hash_mix(hash, place, sizeof place), c->columns[i].name, strlen(c->columns[i].name));
    }
    return hash;
}

/* A position of before there were ways has four parts. */
static bool parse_progress(const Receiving *r, const Incoming *file, Progress *ret_progress) {
    long long id, offset, line;
    unsigned long long way = way_of_reading(r->claims, file->entry.readings), its_way = way;
    int cut;
    if (!r->position || sscanf(r->position, "%lld %lld %lld %d %llx", &id, &offset, &line, &cut, &its_way) < 4 ||
        id != file->entry.file_id || its_way != way)
        return false;
    *ret_progress = (Progress){.offset = offset, .line = line, .was_cut = cut != 0};
    return true;
}

/* ---- the rows of a page ---- */

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

/* A row that PostgreSQL will not have must not keep the others out. */
static bool place_or_reject(PlaceFeed *feed, const RawRows *rows, const CursorState *next, Arena *page_arena,
                            PlaceOutcome *ret_outcome, Error *err) {
    Error why = {0};
    RawRows again = *rows;
    RawReject *rejects;
    if (place_page(feed, rows, next, page_arena, ret_outcome, &why))
        return true;
    if (!refused_is_likely(&why)) {
        *err = why;
        return false;
    }
    again.prepared = NULL; /* whose rows bear what this attempt found */
    TRY(refused_find(feed, &again, &why, page_arena, &rejects, err));
    again.rejects = rejects;
    return place_page(feed, &again, next, page_arena, ret_outcome, err);
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

/* ---- its pages ---- */

/* A file that is being placed. */
typedef struct Reading {
    Receiving *r;
    Incoming *file;
    DeliveryFile *delivery;
    PlaceFeed *feed;
    Progress progress;
    /* the page in hand: its end, its entry when its transaction has made one, and where the cursor will stand */
    Progress ahead;
    FormerReading former; /* .n 0: nothing of these bytes was read before */
    FormerClaims claims_before;
    SilverPage *page;      /* as it was read ahead, or NULL */
    const RawRows *behind; /* of the page after it, described, where the lane may write them meanwhile; or NULL */
    Lane *lane;            /* or NULL */
    bool has_no_lane;      /* there was none to be had */
    int n_in_vain;         /* pages that it had to leave, one behind the other */
    bool is_all_new;       /* the page placed last: the next may be, too */
    bool is_last;
    FileEntry entry;
    char position[POSITION_BYTES];
    bool waits; /* with others, to be placed and ended with them */
} Reading;

static bool note_survey(const Reading *reading, Pg *pg, const X12Survey *survey, Error *err) {
    X12Notes notes = {reading->entry.file_id, reading->file->seen.source_system, survey->sets_json, survey->provider_json,
                      survey->acknowledgements_json, survey->interchanges_json};
    return x12_note(pg, &notes, err);
}

/* With the first page of this run; whoever goes on has its entry. */
static bool enter(void *ctx, Pg *pg, int64_t *ret_file_id, Error *err) {
    Reading *reading = ctx;
    const X12Survey *survey = delivery_survey(reading->delivery);
    bool begins = !reading->file->entry.file_id || (reading->progress.offset == 0 && reading->progress.line == 0);
    reading->entry = reading->file->entry;
    if (!reading->entry.file_id) {
        TRY(file_begin(pg, &reading->file->seen, reading->file->detected, &reading->entry, err));
        if (reading->entry.answer != FILE_NEW)
            return error_set(err, STATE_CONFLICT, "feed %s: a file's entry moved meanwhile", reading->r->claims->name);
    } else if (begins) {
        TRY(file_restart(pg, reading->entry.file_id, &reading->entry.readings, err));
    }
    TRY(!survey || !begins || note_survey(reading, pg, survey, err));
    snprintf(reading->position, sizeof reading->position, "%lld %lld %lld %d %llx", (long long)reading->entry.file_id,
             (long long)reading->ahead.offset, (long long)reading->ahead.line, reading->ahead.was_cut,
             (unsigned long long)way_of_reading(reading->r->claims, reading->entry.readings));
    FAILPOINT("receive.after_begin");
    *ret_file_id = reading->entry.file_id;
    if (reading->behind)
        lane_begin(reading->lane, reading->page, reading->behind);
    return true;
}

static const char *warning_of(const Reading *reading) {
    static const char CUT[] = "the file was cut: it ends in the middle of a line; send it again, whole";
    const X12Survey *survey = delivery_survey(reading->delivery);
    return survey ? survey->warning : reading->ahead.was_cut ? CUT : NULL;
}

/* With the last page. */
static bool conclude(void *ctx, Pg *pg, const SilverPage *page, Error *err) {
    Reading *reading = ctx;
    (void)page;
    if (!reading->is_last)
        return true;
    reading->file->is_changed = !drop_is_unchanged(&reading->r->drop, reading->file->name, &reading->file->stamp);
    if (reading->file->is_changed)
        return error_set(err, STATE_DATA, "the file changed while it was read");
    if (delivery_survey(reading->delivery))
        TRY(x12_mend(pg, reading->entry.file_id, err));
    FAILPOINT("receive.before_done");
    return file_done(pg, reading->entry.file_id, warning_of(reading), err);
}

/* An X12 page ends with its last row's segment, another before the next one's line. */
static int64_t line_behind(const Reading *reading, int64_t line) {
    return delivery_survey(reading->delivery) && line > 0 ? line + 1 : line;
}

/* What earlier readings made of the page's lines. */
static bool take_former(Reading *reading, RawRows *rows, Arena *page, Error *err) {
    FormerReading *former = &reading->former;
    Str *ids;
    if (former->n == 0)
        return true;
    former->first_line = line_behind(reading, reading->progress.line);
    former->end_line = reading->is_last ? INT64_MAX : line_behind(reading, reading->ahead.line);
    if (!reading->claims_before.pg)
        TRY(former_open(reading->r->run->pg, former->file_ids, former->n, reading->file->seen.source_system, former->first_line,
                        &reading->claims_before, err));
    TRY(former_take(&reading->claims_before, former->end_line, page, &ids, &former->n_ids, err));
    former->ids = ids;
    rows->former = former;
    return true;
}

static void describe(const Reading *reading, RawRows *rows) {
    const Incoming *file = reading->file;
    rows->file_id = file->entry.file_id;
    rows->period = str_of(file->seen.period);
    rows->sha256 = (Str){(const char *)file->bytes.sha256, FILE_SHA256_BYTES};
    rows->source_now_us = clock_wall_us();
}

/* By the session that has written its rows already, or by the run's. */
static bool place_rows_of(Reading *reading, LaneAnswer answer, RawRows *rows, const CursorState *next, Arena *page_arena,
                          PlaceOutcome *ret_outcome, Error *err) {
    Error ignored = {0}; /* the page's turn tells it */
    bool is_placed = false;
    if (answer == LANE_STANDS) {
        is_placed = place_in_turn(reading->feed, lane_page(reading->lane), rows, next, ret_outcome, &ignored);
        lane_done(reading->lane);
    }
    if (answer != LANE_NOTHING)
        reading->n_in_vain = is_placed ? 0 : reading->n_in_vain + 1;
    if (is_placed)
        return true;
    if (answer != LANE_NOTHING)
        rows->prepared = NULL; /* whose rows bear what that attempt found */
    return place_or_reject(reading->feed, rows, next, page_arena, ret_outcome, err);
}

static bool place_delivered(Reading *reading, DeliveryPage *page, Arena *page_arena, Error *err) {
    PlaceEntry entry = {.enter = enter, .conclude = conclude, .ctx = reading};
    PlaceOutcome outcome = {0};
    LaneAnswer answer = LANE_NOTHING;
    TRY(!reading->lane || lane_take(reading->lane, &page->rows, &answer, err));
    CursorState next = reading->feed->cursor;
    next.is_loading = false;
    next.n_load_key = 0;
    next.position = reading->position; /* written when the file has its entry */
    page->rows.entry = &entry;
    TRY(take_former(reading, &page->rows, page_arena, err));
    describe(reading, &page->rows);
    reading->r->run->counts.bytes_read += (int64_t)page->size_bytes;
    reading->page = page->rows.prepared;
    bool ok = place_rows_of(reading, answer, &page->rows, &next, page_arena, &outcome, err);
    reading->feed->cursor.position = NULL; /* the reading's; the next page brings its own */
    reading->is_all_new = ok && outcome.rows_new == (int64_t)page->rows.n_rows;
    return ok;
}

/* Nothing is left to place: its entry and its end alone. */
static bool place_nothing(Reading *reading, Error *err) {
    int64_t file_id;
    if (reading->r->run->plan)
        return true;
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(reading->r->run->pg, err);
    TRY(tx && enter(reading, tx, &file_id, err) && conclude(reading, tx, NULL, err));
    return commit_fenced(reading->r, &tx, PG_RELAXED, err);
}

static bool place_one(Reading *reading, DeliveryPage *page, Arena *page_arena, Error *err) {
    bool has_rows = page->rows.n_rows > 0;
    reading->is_last = page->is_last;
    if (has_rows)
        reading->ahead = (Progress){.offset = page->offset, .line = page->line};
    reading->ahead.was_cut = reading->progress.was_cut || page->was_cut;
    if (!has_rows && !page->is_last)
        return true;
    bool places = has_rows || reading->former.n > 0;
    TRY(places ? place_delivered(reading, page, page_arena, err) : place_nothing(reading, err));
    FAILPOINT("receive.after_page");
    reading->progress = reading->ahead;
    if (!reading->r->run->plan)
        reading->file->entry = reading->entry;
    reading->r->page = reading->feed->cursor.page;
    reading->r->position = NULL;
    return true;
}

static bool read_delivered(void *ctx, AheadPage *page, Error *err) {
    DeliveryPage *delivered = ARENA_NEW(page->arena, DeliveryPage);
    TRY(delivery_read(ctx, page->arena, delivered, err));
    delivered->rows.is_mostly_new = true;
    *page = (AheadPage){.arena = page->arena, .rows = &delivered->rows, .read = delivered, .is_last = delivered->is_last};
    return true;
}

static bool place_next(Reading *reading, const AheadPage *page, Error *err) {
    return !step_is_canceled(reading->r->run, err) && place_one(reading, page->read, page->arena, err) &&
           ended_move_old(&reading->r->ended, err);
}

/* Nothing is to be said of it but that it was received. */
static bool is_plain(const Reading *reading, const DeliveryPage *page) {
    const Receiving *r = reading->r;
    const Incoming *file = reading->file;
    size_t n = page->rows.n_rows;
    return !r->run->plan && !r->is_each_alone && !delivery_survey(reading->delivery) && reading->former.n == 0 &&
           file->entry.file_id == 0 && file->seen.seen_id > 0 && page->is_last && !page->was_cut && n > 0 &&
           n <= TOGETHER_ROWS_A_FILE && n <= together_most_rows(reading->feed);
}

/* The feed may be one that they were of. */
static bool place_before(Reading *reading, Error *err) {
    TRY(place_together(reading->r, err));
    reading->feed->cursor.page = reading->r->page;
    return true;
}

static bool wait_with_others(Reading *reading, const DeliveryPage *page, Error *err) {
    Receiving *r = reading->r;
    const Incoming *file = reading->file;
    SmallFile small = {.name = file->name, .stamp = file->stamp, .bytes = file->bytes, .seen = file->seen, .detected = *file->detected};
    if (!together_fits(&r->together, reading->feed, page, r->pages))
        TRY(place_before(reading, err));
    if (r->together.n == 0)
        open_feeds_hold(reading->feed);
    together_add(&r->together, reading->feed, &small, page, r->pages);
    reading->waits = true;
    return true;
}

/* Nothing of its rows is known before: one can go by twos. */
static bool has_unknown_rows(const Reading *reading) {
    return !reading->r->run->plan && !delivery_survey(reading->delivery) && reading->former.n == 0;
}

/* The page after this one may be written by a lane while this one is placed: of a file whose rows were new so far. */
static bool may_go_by_twos(Reading *reading, const AheadPage *page) {
    const Receiving *r = reading->r;
    if (page->is_last || !reading->is_all_new || !has_unknown_rows(reading))
        return false;
    if (reading->n_in_vain == IN_VAIN_MOST) {
        if (reading->lane)
            LOG_INFO("pages written by a second session had to be left; one places the rest", LOG_TEXT("feed", r->claims->name),
                     LOG_INT("file", reading->entry.file_id), LOG_INT("pages", reading->n_in_vain));
        lane_drop(&reading->lane);
        reading->lane = NULL;
        return false;
    }
    Error why = {0}; /* then one session does it all */
    if (!reading->lane && !reading->has_no_lane && !(reading->lane = lane_open(reading->feed, r->run->pg_pool, &why)))
        LOG_FAILURE(LOG_LEVEL_INFO, "no second session writes pages", &why, LOG_TEXT("feed", r->claims->name));
    reading->has_no_lane = !reading->lane;
    return reading->lane != NULL;
}

/* A page that cannot be read ends the file when those before it are placed. */
static bool place_two(Reading *reading, Ahead *ahead, const AheadPage *page, bool *ret_is_last, Error *err) {
    Error later = {0};
    const AheadPage *behind = ahead_next(ahead, &later);
    if (behind) {
        describe(reading, behind->rows);
        reading->behind = behind->rows;
    }
    bool ok = place_next(reading, page, err);
    reading->behind = NULL;
    TRY(ok);
    if (!behind) {
        *err = later;
        return false;
    }
    *ret_is_last = behind->is_last;
    return place_next(reading, behind, err);
}

static bool place_rest(Reading *reading, Ahead *ahead, Error *err) {
    arena_empty(reading->r->pages); /* the first page's: the others have memory of their own */
    arena_trim(reading->r->pages);
    for (bool is_last = false; !is_last;) {
        const AheadPage *page = ahead_next(ahead, err);
        TRY(page);
        is_last = page->is_last;
        TRY(may_go_by_twos(reading, page) ? place_two(reading, ahead, page, &is_last, err) : place_next(reading, page, err));
    }
    return true;
}

/* Most files are one page, which is not worth a thread; of others the next is read and cleaned meanwhile. */
static bool place_rows(Reading *reading, Error *err) {
    AheadReader reader = {.what = "a claims file", .read = read_delivered, .ctx = reading->delivery, .place = reading->feed,
                          .holds_two = has_unknown_rows(reading)};
    AheadPage first = {.arena = reading->r->pages};
    arena_empty(first.arena);
    TRY(read_delivered(reading->delivery, &first, err));
    if (is_plain(reading, first.read))
        return wait_with_others(reading, first.read, err);
    TRY(place_before(reading, err));
    if (first.is_last)
        return place_next(reading, &first, err);
    CLEANUP(ahead_drop) Ahead *ahead = ahead_open(&reader, err);
    bool ok = ahead && place_next(reading, &first, err) && place_rest(reading, ahead, err);
    lane_drop(&reading->lane); /* before the pages that it may be at */
    return ok;
}

/* It is read anew when it was put back for that, or began to be read in another way. */
static void note_former(Reading *reading) {
    Incoming *file = reading->file;
    bool begins = reading->progress.offset == 0 && reading->progress.line == 0;
    if (file->entry.file_id > 0 && (file->entry.readings > 0 || begins))
        file->former[file->n_former++] = file->entry.file_id;
    reading->former = (FormerReading){.file_ids = file->former, .n = file->n_former};
}

static void reading_done(Reading *reading) { former_close(&reading->claims_before); }

static bool receive_as(Receiving *r, Incoming *file, DeliveryFile *delivery, PlaceFeed *feed, Error *err) {
    note_position(r, feed);
    feed->cursor.page = r->page;
    CLEANUP(reading_done) Reading reading = {.r = r, .file = file, .delivery = delivery, .feed = feed};
    if (parse_progress(r, file, &reading.progress))
        TRY(delivery_seek(delivery, reading.progress.offset, reading.progress.line, err));
    reading.ahead = reading.progress;
    note_former(&reading);
    TRY(place_rows(&reading, err));
    if (reading.waits)
        return true;
    if (r->run->plan)
        return plan_file(r, file, OUTLOOK_RECEIVED);
    const char *warning = warning_of(&reading);
    return end(r, file, file->entry.file_id, DROP_DONE, "done", warning, err);
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
