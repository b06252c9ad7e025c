/* extract.c - a hospital's table into bronze and silver, page by page.
 *
 * First load: before the first page the safe position of that moment, less an hour, is stored; then
 * pages in key order, each with its last key. After the last one, reading goes on from that position:
 * rows that changed behind the scan are read again. From then on: pages in (cursor, key) order from the
 * stored position, inclusive, equal rows known by their hash; the position moves with the last page, to
 * what the source's clock says is safe, never to a value that a row carries. Rows whose cursor is NULL are
 * read at every poll, and so are those whose key is, where it may be: no page can go on behind NULL.
 * A feed without a cursor is read whole and compared by hash. */
#include "steps/ahead.h"
#include "steps/collision.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "base/own.h"
#include "secret.h"
#include "storage/source.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    SOURCE_TIMEOUT_S = 60,
    /* Overlap of every poll with what was read before: equal rows cost a look-up, a lost one a patient. */
    POLL_MARGIN_S = 10,
    FIRST_LOAD_LOOK_BACK_S = 3600,
};

struct FeedSession {
    My *my;
    Secret password; /* Connector/C keeps no copy that outlives a reconnect */
};

void feed_session_free(FeedSession *session) {
    if (!session)
        return;
    if (session->my)
        my_close(session->my);
    secret_wipe(&session->password);
    free(session);
}

static bool connect_source(const SourceConfig *source, FeedSession *session, Error *err) {
    char what[160];
    snprintf(what, sizeof what, "the password of source %s", source->name);
    TRY(secret_read(source->password_file, source->password_env, what, &session->password, err));
    MyOptions options = {
        .host = source->host, .socket = source->socket, .user = source->user,
        .password = session->password.text, .database = source->database, .port = source->port,
        .tls = source->tls == TLS_REQUIRED, .tls_ca = source->tls_ca, .timeout_s = SOURCE_TIMEOUT_S,
    };
    session->my = my_open(&options, err);
    return session->my || error_context(err, "source %s", source->name);
}

/* The job's connection: kept, checked, made anew. */
static My *session_connection(RunContext *run, Error *err) {
    FeedSession *session = *run->session;
    if (session && my_is_alive(session->my))
        return session->my;
    feed_session_free(session);
    *run->session = NULL;
    session = calloc(1, sizeof *session);
    if (!session)
        abort();
    if (!connect_source(run->feed->source, session, err)) {
        feed_session_free(session);
        return NULL;
    }
    *run->session = session;
    return session->my;
}

typedef struct Extraction {
    RunContext *run;
    My *my;
    pthread_mutex_t my_mutex; /* two threads ask in turn while a table is walked */
    SourceTable table;
    PlaceFeed place;
    Collisions collisions;
    SourceLimits limits;
    SourceClock clock;
    Arena *page_arena; /* rewound after every page */
    Str *last_key;     /* of the page before, in the run's arena; NULL at the start */
    Str position;      /* following: its cursor's value */
    int64_t rows_seen; /* by this pass */
    size_t n_keyless;  /* rows without a key that were read */
} Extraction;

static bool is_canceled(const Extraction *x, Error *err) {
    if (!atomic_load(x->run->canceled))
        return false;
    error_set(err, STATE_CANCELED, "feed %s: the run was canceled", x->run->feed->name);
    return true;
}

static const char *const *without_types(Arena *arena, const SourceTable *table) {
    const char **types = ARENA_ARRAY(arena, const char *, table->n_fields);
    memcpy(types, table->types, sizeof *types * table->n_fields);
    return types;
}

static bool open_extraction(RunContext *run, Extraction *x, Error *err) {
    const FeedConfig *feed = run->feed;
    x->run = run;
    x->limits = (SourceLimits){(size_t)feed->page_rows, (size_t)feed->page_bytes};
    x->my = session_connection(run, err);
    TRY(x->my);
    TRY(source_describe(x->my, run->arena, feed->table, feed->key, feed->n_key, feed->cursor, &x->table, err));
    int64_t margin_us = (int64_t)POLL_MARGIN_S * 1000000 + feed->margin_ms * 1000;
    TRY(source_clock(x->my, &x->table, feed->source->zone, margin_us, run->arena, &x->clock, err));
    PlaceSource source = {
        .feed = feed->name, .source_system = feed->source->name, .timezone = feed->source->timezone,
        .zone = feed->source->zone, .mapping = &feed->mapping, .fields = x->table.fields,
        .types = without_types(run->arena, &x->table), .n_fields = x->table.n_fields,
    };
    TRY(place_open(run, &source, &x->place, err));
    x->collisions = collisions_open(&x->place, x->my, &x->my_mutex, &x->table);
    return true;
}

/* A page's last row, where the next page goes on. */
static void remember_last(Extraction *x, const MyPage *page) {
    const Str *row = page->fields + (page->n_rows - 1) * page->n_fields;
    Str *key = ARENA_ARRAY(x->run->arena, Str, x->table.n_key);
    for (size_t i = 0; i < x->table.n_key; i++)
        key[i] = arena_copy(x->run->arena, row[x->table.key[i]]);
    x->last_key = key;
    if (x->table.cursor_kind != CURSOR_NONE)
        x->position = arena_copy(x->run->arena, row[x->table.cursor]);
}

static bool is_last(const Extraction *x, const MyPage *page) {
    return !page->is_cut && page->n_rows < x->limits.rows;
}

static bool place_read(Extraction *x, const MyPage *page, Error *err) {
    RawRows rows = {.fields = page->fields, .n_rows = page->n_rows, .source_now_us = x->clock.now_us};
    PlaceOutcome outcome;
    x->rows_seen += (int64_t)page->n_rows;
    x->run->counts.bytes_read += (int64_t)page->size_bytes;
    rows.prepared = place_prepare(&x->place, &rows, x->page_arena);
    TRY(collisions_find(&x->collisions, x->page_arena, &rows, err));
    return place_page(&x->place, &rows, NULL, x->page_arena, &outcome, err);
}

/* ---- the table in key order ---- */

typedef enum Pass {
    PASS_FIRST_LOAD, /* the last key is stored with every page */
    PASS_WHOLE       /* all rows again, compared by hash */
} Pass;

static bool place_ahead(Extraction *x, const AheadPage *page, Pass pass, Error *err) {
    CursorState next = x->place.cursor;
    next.load_key = page->last_key;
    next.n_load_key = x->table.n_key;
    RawRows rows = page->rows;
    PlaceOutcome outcome;
    x->rows_seen += (int64_t)page->read.n_rows;
    x->run->counts.bytes_read += (int64_t)page->read.size_bytes;
    TRY(collisions_find(&x->collisions, page->arena, &rows, err));
    TRY(place_page(&x->place, &rows, pass == PASS_FIRST_LOAD ? &next : NULL, page->arena, &outcome, err));
    x->place.cursor.load_key = NULL; /* lived in the page's arena; the next page brings its own */
    x->place.cursor.n_load_key = 0;
    return true;
}

/* Every page from `after_key` on. */
static bool walk_table(Extraction *x, const Str *after_key, Pass pass, Error *err) {
    AheadPlan plan = {
        .my = x->my, .my_mutex = &x->my_mutex, .table = &x->table, .limits = x->limits, .place = &x->place,
        .after_key = after_key, .source_now_us = x->clock.now_us, .is_first_load = pass == PASS_FIRST_LOAD,
    };
    CLEANUP(ahead_drop) Ahead *ahead = ahead_open(&plan, err);
    TRY(ahead);
    for (bool ended = false; !ended;) {
        if (is_canceled(x, err))
            return false;
        const AheadPage *page = ahead_next(ahead, err);
        TRY(page);
        FAILPOINT("extract.after_read");
        ended = page->is_last;
        TRY(page->read.n_rows == 0 || place_ahead(x, page, pass, err));
    }
    return true;
}

static const char *look_back_position(Extraction *x, Error *err) {
    SourceClock earlier;
    int64_t margin_us = (int64_t)FIRST_LOAD_LOOK_BACK_S * 1000000 + x->run->feed->margin_ms * 1000;
    TRY_NULL(source_clock(x->my, &x->table, x->run->feed->source->zone, margin_us,
                          x->run->arena, &earlier, err));
    return earlier.position;
}

static bool load(Extraction *x, Error *err) {
    CursorState next = x->place.cursor;
    if (!next.position) {
        next.position = look_back_position(x, err);
        TRY(next.position && place_cursor(&x->place, &next, err));
        FAILPOINT("extract.after_position");
    }
    TRY(walk_table(x, next.n_load_key ? next.load_key : NULL, PASS_FIRST_LOAD, err));
    next = x->place.cursor;
    next.is_loading = false;
    next.n_load_key = 0;
    FAILPOINT("extract.before_loaded");
    TRY(place_cursor(&x->place, &next, err));
    LOG_INFO("first load finished", LOG_TEXT("feed", x->run->feed->name),
             LOG_INT("run", x->run->run_id), LOG_INT("rows", x->rows_seen));
    return true;
}

/* ---- page by page, without reading ahead ---- */

typedef bool (*ReadPage)(Extraction *x, MyPage *ret_page, Error *err);

/* In (cursor, key) order: the lower bound is the position, then the last row read. */
static bool read_follow(Extraction *x, MyPage *ret_page, Error *err) {
    return source_read_follow(x->my, &x->table, x->position, x->last_key, x->limits, x->page_arena, ret_page, err);
}

static bool read_null_cursors(Extraction *x, MyPage *ret_page, Error *err) {
    return source_read_null_cursor(x->my, &x->table, x->last_key, x->limits, x->page_arena, ret_page, err);
}

static bool read_keyless(Extraction *x, MyPage *ret_page, Error *err) {
    TRY(source_read_keyless(x->my, &x->table, x->n_keyless, x->limits, x->page_arena, ret_page, err));
    x->n_keyless += ret_page->n_rows;
    return true;
}

static bool walk(Extraction *x, ReadPage read, Error *err) {
    x->last_key = NULL;
    for (bool ended = false; !ended;) {
        if (is_canceled(x, err))
            return false;
        ArenaMark mark = arena_mark(x->page_arena);
        MyPage page;
        bool ok = read(x, &page, err);
        ended = ok && is_last(x, &page);
        if (ok && page.n_rows > 0) {
            remember_last(x, &page);
            ok = place_read(x, &page, err);
        }
        arena_rewind(x->page_arena, mark);
        TRY(ok);
    }
    return true;
}

/* A quiet poll writes nothing. One that read rows stores how far the clock has come, so that the next
 * need not read them again. */
static bool advance(Extraction *x, Error *err) {
    CursorState next = x->place.cursor;
    if (x->rows_seen == 0 || str_compare(str_of(x->clock.position), str_of(next.position)) <= 0)
        return true;
    next.position = x->clock.position;
    return place_cursor(&x->place, &next, err);
}

static bool follow(Extraction *x, Error *err) {
    x->rows_seen = 0;
    x->position = str_of(x->place.cursor.position);
    TRY(walk(x, read_follow, err));
    FAILPOINT("extract.before_advance");
    return advance(x, err) && walk(x, read_null_cursors, err);
}

static void extraction_close(Extraction *x) {
    place_close(&x->place);
    pthread_mutex_destroy(&x->my_mutex);
}

static bool extract(RunContext *run, bool whole, Error *err) {
    CLEANUP(arena_drop) Arena *page_arena = arena_open();
    CLEANUP(extraction_close) Extraction x = {.page_arena = page_arena, .my_mutex = PTHREAD_MUTEX_INITIALIZER};
    TRY(open_extraction(run, &x, err));
    bool was_loading = x.place.cursor.is_loading;
    if (was_loading)
        TRY(load(&x, err));
    bool has_cursor = x.table.cursor_kind != CURSOR_NONE;
    if (has_cursor)
        TRY(follow(&x, err));
    if (!was_loading && (whole || !has_cursor))
        TRY(walk_table(&x, NULL, PASS_WHOLE, err));
    return !x.table.key_may_be_null || walk(&x, read_keyless, err);
}

bool step_extract(RunContext *run, Error *err) {
    bool whole = run->mode != RUN_INCREMENTAL;
    return extract(run, whole, err) || error_context(err, "feed %s", run->feed->name);
}

bool step_reconcile(RunContext *run, Error *err) {
    return extract(run, true, err) || error_context(err, "feed %s", run->feed->name);
}
