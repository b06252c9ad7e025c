/* reconcile.c - see reconcile.h. */
#include "storage/reconcile.h"

#include "base/own.h"
#include "sql.h"
#include "storage/hexkey.h"
#include "storage/template.h"

#include <inttypes.h>
#include <jansson.h>

enum {
    FRAGMENT_MAX_BYTES = 16 << 20,
    PAGE_MAX_BYTES = 64 << 20,
    CHUNK_ROWS_MAX = 1 << 20, /* of an answer: keys of a chunk may repeat */
};

DEFINE_DROP(json_t, json_drop, json_decref)

void buckets_compare(const Buckets *here, const Buckets *there, BucketList *ret_list) {
    ret_list->n = 0;
    for (int i = 0; i < RECONCILE_BUCKETS; i++)
        if (here->count[i] != there->count[i] || here->sum[i] != there->sum[i])
            ret_list->at[ret_list->n++] = i;
}

static const char *number(Arena *arena, int64_t value) { return arena_printf(arena, "%" PRId64, value); }

/* ---- the source: conditions ---- */

static const char *key_list(Arena *arena, const SourceTable *table) {
    Buf list;
    buf_init(&list, FRAGMENT_MAX_BYTES);
    for (size_t i = 0; i < table->n_key; i++) {
        source_put_between(&list, ", ");
        source_put_rendered(&list, table, (size_t)table->key[i]);
    }
    return source_take(arena, &list);
}

/* Lexicographic, written out with OR as an index wants it: behind the key, or up to and with it. */
static void put_bound(Buf *sql, const SourceTable *table, const Str *key, bool is_behind) {
    for (size_t i = 0; i < table->n_key; i++) {
        buf_put_str(sql, i == 0 ? STR("(") : STR(" OR ("));
        for (size_t j = 0; j <= i; j++) {
            if (j > 0)
                buf_put_str(sql, STR(" AND "));
            source_put_key_column(sql, table, table->key[j]);
            bool ends = j == i && i + 1 == table->n_key;
            buf_put_str(sql, j < i ? STR(" = ") : is_behind ? STR(" > ") : ends ? STR(" <= ") : STR(" < "));
            source_put_key_value(sql, table, j, key[j]);
        }
        buf_put_byte(sql, ')');
    }
}

static const char *range_of(Arena *arena, const SourceTable *table, const Chunk *chunk) {
    if (!chunk)
        return table->keyless;
    Buf sql;
    buf_init(&sql, FRAGMENT_MAX_BYTES);
    buf_put_str(&sql, str_of(table->keyed));
    if (chunk->after) {
        buf_put_str(&sql, STR(" AND ("));
        put_bound(&sql, table, chunk->after, true);
        buf_put_byte(&sql, ')');
    }
    if (chunk->upto) {
        buf_put_str(&sql, STR(" AND ("));
        put_bound(&sql, table, chunk->upto, false);
        buf_put_byte(&sql, ')');
    }
    return source_take(arena, &sql);
}

/* NULL is in no list, and a list must hold something: rows without a hash are read though no bucket differs. */
static const char *bucket_list(Arena *arena, const BucketList *buckets) {
    if (buckets->n == 0)
        return "NULL";
    Buf sql;
    buf_init(&sql, FRAGMENT_MAX_BYTES);
    for (int i = 0; i < buckets->n; i++)
        buf_printf(&sql, "%s%d", i > 0 ? ", " : "", buckets->at[i]);
    return source_take(arena, &sql);
}

static const char *key_conditions(Arena *arena, const SourceTable *table, const Str *keys, size_t n) {
    Buf sql;
    buf_init(&sql, FRAGMENT_MAX_BYTES);
    for (size_t i = 0; i < n; i++) {
        buf_put_str(&sql, i > 0 ? STR(" OR (") : STR("("));
        for (size_t j = 0; j < table->n_key; j++) {
            if (j > 0)
                buf_put_str(&sql, STR(" AND "));
            source_put_key_column(&sql, table, table->key[j]);
            buf_put_str(&sql, STR(" = "));
            source_put_key_value(&sql, table, j, keys[i * table->n_key + j]);
        }
        buf_put_byte(&sql, ')');
    }
    return source_take(arena, &sql);
}

/* ---- the source: questions ---- */

bool reconcile_chunk_end(My *my, const SourceTable *table, const Str *after, size_t rows, Arena *arena,
                         Str **ret_upto, Error *err) {
    const char *sql = sql_fill(arena, SQL_RECONCILE_CHUNK_END, {"keys", key_list(arena, table)},
                               {"table", table->quoted}, {"keyed", table->keyed},
                               {"range", range_of(arena, table, &(Chunk){.after = after})},
                               {"key", table->quoted_key}, {"rows", arena_printf(arena, "%zu", rows - 1)});
    MyPage page;
    TRY(my_read(my, sql, 1, PAGE_MAX_BYTES, arena, &page, err));
    *ret_upto = page.n_rows > 0 ? page.fields : NULL;
    return true;
}

static bool add_bucket(Str bucket, Str count, Str sum, Buckets *buckets, Error *err) {
    int64_t i, n, total;
    if (!str_to_int64(count, &n) || n < 0)
        return error_set(err, STATE_BUG, "the hospital's server counts in a way we cannot read");
    buckets->n_rows += (uint64_t)n;
    if (str_is_null(bucket)) {
        buckets->n_unhashed += (uint64_t)n;
        return true;
    }
    if (!str_to_int64(bucket, &i) || i < 0 || i >= RECONCILE_BUCKETS || !str_to_int64(sum, &total))
        return error_set(err, STATE_BUG, "the hospital's server adds up in a way we cannot read");
    buckets->count[i] += (uint64_t)n;
    buckets->sum[i] += (uint64_t)total;
    return true;
}

bool reconcile_count_there(My *my, const SourceTable *table, const Chunk *chunk, Arena *arena, Buckets *buckets,
                           Error *err) {
    const char *sql = sql_fill(arena, SQL_RECONCILE_COUNT_THERE, {"hash", source_hash(arena, table)},
                               {"table", table->quoted}, {"range", range_of(arena, table, chunk)});
    MyPage page;
    TRY(my_read(my, sql, RECONCILE_BUCKETS + 1, PAGE_MAX_BYTES, arena, &page, err));
    for (size_t i = 0; i < page.n_rows; i++) {
        const Str *row = page.fields + i * page.n_fields;
        TRY(add_bucket(row[0], row[1], row[2], buckets, err));
    }
    return true;
}

bool reconcile_read_there(My *my, const SourceTable *table, const Chunk *chunk, const BucketList *buckets,
                          Arena *arena, MyPage *ret_page, Error *err) {
    const char *sql = sql_fill(arena, SQL_RECONCILE_READ_THERE, {"keys", key_list(arena, table)},
                               {"hash", source_hash(arena, table)}, {"table", table->quoted},
                               {"range", range_of(arena, table, chunk)},
                               {"buckets", bucket_list(arena, buckets)});
    TRY(my_read(my, sql, CHUNK_ROWS_MAX, PAGE_MAX_BYTES, arena, ret_page, err));
    return !ret_page->is_cut || error_set(err, STATE_CONFIG, "table %s: too many rows have one key", table->name);
}

bool reconcile_read_keys(My *my, const SourceTable *table, const Str *keys, size_t n, SourceLimits limits,
                         Arena *arena, MyPage *ret_page, Error *err) {
    const char *sql = sql_fill(arena, SQL_RECONCILE_READ_KEYS, {"columns", table->select_list},
                               {"table", table->quoted}, {"keyed", table->keyed},
                               {"keys", key_conditions(arena, table, keys, n)});
    return my_read(my, sql, limits.rows, limits.bytes, arena, ret_page, err);
}

bool reconcile_server(My *my, Arena *arena, const char **ret_server, Error *err) {
    MyPage page;
    TRY(my_read(my, SQL_RECONCILE_SERVER, 1, PAGE_MAX_BYTES, arena, &page, err));
    *ret_server = arena_string(arena, page.fields[0]);
    return true;
}

/* ---- what is here ---- */

static const char *texts_array(Arena *arena, const Str *texts, size_t n, Error *err) {
    CLEANUP(buf_drop) Buf list = pg_array(PAGE_MAX_BYTES);
    pg_array_texts(&list, texts, n);
    const char *array = pg_array_end(&list, err);
    return array ? arena_string(arena, str_of(array)) : NULL;
}

static const char *fill_here(Arena *arena, const ReconcileScope *scope, const char *statement) {
    const Entity *entity = scope->entity;
    SqlPart table = {"table", entity->name}, key = {"key", entity->key}, id = {"id", entity->id};
    SqlPart current = {"current", entity->kind == ENTITY_HISTORY ? "s.is_current" : "true"};
    SqlPart here = {"here", sql_fill(arena, SQL_RECONCILE_HERE, table, key, id, current)};
    return sql_fill(arena, statement, table, key, id, current, here);
}

static const char *feeds_array(Arena *arena, const ReconcileScope *scope, Error *err) {
    Str *feeds = ARENA_ARRAY(arena, Str, scope->n_feeds);
    for (size_t i = 0; i < scope->n_feeds; i++)
        feeds[i] = str_of(scope->feeds[i]);
    return texts_array(arena, feeds, scope->n_feeds, err);
}

bool reconcile_begin(Pg *pg, Error *err) { return pg_script(pg, SQL_RECONCILE_TABLES, err); }

bool reconcile_has_more_rows(Pg *pg, Arena *arena, const ReconcileScope *scope, int64_t n, bool *ret_has,
                             Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, fill_here(arena, scope, SQL_RECONCILE_HAS_MORE_ROWS),
                                                      PG_PARAMS(scope->source_system, number(arena, n)), err);
    TRY(rows);
    *ret_has = pg_bool(rows, 0, 0);
    return true;
}

bool reconcile_count_here(Pg *pg, Arena *arena, const ReconcileScope *scope, Buckets *ret_buckets, Error *err) {
    const char *feeds = feeds_array(arena, scope, err);
    TRY(feeds);
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, fill_here(arena, scope, SQL_RECONCILE_COUNT_HERE),
                                                      PG_PARAMS(scope->source_system, feeds), err);
    TRY(rows);
    *ret_buckets = (Buckets){0};
    for (int r = 0; r < pg_rows(rows); r++)
        TRY(add_bucket(pg_value(rows, r, 0), pg_value(rows, r, 1), pg_value(rows, r, 2), ret_buckets, err));
    return true;
}

bool reconcile_keep_there(Pg *pg, const MyPage *page, size_t n_key, bool is_own, Error *err) {
    if (page->n_rows == 0)
        return true;
    CLEANUP(buf_drop) Buf hashes = pg_array(PAGE_MAX_BYTES);
    CLEANUP(buf_drop) Buf keys = pg_array(PAGE_MAX_BYTES);
    CLEANUP(buf_drop) Buf key;
    buf_init(&key, PAGE_MAX_BYTES);
    for (size_t r = 0; r < page->n_rows; r++) {
        const Str *row = page->fields + r * page->n_fields;
        bool has_key = true;
        for (size_t i = 0; i < n_key; i++)
            has_key = has_key && !str_is_null(row[i]);
        buf_clear(&key);
        hexkey_put(&key, row, has_key ? n_key : 0);
        pg_array_text(&keys, has_key ? buf_str(&key) : STR_NULL);
        pg_array_text(&hashes, row[n_key]);
    }
    const char *hash_array = pg_array_end(&hashes, err), *key_array = pg_array_end(&keys, err);
    return hash_array && key_array &&
           pg_exec(pg, SQL_RECONCILE_KEEP_THERE, PG_PARAMS(is_own ? "true" : "false", hash_array, key_array),
                   NULL, err);
}

bool reconcile_keep_here(Pg *pg, Arena *arena, const ReconcileScope *scope, const BucketList *buckets, Error *err) {
    CLEANUP(buf_drop) Buf list = pg_array(PAGE_MAX_BYTES);
    for (int i = 0; i < buckets->n; i++)
        pg_array_int(&list, buckets->at[i]);
    const char *array = pg_array_end(&list, err), *feeds = feeds_array(arena, scope, err);
    TRY(array && feeds);
    return pg_exec(pg, fill_here(arena, scope, SQL_RECONCILE_KEEP_HERE),
                   PG_PARAMS(scope->source_system, feeds, array), NULL, err);
}

bool reconcile_mapping_version(Pg *pg, const char *feed, int32_t *ret_version, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_RECONCILE_MAPPING_VERSION, PG_PARAMS(feed), err);
    TRY(rows);
    *ret_version = (int32_t)pg_int(rows, 0, 0);
    return true;
}

bool reconcile_find_unlike(Pg *pg, const ReconcileScope *scope, const char *collision_rule,
                           int32_t mapping_version, int64_t *ret_n, Error *err) {
    int64_t n_there, n_here;
    char version[16];
    snprintf(version, sizeof version, "%d", mapping_version);
    TRY(pg_exec(pg, SQL_RECONCILE_UNLIKE_THERE, PG_NONE, &n_there, err));
    TRY(pg_exec(pg, SQL_RECONCILE_UNLIKE_HERE, PG_PARAMS(scope->feed, collision_rule, version), &n_here, err));
    *ret_n = n_there + n_here;
    return true;
}

bool reconcile_next_keys(Pg *pg, Arena *arena, size_t n_key, size_t n_max, int64_t *position, Str **ret_keys,
                         size_t *ret_n, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows =
        pg_query(pg, SQL_RECONCILE_NEXT_KEYS,
                 PG_PARAMS(number(arena, *position), number(arena, (int64_t)n_max)), err);
    TRY(rows);
    *ret_n = (size_t)pg_rows(rows);
    *ret_keys = ARENA_ARRAY(arena, Str, *ret_n * n_key + 1);
    for (int r = 0; r < pg_rows(rows); r++) {
        hexkey_take(arena, pg_value(rows, r, 1), n_key, *ret_keys + (size_t)r * n_key);
        *position = pg_int(rows, r, 0);
    }
    return true;
}

static void take_ids(Arena *arena, const PgResult *rows, int column, Str **ret_ids, size_t *ret_n) {
    *ret_n = (size_t)pg_rows(rows);
    *ret_ids = ARENA_ARRAY(arena, Str, *ret_n + 1);
    for (int r = 0; r < pg_rows(rows); r++)
        (*ret_ids)[r] = arena_copy(arena, pg_value(rows, r, column));
}

bool reconcile_next_ids(Pg *pg, Arena *arena, size_t n_max, int64_t *position, Str **ret_ids, size_t *ret_n,
                        Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows =
        pg_query(pg, SQL_RECONCILE_NEXT_IDS,
                 PG_PARAMS(number(arena, *position), number(arena, (int64_t)n_max)), err);
    TRY(rows);
    take_ids(arena, rows, 1, ret_ids, ret_n);
    if (*ret_n > 0)
        *position = pg_int(rows, pg_rows(rows) - 1, 0);
    return true;
}

bool reconcile_mark_found(Pg *pg, const Str *ids, size_t n, Error *err) {
    if (n == 0)
        return true;
    CLEANUP(arena_drop) Arena *arena = arena_open();
    const char *array = texts_array(arena, ids, n, err);
    return array && pg_exec(pg, SQL_RECONCILE_FOUND, PG_PARAMS(array), NULL, err);
}

bool reconcile_look(Pg *pg, Arena *arena, const ReconcileScope *scope, const Str *ids, const int64_t *hashes,
                    size_t n, Unlike **ret_unlike, size_t *ret_n, Error *err) {
    CLEANUP(buf_drop) Buf list = pg_array(PAGE_MAX_BYTES);
    pg_array_ints(&list, hashes, n);
    const char *hash_array = pg_array_end(&list, err), *id_array = texts_array(arena, ids, n, err);
    TRY(hash_array && id_array);
    CLEANUP(pg_result_drop) PgResult *rows =
        pg_query(pg, fill_here(arena, scope, SQL_RECONCILE_LOOK),
                 PG_PARAMS(scope->source_system, scope->feed, id_array, hash_array), err);
    TRY(rows);
    *ret_n = (size_t)pg_rows(rows);
    *ret_unlike = ARENA_ARRAY(arena, Unlike, *ret_n + 1);
    for (int r = 0; r < pg_rows(rows); r++)
        (*ret_unlike)[r] = (Unlike){.row = (size_t)pg_int(rows, r, 0) - 1, .key = pg_int(rows, r, 1),
                                    .hash = pg_int(rows, r, 3),
                                    .is_here = !str_is_null(pg_value(rows, r, 1)) || pg_bool(rows, r, 2)};
    return true;
}

bool reconcile_count_gone_contents(Pg *pg, int64_t *ret_n, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_RECONCILE_COUNT_GONE_CONTENTS, PG_NONE, err);
    TRY(rows);
    *ret_n = pg_int(rows, 0, 0);
    return true;
}

bool reconcile_end_gone_contents(Pg *pg, const char *feed, Error *err) {
    return pg_exec(pg, SQL_RECONCILE_GONE_CONTENTS, PG_PARAMS(feed), NULL, err);
}

/* ---- rows that are gone ---- */

bool reconcile_forget_gone(Pg *pg, const char *feed, Error *err) {
    return pg_exec(pg, SQL_RECONCILE_FORGET_GONE, PG_PARAMS(feed), NULL, err);
}

static const char *run_text(int64_t run_id, char ret_text[static 24]) {
    snprintf(ret_text, 24, "%" PRId64, run_id);
    return ret_text;
}

bool reconcile_forget_run(Pg *pg, int64_t run_id, Error *err) {
    char run[24];
    return pg_exec(pg, SQL_RECONCILE_FORGET_RUN, PG_PARAMS(run_text(run_id, run)), NULL, err);
}

bool reconcile_keep_gone(Pg *pg, Arena *arena, const ReconcileScope *scope, const Str *ids, size_t n, Error *err) {
    if (n == 0)
        return true;
    const char *array = texts_array(arena, ids, n, err);
    return array && pg_exec(pg, fill_here(arena, scope, SQL_RECONCILE_KEEP_GONE),
                            PG_PARAMS(number(arena, scope->run_id), scope->feed, scope->source_system, array),
                            NULL, err);
}

bool reconcile_keep_all_gone(Pg *pg, Arena *arena, const ReconcileScope *scope, Error *err) {
    return pg_exec(pg, fill_here(arena, scope, SQL_RECONCILE_KEEP_ALL_GONE),
                   PG_PARAMS(number(arena, scope->run_id), scope->feed, scope->source_system), NULL, err);
}

bool reconcile_count_gone(Pg *pg, int64_t run_id, GoneCounts *ret_counts, Error *err) {
    char run[24];
    CLEANUP(pg_result_drop) PgResult *rows =
        pg_query(pg, SQL_RECONCILE_COUNT_GONE, PG_PARAMS(run_text(run_id, run)), err);
    TRY(rows);
    *ret_counts = (GoneCounts){.all = pg_int(rows, 0, 0), .in_silver = pg_int(rows, 0, 1)};
    return true;
}

bool reconcile_next_gone(Pg *pg, Arena *arena, int64_t run_id, Str after, size_t n_max, Str **ret_ids,
                         size_t *ret_n, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows =
        pg_query(pg, SQL_RECONCILE_NEXT_GONE,
                 PG_PARAMS(number(arena, run_id), arena_string(arena, after), number(arena, (int64_t)n_max)), err);
    TRY(rows);
    take_ids(arena, rows, 0, ret_ids, ret_n);
    return true;
}

/* ---- the report ---- */

bool reconcile_find_age(Pg *pg, const char *feed, int64_t *ret_age_us, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_RECONCILE_AGE, PG_PARAMS(feed), err);
    TRY(rows);
    *ret_age_us = pg_rows(rows) > 0 ? pg_int(rows, 0, 0) : 0;
    return true;
}

bool reconcile_server_is_known(Pg *pg, const char *feed, const char *server, bool *ret_known, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_RECONCILE_SERVER_SEEN, PG_PARAMS(feed, server), err);
    TRY(rows);
    *ret_known = pg_rows(rows) == 0 || pg_bool(rows, 0, 0);
    return true;
}

bool reconcile_server_keep(Pg *pg, const char *feed, const char *server, Error *err) {
    return pg_exec(pg, SQL_RECONCILE_SERVER_KEEP, PG_PARAMS(feed, server), NULL, err);
}

int64_t reconcile_differences(const ReconcileReport *report) {
    return report->missing + report->differing + report->gone;
}

static const char *sentence_of(Arena *arena, const ReconcileReport *report) {
    if (reconcile_differences(report) == 0)
        return NULL;
    return arena_printf(arena, "%" PRId64 " rows of the source were missing here, %" PRId64 " differed, %" PRId64
                        " were gone there%s", report->missing, report->differing, report->gone,
                        report->is_repaired ? "; delivered again and deleted" : "");
}

static json_t *differing_json(const ReconcileReport *report) {
    json_t *keys = json_array();
    for (int i = 0; i < report->n_differing_keys; i++) {
        char text[24];
        json_array_append_new(keys, json_string(run_text(report->differing_keys[i], text)));
    }
    return keys;
}

static bool gone_json(Pg *pg, const ReconcileReport *report, json_t **ret_keys, Error *err) {
    char run[24];
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(
        pg, SQL_RECONCILE_GONE_KEYS, PG_PARAMS(run_text(report->scope->run_id, run), "1000"), err);
    TRY(rows);
    *ret_keys = json_loads(pg_text(rows, 0, 0), 0, NULL);
    return *ret_keys || error_set(err, STATE_BUG, "a list of keys cannot be read");
}

bool reconcile_record(Pg *pg, Arena *arena, const ReconcileReport *report, Error *err) {
    json_t *gone;
    TRY(gone_json(pg, report, &gone, err));
    CLEANUP(json_drop) json_t *details = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:{s:o, s:o}}", "rows_here", (json_int_t)report->rows_here,
        "rows_there", (json_int_t)report->rows_there, "buckets", (json_int_t)report->n_buckets, "rows_shipped",
        (json_int_t)report->rows_shipped, "missing", (json_int_t)report->missing, "differing",
        (json_int_t)report->differing, "gone", (json_int_t)report->gone, "repaired", report->is_repaired, "keys",
        "differing", differing_json(report), "gone", gone);
    CLEANUP(mem_drop) char *text = json_dumps(details, JSON_COMPACT);
    return pg_exec(pg, SQL_RECONCILE_RECORD,
                   PG_PARAMS(report->scope->feed, number(arena, report->scope->run_id),
                             number(arena, report->started_us), number(arena, reconcile_differences(report)),
                             sentence_of(arena, report), text), NULL, err);
}

static ReconcileLine take_line(Arena *arena, const PgResult *rows, int r) {
    const char *texts[6];
    for (int i = 0; i < 6; i++)
        texts[i] = arena_string(arena, str_of(pg_text(rows, r, i)));
    return (ReconcileLine){.subject = texts[0], .sentence = texts[1], .rows_here = texts[2], .rows_there = texts[3],
                           .differing = texts[4], .gone = texts[5], .is_open = pg_bool(rows, r, 6)};
}

bool reconcile_read_lines(Pg *pg, Arena *arena, const int64_t *run_ids, size_t n, int64_t since_us,
                          ReconcileLine **ret_lines, size_t *ret_n, Error *err) {
    CLEANUP(buf_drop) Buf ids = pg_array(PAGE_MAX_BYTES);
    pg_array_ints(&ids, run_ids, n);
    const char *array = pg_array_end(&ids, err);
    TRY(array);
    CLEANUP(pg_result_drop) PgResult *rows =
        pg_query(pg, SQL_RECONCILE_LINES, PG_PARAMS(array, number(arena, since_us)), err);
    TRY(rows);
    *ret_n = (size_t)pg_rows(rows);
    *ret_lines = ARENA_ARRAY(arena, ReconcileLine, *ret_n + 1);
    for (int r = 0; r < pg_rows(rows); r++)
        (*ret_lines)[r] = take_line(arena, rows, r);
    return true;
}
