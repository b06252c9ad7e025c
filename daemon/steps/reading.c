/* reading.c - see reading.h. */
#include "steps/reading.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/own.h"
#include "steps/x12_survey.h"
#include "storage/run_store.h"
#include "storage/x12.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

/* ---- how far ---- */

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
static bool parse_progress(const Reading *reading, const char *position, FileProgress *ret_progress) {
    const FileEntry *entry = &reading->file->entry;
    long long id, offset, line;
    unsigned long long way = way_of_reading(reading->claims, entry->readings), its_way = way;
    int cut;
    if (!position || sscanf(position, "%lld %lld %lld %d %llx", &id, &offset, &line, &cut, &its_way) < 4 ||
        id != entry->file_id || its_way != way)
        return false;
    *ret_progress = (FileProgress){.offset = offset, .line = line, .was_cut = cut != 0};
    return true;
}

/* ---- a page ---- */

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

static bool note_survey(const Reading *reading, Pg *pg, const X12Survey *survey, Error *err) {
    X12Notes notes = {reading->entry.file_id, reading->file->seen.source_system, survey->sets_json, survey->provider_json,
                      survey->acknowledgements_json, survey->batches_json, survey->interchanges_json};
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
            return error_set(err, STATE_CONFLICT, "feed %s: a file's entry moved meanwhile", reading->claims->name);
    } else if (begins) {
        TRY(file_restart(pg, reading->entry.file_id, &reading->entry.readings, err));
    }
    TRY(!survey || !begins || note_survey(reading, pg, survey, err));
    snprintf(reading->position, sizeof reading->position, "%lld %lld %lld %d %llx", (long long)reading->entry.file_id,
             (long long)reading->ahead.offset, (long long)reading->ahead.line, reading->ahead.was_cut,
             (unsigned long long)way_of_reading(reading->claims, reading->entry.readings));
    FAILPOINT("receive.after_begin");
    *ret_file_id = reading->entry.file_id;
    return true;
}

const char *reading_warning(const Reading *reading) {
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
    reading->file->is_changed = !drop_is_unchanged(reading->drop, reading->file->name, &reading->file->stamp);
    if (reading->file->is_changed)
        return error_set(err, STATE_DATA, "the file changed while it was read");
    if (delivery_survey(reading->delivery))
        TRY(x12_mend(pg, reading->entry.file_id, err));
    FAILPOINT("receive.before_done");
    return file_done(pg, reading->entry.file_id, reading_warning(reading), err);
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
        TRY(former_open(reading->run->pg, former->file_ids, former->n, reading->file->seen.source_system, former->first_line,
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

static bool place_delivered(Reading *reading, DeliveryPage *page, Arena *page_arena, Error *err) {
    PlaceEntry entry = {.enter = enter, .conclude = conclude, .ctx = reading};
    PlaceOutcome outcome = {0};
    TRY(turns_take(&reading->turns, &page->rows, err));
    CursorState next = reading->feed->cursor;
    next.is_loading = false;
    next.n_load_key = 0;
    next.position = reading->position; /* written when the file has its entry */
    page->rows.entry = &entry;
    TRY(take_former(reading, &page->rows, page_arena, err));
    describe(reading, &page->rows);
    reading->run->counts.bytes_read += (int64_t)page->size_bytes;
    bool ok = turns_place(&reading->turns, &page->rows, &next, page_arena, place_or_reject, &outcome, err);
    reading->feed->cursor.position = NULL; /* the reading's; the next page brings its own */
    return ok;
}

/* Nothing is left to place: its entry and its end alone. */
static bool place_nothing(Reading *reading, Error *err) {
    int64_t file_id;
    if (reading->run->plan)
        return true;
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(reading->run->pg, err);
    TRY(tx && enter(reading, tx, &file_id, err) && conclude(reading, tx, NULL, err));
    const RunContext *run = reading->run; /* no cursor moves: the lease is the fence */
    return lease_check(run->pg, &(LeaseFence){run->job, run->epoch}, err) && pg_commit(&tx, PG_RELAXED, err);
}

static bool place_one(Reading *reading, DeliveryPage *page, Arena *page_arena, Error *err) {
    bool has_rows = page->rows.n_rows > 0;
    reading->is_last = page->is_last;
    if (has_rows)
        reading->ahead = (FileProgress){.offset = page->offset, .line = page->line};
    reading->ahead.was_cut = reading->progress.was_cut || page->was_cut;
    if (!has_rows && !page->is_last)
        return true;
    bool places = has_rows || reading->former.n > 0;
    TRY(places ? place_delivered(reading, page, page_arena, err) : place_nothing(reading, err));
    FAILPOINT("receive.after_page");
    reading->progress = reading->ahead;
    if (!reading->run->plan)
        reading->file->entry = reading->entry;
    reading->has_placed = true;
    return true;
}

static bool read_delivered(void *ctx, AheadPage *page, Error *err) {
    DeliveryPage *delivered = ARENA_NEW(page->arena, DeliveryPage);
    TRY(delivery_read(ctx, page->arena, delivered, err));
    delivered->rows.is_mostly_new = true;
    *page = (AheadPage){.arena = page->arena, .rows = &delivered->rows, .read = delivered, .is_last = delivered->is_last};
    return true;
}

static bool place_next(void *ctx, AheadPage *page, Error *err) {
    Reading *reading = ctx;
    return !step_is_canceled(reading->run, err) && place_one(reading, page->read, page->arena, err) &&
           ended_move_old(reading->ended, err);
}

/* ---- pages behind one another ---- */

/* Nothing of its rows is known before: they may be written before their turn. */
static bool has_unknown_rows(const Reading *reading) {
    return !reading->run->plan && !delivery_survey(reading->delivery) && reading->former.n == 0;
}

static bool describe_page(void *ctx, AheadPage *page) {
    describe(ctx, page->rows);
    return true;
}

bool reading_first(Reading *reading, AheadPage *page, Error *err) {
    arena_empty(page->arena);
    return read_delivered(reading->delivery, page, err);
}

bool reading_place(Reading *reading, AheadPage *first, Error *err) {
    size_t n_lanes = has_unknown_rows(reading) ? TURNS_LANES_MAX : 0;
    reading->turns = (Turns){.owner = {.describe = describe_page, .place = place_next, .ctx = reading},
                             .feed = reading->feed, .n_lanes = n_lanes};
    AheadReader reader = {.what = "a claims file", .read = read_delivered, .ctx = reading->delivery, .place = reading->feed,
                          .n_in_hand = n_lanes ? n_lanes : 1};
    if (first->is_last)
        return place_next(reading, first, err);
    if (delivery_is_large(reading->delivery))
        members_expect_many(reading->feed->members);
    CLEANUP(ahead_drop) Ahead *ahead = ahead_open(&reader, err);
    TRY(ahead);
    turns_begin(&reading->turns);
    bool ok = place_next(reading, first, err);
    arena_empty(first->arena); /* the others have memory of their own */
    arena_trim(first->arena);
    ok = ok && turns_walk(&reading->turns, ahead, err);
    turns_done(&reading->turns);
    return ok;
}

/* ---- the file ---- */

/* It is read anew when it was put back for that, or began to be read in another way. */
static void note_former(Reading *reading) {
    Incoming *file = reading->file;
    bool begins = reading->progress.offset == 0 && reading->progress.line == 0;
    if (file->entry.file_id > 0 && (file->entry.readings > 0 || begins))
        file->former[file->n_former++] = file->entry.file_id;
    reading->former = (FormerReading){.file_ids = file->former, .n = file->n_former,
                                      .from_line = line_behind(reading, reading->progress.line)};
}

bool reading_begin(Reading *reading, const char *position, Error *err) {
    if (parse_progress(reading, position, &reading->progress))
        TRY(delivery_seek(reading->delivery, reading->progress.offset, reading->progress.line, err));
    reading->ahead = reading->progress;
    note_former(reading);
    return true;
}

void reading_done(Reading *reading) { former_close(&reading->claims_before); }
