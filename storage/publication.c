/* publication.c - see publication.h. */
#include "storage/publication.h"

#include "base/log.h"
#include "base/own.h"
#include "sql.h"
#include "storage/star.h"
#include "storage/template.h"

#include <stdio.h>

enum {
    MONTHS_BYTES_MAX = 1 << 20,
    DRAWS_MAX = 100 * 1000 * 1000, /* blocks of keys: about a minute, and centuries of pages */
};

DEFINE_DROP(json_t, json_drop, json_decref)

static const char *number_text(int64_t number, char ret_text[24]) {
    snprintf(ret_text, 24, "%lld", (long long)number);
    return ret_text;
}

/* A statement with one parameter, the publication's id. */
static bool exec_with_id(Pg *pg, const char *sql, int64_t id, Error *err) {
    char text[24];
    return pg_exec(pg, sql, PG_PARAMS(number_text(id, text)), NULL, err);
}

static bool query_flag(Pg *pg, const char *sql, const PgParams *params, bool *ret_flag, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, sql, params, err);
    TRY(rows != NULL);
    *ret_flag = pg_bool(rows, 0, 0);
    return true;
}

/* ---- the ledger's JSON ------------------------------------------------------------------------------- */

static json_t *table_json(const PublishedTable *table) {
    json_t *months = json_array();
    for (int i = 0; i < table->n_months; i++)
        json_array_append_new(months, json_string(table->months[i]));
    json_t *object = json_pack("{s:I, s:I, s:o}", "changed", (json_int_t)table->changed, "deleted",
                               (json_int_t)table->deleted, "months", months);
    if (table->has_expected)
        json_object_set_new(object, "expected", sums_json(table->entity, &table->expected));
    if (table->has_found)
        json_object_set_new(object, "found", sums_json(table->entity, &table->found));
    return object;
}

static char *tables_text(const Publication *publication) {
    CLEANUP(json_drop) json_t *tables = json_object();
    for (int i = 0; i < publication->n_tables; i++)
        json_object_set_new(tables, publication->tables[i].entity->gold,
                            table_json(&publication->tables[i]));
    return json_dumps(tables, JSON_COMPACT);
}

static void read_table(Arena *arena, const Entity *entity, const json_t *object, PublishedTable *ret) {
    const json_t *months = json_object_get(object, "months");
    *ret = (PublishedTable){.entity = entity,
                            .changed = json_integer_value(json_object_get(object, "changed")),
                            .deleted = json_integer_value(json_object_get(object, "deleted")),
                            .n_months = (int)json_array_size(months)};
    ret->months = ARENA_ARRAY(arena, const char *, (size_t)ret->n_months + 1);
    for (int i = 0; i < ret->n_months; i++)
        ret->months[i] = arena_string(arena, str_of(json_string_value(json_array_get(months, (size_t)i))));
    ret->has_expected = sums_read(json_object_get(object, "expected"), entity, &ret->expected);
    ret->has_found = sums_read(json_object_get(object, "found"), entity, &ret->found);
}

static void read_tables(Arena *arena, Str text, Publication *publication) {
    CLEANUP(json_drop) json_t *tables = json_loadb(text.at, text.size, 0, NULL);
    for (int i = 0; i < N_ENTITIES && publication->n_tables < PUBLICATION_TABLES_MAX; i++) {
        const json_t *object = json_object_get(tables, ENTITIES[i].gold);
        if (object)
            read_table(arena, &ENTITIES[i], object, &publication->tables[publication->n_tables++]);
    }
}

/* ---- questions ------------------------------------------------------------------------------------------ */

bool publication_find_unfinished(Pg *pg, Arena *arena, Publication *ret_publication, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_PUBLISH_UNFINISHED, PG_NONE, err);
    TRY(rows != NULL);
    *ret_publication = (Publication){.id = 0};
    if (pg_rows(rows) == 0)
        return true;
    ret_publication->id = pg_int(rows, 0, 0);
    ret_publication->state = arena_string(arena, pg_value(rows, 0, 1));
    ret_publication->attempt = (int)pg_int(rows, 0, 2);
    ret_publication->is_rebuild = pg_bool(rows, 0, 3);
    ret_publication->claimed_us = pg_int(rows, 0, 4);
    read_tables(arena, pg_value(rows, 0, 5), ret_publication);
    return true;
}

static bool any_row_changed(Pg *pg, bool *ret_any, Error *err) {
    TRY(query_flag(pg, SQL_PUBLISH_MOVED_PENDING, PG_NONE, ret_any, err));
    CLEANUP(arena_drop) Arena *arena = arena_open();
    for (int i = 0; i < N_ENTITIES && !*ret_any; i++) {
        const char *sql = sql_fill(arena, SQL_PUBLISH_TABLE_PENDING,
                                   {"table", pg_quote_ident(arena, ENTITIES[i].name)});
        TRY(query_flag(pg, sql, PG_NONE, ret_any, err));
    }
    return true;
}

bool publication_find_due(Pg *pg, PublicationDue *ret_due, Error *err) {
    CLEANUP(pg_result_drop) PgResult *pending = pg_query(pg, SQL_PUBLISH_PENDING, PG_NONE, err);
    TRY(pending != NULL);
    bool rows = pg_bool(pending, 0, 0);
    if (rows) /* later batches may have taken over all of a batch's rows */
        TRY(any_row_changed(pg, &rows, err));
    *ret_due = (PublicationDue){.rows = rows, .lag_s = rows ? pg_int(pending, 0, 1) : 0,
                                .rebuild = pg_bool(pending, 0, 2)};
    return true;
}

static bool plan_entity(Pg *pg, Arena *arena, const Entity *entity, bool is_rebuild, int64_t *rows, Error *err) {
    const char *sql = sql_fill(arena, SQL_PUBLISH_PLAN, {"view", pg_quote_ident(arena, entity->gold)},
                               {"table", pg_quote_ident(arena, entity->name)},
                               {"key", pg_quote_ident(arena, entity->key)},
                               {"is_gone", entity->partition ? "s.is_deleted" : "false"});
    CLEANUP(pg_result_drop) PgResult *row = pg_query(pg, sql, PG_PARAMS(is_rebuild ? "true" : "false", entity->name), err);
    TRY(row);
    *rows = pg_int(row, 0, 0);
    return true;
}

bool publication_plan(Pg *pg, Arena *arena, bool is_rebuild, int64_t **ret_rows, Error *err) {
    *ret_rows = ARENA_ARRAY(arena, int64_t, (size_t)N_ENTITIES);
    for (int i = 0; i < N_ENTITIES; i++)
        TRY(plan_entity(pg, arena, &ENTITIES[i], is_rebuild, &(*ret_rows)[i], err));
    return true;
}

bool publication_usage(Pg *pg, PublicationCost *ret_cost, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_PUBLISH_USAGE, PG_NONE, err);
    TRY(rows != NULL);
    *ret_cost = (PublicationCost){.load_jobs = pg_int(rows, 0, 0), .bytes_billed = pg_int(rows, 0, 1)};
    return true;
}

bool publication_add_cost(Pg *pg, const PublicationCost *cost, Error *err) {
    char jobs[24], billed[24];
    return pg_exec(pg, SQL_PUBLISH_ADD_COST,
                   PG_PARAMS(number_text(cost->load_jobs, jobs), number_text(cost->bytes_billed, billed)), NULL, err);
}

static bool query_text(Pg *pg, const char *sql, Arena *arena, const char **ret_text, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, sql, PG_NONE, err);
    TRY(rows != NULL);
    *ret_text = arena_string(arena, str_of(pg_text(rows, 0, 0)));
    return true;
}

bool publication_epoch(Pg *pg, Arena *arena, const char **ret_epoch, Error *err) {
    return query_text(pg, SQL_PUBLISH_EPOCH, arena, ret_epoch, err);
}

bool publication_is_known(Pg *pg, int64_t id, bool *ret_known, Error *err) {
    char text[24];
    return query_flag(pg, SQL_PUBLISH_IS_KNOWN, PG_PARAMS(number_text(id, text)), ret_known, err);
}

bool publication_has_published(Pg *pg, bool *ret_any, Error *err) {
    return query_flag(pg, SQL_PUBLISH_HAS_PUBLISHED, PG_NONE, ret_any, err);
}

bool publication_as_of(Pg *pg, Arena *arena, const char **ret_as_of, Error *err) {
    return query_text(pg, SQL_PUBLISH_AS_OF, arena, ret_as_of, err);
}

bool publication_sequences(Pg *pg, Arena *arena, SequencePosition **ret_positions, int *ret_n, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_PUBLISH_SEQUENCES, PG_NONE, err);
    TRY(rows != NULL);
    *ret_n = pg_rows(rows);
    *ret_positions = ARENA_ARRAY(arena, SequencePosition, (size_t)*ret_n + 1);
    for (int i = 0; i < *ret_n; i++)
        (*ret_positions)[i] =
            (SequencePosition){arena_string(arena, pg_value(rows, i, 0)), pg_int(rows, i, 1)};
    return true;
}

/* ---- after a restore ---------------------------------------------------------------------------------------- */

bool publication_start_above(Pg *pg, int64_t id, Error *err) {
    return exec_with_id(pg, SQL_PUBLISH_START_ABOVE, id, err);
}

/* `*ret_draws` 0: it stands there already, or nobody here knows it. */
static bool count_draws(Pg *pg, const SequencePosition *wanted, int64_t *ret_draws, Error *err) {
    char position[24], most[24];
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(
        pg, SQL_PUBLISH_SEQUENCE_GAP,
        PG_PARAMS(wanted->name, number_text(wanted->position, position), number_text(DRAWS_MAX + 1, most)), err);
    TRY(rows != NULL);
    *ret_draws = pg_rows(rows) > 0 ? pg_int(rows, 0, 0) : 0;
    return *ret_draws <= DRAWS_MAX ||
           error_set(err, STATE_CONFIG, "BigQuery says that %s stands at %lld, which no database reaches",
                     wanted->name, (long long)wanted->position);
}

static bool raise_sequence(Pg *pg, const SequencePosition *wanted, Error *err) {
    int64_t draws;
    TRY(count_draws(pg, wanted, &draws, err));
    if (draws == 0)
        return true;
    CLEANUP(arena_drop) Arena *arena = arena_open();
    char count[24];
    TRY(pg_exec(pg, SQL_PUBLISH_DRAW,
                PG_PARAMS(arena_printf(arena, "silver.%s", pg_quote_ident(arena, wanted->name)),
                          number_text(draws, count)), NULL, err));
    LOG_INFO("keys start above what BigQuery has seen", LOG_TEXT("sequence", wanted->name),
             LOG_INT("position", wanted->position));
    return true;
}

bool publication_raise_sequences(Pg *pg, const SequencePosition *positions, int n, Error *err) {
    for (int i = 0; i < n; i++)
        TRY(raise_sequence(pg, &positions[i], err));
    return true;
}

bool publication_begin_epoch(Pg *pg, Arena *arena, const char **ret_epoch, Error *err) {
    return query_text(pg, SQL_PUBLISH_BEGIN_EPOCH, arena, ret_epoch, err);
}

/* ---- changes ---------------------------------------------------------------------------------------------- */

static bool insert_publication(Pg *tx, Publication *publication, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows =
        pg_query(tx, SQL_PUBLISH_INSERT, PG_PARAMS(publication->is_rebuild ? "true" : "false"), err);
    TRY(rows != NULL);
    publication->id = pg_int(rows, 0, 0);
    publication->claimed_us = pg_int(rows, 0, 1);
    return true;
}

static bool record_disclosure(Pg *tx, const Publication *publication, PrivacyProfile profile, Error *err) {
    if (profile != PROFILE_FULL)
        return true;
    char object[48];
    snprintf(object, sizeof object, "publication %lld", (long long)publication->id);
    return pg_exec(tx, SQL_PUBLISH_AUDIT_PROFILE, PG_PARAMS(object, star_profile_name(profile)), NULL, err);
}

bool publication_claim(Pg *pg, bool is_rebuild, PrivacyProfile profile, Publication *ret_publication,
                       Error *err) {
    *ret_publication = (Publication){.state = "claimed", .attempt = 1, .is_rebuild = is_rebuild};
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    TRY(tx != NULL);
    bool changed = is_rebuild;
    if (!changed)
        TRY(any_row_changed(tx, &changed, err));
    if (!changed)
        return true;
    Publication made = *ret_publication;
    TRY(insert_publication(tx, &made, err));
    TRY(record_disclosure(tx, &made, profile, err));
    TRY(exec_with_id(tx, SQL_PUBLISH_CLAIM_BATCHES, made.id, err));
    TRY(exec_with_id(tx, SQL_PUBLISH_CLAIM_MOVED, made.id, err));
    TRY(pg_commit(&tx, PG_FLUSHED, err));
    *ret_publication = made;
    return true;
}

static bool save(Pg *pg, const Publication *publication, const char *error, const PublicationCost *cost,
                 Error *err) {
    char id[24], attempt[24], jobs[24], sent[24], billed[24];
    CLEANUP(mem_drop) char *tables = tables_text(publication);
    int64_t n_saved;
    TRY(pg_exec(pg, SQL_PUBLISH_SAVE,
                PG_PARAMS(number_text(publication->id, id), publication->state,
                          number_text(publication->attempt, attempt), tables, error,
                          number_text(cost->load_jobs, jobs), number_text(cost->bytes_sent, sent),
                          number_text(cost->bytes_billed, billed)),
                &n_saved, err));
    return n_saved == 1 || error_set(err, STATE_CONFLICT, "publication %lld was ended by another run",
                                     (long long)publication->id);
}

bool publication_save(Pg *pg, const Publication *publication, const char *error,
                      const PublicationCost *cost, Error *err) {
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    return tx && save(tx, publication, error, cost, err) && pg_commit(&tx, PG_FLUSHED, err);
}

bool publication_abandon(Pg *pg, const Publication *publication, const char *why, Error *err) {
    Publication gone = *publication;
    gone.state = "abandoned";
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    TRY(tx != NULL);
    TRY(exec_with_id(tx, SQL_PUBLISH_RETURN_BATCHES, gone.id, err));
    TRY(exec_with_id(tx, SQL_PUBLISH_RETURN_MOVED, gone.id, err));
    TRY(save(tx, &gone, why, &(PublicationCost){0}, err));
    return pg_commit(&tx, PG_FLUSHED, err);
}

bool publication_lock(Pg *pg, Error *err) {
    return pg_exec(pg, SQL_PLACEMENT_LOCK_SESSION, PG_NONE, NULL, err);
}

bool publication_unlock(Pg *pg, Error *err) {
    return pg_exec(pg, SQL_PLACEMENT_UNLOCK_SESSION, PG_NONE, NULL, err);
}

bool publication_alert(Pg *pg, const char *sentence, Error *err) {
    return pg_exec(pg, SQL_PUBLISH_RAISE_ALERT, PG_PARAMS(sentence), NULL, err);
}

bool publication_hold(Pg *pg, const char *why, Error *err) {
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    TRY(tx && pg_exec(tx, SQL_PUBLISH_HOLD, PG_PARAMS(why), NULL, err) && publication_alert(tx, why, err) &&
        pg_commit(&tx, PG_FLUSHED, err));
    error_set(err, STATE_HELD, "%s", why);
    return error_hint(err, "run `revcycled publish --rebuild` to replace the tables in BigQuery");
}

bool publication_release(Pg *pg, Error *err) {
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    return tx && pg_exec(tx, SQL_PUBLISH_RELEASE_HELD, PG_NONE, NULL, err) &&
           pg_exec(tx, SQL_PUBLISH_CLEAR_ALERT, PG_NONE, NULL, err) && pg_commit(&tx, PG_FLUSHED, err);
}

/* ---- the snapshot ------------------------------------------------------------------------------------------ */

Pg *publication_snapshot(Pg *pg, const Publication *publication, Error *err) {
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    char id[24];
    if (!tx || !pg_script(tx, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", err) ||
        !pg_script(tx, "SET LOCAL idle_in_transaction_session_timeout = 0", err) || /* BigQuery takes its time */
        !pg_exec(tx, SQL_PUBLISH_SET_ID, PG_PARAMS(number_text(publication->id, id)), NULL, err))
        return NULL;
    const char *epoch; /* the first read takes the snapshot */
    CLEANUP(arena_drop) Arena *arena = arena_open();
    if (!publication_epoch(tx, arena, &epoch, err))
        return NULL;
    return TAKE(tx);
}

static bool read_months(Pg *tx, Arena *arena, const Publication *publication, PublishedTable *table,
                        Error *err) {
    const Entity *entity = table->entity;
    const char *statement = publication->is_rebuild ? SQL_PUBLISH_ALL_MONTHS : SQL_PUBLISH_MONTHS;
    const char *sql = sql_fill(arena, statement, {"table", pg_quote_ident(arena, entity->name)},
                               {"partition", pg_quote_ident(arena, entity->partition)});
    char id[24];
    CLEANUP(pg_result_drop) PgResult *rows =
        pg_query(tx, sql, PG_PARAMS(number_text(publication->id, id), entity->name), err);
    TRY(rows != NULL);
    table->n_months = pg_rows(rows);
    table->months = ARENA_ARRAY(arena, const char *, (size_t)table->n_months + 1);
    for (int i = 0; i < table->n_months; i++)
        table->months[i] = arena_string(arena, pg_value(rows, i, 0));
    return true;
}

static PgResult *query_sums(Pg *tx, Arena *arena, const PublishedTable *table, Error *err) {
    const Entity *entity = table->entity;
    const char *view = pg_quote_ident(arena, entity->gold), *sums = sums_pg_list(arena, entity);
    if (!entity->partition)
        return pg_query(tx, sql_fill(arena, SQL_PUBLISH_SUMS_OF_TABLE, {"sums", sums}, {"view", view}),
                        PG_NONE, err);
    CLEANUP(buf_drop) Buf months = pg_array(MONTHS_BYTES_MAX);
    for (int i = 0; i < table->n_months; i++)
        pg_array_text(&months, str_of(table->months[i]));
    const char *array = pg_array_end(&months, err);
    if (!array)
        return NULL;
    const char *sql = sql_fill(arena, SQL_PUBLISH_SUMS_OF_MONTHS, {"sums", sums}, {"view", view},
                               {"partition", pg_quote_ident(arena, entity->partition)});
    return pg_query(tx, sql, PG_PARAMS(array), err);
}

bool publication_measure(Pg *tx, Arena *arena, const Publication *publication, PublishedTable *table,
                         Error *err) {
    if (table->entity->partition)
        TRY(read_months(tx, arena, publication, table, err));
    CLEANUP(pg_result_drop) PgResult *rows = query_sums(tx, arena, table, err);
    TRY(rows != NULL);
    for (int i = 0; i < pg_columns(rows); i++)
        table->expected.values[i] = pg_int(rows, 0, i);
    table->has_expected = true;
    return true;
}

/* ---- rows as Avro ------------------------------------------------------------------------------------------- */

static int32_t read_i32(const char *at) {
    uint32_t wire;
    memcpy(&wire, at, sizeof wire);
    return (int32_t)__builtin_bswap32(wire);
}

/* PostgreSQL's binary text[]: dimensions, has-null, element type, (size, lower bound) of the one dimension,
 * then length and bytes of each element. */
static bool put_texts(AvroWriter *avro, Str array, Arena *arena) {
    enum { HEADER_BYTES = 12, DIMENSION_BYTES = 8 };
    if (array.size < HEADER_BYTES || read_i32(array.at) == 0) {
        avro_put_strings(avro, NULL, 0);
        return true;
    }
    size_t n = (size_t)read_i32(array.at + HEADER_BYTES);
    Str *texts = ARENA_ARRAY(arena, Str, n + 1);
    const char *at = array.at + HEADER_BYTES + DIMENSION_BYTES;
    for (size_t i = 0; i < n; i++) {
        int32_t size = read_i32(at);
        if (size < 0)
            return false; /* a NULL among them: no flag is one */
        texts[i] = (Str){at + 4, (size_t)size};
        at += 4 + size;
    }
    avro_put_strings(avro, texts, n);
    return true;
}

static bool put_value(AvroWriter *avro, ColumnType type, const PgResult *rows, int row, int column,
                      Arena *arena) {
    Str value = pg_value(rows, row, column);
    if (str_is_null(value)) {
        avro_put_null(avro);
        return true;
    }
    switch (type) {
    case TYPE_TEXT:
    case TYPE_UUID:
        avro_put_string(avro, value);
        return true;
    case TYPE_TEXTS:
        return put_texts(avro, value, arena);
    case TYPE_DATE:
        avro_put_number(avro, pg_int(rows, row, column) + PG_EPOCH_DAYS);
        return true;
    case TYPE_TIMESTAMP:
        avro_put_number(avro, pg_int(rows, row, column) + PG_EPOCH_US);
        return true;
    case TYPE_BOOL:
        avro_put_number(avro, pg_bool(rows, row, column));
        return true;
    case TYPE_BYTES:
        return false; /* hashes have no privacy class and never leave */
    default:
        avro_put_number(avro, pg_int(rows, row, column));
        return true;
    }
}

/* What a row of a cursor becomes. */
typedef struct RowShape {
    const Entity *entity;
    StarColumns columns;
    bool is_gone; /* the row is a key alone, of a row that is to leave */
} RowShape;

static bool put_row(AvroWriter *avro, const RowShape *shape, const PgResult *rows, int row, Arena *arena,
                    Error *err) {
    for (int i = 0; i < shape->columns.n; i++) {
        const Column *column = shape->columns.at[i];
        if (shape->is_gone && strcmp(column->name, shape->entity->key) != 0)
            avro_put_null(avro);
        else if (!put_value(avro, column->type, rows, row, shape->is_gone ? 0 : i, arena))
            return error_set(err, STATE_BUG, "%s.%s cannot be published", shape->entity->gold,
                             column->name);
    }
    avro_put_number(avro, shape->is_gone);
    return avro_end_row(avro, err);
}

/* Runs a cursor to its end, a thousand rows at a time. */
static bool stream(Pg *tx, const char *declare, const char *cursor, const RowShape *shape, AvroWriter *avro,
                   const atomic_bool *cancel, int64_t *count, Error *err) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    TRY(pg_exec(tx, declare, PG_NONE, NULL, err));
    const char *fetch = sql_fill(arena, SQL_PUBLISH_FETCH, {"cursor", cursor});
    const char *close = sql_fill(arena, SQL_PUBLISH_CLOSE, {"cursor", cursor});
    for (;;) {
        if (cancel && atomic_load(cancel))
            return error_set(err, STATE_CANCELED, "canceled while staging %s", shape->entity->gold);
        CLEANUP(pg_result_drop) PgResult *rows = pg_query_as(tx, PG_BINARY, fetch, PG_NONE, err);
        TRY(rows != NULL);
        ArenaMark mark = arena_mark(arena);
        for (int row = 0; row < pg_rows(rows); row++)
            TRY(put_row(avro, shape, rows, row, arena, err));
        arena_rewind(arena, mark);
        *count += pg_rows(rows);
        if (pg_rows(rows) == 0)
            return pg_exec(tx, close, PG_NONE, NULL, err);
    }
}

static bool write_gone(Pg *tx, RowShape *shape, Arena *arena, PublishedTable *table, AvroWriter *avro,
                       const atomic_bool *cancel, Error *err) {
    const Entity *entity = table->entity;
    const char *cursor = pg_quote_ident(arena, arena_printf(arena, "gone_%s", entity->gold));
    const char *declare =
        sql_fill(arena, SQL_PUBLISH_GONE_ROWS, {"cursor", cursor},
                 {"key", pg_quote_ident(arena, entity->key)}, {"table", pg_quote_ident(arena, entity->name)},
                 {"is_fact", entity->partition ? "true" : "false"});
    TRY(pg_exec(tx, SQL_PUBLISH_SET_TABLE, PG_PARAMS(entity->name), NULL, err));
    shape->is_gone = true;
    return stream(tx, declare, cursor, shape, avro, cancel, &table->deleted, err);
}

bool publication_write_rows(Pg *tx, const Publication *publication, PrivacyProfile profile, Arena *arena,
                            PublishedTable *table, AvroWriter *avro, const atomic_bool *cancel, Error *err) {
    const Entity *entity = table->entity;
    RowShape shape = {.entity = entity, .columns = star_columns(entity, profile)};
    const char *cursor = pg_quote_ident(arena, arena_printf(arena, "rows_%s", entity->gold));
    const char *statement = publication->is_rebuild ? SQL_PUBLISH_ALL_ROWS : SQL_PUBLISH_CHANGED_ROWS;
    const char *declare = sql_fill(arena, statement, {"cursor", cursor},
                                   {"columns", star_select_list(arena, entity, profile, "v.")},
                                   {"view", pg_quote_ident(arena, entity->gold)});
    TRY(stream(tx, declare, cursor, &shape, avro, cancel, &table->changed, err));
    if (!(entity->partition || entity->kind == ENTITY_HISTORY) || publication->is_rebuild)
        return true;
    return write_gone(tx, &shape, arena, table, avro, cancel, err);
}
