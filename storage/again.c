/* again.c - see again.h. Bronze is read where it lies, stretch by stretch: it has no index that orders it, and
 * needs none. */
#include "storage/again.h"

#include "base/failpoint.h"
#include "base/own.h"
#include "sql.h"
#include "storage/bronze.h"
#include "storage/spelling.h"
#include "storage/template.h"

enum { STRETCH_BLOCKS = 64, PORTION = 100 };

/* ---- columns ---- */

static size_t count_schemas(const PgResult *rows) {
    size_t n = 0;
    for (int r = 0; r < pg_rows(rows); r++)
        n += r == 0 || pg_int(rows, r, 0) != pg_int(rows, r - 1, 0);
    return n;
}

bool again_schemas(Pg *pg, const char *feed, Arena *arena, AgainSchema **ret_schemas, size_t *ret_n, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_AGAIN_SCHEMAS, PG_PARAMS(feed), err);
    TRY(rows);
    size_t n_columns = (size_t)pg_rows(rows), n = 0;
    AgainSchema *schemas = ARENA_ARRAY(arena, AgainSchema, count_schemas(rows) + 1);
    const char **names = ARENA_ARRAY(arena, const char *, n_columns + 1);
    const char **types = ARENA_ARRAY(arena, const char *, n_columns + 1);
    for (int r = 0; r < pg_rows(rows); r++) {
        names[r] = arena_string(arena, pg_value(rows, r, 1));
        types[r] = arena_string(arena, pg_value(rows, r, 2));
        if (r == 0 || pg_int(rows, r, 0) != schemas[n - 1].id)
            schemas[n++] = (AgainSchema){.id = pg_int(rows, r, 0), .names = names + r, .types = types + r};
        schemas[n - 1].n++;
    }
    *ret_schemas = schemas;
    *ret_n = n;
    return true;
}

int again_find_schema(const AgainSchema *schemas, size_t n, int64_t id) {
    for (size_t i = 0; i < n; i++)
        if (schemas[i].id == id)
            return (int)i;
    return -1;
}

/* ---- rows ---- */

static Str copy_or_null(Arena *arena, Str text) { return str_is_null(text) ? text : arena_copy(arena, text); }

/* At which column of the answer what stands. */
typedef struct Layout {
    int schema, entry, id, hash, raw;
} Layout;

static AgainRow take_row(const PgResult *found, int r, Layout at, Arena *arena) {
    return (AgainRow){
        .schema_id = pg_int(found, r, at.schema),
        .entry = pg_int(found, r, at.entry),
        .id = copy_or_null(arena, pg_value(found, r, at.id)),
        .source_hash = pg_int(found, r, at.hash),
        .raw = copy_or_null(arena, pg_value(found, r, at.raw)),
    };
}

static AgainPage take_rows(const PgResult *found, Layout at, Arena *arena) {
    AgainPage page = {.n = (size_t)pg_rows(found)};
    page.rows = ARENA_ARRAY(arena, AgainRow, page.n + 1);
    for (int r = 0; r < pg_rows(found); r++)
        page.rows[r] = take_row(found, r, at, arena);
    return page;
}

static const char *number(Arena *arena, int64_t value) { return arena_printf(arena, "%lld", (long long)value); }

static bool count_blocks(Pg *pg, const AgainFeed *feed, Arena *arena, int64_t *ret_blocks, Error *err) {
    const char *name = arena_printf(arena, "bronze.%s", bronze_raw_name(arena, feed->feed));
    CLEANUP(pg_result_drop) PgResult *row = pg_query(pg, SQL_AGAIN_BLOCKS, PG_PARAMS(name), err);
    TRY(row);
    *ret_blocks = pg_int(row, 0, 0);
    return true;
}

bool again_stored(Pg *pg, const AgainFeed *feed, AgainPlace *place, Arena *run, Arena *arena, AgainPage *ret_page,
                  bool *ret_more, Error *err) {
    const Entity *entity = feed->entity;
    *ret_page = (AgainPage){.n = 0};
    if (place->block == 0 && !place->within)
        TRY(count_blocks(pg, feed, arena, &place->n_blocks, err));
    *ret_more = place->block < place->n_blocks;
    if (!*ret_more)
        return true;
    const char *sql = sql_fill(arena, SQL_AGAIN_STORED, {"raw", bronze_raw_name(arena, feed->feed)},
                               {"table", entity->name}, {"id", entity->id});
    const char *from = place->within ? place->within : arena_printf(arena, "(%lld,0)", (long long)place->block);
    const char *until = arena_printf(arena, "(%lld,0)", (long long)place->block + STRETCH_BLOCKS);
    CLEANUP(pg_result_drop) PgResult *found =
        pg_query_as(pg, PG_BINARY, sql, PG_PARAMS(from, until, feed->source_system,
                    number(arena, (int64_t)feed->max_rows), number(arena, (int64_t)feed->max_bytes)), err);
    TRY(found);
    *ret_page = take_rows(found, (Layout){.schema = 0, .entry = 1, .id = 2, .hash = 3, .raw = 4}, arena);
    if (ret_page->n > 0) {
        place->within = arena_string(run, pg_value(found, 0, 5));
    } else {
        place->block += STRETCH_BLOCKS;
        place->within = NULL;
    }
    return true;
}

static const char *asked(const AgainFeed *feed) { return feed->only_asked ? "true" : "false"; }

bool again_held(Pg *pg, const AgainFeed *feed, AgainHeld which, AgainPlace *place, Arena *arena, AgainPage *ret_page,
                bool *ret_more, Error *err) {
    static const char *const IS_STORED[] = {[AGAIN_HELD_ALL] = NULL, [AGAIN_HELD_STORED] = "true", [AGAIN_HELD_NEWS] = "false"};
    const char *sql = sql_fill(arena, SQL_AGAIN_HELD, {"raw", bronze_raw_name(arena, feed->feed)},
                               {"table", feed->entity->name}, {"id", feed->entity->id});
    CLEANUP(pg_result_drop) PgResult *found =
        pg_query_as(pg, PG_BINARY, sql, PG_PARAMS(feed->feed, feed->source_system, number(arena, place->entry),
                    number(arena, (int64_t)feed->max_rows), RULE_KEY_COLLISION, asked(feed), IS_STORED[which]), err);
    TRY(found);
    *ret_page = take_rows(found, (Layout){.schema = 1, .entry = 0, .id = 2, .hash = 3, .raw = 4}, arena);
    *ret_more = ret_page->n > 0;
    if (*ret_more)
        place->entry = ret_page->rows[ret_page->n - 1].entry;
    return true;
}

/* ---- deliveries of claims ---- */

bool again_sources(Pg *pg, const char *feed, Arena *arena, const char ***ret_sources, size_t *ret_n, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_AGAIN_SOURCES, PG_PARAMS(feed), err);
    TRY(rows);
    *ret_n = (size_t)pg_rows(rows);
    *ret_sources = ARENA_ARRAY(arena, const char *, *ret_n + 1);
    for (size_t i = 0; i < *ret_n; i++)
        (*ret_sources)[i] = arena_string(arena, pg_value(rows, (int)i, 0));
    return true;
}

bool again_deliveries_open(Pg *pg, const AgainFeed *feed, const char *left_out, Error *err) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    const char *sql = sql_fill(arena, SQL_AGAIN_DELIVERIES, {"raw", bronze_raw_name(arena, feed->feed)});
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    TRY(tx && pg_exec(tx, SQL_AGAIN_FOR, PG_PARAMS(feed->feed, feed->source_system, left_out, asked(feed)), NULL, err) &&
        pg_exec(tx, sql, PG_NONE, NULL, err));
    TRY(pg_commit(&tx, PG_RELAXED, err));
    FAILPOINT("again.opened");
    return true;
}

static AgainDelivery take_delivery(const PgResult *found, int r, Arena *arena) {
    Layout at = {.schema = 2, .entry = 9, .id = 0, .hash = 1, .raw = 3};
    return (AgainDelivery){
        .row = take_row(found, r, at, arena),
        .file_id = pg_int(found, r, 4),
        .line = pg_int(found, r, 5),
        .period = copy_or_null(arena, pg_value(found, r, 6)),
        .sha256 = copy_or_null(arena, pg_value(found, r, 7)),
        .is_placed = pg_bool(found, r, 8),
        .mapping_version = (int32_t)pg_int(found, r, 10),
        .is_last = pg_bool(found, r, 11),
    };
}

typedef struct Deliveries {
    AgainDelivery *at;
    size_t n, n_room, n_bytes;
} Deliveries;

/* By doubling: a claim may have tens of thousands, and they come one by one. */
static void make_room(Deliveries *found, size_t n_more, Arena *arena) {
    if (found->n + n_more <= found->n_room)
        return;
    found->n_room = 2 * (found->n + n_more);
    AgainDelivery *grown = ARENA_ARRAY(arena, AgainDelivery, found->n_room);
    if (found->n > 0)
        memcpy(grown, found->at, found->n * sizeof *grown);
    found->at = grown;
}

static bool fetch(Pg *pg, size_t n, Arena *arena, Deliveries *found, bool *ret_more, Error *err) {
    const char *sql = sql_fill(arena, SQL_AGAIN_FETCH, {"n", number(arena, (int64_t)n)});
    CLEANUP(pg_result_drop) PgResult *rows = pg_query_as(pg, PG_BINARY, sql, PG_NONE, err);
    TRY(rows);
    make_room(found, (size_t)pg_rows(rows), arena);
    for (int r = 0; r < pg_rows(rows); r++) {
        found->at[found->n] = take_delivery(rows, r, arena);
        found->n_bytes += found->at[found->n++].row.raw.size;
    }
    *ret_more = pg_rows(rows) > 0;
    return true;
}

/* Rows of one claim behind a full page; where a mapping took another column for the id, it may have all of a file. */
enum { CLAIM_ROWS_MOST = 5000 };

/* Of a page that is full. */
static bool is_end(const Deliveries *found, const AgainFeed *feed) {
    return found->at[found->n - 1].is_last || found->n >= feed->max_rows + CLAIM_ROWS_MOST;
}

/* Fetched in small portions, so that a page of long lines is bounded, too; the rest of its last claim row by row. */
bool again_deliveries_next(Pg *pg, const AgainFeed *feed, Arena *arena, AgainDelivery **ret_deliveries, size_t *ret_n,
                           Error *err) {
    Deliveries found = {.n = 0};
    for (bool more = true, is_full = false; more && !(is_full && is_end(&found, feed));) {
        size_t n_left = feed->max_rows - found.n;
        TRY(fetch(pg, is_full ? 1 : n_left < PORTION ? n_left : PORTION, arena, &found, &more, err));
        is_full = found.n >= feed->max_rows || found.n_bytes >= feed->max_bytes;
    }
    *ret_deliveries = found.at;
    *ret_n = found.n;
    return true;
}

void again_deliveries_close(Pg *pg) {
    Error ignored = {0};
    pg_exec(pg, SQL_AGAIN_CLOSE, PG_NONE, NULL, &ignored);
}

/* ---- what is still to be done ---- */

bool again_due(Pg *pg, const char *feed, AgainDue *ret_due, Error *err) {
    CLEANUP(pg_result_drop) PgResult *row = pg_query(pg, SQL_AGAIN_DUE, PG_PARAMS(feed), err);
    TRY(row);
    *ret_due = (AgainDue){.mapping = pg_bool(row, 0, 0), .replay = pg_bool(row, 0, 1)};
    return true;
}

bool again_done(Pg *pg, const char *feed, int32_t mapping_version, Error *err) {
    char version[16];
    snprintf(version, sizeof version, "%d", mapping_version);
    return pg_exec(pg, SQL_AGAIN_DONE, PG_PARAMS(feed, version), NULL, err);
}

bool again_asked(Pg *pg, const char *feed, Arena *arena, AgainAsked *ret_asked, Error *err) {
    CLEANUP(pg_result_drop) PgResult *row = pg_query(pg, SQL_AGAIN_ASKED, PG_PARAMS(feed), err);
    TRY(row);
    *ret_asked = (AgainAsked){
        .entries = arena_string(arena, pg_value(row, 0, 0)),
        .times = arena_string(arena, pg_value(row, 0, 1)),
    };
    return true;
}

bool again_asked_done(Pg *pg, const AgainAsked *asked, Error *err) {
    FAILPOINT("again.before_asked_done");
    return pg_exec(pg, SQL_AGAIN_ASKED_DONE, PG_PARAMS(asked->entries, asked->times), NULL, err);
}
