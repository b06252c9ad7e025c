/* together.c - see together.h. */
#include "steps/together.h"

#include "base/clock.h"
#include "base/failpoint.h"

#include <xxhash.h>

enum { ROWS_MOST = 2000, KEY_SLOTS = 8192 }; /* a quarter of the slots is used at most */

void together_init(Together *together) { *together = (Together){.arena = arena_open()}; }

void together_done(Together *together) {
    if (together->arena)
        arena_free(together->arena);
    together->arena = NULL;
}

void together_empty(Together *together) {
    Arena *arena = together->arena;
    arena_empty(arena);
    *together = (Together){.arena = arena};
}

bool together_has(const Together *together, const char *source_system, const FileBytes *bytes) {
    for (size_t i = 0; i < together->n; i++)
        if (strcmp(together->files[i].seen.source_system, source_system) == 0 &&
            memcmp(together->files[i].bytes.sha256, bytes->sha256, sizeof bytes->sha256) == 0)
            return true;
    return false;
}

/* ---- what rows are about ---- */

/* The claim; two that meet by chance are merely placed apart. 0: it has no id, and is its file's alone. */
static uint64_t key_of(const PlaceFeed *feed, const RawRows *rows, size_t i, Arena *scratch) {
    Str id = rows->rejects[i].rule ? STR_NULL : mapping_id(feed->mapping, rows->fields + i * feed->n_fields, scratch);
    uint64_t key = str_is_null(id) ? 0 : XXH3_64bits(id.at, id.size);
    return str_is_null(id) || key ? key : 1;
}

static uint64_t *slot_of(uint64_t *keys, uint64_t key) {
    size_t at = key % KEY_SLOTS;
    while (keys[at] && keys[at] != key)
        at = (at + 1) % KEY_SLOTS;
    return &keys[at];
}

static bool has_met(const Together *together, const PlaceFeed *feed, const RawRows *rows, size_t i, Arena *scratch) {
    uint64_t key = key_of(feed, rows, i, scratch);
    return key && *slot_of(together->keys, key);
}

/* A wide header has fewer: the array of their fields is bounded as a page is. */
size_t together_most_rows(const PlaceFeed *feed) {
    const ClaimsConfig *claims = feed->run->claims;
    size_t by_width = (size_t)claims->page_bytes / (feed->n_fields * sizeof(Str));
    size_t most = (size_t)claims->page_rows < ROWS_MOST ? (size_t)claims->page_rows : ROWS_MOST;
    return by_width < most ? by_width : most;
}

bool together_fits(const Together *together, const PlaceFeed *feed, const DeliveryPage *page, Arena *scratch) {
    const RawRows *rows = &page->rows;
    if (together->n == 0)
        return true;
    if (together->feed != feed || together->n == TOGETHER_MOST || together->n_rows + rows->n_rows > together->most_rows ||
        together->size_bytes + page->size_bytes > (size_t)feed->run->claims->page_bytes)
        return false;
    for (size_t i = 0; i < rows->n_rows; i++)
        if (has_met(together, feed, rows, i, scratch))
            return false;
    return true;
}

/* ---- adding ---- */

static void open_page(Together *together, PlaceFeed *feed) {
    size_t most = together_most_rows(feed);
    together->feed = feed;
    together->most_rows = most;
    together->files = ARENA_ARRAY(together->arena, SmallFile, TOGETHER_MOST);
    together->fields = ARENA_ARRAY(together->arena, Str, most * feed->n_fields);
    together->lines = ARENA_ARRAY(together->arena, int64_t, most);
    together->rejects = ARENA_ARRAY(together->arena, RawReject, most);
    together->row_files = ARENA_ARRAY(together->arena, RowFile, most);
    together->keys = ARENA_ARRAY(together->arena, uint64_t, KEY_SLOTS);
}

static const char *copy(Arena *arena, const char *text) { return text ? arena_string(arena, str_of(text)) : NULL; }

/* Its columns are those of the feed. */
static FileDetected copy_detected(const Together *together, const FileDetected *detected) {
    Arena *arena = together->arena;
    FileDetected d = *detected;
    const char **columns = ARENA_ARRAY(arena, const char *, d.n_columns);
    for (size_t i = 0; i < d.n_columns; i++)
        columns[i] = together->feed->fields[i].name;
    d.columns = columns;
    d.packing = copy(arena, d.packing);
    d.encoding = copy(arena, d.encoding);
    d.format = copy(arena, d.format);
    d.delimiter = copy(arena, d.delimiter);
    d.usage = copy(arena, d.usage);
    d.component_separator = copy(arena, d.component_separator);
    d.repetition_separator = copy(arena, d.repetition_separator);
    d.segment_terminator = copy(arena, d.segment_terminator);
    d.line_end = copy(arena, d.line_end);
    d.decimal = copy(arena, d.decimal);
    return d;
}

static const SmallFile *add_file(Together *together, const SmallFile *file, size_t n_rows) {
    Arena *arena = together->arena;
    SmallFile *kept = &together->files[together->n++];
    *kept = *file;
    kept->name = copy(arena, file->name);
    kept->seen.name = copy(arena, file->seen.name);
    kept->seen.period = copy(arena, file->seen.period);
    kept->seen.bytes = &kept->bytes;
    kept->detected = copy_detected(together, &file->detected);
    kept->n_rows = n_rows;
    return kept;
}

static void add_row(Together *together, const SmallFile *file, const RawRows *rows, size_t i, Arena *scratch) {
    size_t n_fields = together->feed->n_fields, at = together->n_rows++;
    for (size_t f = 0; f < n_fields; f++) {
        Str field = rows->fields[i * n_fields + f];
        together->fields[at * n_fields + f] = str_is_null(field) ? field : arena_copy(together->arena, field);
    }
    RawReject reject = rows->rejects[i];
    together->lines[at] = rows->lines[i];
    together->rejects[at] = (RawReject){.rule = reject.rule, .reason = copy(together->arena, reject.reason), .entry = STR_NULL};
    together->row_files[at] = (RowFile){file->seen.seen_id, str_of(file->seen.period),
                                        {(const char *)file->bytes.sha256, FILE_SHA256_BYTES}};
    uint64_t key = key_of(together->feed, rows, i, scratch);
    if (key)
        *slot_of(together->keys, key) = key;
}

void together_add(Together *together, PlaceFeed *feed, const SmallFile *file, const DeliveryPage *page, Arena *scratch) {
    if (together->n == 0)
        open_page(together, feed);
    const SmallFile *kept = add_file(together, file, page->rows.n_rows);
    for (size_t i = 0; i < page->rows.n_rows; i++)
        add_row(together, kept, &page->rows, i, scratch);
    together->size_bytes += page->size_bytes;
}

/* ---- placing ---- */

typedef struct Placing {
    const Together *together;
    const Drop *drop;
    Arena *arena;
} Placing;

static bool enter(void *ctx, Pg *pg, int64_t *ret_file_id, Error *err) {
    const Placing *p = ctx;
    const Together *together = p->together;
    FileBegun *begun = ARENA_ARRAY(p->arena, FileBegun, together->n);
    for (size_t i = 0; i < together->n; i++)
        begun[i] = (FileBegun){together->files[i].seen, &together->files[i].detected};
    TRY(file_begin_all(pg, begun, together->n, err));
    FAILPOINT("receive.after_begin");
    *ret_file_id = 0; /* the rows say whose they are */
    return true;
}

static FileCounts count_rows(const SilverRow *rows, size_t n) {
    PlaceOutcome outcome = {0};
    place_count(rows, n, &outcome);
    return (FileCounts){
        .rows_read = (int64_t)n, .rows_new = outcome.rows_new, .rows_corrected = outcome.rows_changed,
        .rows_same = outcome.rows_same, .rows_flagged = outcome.rows_flagged, .rows_quarantined = outcome.rows_quarantined};
}

/* Nothing is superseded that does not say something which does not show. */
static bool is_any_absorbed(const SilverRow *rows, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (rows[i].fate == ROW_TOUCHED || rows[i].fate == ROW_ABSORBED)
            return true;
    return false;
}

static bool conclude(void *ctx, Pg *pg, const SilverPage *page, Error *err) {
    const Placing *p = ctx;
    const Together *together = p->together;
    int64_t ids[TOGETHER_MOST], absorbed[TOGETHER_MOST];
    FileCounts counts[TOGETHER_MOST];
    size_t n_absorbed = 0;
    const SilverRow *rows = page->rows;
    for (size_t i = 0; i < together->n; rows += together->files[i++].n_rows) {
        const SmallFile *file = &together->files[i];
        if (!drop_is_unchanged(p->drop, file->name, &file->stamp))
            return error_set(err, STATE_DATA, "a file changed while it was read");
        FAILPOINT("receive.before_done");
        ids[i] = file->seen.seen_id;
        counts[i] = count_rows(rows, file->n_rows);
        if (is_any_absorbed(rows, file->n_rows))
            absorbed[n_absorbed++] = ids[i];
    }
    return file_done_all(pg, ids, counts, together->n, err) &&
           (n_absorbed == 0 || file_restate(pg, absorbed, n_absorbed, FILE_MOSTLY_SHOWS, err));
}

bool together_place(const Together *together, const Drop *drop, Arena *page, Error *err) {
    Placing placing = {together, drop, page};
    PlaceEntry entry = {.enter = enter, .conclude = conclude, .ctx = &placing};
    CursorState next = together->feed->cursor;
    next.is_loading = false;
    next.n_load_key = 0;
    next.position = NULL; /* in the middle of no file */
    RawRows rows = {
        .fields = together->fields, .lines = together->lines, .rejects = together->rejects, .n_rows = together->n_rows,
        .files = together->row_files, .source_now_us = clock_wall_us(), .is_mostly_new = true, .entry = &entry,
    };
    PlaceOutcome outcome;
    return place_page(together->feed, &rows, &next, page, &outcome, err);
}
