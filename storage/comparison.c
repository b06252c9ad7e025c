/* comparison.c - see comparison.h. */
#include "storage/comparison.h"

#include "base/clock.h"
#include "base/own.h"
#include "sql.h"
#include "storage/template.h"

#include <inttypes.h>

enum { DETAILS_MAX = 50 /* months of a table that are written out */ };

DEFINE_DROP(json_t, json_drop, json_decref)

/* ---- questions ------------------------------------------------------------------------------------------- */

bool comparison_is_due(Pg *pg, int64_t every_ms, bool *ret_due, Error *err) {
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, every_ms);
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_COMPARISON_IS_DUE, PG_PARAMS(text), err);
    TRY(rows != NULL);
    *ret_due = pg_bool(rows, 0, 0);
    return true;
}

bool comparison_find_difference(Pg *pg, Arena *arena, const char **ret_sentence, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_COMPARISON_DIFFERENCE, PG_NONE, err);
    TRY(rows != NULL);
    *ret_sentence = pg_rows(rows) > 0 ? arena_string(arena, pg_value(rows, 0, 0)) : NULL;
    return true;
}

/* ---- our side ----------------------------------------------------------------------------------------------- */

static bool measure_table(Pg *tx, Arena *arena, TableComparison *table, Error *err) {
    const Entity *entity = table->entity;
    SqlPart sums = {"sums", sums_pg_list(arena, entity)}, view = {"view", pg_quote_ident(arena, entity->gold)};
    const char *sql =
        entity->partition ? sql_fill(arena, SQL_COMPARISON_MONTHS, sums, view,
                                     {"partition", pg_quote_ident(arena, entity->partition)})
                          : sql_fill(arena, SQL_COMPARISON_TABLE, sums, view);
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(tx, sql, PG_NONE, err);
    TRY(rows != NULL);
    table->here = (TableSums){ARENA_ARRAY(arena, MonthSums, (size_t)pg_rows(rows) + 1), pg_rows(rows)};
    for (int i = 0; i < table->here.n; i++) {
        table->here.months[i].month = pg_int(rows, i, 0);
        for (int k = 1; k < pg_columns(rows); k++)
            table->here.months[i].sums.values[k - 1] = pg_int(rows, i, k);
    }
    return true;
}

bool comparison_measure(Pg *tx, Arena *arena, Comparison *comparison, Error *err) {
    *comparison = (Comparison){.started_us = clock_wall_us(), .n_tables = N_ENTITIES};
    for (int i = 0; i < N_ENTITIES; i++) {
        comparison->tables[i].entity = &ENTITIES[i];
        TRY(measure_table(tx, arena, &comparison->tables[i], err));
    }
    return true;
}

/* ---- what differs --------------------------------------------------------------------------------------------- */

/* The next month that one side or both have; the other side's pointer is then NULL. */
static bool next_pair(const TableComparison *table, int *here, int *there, const MonthSums **ret_here,
                      const MonthSums **ret_there) {
    const MonthSums *a = *here < table->here.n ? &table->here.months[*here] : NULL;
    const MonthSums *b = *there < table->there.n ? &table->there.months[*there] : NULL;
    *ret_here = a && (!b || a->month <= b->month) ? a : NULL;
    *ret_there = b && (!a || b->month <= a->month) ? b : NULL;
    *here += *ret_here != NULL;
    *there += *ret_there != NULL;
    return a || b;
}

static const char *part_name(Arena *arena, const Entity *entity, int64_t month) {
    if (!entity->partition)
        return entity->gold;
    if (month == 0)
        return arena_printf(arena, "%s without %s", entity->gold, entity->partition);
    return arena_printf(arena, "%s of %04" PRId64 "-%02" PRId64, entity->gold, month / 100, month % 100);
}

/* What was found on the way through all tables. */
typedef struct Findings {
    int64_t n;
    const char *first; /* the name of the first part that differs */
} Findings;

static json_t *pair_json(const Entity *entity, int64_t month, const MonthSums *here, const MonthSums *there) {
    static const MonthSums NOTHING;
    json_t *object = json_pack("{s:o, s:o}", "expected", sums_json(entity, here ? &here->sums : &NOTHING.sums),
                               "found", sums_json(entity, there ? &there->sums : &NOTHING.sums));
    if (entity->partition)
        json_object_set_new(object, "month", json_integer(month));
    return object;
}

static Sums total(const TableSums *table) {
    Sums sums = {{0}};
    for (int i = 0; i < table->n; i++)
        sums_add(&sums, &table->months[i].sums);
    return sums;
}

static json_t *table_json(const TableComparison *table, Arena *arena, Findings *findings) {
    const Entity *entity = table->entity;
    json_t *differing = json_array();
    int here = 0, there = 0, partitions = 0;
    for (const MonthSums *a, *b; next_pair(table, &here, &there, &a, &b); partitions++) {
        if (a && b && sums_agree(entity, &a->sums, &b->sums))
            continue;
        int64_t month = a ? a->month : b->month;
        if (findings->n++ == 0)
            findings->first = part_name(arena, entity, month);
        if (json_array_size(differing) < DETAILS_MAX)
            json_array_append_new(differing, pair_json(entity, month, a, b));
    }
    Sums ours = total(&table->here), theirs = total(&table->there);
    return json_pack("{s:i, s:o, s:o, s:o}", "partitions", partitions, "expected", sums_json(entity, &ours),
                     "found", sums_json(entity, &theirs), "differing", differing);
}

static const char *sentence_of(Arena *arena, const Findings *findings) {
    if (findings->n == 0)
        return NULL;
    const char *more = findings->n > 1 ? arena_printf(arena, " and %" PRId64 " more", findings->n - 1) : "";
    return arena_printf(arena, "counts or sums of %s%s differ between BigQuery and PostgreSQL",
                        findings->first, more);
}

bool comparison_record(Pg *pg, Arena *arena, const Comparison *comparison, int64_t bytes_billed,
                       const char **ret_sentence, Error *err) {
    CLEANUP(json_drop) json_t *tables = json_object();
    Findings findings = {0};
    for (int i = 0; i < comparison->n_tables; i++)
        json_object_set_new(tables, comparison->tables[i].entity->gold,
                            table_json(&comparison->tables[i], arena, &findings));
    const char *sentence = sentence_of(arena, &findings);
    CLEANUP(mem_drop) char *details = json_dumps(tables, JSON_COMPACT);
    TRY(pg_exec(pg, SQL_COMPARISON_RECORD,
                PG_PARAMS(arena_printf(arena, "%" PRId64, comparison->started_us),
                          arena_printf(arena, "%" PRId64, findings.n), sentence, details,
                          arena_printf(arena, "%" PRId64, bytes_billed)), NULL, err));
    *ret_sentence = sentence;
    return true;
}
