/* lineage.c - see lineage.h. The statements are put together from pieces of lineage.sql. */
#include "storage/lineage.h"

#include "base/own.h"
#include "sql.h"
#include "storage/bronze.h"
#include "storage/template.h"

#include <stdio.h>

enum { STATEMENT_MAX_BYTES = 1 << 20, ARRAY_MAX_BYTES = 1 << 16 };

/* In a transaction of its own: see SQL_BY_INDEX. */
static PgResult *ask(Pg *pg, const char *sql, const PgParams *params, Error *err) {
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    TRY_NULL(tx && pg_exec(tx, SQL_BY_INDEX, PG_NONE, NULL, err));
    CLEANUP(pg_result_drop) PgResult *answer = pg_query(tx, sql, params, err);
    TRY_NULL(answer && pg_commit(&tx, PG_FLUSHED, err));
    return TAKE(answer);
}

/* ---- pieces ---- */

static const char *instant(Arena *arena, const char *value) {
    return sql_fill(arena, SQL_LINEAGE_INSTANT, {"value", value});
}

static const char *batch(Arena *arena, const char *batch_id) {
    return sql_fill(arena, SQL_LINEAGE_BATCH, {"batch_id", batch_id}, {"committed_at", instant(arena, "b.committed_at")},
                    {"queued_at", instant(arena, "r.queued_at")});
}

static const char *publication(Arena *arena) {
    return sql_fill(arena, SQL_LINEAGE_PUBLICATION, {"finished_at", instant(arena, "p.finished_at")});
}

static const char *source_row(Arena *arena) {
    return sql_fill(arena, SQL_LINEAGE_SOURCE_ROW, {"received_at", instant(arena, "s.received_at")});
}

/* 'text', of a feed's name, which is our configuration's. */
static const char *literal(Arena *arena, const char *text) {
    CLEANUP(buf_drop) Buf out;
    buf_init(&out, STATEMENT_MAX_BYTES);
    buf_put_byte(&out, '\'');
    for (; *text; text++)
        buf_put(&out, *text == '\'' ? "''" : text, *text == '\'' ? 2 : 1);
    buf_put_byte(&out, '\'');
    return arena_string(arena, buf_str(&out));
}

static const char *received_of(Arena *arena, const char *feed) {
    return sql_fill(arena, SQL_LINEAGE_RECEIVED, {"feed", literal(arena, feed)}, {"raw", bronze_table(arena, feed)});
}

/* The raw rows of key $1 of source $2, in all feeds of the entity: one SELECT. */
static bool received(Pg *pg, Arena *arena, const Entity *entity, const char *source_system, const char **ret_select,
                     Error *err) {
    CLEANUP(pg_result_drop) PgResult *feeds =
        pg_query(pg, SQL_LINEAGE_FEEDS, PG_PARAMS(entity->name, source_system), err);
    TRY(feeds);
    CLEANUP(buf_drop) Buf select;
    buf_init(&select, STATEMENT_MAX_BYTES);
    for (int r = 0; r < pg_rows(feeds); r++) {
        const char *feed = arena_string(arena, pg_value(feeds, r, 0));
        bronze_summarize(pg, arena, feed);
        buf_printf(&select, "%s%s", r > 0 ? " UNION ALL " : "", received_of(arena, feed));
    }
    *ret_select = pg_rows(feeds) > 0 ? arena_string(arena, buf_str(&select)) : SQL_LINEAGE_RECEIVED_NONE;
    return true;
}

static bool has_column(const Entity *entity, const char *name) {
    return entity_column(entity, str_of(name)) != COLUMN_NONE;
}

/* Whether raw row r is what row t shows. */
static const char *match_of(const Entity *entity) {
    if (has_column(entity, "file_id"))
        return "coalesce(r.file_id = t.file_id AND r.line = t.line, false)";
    if (has_column(entity, "made_by_batch"))
        return "coalesce(r.batch_id = t.made_by_batch, false)";
    return "coalesce(r.source_hash = t.source_hash, false)";
}

/* What tells rows of one id apart. */
static const char *place_of(const Entity *entity) {
    return has_column(entity, "iteration") ? "t.iteration" : has_column(entity, "version") ? "t.version" : "1";
}

/* ---- back ---- */

static bool find_row(Pg *pg, const Entity *entity, int64_t key, Arena *arena, const char **ret_source,
                     const char **ret_id, bool *ret_found, Error *err) {
    const char *sql = sql_fill(arena, SQL_LINEAGE_ROW, {"table", entity->name}, {"key", entity->key}, {"id", entity->id});
    CLEANUP(pg_result_drop) PgResult *row = pg_query(pg, sql, PG_PARAMS(pg_number(key).text), err);
    TRY(row);
    *ret_found = pg_rows(row) == 1;
    if (!*ret_found)
        return true;
    *ret_source = arena_string(arena, pg_value(row, 0, 0));
    *ret_id = arena_string(arena, pg_value(row, 0, 1));
    return true;
}

/* A JSON string, by PostgreSQL's own hand in everything but names of ours. */
static void put_head(Buf *out, const Entity *entity, int64_t key) {
    buf_printf(out, "{\"table\":\"%s\",\"view\":\"%s\",\"key\":\"%lld\",", entity->name, entity->gold, (long long)key);
}

/* Without the brace it begins with. */
static void put_members(Buf *out, Str object) {
    buf_put_str(out, (Str){object.at + 1, object.size - 1});
}

bool lineage_back(Pg *pg, const Entity *entity, int64_t key, Arena *arena, Buf *out, bool *ret_found, Error *err) {
    static const char *const COUNTS =
        "{iteration,line,patient_age,mapping_version,version,quantity,service_line,position}";
    const char *source, *id, *select;
    TRY(find_row(pg, entity, key, arena, &source, &id, ret_found, err));
    if (!*ret_found)
        return true;
    TRY(received(pg, arena, entity, source, &select, err));
    const char *sql = sql_fill(arena, SQL_LINEAGE_BACK, {"received", select}, {"table", entity->name},
                               {"key", entity->key}, {"match", match_of(entity)}, {"source_row", source_row(arena)},
                               {"publication", publication(arena)},
                               {"source_batch", batch(arena, "s.batch_id")}, {"row_batch", batch(arena, "t.batch_id")});
    CLEANUP(pg_result_drop) PgResult *answer =
        ask(pg, sql, PG_PARAMS(id, source, pg_number(key).text, COUNTS), err);
    TRY(answer);
    put_head(out, entity, key);
    put_members(out, pg_value(answer, 0, 0));
    return true;
}

/* ---- versions ---- */

static const char *attributes_of(const Entity *entity, Buf *array, Error *err) {
    for (int i = 0; i < entity->n_columns; i++)
        if (entity->columns[i].role == ROLE_ATTRIBUTE)
            pg_array_text(array, str_of(entity->columns[i].name));
    return pg_array_end(array, err);
}

bool lineage_versions(Pg *pg, const Entity *entity, int64_t key, Arena *arena, Buf *out, bool *ret_found, Error *err) {
    const char *source, *id, *select;
    TRY(find_row(pg, entity, key, arena, &source, &id, ret_found, err));
    if (!*ret_found)
        return true;
    TRY(received(pg, arena, entity, source, &select, err));
    CLEANUP(buf_drop) Buf names = pg_array(ARRAY_MAX_BYTES);
    const char *attributes = attributes_of(entity, &names, err);
    TRY(attributes);
    const char *sql = sql_fill(
        arena, SQL_LINEAGE_VERSIONS, {"received", select}, {"table", entity->name}, {"key", entity->key},
        {"id", entity->id}, {"effective_date", instant(arena, "v.effective_date")},
        {"expiry_date", instant(arena, "v.expiry_date")}, {"made_by", batch(arena, "v.made_by_batch")},
        {"touched_by", batch(arena, "v.batch_id")}, {"source_row", source_row(arena)});
    CLEANUP(pg_result_drop) PgResult *versions = ask(pg, sql, PG_PARAMS(id, source, attributes), err);
    TRY(versions);
    buf_put_str(out, STR("{\"versions\":"));
    buf_put_str(out, pg_value(versions, 0, 0));
    buf_put_byte(out, '}');
    return true;
}

bool lineage_find_patient(Pg *pg, const char *source_system, const char *id, Buf *out, Error *err) {
    CLEANUP(pg_result_drop) PgResult *found = pg_query(pg, SQL_LINEAGE_FIND_PATIENT, PG_PARAMS(id, source_system), err);
    TRY(found);
    buf_put_str(out, pg_value(found, 0, 0));
    return true;
}

/* ---- forward ---- */

typedef struct Target {
    const char *feed, *source_system, *key;
    const char *content; /* of a line that bronze has by another delivery; NULL: by its own */
    const Entity *entity;
} Target;

static bool find_entity(Pg *pg, const char *feed, const Entity **ret_entity, Error *err) {
    CLEANUP(pg_result_drop) PgResult *row = pg_query(pg, SQL_LINEAGE_FEED_ENTITY, PG_PARAMS(feed), err);
    TRY(row);
    *ret_entity = pg_rows(row) == 1 ? entity_find(pg_value(row, 0, 0)) : NULL;
    return true;
}

static bool find_delivery(Pg *pg, const LineageQuestion *question, Arena *arena, Target *target, Error *err) {
    if (!target->entity || !has_column(target->entity, "file_id"))
        return true;
    const char *sql = sql_fill(arena, SQL_LINEAGE_FILE_DELIVERY, {"table", target->entity->name}, {"id", target->entity->id});
    CLEANUP(pg_result_drop) PgResult *row =
        pg_query(pg, sql, PG_PARAMS(pg_number(question->file_id).text, pg_number(question->line).text), err);
    TRY(row);
    if (pg_rows(row) == 0)
        return true;
    target->key = arena_string(arena, pg_value(row, 0, 0));
    target->content = arena_string(arena, pg_value(row, 0, 1));
    return true;
}

/* The key that bronze has of a line; its rows came with the batches between these two. */
static bool find_own_row(Pg *pg, const LineageQuestion *question, const char *first_batch, const char *last_batch,
                         Arena *arena, Target *target, Error *err) {
    const char *sql = sql_fill(arena, SQL_LINEAGE_FILE_KEY, {"raw", bronze_table(arena, target->feed)});
    CLEANUP(pg_result_drop) PgResult *key =
        ask(pg, sql, PG_PARAMS(first_batch, last_batch, pg_number(question->file_id).text,
                               pg_number(question->line).text), err);
    TRY(key);
    if (pg_rows(key) == 1 && !str_is_null(pg_value(key, 0, 0)))
        target->key = arena_string(arena, pg_value(key, 0, 0));
    return true;
}

/* Of a file's line: its feed, its source, the key that was received there. */
static bool find_line(Pg *pg, const LineageQuestion *question, Arena *arena, Target *target, Error *err) {
    CLEANUP(pg_result_drop) PgResult *file =
        pg_query(pg, SQL_LINEAGE_FILE, PG_PARAMS(pg_number(question->file_id).text), err);
    TRY(file);
    if (pg_rows(file) == 0)
        return true;
    target->feed = arena_string(arena, pg_value(file, 0, 0));
    target->source_system = arena_string(arena, pg_value(file, 0, 1));
    TRY(find_entity(pg, target->feed, &target->entity, err));
    if (target->entity && !str_is_null(pg_value(file, 0, 2)))
        TRY(find_own_row(pg, question, pg_text(file, 0, 2), pg_text(file, 0, 3), arena, target, err));
    return target->key || find_delivery(pg, question, arena, target, err);
}

static bool find_target(Pg *pg, const LineageQuestion *question, Arena *arena, Target *target,
                        LineageOutcome *ret_outcome, Error *err) {
    *ret_outcome = LINEAGE_NO_FILE;
    if (question->file_id)
        TRY(find_line(pg, question, arena, target, err));
    if (question->file_id && !target->key)
        return true;
    TRY(find_entity(pg, target->feed, &target->entity, err));
    *ret_outcome = LINEAGE_NO_FEED;
    if (!target->entity)
        return true;
    bool is_claims = strncmp(target->feed, "claims.", 7) == 0;
    if (!target->source_system && !is_claims)
        target->source_system = arena_printf(arena, "%.*s", (int)strcspn(target->feed, "."), target->feed);
    *ret_outcome = target->source_system ? LINEAGE_ANSWERED : LINEAGE_NO_SOURCE;
    return true;
}

bool lineage_forward(Pg *pg, const LineageQuestion *question, Arena *arena, Buf *out, LineageOutcome *ret_outcome,
                     Error *err) {
    Target target = {.feed = question->feed, .source_system = question->source_system, .key = question->source_key};
    TRY(find_target(pg, question, arena, &target, ret_outcome, err));
    if (*ret_outcome != LINEAGE_ANSWERED)
        return true;
    const Entity *entity = target.entity;
    bronze_summarize(pg, arena, target.feed);
    const char *sql = sql_fill(
        arena, SQL_LINEAGE_FORWARD, {"received", received_of(arena, target.feed)},
        {"feed", literal(arena, target.feed)}, {"source_row", source_row(arena)},
        {"source_batch", batch(arena, "s.batch_id")}, {"table", entity->name}, {"view", entity->gold},
        {"key", entity->key}, {"id", entity->id}, {"place", place_of(entity)}, {"publication", publication(arena)},
        {"is_of_line", has_column(entity, "file_id") ? "t.file_id = $3::bigint AND t.line = $4::bigint" : "NULL::boolean"});
    bool is_line = question->file_id != 0;
    CLEANUP(pg_result_drop) PgResult *answer = ask(
        pg, sql, PG_PARAMS(target.key, target.source_system, is_line ? pg_number(question->file_id).text : NULL,
                           is_line ? pg_number(question->line).text : NULL, target.content), err);
    TRY(answer);
    buf_put_str(out, pg_value(answer, 0, 0));
    return true;
}
