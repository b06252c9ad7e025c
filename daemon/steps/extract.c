/* extract.c - a hospital's table into bronze and silver, page by page.
 *
 * First load: before the first page the safe position of that moment, less an hour, is stored; then
 * pages in key order, each with its last key. After the last one, reading goes on from that position:
 * rows that changed behind the scan are read again. From then on: pages in (cursor, key) order from the
 * stored position, inclusive, equal rows known by their hash; the position moves with the last page, to the
 * watermark (storage/watermark.h), never to a value that a row carries. The same rows are read once more as they
 * stand uncommitted: the first that was not read committed holds the watermark. Every ten minutes the ten
 * minutes behind the position are read, too: a row that appears there breaks a precondition, and widens the
 * margin. Rows whose cursor is NULL are read at every poll, and so are those whose key is, where it may be: no
 * page can go on behind NULL.
 * A feed without a cursor is read whole and compared by hash; above `read_whole_rows` by buckets (reconcile.h). */
#include "steps/extract.h"

#include "steps/collision.h"
#include "steps/drift.h"
#include "steps/reconcile.h"
#include "steps/remap.h"
#include "steps/session.h"
#include "steps/table_pages.h"
#include "steps/turns.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/own.h"
#include "storage/watermark.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    FIRST_LOAD_LOOK_BACK_S = 3600,
    HELD_LONG_S = 3600,
};

typedef struct Extraction {
    RunContext *run;
    My *my;
    pthread_mutex_t my_mutex; /* two threads ask in turn while a table is walked */
    SourceTable table;
    DriftLook look;
    uint64_t shape;  /* of the columns of pages that were found to be as described; 0: none yet */
    bool is_described, was_read_whole;
    PlaceFeed place;
    Collisions collisions;
    SourceLimits limits;
    PollMemory *polls; /* the session's */
    Watermark mark;
    WatermarkMemory clock; /* becomes the session's when what it shows of the clock was acted upon */
    CounterMemory counter_kept[2]; /* as it is in the store */
    bool is_compared;  /* uncommitted rows need not be looked for, or no more: later ones lie behind the first */
    Str first_cursor;  /* of this poll's first row; NULL: none */
    Str until;         /* following ends before it; NULL: open */
    Arena *page_arena; /* rewound after every page */
    Str *last_key;     /* of the page before, in the run's arena; NULL at the start */
    Str position;      /* following: its cursor's value */
    int64_t rows_seen; /* by this pass */
    int64_t rows_news; /* of them new or changed */
    bool is_relaxed;   /* the position was stored, and may yet be lost with the store */
    size_t n_keyless;  /* rows without a key that were read */
    SourceRange range; /* backfill */
} Extraction;

static const char *const *without_types(Arena *arena, const SourceTable *table) {
    const char **types = ARENA_ARRAY(arena, const char *, table->n_fields);
    memcpy(types, table->shapes, sizeof *types * table->n_fields);
    return types;
}

static bool take_watermark(Extraction *x, Error *err) {
    TRY(session_judge(x->run->session, x->run->feed, &x->table, err));
    x->clock = x->polls->clock;
    bool is_known = x->clock.counter[1].seen_us || x->look.cursor_is_other;
    if (x->table.cursor_kind == CURSOR_COUNTER && !is_known)
        TRY(state_counter_read(x->run->pg, x->run->feed->name, x->clock.counter, err));
    memcpy(x->counter_kept, x->clock.counter, sizeof x->counter_kept);
    return watermark_take(x->my, &x->table, &x->polls->basis, x->run->feed->source->zone, &x->clock,
                          x->run->arena, &x->mark, err);
}

bool feed_open_place(RunContext *run, const SourceTable *table, PlaceFeed *ret_place, Error *err) {
    const FeedConfig *feed = run->feed;
    PlaceSource source = {
        .feed = feed->name, .source_system = feed->source->name, .timezone = feed->source->timezone,
        .zone = feed->source->zone, .mapping = &feed->mapping, .fields = table->fields,
        .types = without_types(run->arena, table), .n_fields = table->n_fields, .tells = feed->tells,
    };
    return place_open(run, &source, ret_place, err);
}

static bool open_extraction(RunContext *run, Extraction *x, Error *err) {
    const FeedConfig *feed = run->feed;
    x->run = run;
    x->polls = &run->session->polls;
    x->limits = (SourceLimits){(size_t)feed->page_rows, (size_t)feed->page_bytes};
    x->my = session_connect(run->session, feed->source, err);
    TRY(x->my);
    glance_look(&x->polls->glance, x->my, feed->table, feed->query);
    SourceColumns *columns = ARENA_NEW(run->arena, SourceColumns);
    TRY(drift_look(run, x->my, columns, &x->look, err));
    TRY(source_bind(run->arena, columns, x->look.answer.names, x->look.answer.n_names, feed->key, feed->n_key,
                    feed->cursor, &x->table, err));
    x->is_described = true;
    if (x->look.cursor_is_other)
        session_forget_cursor(run->session);
    TRY(take_watermark(x, err));
    TRY(feed_open_place(run, &x->table, &x->place, err));
    TRY(drift_agree(run, &x->look, &x->place, err));
    x->collisions = collisions_open(&x->place, x->my, &x->my_mutex, &x->table);
    return true;
}

/* ---- a table that changes under the run's hands ---- */

static bool is_as_described(Extraction *x, Arena *arena, bool *ret_is, Error *err) {
    SourceColumns now;
    pthread_mutex_lock(&x->my_mutex);
    bool ok = source_columns(x->my, arena, x->run->feed->table, x->run->feed->query, &now, err);
    pthread_mutex_unlock(&x->my_mutex);
    if (!ok && strcmp(err->state, STATE_MISSING) != 0)
        return false;
    *ret_is = ok && source_is_still(&x->table, &now);
    return true;
}

static bool fail_changed(const Extraction *x, Error *err) {
    return error_set(err, STATE_CONFLICT, "table %s was changed while it was read", x->run->feed->table);
}

/* A page whose columns look otherwise than those before: the table is asked again what it is. */
static bool check_columns(Extraction *x, const MyPage *page, Arena *arena, Error *err) {
    if (page->shape == x->shape)
        return true;
    bool is_still;
    TRY(is_as_described(x, arena, &is_still, err));
    if (!is_still)
        return fail_changed(x, err);
    x->shape = page->shape;
    return true;
}

/* A statement that failed for a column or a table that is not there any more: the run is taken up again at once, and
 * what became of the table is found at its start. */
static bool judge_failure(Extraction *x, Error *err) {
    bool is_missing = strcmp(err->state, STATE_MISSING) == 0 || strcmp(err->state, "42703") == 0;
    Error ignored = {0};
    bool is_still = true;
    if (is_missing && x->is_described && is_as_described(x, x->run->arena, &is_still, &ignored) && !is_still)
        fail_changed(x, err);
    return false;
}

/* A page's last row, where the next page goes on. */
static void remember_last(Extraction *x, const MyPage *page) {
    const Str *row = page->fields + (page->n_rows - 1) * page->n_fields;
    Str *key = ARENA_ARRAY(x->run->arena, Str, x->table.n_key);
    for (size_t i = 0; i < x->table.n_key; i++)
        key[i] = arena_copy(x->run->arena, row[x->table.key[i]]);
    x->last_key = key;
    if (x->table.cursor_kind == CURSOR_NONE)
        return;
    x->position = arena_copy(x->run->arena, row[x->table.cursor]);
    if (str_is_null(x->first_cursor))
        x->first_cursor = arena_copy(x->run->arena, page->fields[x->table.cursor]);
}

static bool is_last(const Extraction *x, const MyPage *page) {
    return !page->is_cut && page->n_rows < x->limits.rows;
}

static int64_t *hashes_of(Arena *arena, const SilverPage *page) {
    int64_t *hashes = ARENA_ARRAY(arena, int64_t, page->n_rows);
    for (size_t i = 0; i < page->n_rows; i++)
        hashes[i] = page->rows[i].source_hash;
    return hashes;
}

/* The same rows uncommitted: the first that the page does not have as it is holds the watermark. `prepared` may be
 * NULL with an empty page. */
static bool compare_uncommitted(Extraction *x, const MyPage *page, const SilverPage *prepared, Error *err) {
    MyPage dirty;
    int columns[SOURCE_KEY_MAX + 1];
    size_t n_key = x->table.n_key;
    Str last_value = STR_NULL, *last_key = NULL;
    FAILPOINT("extract.before_compare");
    if (!is_last(x, page)) {
        const Str *row = page->fields + (page->n_rows - 1) * page->n_fields;
        last_key = ARENA_ARRAY(x->page_arena, Str, n_key);
        for (size_t i = 0; i < n_key; i++)
            last_key[i] = row[x->table.key[i]];
        last_value = row[x->table.cursor];
    }
    TRY(source_read_dirty(x->my, &x->table, x->position, x->last_key, last_value, last_key, page->n_rows + 1,
                          x->page_arena, &dirty, err));
    memcpy(columns, x->table.key, sizeof *columns * n_key);
    columns[n_key] = x->table.cursor;
    bool by_content = prepared && source_cursor_is_coarse(&x->table);
    int64_t unseen = watermark_first_unseen(page, by_content ? hashes_of(x->page_arena, prepared) : NULL, &dirty,
                                            columns, n_key + 1);
    if (unseen < 0)
        return true;
    Str value = dirty.fields[(size_t)unseen * dirty.n_fields + n_key];
    watermark_hold_at(&x->mark, &x->table, arena_string(x->run->arena, value));
    x->is_compared = true;
    return true;
}

static bool place_read(Extraction *x, const MyPage *page, Error *err) {
    RawRows rows = {.fields = page->fields, .n_rows = page->n_rows, .source_now_us = x->mark.now_us};
    PlaceOutcome outcome;
    TRY(check_columns(x, page, x->page_arena, err));
    x->rows_seen += (int64_t)page->n_rows;
    x->run->counts.bytes_read += (int64_t)page->size_bytes;
    rows.prepared = place_prepare(&x->place, &rows, x->page_arena);
    TRY(x->is_compared || compare_uncommitted(x, page, rows.prepared, err));
    remember_last(x, page);
    TRY(collisions_find(&x->collisions, x->page_arena, &rows, err));
    TRY(place_page(&x->place, &rows, NULL, x->page_arena, &outcome, err));
    x->rows_news += outcome.rows_new + outcome.rows_changed + outcome.rows_quarantined;
    return true;
}

/* ---- the table in key order ---- */

typedef enum Pass {
    PASS_FIRST_LOAD, /* the last key is stored with every page */
    PASS_WHOLE       /* all rows again, compared by hash */
} Pass;

/* One walk. */
typedef struct TableWalk {
    Extraction *x;
    Pass pass;
    Turns turns;
} TableWalk;

/* Rows behind the position that bear their ids as they are; and in their turn nothing is asked of the source, for what was
 * written stands meanwhile. */
static bool describe_page(void *ctx, AheadPage *page) {
    const TableWalk *w = ctx;
    const TablePage *table_page = page->read;
    return table_page->read.shape == w->x->shape && !collisions_may_be(&w->x->collisions, page->arena, page->rows);
}

static bool place_rows(TableWalk *w, AheadPage *page, Error *err) {
    Extraction *x = w->x;
    const TablePage *table_page = page->read;
    CursorState next = x->place.cursor;
    next.load_key = table_page->last_key;
    next.n_load_key = x->table.n_key;
    PlaceOutcome outcome;
    TRY(turns_take(&w->turns, page->rows, err) && check_columns(x, &table_page->read, page->arena, err));
    x->rows_seen += (int64_t)table_page->read.n_rows;
    x->run->counts.bytes_read += (int64_t)table_page->read.size_bytes;
    TRY(collisions_find(&x->collisions, page->arena, page->rows, err));
    TRY(turns_place(&w->turns, page->rows, w->pass == PASS_FIRST_LOAD ? &next : NULL, page->arena, place_page, &outcome, err));
    x->place.cursor.load_key = NULL; /* lived in the page's arena; the next page brings its own */
    x->place.cursor.n_load_key = 0;
    return true;
}

static bool place_ahead(void *ctx, AheadPage *page, Error *err) {
    TableWalk *w = ctx;
    const TablePage *table_page = page->read;
    FAILPOINT("extract.after_read");
    return !step_is_canceled(w->x->run, err) && (table_page->read.n_rows == 0 || place_rows(w, page, err));
}

enum { LANES = 2 }; /* a third would want smaller pages */

/* With two pages in hand there are three in memory, each of two thirds; a plan's, which has one, are the same. */
static SourceLimits limits_of(const Extraction *x, bool is_of_facts) {
    size_t rows = x->limits.rows, bytes = x->limits.bytes;
    return is_of_facts ? (SourceLimits){.rows = rows - rows / 3, .bytes = bytes - bytes / 3} : x->limits;
}

/* Every page from `after_key` on. */
static bool walk_table(Extraction *x, const Str *after_key, Pass pass, Error *err) {
    bool is_first_load = pass == PASS_FIRST_LOAD && x->table.key_is_unique;
    bool is_of_facts = is_first_load && x->place.entity->kind == ENTITY_FACT;
    size_t n_lanes = is_of_facts && !x->run->plan ? LANES : 0;
    TablePages pages = {
        .my = x->my, .my_mutex = &x->my_mutex, .table = &x->table, .limits = limits_of(x, is_of_facts), .after_key = after_key,
        .source_now_us = x->mark.now_us, .is_first_load = is_first_load,
    };
    TableWalk walk = {.x = x, .pass = pass, .turns = {
        .owner = {.describe = describe_page, .place = place_ahead, .ctx = &walk}, .feed = &x->place, .n_lanes = n_lanes,
    }};
    AheadReader reader = {
        .what = arena_printf(x->run->arena, "table %s", x->table.name), .read = table_pages_read, .ctx = &pages,
        .thread_open = my_thread_open, .thread_close = my_thread_close, .place = &x->place, .n_in_hand = n_lanes ? n_lanes : 1,
    };
    CLEANUP(ahead_drop) Ahead *ahead = ahead_open(&reader, err);
    TRY(ahead);
    if (pass == PASS_FIRST_LOAD)
        members_expect_many(x->place.members);
    turns_begin(&walk.turns);
    bool ok = turns_walk(&walk.turns, ahead, err);
    turns_done(&walk.turns);
    TRY(ok);
    x->was_read_whole = after_key == NULL;
    return true;
}

/* What is written before the first page and committed behind the last must lie ahead of the position. */
static const char *look_back_position(const Extraction *x) {
    int64_t writer_us = watermark_oldest_writer(x->my);
    int64_t held_us = x->mark.held_us > writer_us ? x->mark.held_us : writer_us;
    int64_t behind_us = held_us + x->polls->basis.margin_us + US(FIRST_LOAD_LOOK_BACK_S);
    return watermark_before(x->run->arena, &x->table, &x->mark, behind_us);
}

/* A position is of the clock that told the watermark. */
static void take_position(const Extraction *x, const char *position, CursorState *next) {
    next->position = position;
    next->server = x->polls->basis.server;
    next->clock_ahead_us = x->table.cursor_kind == CURSOR_NONE ? 0 : x->mark.ahead_us;
}

static bool load(Extraction *x, Error *err) {
    CursorState next = x->place.cursor;
    if (!next.position) {
        take_position(x, x->table.cursor_kind == CURSOR_NONE ? "" : look_back_position(x), &next);
        TRY(place_cursor(&x->place, &next, PG_FLUSHED, err));
        FAILPOINT("extract.after_position");
    }
    TRY(walk_table(x, next.n_load_key ? next.load_key : NULL, PASS_FIRST_LOAD, err));
    next = x->place.cursor;
    next.is_loading = false;
    next.n_load_key = 0;
    FAILPOINT("extract.before_loaded");
    TRY(place_cursor(&x->place, &next, PG_FLUSHED, err));
    if (!x->run->plan)
        LOG_INFO("first load finished", LOG_TEXT("feed", x->run->feed->name),
             LOG_INT("run", x->run->run_id), LOG_INT("rows", x->rows_seen));
    return true;
}

/* ---- page by page, without reading ahead ---- */

typedef bool (*ReadPage)(Extraction *x, MyPage *ret_page, Error *err);

/* In (cursor, key) order: the lower bound is the position, then the last row read. */
static bool read_follow(Extraction *x, MyPage *ret_page, Error *err) {
    return source_read_follow(x->my, &x->table, x->position, x->last_key, x->until, x->limits, x->page_arena,
                              ret_page, err);
}

static bool read_null_cursors(Extraction *x, MyPage *ret_page, Error *err) {
    return source_read_null_cursor(x->my, &x->table, x->last_key, x->limits, x->page_arena, ret_page, err);
}

static bool read_keyless(Extraction *x, MyPage *ret_page, Error *err) {
    TRY(source_read_keyless(x->my, &x->table, x->n_keyless, x->limits, x->page_arena, ret_page, err));
    x->n_keyless += ret_page->n_rows;
    return true;
}

static bool read_range(Extraction *x, MyPage *ret_page, Error *err) {
    return source_read_range(x->my, &x->table, &x->range, x->last_key, x->limits, x->page_arena, ret_page, err);
}

static bool walk(Extraction *x, ReadPage read, Error *err) {
    x->last_key = NULL;
    for (bool ended = false; !ended;) {
        if (step_is_canceled(x->run, err))
            return false;
        ArenaMark mark = arena_mark(x->page_arena);
        MyPage page;
        bool ok = read(x, &page, err);
        ended = ok && is_last(x, &page);
        if (ok && page.n_rows > 0)
            ok = place_read(x, &page, err);
        else if (ok && !x->is_compared)
            ok = compare_uncommitted(x, &page, NULL, err);
        arena_rewind(x->page_arena, mark);
        TRY(ok);
    }
    return true;
}

/* A quiet poll writes nothing. One that read rows behind which the watermark has come stores it, so that the next
 * need not read them again. Not flushed: what a crash of the store takes from it, it takes with it, and the next whole
 * poll begins where the store says. */
static bool advance(Extraction *x, Error *err) {
    CursorState next = x->place.cursor;
    const char *mark = x->mark.position;
    bool spares_rows = mark && !str_is_null(x->first_cursor) &&
                       source_compare_positions(&x->table, x->first_cursor, str_of(mark)) < 0;
    if (!spares_rows || source_compare_positions(&x->table, str_of(mark), str_of(next.position)) <= 0)
        return true;
    take_position(x, mark, &next);
    x->is_relaxed = true;
    return place_cursor(&x->place, &next, PG_RELAXED, err);
}

static const char *earlier_of(const SourceTable *table, const char *a, const char *b) {
    return !b || source_compare_positions(table, str_of(a), str_of(b)) < 0 ? a : b;
}

/* By how much the server's clock was set back while no daemon looked, or ours forward; steps of a second are none. */
static int64_t set_back_meanwhile(const Extraction *x) {
    bool is_first = x->mark.elapsed_us == 0, is_known = x->place.cursor.clock_ahead_us != 0;
    int64_t back_us = x->place.cursor.clock_ahead_us - x->mark.ahead_us;
    return is_first && is_known && back_us > US(1) ? back_us : 0;
}

/* What may have been written since the poll before lies ahead of it. When that was is not known of a server that
 * answers to a daemon that has just started: then it lies ahead of the position, as the clock is now. */
static const char *position_before(const Extraction *x, bool is_moved) {
    Arena *arena = x->run->arena;
    const char *position = x->place.cursor.position;
    int64_t meanwhile_us = set_back_meanwhile(x);
    const char *by_clock = watermark_before(arena, &x->table, &x->mark, x->mark.elapsed_us + US(LOOK_BACK_S));
    const char *by_position =
        is_moved || meanwhile_us > 0
            ? watermark_earlier(arena, &x->table, position, meanwhile_us + US(LOOK_BACK_S))
            : position;
    return earlier_of(&x->table, by_clock, by_position);
}

/* What a counter was is the server's that was asked. Written when another value was seen: a quiet poll writes nothing. */
static bool keep_counter(Extraction *x, bool is_moved, Error *err) {
    CounterMemory *counter = x->clock.counter;
    if (is_moved) {
        memset(counter, 0, sizeof x->counter_kept);
        x->mark.position = NULL;
    }
    bool is_same = strcmp(counter[0].value, x->counter_kept[0].value) == 0 &&
                   strcmp(counter[1].value, x->counter_kept[1].value) == 0;
    if (is_same || x->run->plan)
        return true;
    FAILPOINT("extract.before_counter");
    return state_counter_write(x->run->pg, x->run->feed->name, x->run->epoch, counter, err);
}

/* Rows bear times again that lie behind the position: it goes back to before the clock did. Where another server
 * answers under the same name, its clock is another one, and what the old one had not yet passed on is gone. */
static bool go_back(Extraction *x, Error *err) {
    bool is_counter = x->table.cursor_kind == CURSOR_COUNTER; /* no clock moves it */
    CursorState next = x->place.cursor;
    next.server = x->polls->basis.server;
    bool is_other = next.server != x->place.cursor.server, is_moved = is_other && x->place.cursor.server;
    bool is_set_back = x->mark.set_back_us > 0 || set_back_meanwhile(x) > 0;
    if ((!is_set_back || is_counter) && !is_moved &&
        !watermark_is_behind(x->run->arena, &x->table, &x->mark, next.position)) {
        TRY(!is_counter || keep_counter(x, false, err));
        x->polls->clock = x->clock;
        return !is_other || place_cursor(&x->place, &next, PG_FLUSHED, err);
    }
    take_position(x, position_before(x, is_moved), &next);
    LOG_WARN(is_moved ? "another server answers in the source's place; rows of the last time are read again, "
                                    "reconcile finds the rest"
                                  : "the source's clock was set back; rows since then are read again, reconcile finds the rest",
             LOG_TEXT("feed", x->run->feed->name));
    x->run->wants_reconcile = true;
    TRY(!is_counter || keep_counter(x, is_moved, err));
    TRY(place_cursor(&x->place, &next, PG_FLUSHED, err));
    x->polls->clock = x->clock;
    return true;
}

/* Nothing new can stand behind the position, unless a precondition is broken. */
static bool look_back(Extraction *x, Error *err) {
    const char *position = x->place.cursor.position;
    const char *since = x->polls->looked_at; /* the looks join, however long a poll was away */
    bool is_later = !*since || source_compare_positions(&x->table, str_of(position), str_of(since)) < 0;
    const char *earlier = watermark_earlier(x->run->arena, &x->table, is_later ? position : since, US(LOOK_BACK_S));
    if (!earlier || session_is_recent(x->polls->looked_back_us))
        return true;
    x->rows_news = 0;
    x->position = str_of(earlier);
    x->until = str_of(position);
    TRY(walk(x, read_follow, err));
    x->until = STR_NULL;
    x->polls->looked_back_us = clock_monotonic_us();
    snprintf(x->polls->looked_at, sizeof x->polls->looked_at, "%s", position);
    if (x->rows_news == 0 || x->polls->is_widened)
        return true;
    LOG_WARN("rows appeared behind the cursor; every poll reads further back from now on",
             LOG_TEXT("feed", x->run->feed->name), LOG_INT("rows", x->rows_news));
    session_widen(x->run->session);
    return true;
}

static void report_cursor(RunContext *run, const Watermark *mark) {
    PollMemory *polls = &run->session->polls;
    CursorReport *report = &run->cursor;
    *report = (CursorReport){.is_known = true, .quality = polls->basis.quality, .held_us = mark->held_us,
                             .thread_id = mark->thread_id};
    snprintf(report->why, sizeof report->why, "%s", polls->basis.why);
    snprintf(report->cause, sizeof report->cause, "%s", mark->cause);
    bool is_held_long = mark->held_us > US(HELD_LONG_S);
    if (is_held_long && !polls->is_held_long)
        LOG_WARN("the cursor is held for more than an hour; rows arrive, but are read again at every poll",
                 LOG_TEXT("feed", run->feed->name), LOG_TEXT("cause", mark->cause), LOG_INT("thread", mark->thread_id));
    polls->is_held_long = is_held_long;
}

static bool follow(Extraction *x, Error *err) {
    TRY(go_back(x, err) && look_back(x, err));
    x->first_cursor = STR_NULL;
    x->position = str_of(x->place.cursor.position);
    x->is_compared = false;
    TRY(walk(x, read_follow, err));
    x->is_compared = true;
    report_cursor(x->run, &x->mark);
    FAILPOINT("extract.before_advance");
    TRY(advance(x, err));
    FAILPOINT("extract.after_advance");
    return walk(x, read_null_cursors, err);
}

/* What a range of dates means: the day of service where a feed maps one, else its cursor. */
static const char *date_column(const FeedConfig *feed) {
    static const char *const DAYS[] = {"encounter_date", "service_date", "visit_date", "claim_date"};
    for (size_t d = 0; d < sizeof DAYS / sizeof *DAYS; d++)
        for (size_t i = 0; i < feed->mapping.n_columns; i++)
            if (feed->mapping.columns[i].n_from == 1 && strcmp(feed->mapping.columns[i].column, DAYS[d]) == 0)
                return feed->mapping.columns[i].from[0];
    return feed->cursor;
}

static bool backfill(Extraction *x, Error *err) {
    const RunContext *run = x->run;
    const char *column = date_column(run->feed);
    if (!column) {
        error_set(err, STATE_CONFIG, "it has neither a date of service nor a cursor that a range could be asked of");
        return error_hint(err, "run the mode full");
    }
    TRY(source_range_of_days(&x->table, column, run->range_from, run->range_to, run->feed->source->zone, run->arena,
                             &x->range, err));
    return walk(x, read_range, err);
}

static void extraction_close(Extraction *x) {
    place_close(&x->place);
    pthread_mutex_destroy(&x->my_mutex);
}

/* The mapping is another one since the last run: what is there is cleaned again first. */
static bool catch_up_with_mapping(Extraction *x, Error *err) {
    TRY(remap_if_due(x->run, x->place.is_mapping_new, err));
    if (x->run->plan)
        return true;
    return state_cursor_open(x->run->pg, x->place.feed, x->run->epoch, x->run->arena, &x->place.cursor, err);
}

static bool read_table(Extraction *x, bool whole, Error *err) {
    TRY(catch_up_with_mapping(x, err));
    bool was_loading = x->place.cursor.is_loading;
    if (was_loading)
        TRY(load(x, err) && take_watermark(x, err));
    if (x->run->mode == RUN_BACKFILL && !was_loading)
        return backfill(x, err);
    bool has_cursor = x->table.cursor_kind != CURSOR_NONE;
    if (has_cursor)
        TRY(follow(x, err));
    bool is_large = false;
    if (!has_cursor && !whole && !x->run->plan) /* a plan may not even write what buckets are compared in */
        TRY(reconcile_is_large(x->run, &is_large, err));
    if (!was_loading && is_large)
        TRY(reconcile_poll(x->run, &x->place, err));
    else if (!was_loading && (whole || !has_cursor))
        TRY(walk_table(x, NULL, PASS_WHOLE, err));
    return !x->table.key_may_be_null || walk(x, read_keyless, err);
}

/* Rows that were read under an earlier list of columns are read once more, by a run of its own. */
static bool settle_full(Extraction *x, Error *err) {
    RunContext *run = x->run;
    if (run->plan)
        return true;
    bool is_due = x->look.agreed.full_due || (x->look.agreed.is_known && x->look.answer.has_evolved);
    run->wants_full = is_due && !x->was_read_whole;
    return !is_due || !x->was_read_whole ||
           feed_full_done(run->pg, run->feed->name, x->place.bronze.schema_id, err);
}

/* Nothing is new, and nothing but the rows was to be looked at. */
static bool is_quiet(RunContext *run) {
    My *my = run->session->my;
    PollMemory *polls = &run->session->polls;
    Watermark mark;
    if (run->mode != RUN_INCREMENTAL || !my || !session_is_recent(polls->judged_us) ||
        !session_is_recent(polls->looked_back_us) ||
        !glance_is_quiet(&polls->glance, my, run->epoch, &polls->basis, run->feed->source->zone, &polls->clock,
                         run->arena, &mark))
        return false;
    report_cursor(run, &mark);
    return true;
}

bool feed_extract(RunContext *run, Error *err) {
    if (is_quiet(run))
        return true;
    glance_forget(&run->session->polls.glance);
    bool whole = run->mode != RUN_INCREMENTAL;
    CLEANUP(arena_drop) Arena *page_arena = arena_open();
    CLEANUP(extraction_close) Extraction x = {.page_arena = page_arena, .is_compared = true,
                                              .my_mutex = PTHREAD_MUTEX_INITIALIZER};
    if (!open_extraction(run, &x, err) || !read_table(&x, whole, err))
        return judge_failure(&x, err);
    TRY(settle_full(&x, err));
    FAILPOINT("extract.before_remember");
    if (!run->wants_full && !x.is_relaxed)
        glance_remember(&x.polls->glance, &x.table, x.place.cursor.position, run->epoch);
    return true;
}

/* What a plan finds is not for polls, nor the other way round. */
static bool plan_extract(RunContext *run, Error *err) {
    PollMemory *polls = &run->session->polls;
    glance_forget(&polls->glance);
    const PollMemory before = *polls;
    bool ok = feed_extract(run, err);
    session_restore(run->session, &before);
    return ok;
}

static bool step_of_mode(RunContext *run, Error *err) {
    if (run->mode == RUN_REMAP)
        return remap(run, err);
    if (run->mode == RUN_REPLAY)
        return replay(run, err);
    return run->plan ? plan_extract(run, err) : feed_extract(run, err);
}

bool step_extract(RunContext *run, Error *err) {
    return step_of_mode(run, err) || error_context(err, "feed %s", run->feed->name);
}
