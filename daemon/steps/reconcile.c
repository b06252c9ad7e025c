/* reconcile.c - a hospital's table held against silver, and mending what differs (rules, section 5).
 *
 * A poll first. Then both sides count and add up their rows by buckets; of buckets that differ the source tells
 * keys and hashes, and what is unlike is noted. Then a second poll, and a second look: rows of the source that
 * are unlike are read whole, by key; of rows that only we have, bronze knows the key, and the source is asked for
 * it. What differs still is delivered again, as a page like any other. What is not there is noted in ops.gone,
 * and deleted when all of it is known, unless that is more than the guard allows: then the run is held, and
 * what it found waits for a person. A run that was approved deletes that and nothing else, after another look.
 *
 * Rows of other feeds that become the same table's are compared with, never mended: their own reconcile does. Rows
 * without a key are read at every poll. A row whose id another row of the table holds (same id, other key) is no
 * difference while that one is there as it is here. */
#include "steps/reconcile.h"

#include "steps/extract.h"
#include "steps/second_look.h"
#include "steps/session.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "storage/feed_schema.h"
#include "storage/reconcile.h"

#include <pthread.h>

enum {
    GONE_ROWS = 1000,      /* deleted in one page */
    STATEMENT_US = 300000, /* how long a chunk's statement may take, about */
    CHUNK_ROWS_MIN = 500,
    CHUNK_ROWS_FIRST = 5000,
    COUNT_ROWS_MAX = 100000,
    READ_ROWS_MAX = 20000, /* of a chunk whose keys may all come back */
};

typedef struct Reconcile {
    RunContext *run;
    My *my;
    pthread_mutex_t my_mutex;
    SourceTable *tables; /* the feed's own first, then those of others of the same entity */
    size_t n_tables;
    ReconcileScope scope;
    ReconcileReport report;
    Buckets here, there;
    BucketList unlike;
    uint64_t own_rows; /* of `there` */
    const char *server;
    PlaceFeed place;
    SecondLook look; /* once the place is open */
    Arena *arena; /* rewound after every page */
    int64_t n_gone_contents;
} Reconcile;

static bool extract_as(Reconcile *r, RunMode mode, Error *err) {
    RunMode own = r->run->mode;
    r->run->mode = mode;
    bool ok = feed_extract(r->run, err);
    r->run->mode = own;
    return ok;
}

/* As the schedule would: the same step, from the cursor. Under another list of columns every row has another hash,
 * and is read anew, which would follow in any case. */
static bool poll(Reconcile *r, Error *err) {
    TRY(extract_as(r, RUN_INCREMENTAL, err));
    return !r->run->wants_full || extract_as(r, RUN_FULL, err);
}

/* ---- opening ---- */

/* With the columns that rows are read with: those that are not read must not be hashed (steps/drift.h). */
static bool describe(Reconcile *r, const FeedConfig *feed, SourceTable *ret_table, Error *err) {
    Arena *arena = r->run->arena;
    SourceColumns *columns = ARENA_NEW(arena, SourceColumns);
    FeedAgreed agreed;
    TRY(feed_agreed_read(r->run->pg, feed->name, arena, &agreed, err));
    TRY(source_columns(r->my, arena, feed->table, feed->query, columns, err));
    const char *const *names = agreed.is_known ? agreed.shape.names : columns->names;
    return source_bind(arena, columns, names, agreed.is_known ? agreed.shape.n : columns->n, feed->key, feed->n_key,
                       feed->cursor, ret_table, err);
}

static bool open_source(Reconcile *r, Error *err) {
    const FeedConfig *own = r->run->feed;
    const SourceConfig *source = own->source;
    Arena *arena = r->run->arena;
    const char **names = ARENA_ARRAY(arena, const char *, source->n_feeds + 1);
    r->tables = ARENA_ARRAY(arena, SourceTable, source->n_feeds + 1);
    r->my = session_connect(r->run->session, source, err);
    TRY(r->my && reconcile_server(r->my, arena, &r->server, err));
    for (size_t i = 0; i <= source->n_feeds; i++) {
        const FeedConfig *feed = i == 0 ? own : &source->feeds[i - 1];
        bool is_sibling = strcmp(feed->name, own->name) != 0 && feed->mapping.entity == own->mapping.entity;
        if (i > 0 && !is_sibling)
            continue;
        names[r->n_tables] = feed->name;
        TRY(describe(r, feed, &r->tables[r->n_tables++], err));
    }
    r->scope = (ReconcileScope){.entity = own->mapping.entity, .feed = own->name, .source_system = source->name,
                                .feeds = names, .n_feeds = r->n_tables, .run_id = r->run->run_id};
    return true;
}

static bool open_look(Reconcile *r, Error *err) {
    SourceClock clock;
    TRY(source_clock(r->my, r->run->arena, &clock, err));
    r->look = (SecondLook){
        .run = r->run, .my = r->my, .tables = r->tables, .n_tables = r->n_tables, .scope = &r->scope,
        .place = &r->place, .collisions = collisions_open(&r->place, r->my, &r->my_mutex, &r->tables[0]),
        .source_now_us = clock.now_us, .arena = r->arena, .report = &r->report,
    };
    return true;
}

/* After the last poll: from here on nothing else places rows of this feed. */
static bool open_place(Reconcile *r, Error *err) {
    return feed_open_place(r->run, &r->tables[0], &r->place, err) && open_look(r, err);
}

static void reconcile_done(Reconcile *r) {
    place_close(&r->place);
    pthread_mutex_destroy(&r->my_mutex);
}

/* ---- both sides by buckets ---- */

typedef bool (*VisitChunk)(Reconcile *r, const SourceTable *table, const Chunk *chunk, Error *err);

static size_t next_size(size_t rows, int64_t took_us, size_t rows_max) {
    if (took_us < STATEMENT_US / 2)
        rows *= 2;
    else if (took_us > STATEMENT_US)
        rows /= 2;
    return rows < CHUNK_ROWS_MIN ? CHUNK_ROWS_MIN : rows > rows_max ? rows_max : rows;
}

static const Str *keep_key(Arena *arena, const Str *key, size_t n) {
    Str *copy = ARENA_ARRAY(arena, Str, n);
    for (size_t i = 0; i < n; i++)
        copy[i] = arena_copy(arena, key[i]);
    return copy;
}

/* A table in chunks of its key, and its rows without one: no statement takes long, none stays open. */
static bool walk_chunks(Reconcile *r, const SourceTable *table, size_t rows_max, VisitChunk visit, Error *err) {
    size_t rows = CHUNK_ROWS_FIRST;
    const Str *after = NULL;
    for (bool ended = false; !ended;) {
        if (step_is_canceled(r->run, err))
            return false;
        ArenaMark mark = arena_mark(r->arena);
        int64_t begun_us = clock_monotonic_us();
        Str *upto = NULL;
        bool ok = reconcile_chunk_end(r->my, table, after, rows, r->arena, &upto, err) &&
                  visit(r, table, &(Chunk){after, upto}, err);
        rows = next_size(rows, clock_monotonic_us() - begun_us, rows_max);
        ended = upto == NULL;
        after = upto ? keep_key(r->run->arena, upto, table->n_key) : NULL;
        arena_rewind(r->arena, mark);
        TRY(ok);
    }
    return !table->key_may_be_null || visit(r, table, NULL, err);
}

static bool count_chunk(Reconcile *r, const SourceTable *table, const Chunk *chunk, Error *err) {
    return reconcile_count_there(r->my, table, chunk, r->arena, &r->there, err);
}

static bool compare_buckets(Reconcile *r, Error *err) {
    for (size_t i = 0; i < r->n_tables; i++) {
        TRY(walk_chunks(r, &r->tables[i], COUNT_ROWS_MAX, count_chunk, err));
        if (i == 0)
            r->own_rows = r->there.n_rows;
    }
    TRY(reconcile_count_here(r->run->pg, r->run->arena, &r->scope, &r->here, err));
    buckets_compare(&r->here, &r->there, &r->unlike);
    r->report.rows_here = (int64_t)r->here.n_rows;
    r->report.rows_there = (int64_t)r->there.n_rows;
    r->report.n_buckets = r->unlike.n;
    FAILPOINT("reconcile.after_buckets");
    return true;
}

/* ---- what is unlike in them ---- */

static bool keep_chunk(Reconcile *r, const SourceTable *table, const Chunk *chunk, Error *err) {
    MyPage page;
    TRY(reconcile_read_there(r->my, table, chunk, &r->unlike, r->arena, &page, err));
    r->report.rows_shipped += (int64_t)page.n_rows;
    bool is_own = table == &r->tables[0] && chunk != NULL;
    return reconcile_keep_there(r->run->pg, &page, table->n_key, is_own, err);
}

/* Without a bucket that differs there is nothing to compare, but for entries that are looked at in any case. */
static bool find_unlike(Reconcile *r, int64_t *ret_n, Error *err) {
    Pg *pg = r->run->pg;
    int32_t mapping_version;
    TRY(reconcile_begin(pg, err));
    for (size_t i = 0; i < r->n_tables && r->unlike.n + (int64_t)r->there.n_unhashed > 0; i++)
        TRY(walk_chunks(r, &r->tables[i], READ_ROWS_MAX, keep_chunk, err));
    TRY(reconcile_keep_here(pg, r->run->arena, &r->scope, &r->unlike, err));
    TRY(reconcile_mapping_version(pg, r->scope.feed, &mapping_version, err));
    TRY(reconcile_find_unlike(pg, &r->scope, RULE_KEY_COLLISION, mapping_version, ret_n, err));
    return reconcile_count_gone_contents(pg, &r->n_gone_contents, err);
}

/* ---- the delete guard ---- */

static bool hold(Error *err) {
    return error_hint(err, "look at the source: POST /v1/runs/ID/approve deletes these rows, /cancel keeps them");
}

static bool is_too_many(const Reconcile *r, int64_t n_gone) {
    const FeedConfig *feed = r->run->feed;
    return n_gone > feed->delete_rows && n_gone > r->report.rows_here * feed->delete_share / 100;
}

static bool check_guard(Reconcile *r, const GoneCounts *gone, Error *err) {
    const FeedConfig *feed = r->run->feed;
    int64_t all = r->report.rows_here;
    bool is_known;
    if (gone->in_silver == 0)
        return true;
    if (r->own_rows == 0) {
        error_set(err, STATE_HELD, "the source's table %s is empty: %lld rows that are here would be deleted",
                  feed->table, (long long)gone->in_silver);
        return hold(err);
    }
    TRY(reconcile_server_is_known(r->run->pg, feed->name, r->server, &is_known, err));
    if (!is_known) {
        error_set(err, STATE_HELD, "another server answers than at the last reconcile, and lacks %lld of %lld rows",
                  (long long)gone->in_silver, (long long)all);
        return hold(err);
    }
    if (!is_too_many(r, gone->in_silver))
        return true;
    error_set(err, STATE_HELD, "the source lacks %lld of %lld rows, more than %d %% (delete_share)",
              (long long)gone->in_silver, (long long)all, feed->delete_share);
    return hold(err);
}

/* ---- deleting ---- */

/* Pages of what was found; an approved run looks at them again, for its finding may be days old. */
static bool delete_gone(Reconcile *r, Error *err) {
    Str after = STR("");
    size_t n = 1;
    while (n > 0) {
        if (step_is_canceled(r->run, err))
            return false;
        ArenaMark mark = arena_mark(r->arena);
        Str *ids;
        PlaceOutcome outcome = {0};
        bool ok = reconcile_next_gone(r->run->pg, r->arena, r->run->run_id, after, GONE_ROWS, &ids, &n, err);
        if (ok && n > 0) {
            after = arena_copy(r->run->arena, ids[n - 1]);
            size_t n_gone = n;
            ok = (!r->run->is_approved || second_look_at_ids(&r->look, ids, n, &ids, &n_gone, err)) &&
                 (n_gone == 0 || place_gone(&r->place, ids, n_gone, r->arena, &outcome, err));
            r->report.gone += r->run->is_approved ? (int64_t)n_gone : 0;
        }
        arena_rewind(r->arena, mark);
        TRY(ok);
        FAILPOINT("repair.after_deleted");
    }
    return true;
}

/* ---- one reconcile ---- */

static bool record(Reconcile *r, bool is_repaired, Error *err) {
    int64_t n = reconcile_differences(&r->report);
    r->report.is_repaired = is_repaired;
    TRY(reconcile_record(r->run->pg, r->run->arena, &r->report, err));
    METRIC_SET(METRIC_RECONCILE_DIFFERENCES, n, r->scope.feed);
    if (n > 0)
        LOG_WARN("reconcile found differences", LOG_TEXT("feed", r->scope.feed), LOG_INT("run", r->run->run_id),
                 LOG_INT("missing", r->report.missing), LOG_INT("differing", r->report.differing),
                 LOG_INT("gone", r->report.gone), LOG_INT("rows_shipped", r->report.rows_shipped));
    return true;
}

/* The report is written before the guard speaks: of a held run, too. */
static bool repair(Reconcile *r, const GoneCounts *gone, Error *err) {
    if (!check_guard(r, gone, err)) {
        Error held = *err;
        error_clear(err);
        TRY(record(r, false, err));
        *err = held;
        return false;
    }
    TRY(gone->all == 0 || delete_gone(r, err));
    TRY(r->n_gone_contents == 0 || reconcile_end_gone_contents(r->run->pg, r->scope.feed, err));
    return true;
}

static bool end(Reconcile *r, bool is_repaired, Error *err) {
    FAILPOINT("reconcile.before_record");
    TRY(record(r, is_repaired, err) && reconcile_forget_run(r->run->pg, r->run->run_id, err));
    /* who approved some deletions did not thereby vouch for the server that answers now */
    return r->run->is_dry || r->run->is_approved || reconcile_server_keep(r->run->pg, r->scope.feed, r->server, err);
}

/* A source that counts so much less than is here, an emptied table or an old restore, is held whatever a second look
 * finds; that would take as long as the table is large. Who approves has every row looked at again before it goes. */
static bool find_gone(Reconcile *r, GoneCounts *ret_gone, Error *err) {
    Pg *pg = r->run->pg;
    if (is_too_many(r, r->report.rows_here - r->report.rows_there)) {
        TRY(reconcile_keep_all_gone(pg, r->arena, &r->scope, err));
        TRY(reconcile_count_gone(pg, r->run->run_id, ret_gone, err));
        if (is_too_many(r, ret_gone->in_silver))
            return true;
        TRY(reconcile_forget_run(pg, r->run->run_id, err));
    }
    TRY(second_look_at_ours(&r->look, err));
    return reconcile_count_gone(pg, r->run->run_id, ret_gone, err);
}

static bool find_and_repair(Reconcile *r, Error *err) {
    Pg *pg = r->run->pg;
    GoneCounts gone = {0};
    int64_t n_unlike;
    bool is_dry = r->run->is_dry;
    TRY(is_dry || reconcile_forget_gone(pg, r->scope.feed, err));
    TRY(compare_buckets(r, err) && find_unlike(r, &n_unlike, err));
    if (n_unlike + r->n_gone_contents > 0) {
        TRY(poll(r, err) && open_place(r, err));
        TRY(second_look_at_theirs(&r->look, err));
        FAILPOINT("repair.after_delivered");
        TRY(find_gone(r, &gone, err));
        FAILPOINT("repair.after_found");
        r->report.gone = gone.all + r->n_gone_contents;
        TRY(is_dry || repair(r, &gone, err));
    }
    return end(r, !is_dry && reconcile_differences(&r->report) > 0, err);
}

static bool delete_approved(Reconcile *r, Error *err) {
    return open_place(r, err) && reconcile_begin(r->run->pg, err) && delete_gone(r, err) && end(r, true, err);
}

static bool reconcile(RunContext *run, Error *err) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    Reconcile *r = ARENA_NEW(run->arena, Reconcile);
    *r = (Reconcile){.run = run, .arena = arena, .my_mutex = PTHREAD_MUTEX_INITIALIZER};
    r->report.started_us = clock_wall_us();
    r->report.scope = &r->scope;
    bool ok = poll(r, err) && open_source(r, err) && (run->is_approved ? delete_approved(r, err) : find_and_repair(r, err));
    reconcile_done(r);
    return ok;
}

/* ---- a poll by buckets ---- */

bool reconcile_is_large(RunContext *run, bool *ret_is_large, Error *err) {
    const FeedConfig *feed = run->feed;
    ReconcileScope scope = {.entity = feed->mapping.entity, .source_system = feed->source->name};
    return reconcile_has_more_rows(run->pg, run->arena, &scope, feed->read_whole_rows, ret_is_large, err);
}

bool reconcile_poll(RunContext *run, PlaceFeed *place, Error *err) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    Reconcile *r = ARENA_NEW(run->arena, Reconcile);
    *r = (Reconcile){.run = run, .arena = arena, .my_mutex = PTHREAD_MUTEX_INITIALIZER, .place = *place};
    int64_t n_unlike;
    bool ok = open_source(r, err) && open_look(r, err) && compare_buckets(r, err);
    if (ok && r->unlike.n + (int64_t)r->there.n_unhashed > 0)
        ok = find_unlike(r, &n_unlike, err) && second_look_at_theirs(&r->look, err);
    *place = r->place; /* its cursor has gone on */
    pthread_mutex_destroy(&r->my_mutex);
    return ok;
}

/* What a table of the past lacks is not gone. */
static bool read_whole(RunContext *run, Error *err) {
    run->mode = RUN_FULL;
    return feed_extract(run, err);
}

bool step_reconcile(RunContext *run, Error *err) {
    bool ok = run->feed->tells == TELLS_PAST ? read_whole(run, err) : reconcile(run, err);
    return ok || error_context(err, "feed %s", run->feed->name);
}
