/* star_apply.c - see star_apply.h. */
#include "storage/star_apply.h"

#include "base/log.h"
#include "sql.h"
#include "storage/star.h"
#include "storage/template.h"

enum { SCRIPT_BYTES_MAX = 1 << 20 };

const char *star_dataset(Arena *arena, const char *project, const char *dataset, Error *err) {
    static const char PROJECT[] = "abcdefghijklmnopqrstuvwxyz0123456789-.:";
    static const char DATASET[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    if (strspn(project, PROJECT) != strlen(project) || strspn(dataset, DATASET) != strlen(dataset)) {
        error_set(err, STATE_CONFIG, "bigquery.project or bigquery.dataset is not a valid name");
        return NULL;
    }
    return arena_printf(arena, "%s.%s", project, dataset);
}

/* ---- tables ------------------------------------------------------------------------------------------ */

static bool ensure_table(const StarTarget *target, const BigQueryTable *table, Error *err) {
    BigQueryTableFacts facts;
    TRY(bigquery_look_at_table(target->bq, table->name, &facts, err));
    if (!facts.is_found)
        return bigquery_make_table(target->bq, table, err);
    const char *profile = star_profile_name(target->profile);
    if (*facts.profile && strcmp(facts.profile, profile) != 0 && target->may_replace) {
        TRY(bigquery_drop_table(target->bq, table->name, err));
        return bigquery_make_table(target->bq, table, err);
    }
    if (*facts.profile && strcmp(facts.profile, profile) != 0) {
        error_set(err, STATE_HELD, "the dataset holds the profile %s and the configuration says %s",
                  facts.profile, profile);
        return error_hint(err, "run `revcycled publish --rebuild` to replace the tables");
    }
    if (strcmp(facts.schema_version, star_schema_version(target->arena, target->profile)) == 0)
        return true;
    LOG_INFO("bigquery table gets new columns or texts", LOG_TEXT("table", table->name));
    return bigquery_update_table(target->bq, table, err);
}

/* Views: their first comment line is the description, the rest the query. */
static bool ensure_view(const StarTarget *target, const SqlText *text, Error *err) {
    const char *query = sql_fill(target->arena, text->text, {"dataset", target->dataset});
    Str first = str_of(query);
    const char *end = strchr(query, '\n');
    if (end)
        first.size = (size_t)(end - query);
    const char *description = strncmp(query, "-- ", 3) == 0 && end
                                  ? arena_string(target->arena, (Str){query + 3, first.size - 3})
                                  : text->name;
    BigQueryTable view = {.name = text->name, .description = description, .view_query = query};
    view.labels[0] = (BigQueryLabel){"profile", star_profile_name(target->profile)};
    view.labels[1] = (BigQueryLabel){"schema_version", star_text_version(target->arena, str_of(query))};
    BigQueryTableFacts facts;
    TRY(bigquery_look_at_table(target->bq, text->name, &facts, err));
    if (!facts.is_found)
        return bigquery_make_table(target->bq, &view, err);
    return strcmp(facts.schema_version, view.labels[1].value) == 0 ||
           bigquery_update_table(target->bq, &view, err);
}

static bool is_view(const SqlText *text) {
    return strncmp(text->name, "kpi_", 4) == 0 || strncmp(text->name, "dq_", 3) == 0;
}

bool star_ensure(const StarTarget *target, Error *err) {
    TRY(bigquery_ensure_dataset(target->bq, "revenue cycle of the hospitals, published by revcycled", err));
    for (int i = 0; i < N_ENTITIES; i++)
        TRY(ensure_table(target, star_table(target->arena, &ENTITIES[i], target->profile), err));
    TRY(bigquery_make_table(target->bq, star_publications_table(target->arena), err));
    for (const SqlText *text = SQL_BIGQUERY; text->name; text++)
        if (is_view(text))
            TRY(ensure_view(target, text, err));
    return true;
}

/* ---- what is there -------------------------------------------------------------------------------------- */

bool star_newest(const StarTarget *target, int64_t *ret_id, const char **ret_epoch, Error *err) {
    *ret_id = 0;
    *ret_epoch = "";
    BigQueryTableFacts facts;
    TRY(bigquery_look_at_table(target->bq, STAR_PUBLICATIONS, &facts, err));
    if (!facts.is_found)
        return true;
    BigQueryRows rows;
    const char *sql = sql_fill(target->arena, SQL_BQ_NEWEST_PUBLICATION, {"dataset", target->dataset});
    TRY(bigquery_read(target->bq, sql, target->arena, &rows, err));
    if (rows.n_rows == 0)
        return true;
    str_to_int64(bigquery_value(&rows, 0, 0), ret_id);
    *ret_epoch = arena_string(target->arena, bigquery_value(&rows, 0, 1));
    return true;
}

bool star_sequences(const StarTarget *target, SequencePosition **ret_positions, int *ret_n, Error *err) {
    BigQueryRows rows;
    const char *sql = sql_fill(target->arena, SQL_BQ_SEQUENCES, {"dataset", target->dataset});
    TRY(bigquery_read(target->bq, sql, target->arena, &rows, err));
    *ret_n = rows.n_rows;
    *ret_positions = ARENA_ARRAY(target->arena, SequencePosition, (size_t)rows.n_rows + 1);
    for (int i = 0; i < rows.n_rows; i++) {
        (*ret_positions)[i].name = arena_string(target->arena, bigquery_value(&rows, i, 0));
        str_to_int64(bigquery_value(&rows, i, 1), &(*ret_positions)[i].position);
    }
    return true;
}

bool star_is_applied(const StarTarget *target, int64_t id, bool *ret_applied, Error *err) {
    BigQueryRows rows;
    const char *sql =
        sql_fill(target->arena, SQL_BQ_OUTCOME, {"dataset", target->dataset},
                 {"id", arena_printf(target->arena, "%lld", (long long)id)}, {"epoch", target->epoch});
    TRY(bigquery_read(target->bq, sql, target->arena, &rows, err));
    int64_t count = 0;
    if (rows.n_rows == 1)
        str_to_int64(bigquery_value(&rows, 0, 0), &count);
    *ret_applied = count > 0;
    return true;
}

/* ---- the script ------------------------------------------------------------------------------------------ */

/* The first day of the month after "2024-12-01": "2025-01-01". */
static const char *next_month(Arena *arena, const char *month) {
    int year = 0, number = 0;
    sscanf(month, "%d-%d", &year, &number);
    year += number / 12;
    number = number % 12 + 1;
    return arena_printf(arena, "%04d-%02d-01", year, number);
}

/* Runs of neighbouring months become one range: few literals, whatever the span. */
const char *star_partitions(Arena *arena, const PublishedTable *table) {
    if (!table->entity->partition)
        return "TRUE";
    const char *column = table->entity->partition;
    const char *list = arena_printf(arena, "(T.%s IS NULL", column);
    for (int i = 0; i < table->n_months;) {
        const char *first = table->months[i], *end = next_month(arena, first);
        while (++i < table->n_months && strcmp(table->months[i], end) == 0)
            end = next_month(arena, end);
        list = arena_printf(arena, "%s OR (T.%s >= DATE '%s' AND T.%s < DATE '%s')", list, column, first,
                            column, end);
    }
    return arena_printf(arena, "%s)", list);
}

typedef struct ColumnLists {
    const char *columns, *values, *assignments;
} ColumnLists;

static ColumnLists column_lists(const StarTarget *target, const Entity *entity) {
    StarColumns columns = star_columns(entity, target->profile);
    ColumnLists lists = {"", "", ""};
    for (int i = 0; i < columns.n; i++) {
        const char *comma = i > 0 ? ", " : "", *name = columns.at[i]->name;
        lists.columns = arena_printf(target->arena, "%s%s`%s`", lists.columns, comma, name);
        lists.values = arena_printf(target->arena, "%s%sS.`%s`", lists.values, comma, name);
        lists.assignments =
            arena_printf(target->arena, "%s%s`%s` = S.`%s`", lists.assignments, comma, name, name);
    }
    return lists;
}

static void put_merge(Buf *out, const StarTarget *target, const Publication *publication,
                      const PublishedTable *table) {
    Arena *arena = target->arena;
    const Entity *entity = table->entity;
    ColumnLists lists = column_lists(target, entity);
    const char *statement = publication->is_rebuild ? SQL_BQ_REPLACE_TABLE : SQL_BQ_APPLY_TABLE;
    buf_put_str(out, str_of(sql_fill(arena, statement, {"dataset", target->dataset}, {"table", entity->gold},
                                     {"staging", star_staging_name(arena, entity, publication->id)},
                                     {"key", entity->key}, {"partitions", star_partitions(arena, table)},
                                     {"assignments", lists.assignments}, {"columns", lists.columns},
                                     {"values", lists.values})));
    buf_put_byte(out, '\n');
}

static const char *sequences_list(Arena *arena, const SequencePosition *sequences, int n) {
    const char *list = "";
    for (int i = 0; i < n; i++)
        list = arena_printf(arena, "%s%sSTRUCT('%s' AS name, %lld AS position)", list, i > 0 ? ", " : "",
                            sequences[i].name, (long long)sequences[i].position);
    return list;
}

static const char *tables_list(Arena *arena, const Publication *publication) {
    const char *list = "";
    for (int i = 0; i < publication->n_tables; i++) {
        const PublishedTable *table = &publication->tables[i];
        list = arena_printf(arena, "%s%sSTRUCT('%s' AS name, %lld AS row_count, %lld AS changed, "
                                   "%lld AS checksum)", list, i > 0 ? ", " : "", table->entity->gold,
                            (long long)table->expected.values[0],
                            (long long)(table->changed + table->deleted),
                            (long long)table->expected.values[1]);
    }
    return list;
}

const char *star_apply_script(const StarTarget *target, const Publication *publication, const char *as_of,
                              const SequencePosition *sequences, int n_sequences) {
    Arena *arena = target->arena;
    CLEANUP(buf_done) Buf out;
    buf_init(&out, SCRIPT_BYTES_MAX);
    const char *day = as_of && *as_of ? arena_printf(arena, "DATE '%s'", as_of) : "CAST(NULL AS DATE)";
    buf_put_str(&out, str_of(sql_fill(arena, SQL_BQ_APPLY_BEGIN, {"dataset", target->dataset},
                                      {"id", arena_printf(arena, "%lld", (long long)publication->id)},
                                      {"epoch", target->epoch}, {"as_of", day},
                                      {"sequences", sequences_list(arena, sequences, n_sequences)},
                                      {"tables", tables_list(arena, publication)})));
    buf_put_byte(&out, '\n');
    for (int i = 0; i < publication->n_tables; i++)
        put_merge(&out, target, publication, &publication->tables[i]);
    buf_put_str(&out, str_of(SQL_BQ_APPLY_COMMIT));
    return arena_string(arena, buf_str(&out));
}

/* ---- comparing -------------------------------------------------------------------------------------------- */

bool star_measure(const StarTarget *target, PublishedTable *table, Error *err) {
    BigQueryRows rows;
    const char *sql = sql_fill(target->arena, SQL_BQ_SUMS, {"sums", sums_bigquery_list(target->arena, table->entity)},
                               {"dataset", target->dataset}, {"table", table->entity->gold},
                               {"partitions", star_partitions(target->arena, table)});
    TRY(bigquery_read(target->bq, sql, target->arena, &rows, err));
    if (rows.n_rows != 1 || rows.n_columns > SUMS_MAX)
        return error_set(err, STATE_BUG, "BigQuery's sums of %s have another shape", table->entity->gold);
    for (int i = 0; i < rows.n_columns; i++)
        if (!str_to_int64(bigquery_value(&rows, 0, i), &table->found.values[i]))
            return error_set(err, STATE_BUG, "BigQuery's sums of %s are no numbers", table->entity->gold);
    table->has_found = true;
    return true;
}

static bool read_numbers(const BigQueryRows *rows, int row, int64_t *month, Sums *sums) {
    for (int i = 0; i < rows->n_columns; i++)
        if (!str_to_int64(bigquery_value(rows, row, i), i == 0 ? month : &sums->values[i - 1]))
            return false;
    return true;
}

bool star_measure_months(const StarTarget *target, TableComparison *table, Error *err) {
    Arena *arena = target->arena;
    const Entity *entity = table->entity;
    SqlPart sums = {"sums", sums_bigquery_list(arena, entity)}, dataset = {"dataset", target->dataset},
            name = {"table", entity->gold};
    const char *sql = entity->partition ? sql_fill(arena, SQL_BQ_MONTHS, sums, dataset, name,
                                                   {"partition", entity->partition})
                                        : sql_fill(arena, SQL_BQ_TABLE, sums, dataset, name);
    BigQueryRows rows;
    TRY(bigquery_read(target->bq, sql, arena, &rows, err));
    if (rows.n_columns > SUMS_MAX + 1)
        return error_set(err, STATE_BUG, "BigQuery's sums of %s have another shape", entity->gold);
    table->there = (TableSums){ARENA_ARRAY(arena, MonthSums, (size_t)rows.n_rows + 1), rows.n_rows};
    for (int i = 0; i < rows.n_rows; i++)
        if (!read_numbers(&rows, i, &table->there.months[i].month, &table->there.months[i].sums))
            return error_set(err, STATE_BUG, "BigQuery's sums of %s are no numbers", entity->gold);
    return true;
}
