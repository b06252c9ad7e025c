/* receive.c - claims files, from the drop directory to silver.
 *
 * A file's way: complete -> renamed into receiving/ -> hashed -> entered in the ledger -> placed page by page,
 * the cursor saying how far -> `done` in the ledger, flushed -> report written and file moved. Each boundary may
 * be the last thing this process does: what lies in receiving/ when a run begins is taken up where
 * its ledger entry and the cursor say. What is wrong with a file ends that file with a sentence; what is
 * wrong with the house ends the run. A plan reads the files where they lie, and enters, moves and places nothing. */
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "steps/delivery.h"
#include "steps/drop.h"
#include "steps/remap_claims.h"
#include "steps/x12_survey.h"
#include "storage/file.h"
#include "storage/x12.h"
#include "transform/text.h"

#include <fnmatch.h>
#include <poll.h>
#include <regex.h>
#include <stdio.h>

enum { WAIT_SLICE_MS = 100, WAIT_MOST_MS = 30 * 1000, LOOKS = 2, PERIOD_GROUPS = 2 };

/* What a plan would do with a file. */
typedef enum Outlook { OUTLOOK_RECEIVED, OUTLOOK_REFUSED, OUTLOOK_KNOWN, N_OUTLOOKS } Outlook;
typedef struct Planned {
    struct Planned *before;
    Outlook outlook;
    const char *name, *source_system;
    uint8_t sha256[FILE_SHA256_BYTES];
} Planned;

typedef struct Receiving {
    RunContext *run;
    const ClaimsConfig *claims;
    Drop drop;
    Arena *arena; /* one file's */
    Arena *names; /* the run's */
    Planned *planned; /* the last; a plan's */
} Receiving;

/* One claimed file. */
typedef struct Incoming {
    const char *name;     /* where it lies: any bytes */
    const char *known_as; /* in the ledger and when it has ended: UTF-8 */
    bool is_leftover; /* lay in receiving/ when the run began */
    FileBytes bytes;
    FileSeen seen;
    const FilePattern *pattern;
    int64_t file_id;
} Incoming;

/* ---- whose file it is ---- */

static const char *plain_name(Arena *arena, const char *name) {
    static const char *const PACKED[] = {".gz", ".zip"};
    size_t size = strlen(name);
    for (size_t i = 0; i < sizeof PACKED / sizeof *PACKED; i++) {
        size_t end = strlen(PACKED[i]);
        if (size > end && strcmp(name + size - end, PACKED[i]) == 0)
            return arena_string(arena, (Str){name, size - end});
    }
    return name;
}

/* NULL and the sentence when no pattern matches, or two do. */
static const FilePattern *find_pattern(const Receiving *r, const char *name, Error *err) {
    const FilePattern *found = NULL;
    for (size_t i = 0; i < r->claims->n_from; i++) {
        const FilePattern *pattern = &r->claims->from[i];
        if (fnmatch(pattern->pattern, name, FNM_PERIOD) != 0)
            continue;
        if (found) {
            error_set(err, STATE_DATA, "its name matches two patterns of %s, %s and %s, so its source is not known",
                      r->claims->name, found->pattern, pattern->pattern);
            error_hint(err, "name it so that one matches, or make the patterns narrower");
            return NULL;
        }
        found = pattern;
    }
    if (!found) {
        error_set(err, STATE_DATA, "its name matches no pattern of %s, so its source is not known", r->claims->name);
        error_hint(err, "name it by one of them, or add a pattern to `from`");
    }
    return found;
}

static bool find_period(const Receiving *r, const FilePattern *pattern, const char *name,
                        const char **ret_period, Error *err) {
    *ret_period = NULL;
    if (!pattern->period)
        return true;
    regex_t expression;
    if (regcomp(&expression, pattern->period, REG_EXTENDED) != 0)
        return error_set(err, STATE_CONFIG, "%s: the period of pattern %s is no regular expression",
                         r->claims->name, pattern->pattern);
    regmatch_t groups[PERIOD_GROUPS];
    if (regexec(&expression, name, PERIOD_GROUPS, groups, 0) == 0 && groups[1].rm_so >= 0)
        *ret_period = arena_string(r->arena, (Str){name + groups[1].rm_so,
                                                   (size_t)(groups[1].rm_eo - groups[1].rm_so)});
    regfree(&expression);
    return true;
}

/* ---- a plan: what it would have done by now ---- */

enum { PLANNED_FILE_ID = -1 };

static bool note_planned(Receiving *r, const char *name, const FileSeen *seen, Outlook outlook) {
    Planned *planned = ARENA_NEW(r->names, Planned);
    *planned = (Planned){.before = r->planned, .outlook = outlook, .name = arena_string(r->names, str_of(name)),
                         .source_system = arena_string(r->names, str_of(seen ? seen->source_system : ""))};
    if (seen && seen->bytes)
        memcpy(planned->sha256, seen->bytes->sha256, sizeof planned->sha256);
    r->planned = planned;
    return true;
}

static bool was_planned(const Receiving *r, const char *name) {
    for (const Planned *p = r->planned; p; p = p->before)
        if (strcmp(p->name, name) == 0)
            return true;
    return false;
}

static bool is_any_received(const Receiving *r, const FileSeen *seen) {
    for (const Planned *p = r->planned; p; p = p->before)
        if (p->outlook == OUTLOOK_RECEIVED && (!seen || (strcmp(p->source_system, seen->source_system) == 0 &&
                                                         memcmp(p->sha256, seen->bytes->sha256, sizeof p->sha256) == 0)))
            return true;
    return false;
}

/* A name is any bytes to the file system, and text to the ledger: what is no letter stands there as `_`. */
static const char *known_name(Arena *arena, const char *name) {
    char *known = arena_string(arena, str_of(name));
    for (uint8_t *c = (uint8_t *)known; !text_is_clean_utf8(str_of(known)) && *c; c++)
        *c = *c < 0x80 ? *c : '_';
    return known;
}

/* Names come from outside: what is no plain letter is not shown. */
static void put_name(Buf *note, const char *name) {
    for (; *name; name++)
        buf_put_byte(note, (uint8_t)(*name >= ' ' && *name < 0x7F ? *name : '?'));
}

static size_t put_outlook(Buf *note, const Planned *last, Outlook outlook, const char *word) {
    size_t n = 0;
    for (const Planned *p = last; p; p = p->before)
        n += p->outlook == outlook;
    if (n == 0)
        return 0;
    buf_printf(note, "%s%zu %s: ", note->size ? "; " : "", n, word);
    const char *comma = "";
    for (const Planned *p = last; p; p = p->before) {
        if (p->outlook != outlook)
            continue;
        buf_put_str(note, str_of(comma));
        put_name(note, p->name);
        comma = ", ";
    }
    return n;
}

/* Which files, for a person: as many names as there is room for. */
static void write_note(const Receiving *r) {
    static const char *const WORDS[N_OUTLOOKS] = {
        [OUTLOOK_RECEIVED] = "to be received", [OUTLOOK_REFUSED] = "to be refused", [OUTLOOK_KNOWN] = "known already"};
    CLEANUP(buf_drop) Buf note;
    buf_init(&note, 1 << 20);
    for (int outlook = 0; outlook < N_OUTLOOKS; outlook++)
        put_outlook(&note, r->planned, (Outlook)outlook, WORDS[outlook]);
    snprintf(r->run->note, sizeof r->run->note, "%.*s", (int)note.size, note.size ? note.data : "");
}

/* ---- the end of a file ---- */

static bool move_to_end(const Receiving *r, const Incoming *file, int64_t file_id, DropEnd end,
                        const char *stored_as, Error *err) {
    DropReport report;
    TRY(file_report(r->run->pg, file_id, r->arena, &report.json, &report.text, err));
    return drop_finish(&r->drop, r->arena, file->name, end, stored_as, &report, err);
}

static void tell_end(const Receiving *r, int64_t file_id, const char *outcome, const char *sentence) {
    METRIC_ADD(METRIC_FILE, 1, outcome);
    LogLevel level = strcmp(outcome, "failed") == 0 || sentence ? LOG_LEVEL_WARN : LOG_LEVEL_INFO;
    log_write(level, "file finished", (LogField[]){
        LOG_TEXT("feed", r->claims->name), LOG_INT("run", r->run->run_id), LOG_INT("file", file_id),
        LOG_TEXT("outcome", outcome), LOG_TEXT("reason", sentence)}, sentence ? 5 : 4);
}

/* The file is no good: `why` is its sentence. */
static bool end_failed(Receiving *r, const Incoming *file, const Error *why, Error *err) {
    if (r->run->plan)
        return note_planned(r, file->name, &file->seen, OUTLOOK_REFUSED);
    const char *stored_as = drop_free_name(&r->drop, r->arena, DROP_FAILED, file->known_as);
    const char *sentence = why->hint[0] ? arena_printf(r->arena, "%s; %s", why->text, why->hint) : why->text;
    int64_t file_id = file->file_id;
    if (file_id)
        TRY(file_failed(r->run->pg, file_id, stored_as, sentence, err));
    else
        TRY(file_reject(r->run->pg, &file->seen, stored_as, sentence, &file_id, err));
    FAILPOINT("receive.after_done");
    TRY(move_to_end(r, file, file_id, DROP_FAILED, stored_as, err));
    tell_end(r, file_id, "failed", sentence);
    return true;
}

static bool end_duplicate(Receiving *r, const Incoming *file, Error *err) {
    if (r->run->plan)
        return note_planned(r, file->name, &file->seen, OUTLOOK_KNOWN);
    const char *stored_as = drop_free_name(&r->drop, r->arena, DROP_DONE, file->known_as);
    int64_t file_id;
    TRY(file_duplicate(r->run->pg, &file->seen, stored_as, file->file_id, &file_id, err));
    FAILPOINT("receive.after_done");
    TRY(move_to_end(r, file, file_id, DROP_DONE, stored_as, err));
    tell_end(r, file_id, "duplicate", NULL);
    return true;
}

/* `warning`: what is wrong with a file of which everything that could be placed was; or NULL. */
static bool end_done(Receiving *r, const Incoming *file, const char *warning, Error *err) {
    if (r->run->plan)
        return note_planned(r, file->name, &file->seen, OUTLOOK_RECEIVED);
    const char *stored_as = drop_free_name(&r->drop, r->arena, DROP_DONE, file->known_as);
    FAILPOINT("receive.before_done");
    TRY(file_done(r->run->pg, file->file_id, stored_as, warning, err));
    FAILPOINT("receive.after_done");
    TRY(move_to_end(r, file, file->file_id, DROP_DONE, stored_as, err));
    tell_end(r, file->file_id, "done", warning);
    return true;
}

/* ---- the rows of a file ---- */

/* How far a file was placed, as the cursor's position says it: "file offset line cut". */
typedef struct Progress {
    int64_t offset, line;
    bool was_cut;
} Progress;

static bool parse_progress(const char *position, int64_t file_id, Progress *ret_progress) {
    long long id, offset, line;
    int cut;
    if (!position || sscanf(position, "%lld %lld %lld %d", &id, &offset, &line, &cut) != 4 || id != file_id)
        return false;
    *ret_progress = (Progress){.offset = offset, .line = line, .was_cut = cut != 0};
    return true;
}

static bool open_place(const Receiving *r, const Incoming *file, DeliveryFile *delivery,
                       PlaceFeed *ret_feed, Error *err) {
    size_t n;
    const Field *fields = delivery_fields(delivery, &n);
    const char **types = ARENA_ARRAY(r->run->arena, const char *, n);
    for (size_t i = 0; i < n; i++)
        types[i] = "text";
    PlaceSource source = {
        .feed = r->claims->name,
        .source_system = file->pattern->source,
        .timezone = file->pattern->timezone,
        .zone = file->pattern->zone,
        .mapping = &r->claims->mapping,
        .fields = fields,
        .types = types,
        .n_fields = n,
    };
    return place_open(r->run, &source, ret_feed, err);
}

/* Columns are asked for by name: a missing one fails the file, with the sentence that names it and the
 * nearest. So do dates and amounts that are written in another way than is declared. */
static bool check_columns(const Receiving *r, DeliveryFile *delivery, Error *why) {
    size_t n;
    const Field *fields = delivery_fields(delivery, &n);
    const Mapping *mapping = mapping_compile(r->arena, &r->claims->mapping, fields, n, r->run->config->zone, why);
    return mapping && delivery_check_values(delivery, mapping, why);
}

static bool is_files_fault(const Error *why) {
    return error_class(why) == ERROR_DATA || error_class(why) == ERROR_CONFIGURATION;
}

/* A row that PostgreSQL will not have must not keep the others out. */
static bool place_or_reject(PlaceFeed *feed, const RawRows *rows, const CursorState *next, Arena *page_arena, Error *err) {
    Error why = {0};
    RawRows again = *rows;
    RawReject *rejects;
    PlaceOutcome outcome;
    if (place_page(feed, rows, next, page_arena, &outcome, &why))
        return true;
    if (!refused_is_likely(&why)) {
        *err = why;
        return false;
    }
    TRY(refused_find(feed, rows, &why, page_arena, &rejects, err));
    again.rejects = rejects;
    return place_page(feed, &again, next, page_arena, &outcome, err);
}

static bool place_delivered(const Receiving *r, const Incoming *file, PlaceFeed *feed, DeliveryPage *page,
                            Progress *progress, Arena *page_arena, Error *err) {
    progress->offset = page->offset;
    progress->line = page->line;
    progress->was_cut |= page->was_cut;
    CursorState next = feed->cursor;
    next.is_loading = false;
    next.n_load_key = 0;
    next.position = arena_printf(page_arena, "%lld %lld %lld %d", (long long)file->file_id,
                                 (long long)page->offset, (long long)page->line, progress->was_cut);
    page->rows.file_id = file->file_id;
    page->rows.period = str_of(file->seen.period);
    page->rows.sha256 = (Str){(const char *)file->bytes.sha256, FILE_SHA256_BYTES};
    page->rows.source_now_us = clock_wall_us();
    r->run->counts.bytes_read += (int64_t)page->size_bytes;
    TRY(place_or_reject(feed, &page->rows, &next, page_arena, err));
    feed->cursor.position = NULL; /* lived in the page's arena; the next page brings its own */
    FAILPOINT("receive.after_page");
    return true;
}

static bool place_rows(const Receiving *r, const Incoming *file, DeliveryFile *delivery, PlaceFeed *feed,
                       Progress *progress, Error *err) {
    CLEANUP(arena_drop) Arena *page_arena = arena_open();
    for (bool is_last = false; !is_last;) {
        if (step_is_canceled(r->run, err))
            return false;
        ArenaMark mark = arena_mark(page_arena);
        DeliveryPage page;
        TRY(delivery_read(delivery, page_arena, &page, err));
        is_last = page.is_last;
        progress->was_cut |= page.was_cut;
        if (page.rows.n_rows > 0)
            TRY(place_delivered(r, file, feed, &page, progress, page_arena, err));
        arena_rewind(page_arena, mark);
    }
    return true;
}

static bool note_survey(const Receiving *r, const Incoming *file, const X12Survey *survey, Error *err) {
    X12Notes notes = {file->file_id, file->seen.source_system, survey->sets_json, survey->provider_json,
                      survey->acknowledgements_json};
    return x12_note(r->run->pg, &notes, err);
}

static bool receive_rows(Receiving *r, Incoming *file, DeliveryFile *delivery, Error *err) {
    CLEANUP(place_close) PlaceFeed feed = {0};
    TRY(open_place(r, file, delivery, &feed, err));
    static const char CUT[] = "the file was cut: it ends in the middle of a line; send it again, whole";
    const X12Survey *survey = delivery_survey(delivery);
    if (survey && !r->run->plan)
        TRY(note_survey(r, file, survey, err));
    Progress progress = {.offset = 0};
    bool has_moved = is_any_received(r, NULL); /* a file before it would have taken the cursor along */
    if (!has_moved && parse_progress(feed.cursor.position, file->file_id, &progress))
        TRY(delivery_seek(delivery, progress.offset, progress.line, err));
    TRY(place_rows(r, file, delivery, &feed, &progress, err));
    return end_done(r, file, survey ? survey->warning : progress.was_cut ? CUT : NULL, err);
}

/* ---- one file ---- */

static bool identify(const Receiving *r, Incoming *file, int fd, Error *err) {
    TRY(file_hash(fd, &file->bytes, err));
    FAILPOINT("receive.after_hash");
    file->seen = (FileSeen){.feed = r->claims->name, .source_system = "", .name = file->known_as,
                            .bytes = &file->bytes};
    return true;
}

/* Killed between the ledger's entry and the move: only the move is left. */
static bool finish_move(const Receiving *r, const Incoming *file, bool *ret_finished, Error *err) {
    int64_t file_id;
    const char *state, *stored_as;
    *ret_finished = false;
    TRY(file_finished(r->run->pg, &file->seen, r->arena, &file_id, &state, &stored_as, err));
    if (file_id == 0)
        return true;
    DropEnd end = strcmp(state, "failed") == 0 ? DROP_FAILED : DROP_DONE;
    if (drop_has(&r->drop, end, stored_as))
        return true;
    *ret_finished = true;
    return r->run->plan || move_to_end(r, file, file_id, end, stored_as, err);
}

static bool begin(const Receiving *r, Incoming *file, FileAnswer *ret_answer, Error *err) {
    if (!r->run->plan)
        return file_begin(r->run->pg, &file->seen, ret_answer, &file->file_id, err);
    TRY(file_look(r->run->pg, &file->seen, ret_answer, &file->file_id, err));
    if (is_any_received(r, &file->seen))
        *ret_answer = FILE_KNOWN;
    else if (*ret_answer == FILE_NEW)
        file->file_id = PLANNED_FILE_ID;
    return true;
}

static bool receive_new(Receiving *r, Incoming *file, int fd, Error *err) {
    CLEANUP(fd_drop) int owned = fd;
    Error why = {0};
    const char *name = plain_name(r->arena, file->name);
    file->pattern = find_pattern(r, name, &why);
    if (!file->pattern)
        return end_failed(r, file, &why, err);
    file->seen.source_system = file->pattern->source;
    TRY(find_period(r, file->pattern, name, &file->seen.period, err));
    FileAnswer answer;
    TRY(begin(r, file, &answer, err));
    if (answer == FILE_KNOWN)
        return end_duplicate(r, file, err);
    owned = -1;
    CLEANUP(delivery_drop) DeliveryFile *delivery = delivery_open(fd, r->claims, r->run->canceled, r->arena, &why);
    bool is_good = delivery && check_columns(r, delivery, &why);
    if (delivery && !r->run->plan)
        TRY(file_detected(r->run->pg, file->file_id, delivery_detected(delivery, r->arena), err));
    FAILPOINT("receive.after_detected");
    if (is_good ? receive_rows(r, file, delivery, &why) : false)
        return true;
    if (is_good ? error_class(&why) == ERROR_DATA : is_files_fault(&why))
        return end_failed(r, file, &why, err); /* what was placed of it stays */
    *err = why;
    return false;
}

static bool receive_claimed(Receiving *r, const char *name, bool is_leftover, Error *err) {
    Incoming file = {.name = name, .known_as = known_name(r->arena, name), .is_leftover = is_leftover};
    DropPlace place = r->run->plan && !is_leftover ? DROP_WAITING : DROP_CLAIMED;
    CLEANUP(fd_drop) int fd = drop_open_file(&r->drop, place, name, err);
    TRY(fd >= 0 && identify(r, &file, fd, err));
    bool finished = false;
    if (is_leftover)
        TRY(finish_move(r, &file, &finished, err));
    if (finished)
        return true;
    int handed_over = fd;
    fd = -1;
    return receive_new(r, &file, handed_over, err);
}

/* Memory of one file is given back with it, the run's too: place_open() works there. */
static bool receive_one(Receiving *r, const char *name, bool is_leftover, Error *err) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    ArenaMark mark = arena_mark(r->run->arena);
    r->arena = arena;
    bool ok = receive_claimed(r, name, is_leftover, err);
    r->arena = NULL;
    arena_rewind(r->run->arena, mark);
    return ok;
}

/* ---- the directory ---- */

static bool tell_unfit(Receiving *r, const DropEntry *entry, Error *err) {
    if (r->run->plan)
        return was_planned(r, entry->name) || note_planned(r, entry->name, NULL, OUTLOOK_REFUSED);
    FileSeen seen = {.feed = r->claims->name, .source_system = "", .name = known_name(r->names, entry->name)};
    bool is_new;
    TRY(file_unfit(r->run->pg, &seen, entry->sentence, &is_new, err));
    if (!is_new)
        return true;
    METRIC_ADD(METRIC_FILE, 1, "failed");
    LOG_WARN("something in the drop directory is left where it is", LOG_TEXT("feed", r->claims->name),
             LOG_TEXT("reason", entry->sentence));
    return true;
}

static bool take_up_leftovers(Receiving *r, Arena *names, Error *err) {
    DropList list;
    TRY(drop_list_claimed(&r->drop, names, &list, err));
    for (size_t i = 0; i < list.n; i++) {
        if (step_is_canceled(r->run, err))
            return false;
        TRY(receive_one(r, list.entries[i].name, true, err));
    }
    return true;
}

static bool take_entry(Receiving *r, const DropEntry *entry, int64_t *wait_ms, Error *err) {
    if (entry->kind == DROP_UNFIT)
        return tell_unfit(r, entry, err);
    if (entry->kind == DROP_GROWING) {
        *wait_ms = entry->wait_ms > *wait_ms ? entry->wait_ms : *wait_ms;
        return true;
    }
    if (r->run->plan)
        return was_planned(r, entry->name) || receive_one(r, entry->name, false, err);
    bool claimed;
    TRY(drop_claim(&r->drop, entry->name, &claimed, err));
    FAILPOINT("receive.after_rename");
    return !claimed || receive_one(r, entry->name, false, err);
}

/* `ret_wait_ms`: after so long the files that nobody writes any more may be complete; 0: there are none. */
static bool look_through(Receiving *r, Arena *names, int64_t *ret_wait_ms, Error *err) {
    DropList list;
    int64_t wait_ms = 0;
    TRY(drop_list(&r->drop, names, r->claims->settle_ms, &list, err));
    for (size_t i = 0; i < list.n; i++) {
        if (step_is_canceled(r->run, err))
            return false;
        TRY(take_entry(r, &list.entries[i], &wait_ms, err));
    }
    *ret_wait_ms = wait_ms;
    return true;
}

/* "Unchanged for a while" has no event; cancelling is looked at meanwhile. */
static void wait_for_quiet(const Receiving *r, int64_t wait_ms) {
    int64_t until_us = clock_monotonic_us() + (wait_ms + 1) * 1000;
    while (clock_monotonic_us() < until_us && !atomic_load(r->run->canceled))
        poll(NULL, 0, WAIT_SLICE_MS);
}

static void receiving_done(Receiving *r) { drop_close(&r->drop); }

/* Until nothing is left that may be complete soon. */
static bool look_until_quiet(Receiving *r, Error *err) {
    for (int look = 1; look <= LOOKS; look++) {
        int64_t wait_ms;
        TRY(look_through(r, r->names, &wait_ms, err));
        if (wait_ms == 0 || wait_ms > WAIT_MOST_MS || look == LOOKS) /* else: the next run's */
            break;
        wait_for_quiet(r, wait_ms);
    }
    return true;
}

static bool receive_all(RunContext *run, Error *err) {
    CLEANUP(arena_drop) Arena *names = arena_open();
    CLEANUP(receiving_done) Receiving r = {.run = run, .claims = run->claims, .drop = {.fd = -1}, .names = names};
    TRY(remap_claims_if_due(run, err)); /* before anything is placed by another mapping */
    TRY(drop_open(run->claims->directory, run->plan ? DROP_LOOK : DROP_WORK, &r.drop, err));
    TRY(take_up_leftovers(&r, names, err) && look_until_quiet(&r, err));
    if (run->plan)
        write_note(&r);
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
