/* held_contents.c - see held_contents.h. */
#include "storage/held_contents.h"

#include "base/own.h"
#include "sql.h"
#include "storage/quarantine.h"

#include <stdlib.h>

enum { ARRAY_MAX_BYTES = 256 << 20 };

/* ---- which of a page's rows are the first of their content ---- */

static int compare_numbers(int64_t a, int64_t b) { return (a > b) - (a < b); }

static int compare_contents(const void *a, const void *b) {
    const HeldContent *x = a, *y = b;
    int order = compare_numbers(x->file_id, y->file_id);
    if (order == 0)
        order = compare_numbers(x->source_hash, y->source_hash);
    return order ? order : compare_numbers((int64_t)x->row, (int64_t)y->row);
}

static bool is_same_content(const HeldContent *a, const HeldContent *b) {
    return a->file_id == b->file_id && a->source_hash == b->source_hash;
}

/* To a file that is read anew it is no news. */
void held_contents_repeat(const SilverPage *page, SilverRow *row) {
    row->held = (Held){.is_found = page->former != NULL, .is_repeat = true, .source_hash = row->source_hash,
                       .mapping_version = page->mapping_version};
}

static void add_further(HeldContent *content, int64_t line) { content->further[content->n_further++] = line; }

/* Rows of a file stand in the order of their lines; the others are repeats. */
static size_t keep_first(SilverPage *page, HeldContent *contents, size_t n) {
    int64_t *lines = ARENA_ARRAY(page->arena, int64_t, n + 1);
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++) {
        SilverRow *row = &page->rows[contents[i].row];
        if (n_kept > 0 && is_same_content(&contents[n_kept - 1], &contents[i])) {
            held_contents_repeat(page, row);
            add_further(&contents[n_kept - 1], row->line);
        } else {
            contents[n_kept] = contents[i];
            contents[n_kept].further = lines + i;
            row->content = &contents[n_kept++];
        }
    }
    return n_kept;
}

static void find_contents(SilverPage *page) {
    size_t n = 0;
    for (size_t i = 0; i < page->n_rows; i++)
        n += str_is_null(page->rows[i].id);
    HeldContent *contents = n > 0 ? ARENA_ARRAY(page->arena, HeldContent, n) : NULL;
    n = 0;
    for (size_t i = 0; i < page->n_rows; i++)
        if (str_is_null(page->rows[i].id))
            contents[n++] = (HeldContent){.file_id = silver_row_file(page, &page->rows[i]).file_id,
                                          .source_hash = page->rows[i].source_hash, .row = i};
    if (n > 1)
        qsort(contents, n, sizeof *contents, compare_contents);
    page->contents = contents;
    page->n_contents = n > 0 ? keep_first(page, contents, n) : 0;
}

/* ---- what their files hold ---- */

enum { FOUND_CONTENT, FOUND_LINE, FOUND_ENTRY, FOUND_HASH, FOUND_MAPPING, FOUND_REFUSED, FOUND_OF_PERIOD, FOUND_FURTHER };

/* A run that writes nothing has left what this reading does not say any more where it was. */
static bool would_be_gone(const SilverPage *page, int64_t line) {
    return page->memory && page->former && line >= page->former->from_line;
}

static void hold_place(SilverRow *row, const PgResult *found, int r) {
    row->held = (Held){
        .is_found = true,
        .entry = pg_int(found, r, FOUND_ENTRY),
        .source_hash = pg_int(found, r, FOUND_HASH),
        .mapping_version = (int32_t)pg_int(found, r, FOUND_MAPPING),
        .was_refused = pg_bool(found, r, FOUND_REFUSED),
    };
}

/* Of the file's earlier entries the first one tells of the line. */
static void take_earlier(SilverPage *page, HeldContent *content, int64_t entry) {
    held_contents_repeat(page, &page->rows[content->row]);
    if (!content->earlier)
        content->earlier = entry;
}

/* In the order of their lines. What stands on a later line goes: this is the first one now. */
static void take_found(SilverPage *page, const PgResult *found, int r) {
    HeldContent *content = &page->contents[pg_int(found, r, FOUND_CONTENT)];
    SilverRow *row = &page->rows[content->row];
    int64_t line = pg_int(found, r, FOUND_LINE);
    if (line < row->line) {
        if (!would_be_gone(page, line))
            take_earlier(page, content, pg_int(found, r, FOUND_ENTRY));
    } else if (line == row->line && pg_bool(found, r, FOUND_OF_PERIOD) && !row->held.is_repeat) {
        hold_place(row, found, r);
        content->had_further = pg_bool(found, r, FOUND_FURTHER);
    } else {
        page->outdated[page->n_outdated++] = pg_int(found, r, FOUND_ENTRY);
    }
}

typedef struct Wanted {
    Buf contents, files, hashes, periods;
    size_t n;
} Wanted;

static void wanted_drop(Wanted *wanted) {
    buf_done(&wanted->contents);
    buf_done(&wanted->files);
    buf_done(&wanted->hashes);
    buf_done(&wanted->periods);
}

static void want(Wanted *wanted, size_t i, const HeldContent *content, int64_t file_id, Str period) {
    if (file_id <= 0) /* it has no entry in the ledger, and nothing is held of it */
        return;
    pg_array_int(&wanted->contents, (int64_t)i);
    pg_array_int(&wanted->files, file_id);
    pg_array_int(&wanted->hashes, content->source_hash);
    pg_array_text(&wanted->periods, period.size ? period : STR_NULL);
    wanted->n++;
}

/* Of its file, and of its bytes' earlier rows of the ledger, of which the file may be one. */
static void want_content(Wanted *wanted, const SilverPage *page, size_t at) {
    const FormerReading *former = page->former;
    const HeldContent *content = &page->contents[at];
    RowFile file = silver_row_file(page, &page->rows[content->row]);
    bool is_former = false;
    for (size_t i = 0; former && i < former->n; i++) {
        want(wanted, at, content, former->file_ids[i], file.period);
        is_former |= former->file_ids[i] == file.file_id;
    }
    if (!is_former)
        want(wanted, at, content, file.file_id, file.period);
}

static PgResult *ask(Pg *pg, const char *feed, const SilverPage *page, Wanted *wanted, Error *err) {
    const char *contents = pg_array_end(&wanted->contents, err), *files = pg_array_end(&wanted->files, err);
    const char *hashes = pg_array_end(&wanted->hashes, err), *periods = pg_array_end(&wanted->periods, err);
    return contents && files && hashes && periods
               ? pg_query_as(pg, PG_BINARY, SQL_HELD_CONTENTS_LOOK_UP,
                             PG_PARAMS(contents, files, hashes, periods, RULE_ROW_REFUSED, feed, page->source_system), err)
               : NULL;
}

static int64_t *grow_outdated(const SilverPage *page, size_t n) {
    int64_t *outdated = ARENA_ARRAY(page->arena, int64_t, page->n_outdated + n);
    for (size_t i = 0; i < page->n_outdated; i++)
        outdated[i] = page->outdated[i];
    return outdated;
}

bool held_contents_look_up(Pg *pg, const char *feed, SilverPage *page, Error *err) {
    find_contents(page);
    CLEANUP(wanted_drop) Wanted wanted = {.contents = pg_array(ARRAY_MAX_BYTES), .files = pg_array(ARRAY_MAX_BYTES),
                                          .hashes = pg_array(ARRAY_MAX_BYTES), .periods = pg_array(ARRAY_MAX_BYTES)};
    for (size_t i = 0; i < page->n_contents; i++)
        want_content(&wanted, page, i);
    if (wanted.n == 0)
        return true;
    CLEANUP(pg_result_drop) PgResult *found = ask(pg, feed, page, &wanted, err);
    TRY(found);
    if (pg_rows(found) > 0)
        page->outdated = grow_outdated(page, (size_t)pg_rows(found));
    for (int r = 0; r < pg_rows(found); r++)
        take_found(page, found, r);
    return true;
}

/* ---- the further lines ---- */

HeldFurther held_contents_further(const SilverRow *row, Error *err) {
    const HeldContent *content = row->content;
    size_t n = content ? content->n_further : 0;
    HeldFurther further = {.n = pg_number((int64_t)n)};
    if (n == 0)
        return further;
    further.lines = pg_array(ARRAY_MAX_BYTES);
    pg_array_ints(&further.lines, content->further, n < HELD_LINES_MOST ? n : HELD_LINES_MOST);
    further.text = pg_array_end(&further.lines, err);
    return further;
}

typedef struct Told {
    Buf entries, are_more, counts, lists;
    size_t n;
} Told;

static void told_drop(Told *told) {
    buf_done(&told->entries);
    buf_done(&told->are_more);
    buf_done(&told->counts);
    buf_done(&told->lists);
}

/* To an entry of an earlier page the first one is a further line as well. */
static bool tell(Told *told, int64_t entry, const HeldContent *content, const int64_t *first, Error *err) {
    CLEANUP(buf_drop) Buf lines = pg_array(ARRAY_MAX_BYTES);
    size_t n = content->n_further, n_most = first ? HELD_LINES_MOST - 1 : HELD_LINES_MOST;
    if (first)
        pg_array_int(&lines, *first);
    pg_array_ints(&lines, content->further, n < n_most ? n : n_most);
    const char *list = pg_array_end(&lines, err);
    TRY(list);
    pg_array_int(&told->entries, entry);
    pg_array_text(&told->are_more, first ? STR("true") : STR("false"));
    pg_array_int(&told->counts, (int64_t)n + (first ? 1 : 0));
    pg_array_text(&told->lists, str_of(list));
    told->n++;
    return true;
}

/* An entry that stays where it is begins anew: the pages behind add what they say. */
static bool tell_content(Told *told, const SilverPage *page, const HeldContent *content, Error *err) {
    const SilverRow *row = &page->rows[content->row];
    if (content->earlier)
        return tell(told, content->earlier, content, &row->line, err);
    bool stays = row->held.entry && row->fate == ROW_SAME;
    return !stays || (content->n_further == 0 && !content->had_further) || tell(told, row->held.entry, content, NULL, err);
}

static bool note_further(Pg *pg, const SilverPage *page, Error *err) {
    if (page->n_contents == 0)
        return true;
    CLEANUP(told_drop) Told told = {.entries = pg_array(ARRAY_MAX_BYTES), .are_more = pg_array(ARRAY_MAX_BYTES),
                                    .counts = pg_array(ARRAY_MAX_BYTES), .lists = pg_array(ARRAY_MAX_BYTES)};
    for (size_t i = 0; i < page->n_contents; i++)
        TRY(tell_content(&told, page, &page->contents[i], err));
    if (told.n == 0)
        return true;
    const char *entries = pg_array_end(&told.entries, err), *are_more = pg_array_end(&told.are_more, err);
    const char *counts = pg_array_end(&told.counts, err), *lists = pg_array_end(&told.lists, err);
    return entries && are_more && counts && lists &&
           pg_exec(pg, SQL_HELD_CONTENTS_FURTHER,
                   PG_PARAMS(entries, are_more, counts, lists, pg_number(HELD_LINES_MOST).text), NULL, err);
}

/* ---- which entries count ---- */

ContentList content_list_make(void) {
    return (ContentList){.feeds = pg_array(ARRAY_MAX_BYTES), .sources = pg_array(ARRAY_MAX_BYTES),
                         .hashes = pg_array(ARRAY_MAX_BYTES)};
}

void content_list_drop(ContentList *list) {
    buf_done(&list->feeds);
    buf_done(&list->sources);
    buf_done(&list->hashes);
}

void content_list_add(ContentList *list, Str feed, Str source_system, int64_t source_hash) {
    pg_array_text(&list->feeds, feed);
    pg_array_text(&list->sources, source_system);
    pg_array_int(&list->hashes, source_hash);
    list->n++;
}

void content_list_add_rows(ContentList *list, const PgResult *rows) {
    for (int r = 0; r < pg_rows(rows); r++)
        if (!str_is_null(pg_value(rows, r, 2)))
            content_list_add(list, pg_value(rows, r, 0), pg_value(rows, r, 1), pg_int(rows, r, 2));
}

enum { COUNTING_ENTRY, LAST_ENTRY };

static bool change(Pg *pg, const char *statement, const PgResult *found, int column, Error *err) {
    CLEANUP(buf_drop) Buf entries = pg_array(ARRAY_MAX_BYTES);
    size_t n = 0;
    for (int r = 0; r < pg_rows(found); r++)
        if (!str_is_null(pg_value(found, r, column))) {
            pg_array_int(&entries, pg_int(found, r, column));
            n++;
        }
    const char *array = pg_array_end(&entries, err);
    return array && (n == 0 || pg_exec(pg, statement, PG_PARAMS(array), NULL, err));
}

bool held_contents_decide(Pg *pg, ContentList *list, Error *err) {
    if (list->n == 0)
        return true;
    const char *feeds = pg_array_end(&list->feeds, err), *sources = pg_array_end(&list->sources, err);
    const char *hashes = pg_array_end(&list->hashes, err);
    TRY(feeds && sources && hashes);
    CLEANUP(pg_result_drop) PgResult *found =
        pg_query_as(pg, PG_BINARY, SQL_HELD_CONTENTS, PG_PARAMS(feeds, sources, hashes), err);
    return found && change(pg, SQL_HELD_CLAIMS_END, found, COUNTING_ENTRY, err) &&
           change(pg, SQL_HELD_CLAIMS_OPEN, found, LAST_ENTRY, err);
}

/* Those that are news, and of a file that is read anew all. */
bool held_contents_decide_page(Pg *pg, const char *feed, const SilverPage *page, Error *err) {
    CLEANUP(content_list_drop) ContentList list = content_list_make();
    for (size_t i = 0; i < page->n_rows; i++) {
        const SilverRow *row = &page->rows[i];
        if (str_is_null(row->id) && !row->held.is_repeat && (row->fate == ROW_REJECTED || page->former))
            content_list_add(&list, str_of(feed), str_of(page->source_system), row->source_hash);
    }
    return note_further(pg, page, err) && held_contents_decide(pg, &list, err);
}
