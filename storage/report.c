/* report.c - see report.h. */
#include "storage/report.h"

#include "base/own.h"
#include "sql.h"
#include "storage/template.h"

#include <stdio.h>

static const struct {
    const char *sql;
    int n_filters;
} LISTS[] = {
    [REPORT_RUNS] = {SQL_REPORT_RUNS, 3},
    [REPORT_FILES] = {SQL_REPORT_FILES, 2},
    [REPORT_QUARANTINE] = {SQL_REPORT_QUARANTINE, 1},
    [REPORT_QUALITY] = {SQL_REPORT_QUALITY, 0},
    [REPORT_RULES] = {SQL_REPORT_RULES, 0},
    [REPORT_ORPHANS] = {SQL_REPORT_ORPHANS, 3},
    [REPORT_PUBLICATIONS] = {SQL_REPORT_PUBLICATIONS, 0},
    [REPORT_RECONCILIATIONS] = {SQL_REPORT_RECONCILIATIONS, 0},
    [REPORT_KPIS] = {SQL_REPORT_KPIS, 0},
    [REPORT_AUDIT] = {SQL_REPORT_AUDIT, 3},
    [REPORT_PERSON_REVIEWS] = {SQL_REPORT_PERSON_REVIEWS, 0},
    [REPORT_HOLDS] = {SQL_REPORT_HOLDS, 1},
};

static const char *const ITEMS[] = {
    [REPORT_RUN] = SQL_REPORT_RUN,
    [REPORT_FILE] = SQL_REPORT_FILE,
    [REPORT_QUARANTINED_ROW] = SQL_REPORT_QUARANTINED_ROW,
    [REPORT_HOLD] = SQL_REPORT_HOLD,
};

bool report_limit(Pg *pg, Error *err) { return pg_exec(pg, SQL_REPORT_LIMIT, PG_NONE, NULL, err); }

/* One row more than asked for says whether there is a next page. */
bool report_list(Pg *pg, ReportList list, const ReportQuery *query, Arena *arena, Buf *items,
                 const char **ret_next, Error *err) {
    PgParams params = {.n = 2 + LISTS[list].n_filters};
    params.values[0] = arena_printf(arena, "%d", query->limit + 1);
    params.values[1] = query->after;
    for (int i = 0; i < LISTS[list].n_filters; i++)
        params.values[2 + i] = query->filters[i];
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, LISTS[list].sql, &params, err);
    TRY(rows);
    int n = pg_rows(rows) > query->limit ? query->limit : pg_rows(rows);
    for (int row = 0; row < n; row++) {
        if (row > 0)
            buf_put_byte(items, ',');
        buf_put_str(items, pg_value(rows, row, 1));
    }
    *ret_next = pg_rows(rows) > n ? arena_string(arena, pg_value(rows, n - 1, 0)) : NULL;
    return true;
}

bool report_item(Pg *pg, ReportItem item, int64_t id, Buf *out, bool *ret_found, Error *err) {
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)id);
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, ITEMS[item], PG_PARAMS(text), err);
    TRY(rows);
    *ret_found = pg_rows(rows) == 1;
    if (*ret_found)
        buf_put_str(out, pg_value(rows, 0, 1));
    return true;
}

bool report_assessment(Pg *pg, Buf *out, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_REPORT_ASSESSMENT, PG_NONE, err);
    TRY(rows);
    buf_put_str(out, pg_value(rows, 0, 0));
    return true;
}

bool report_feed(Pg *pg, const char *feed, const char *column, Buf *out, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_REPORT_FEED, PG_PARAMS(feed, column), err);
    TRY(rows);
    buf_put_str(out, pg_value(rows, 0, 0));
    return true;
}

static bool kpi_exists(Pg *pg, const char *name, bool *ret_exists, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows =
        pg_query(pg, SQL_REPORT_KPI_EXISTS, PG_PARAMS(name), err);
    TRY(rows);
    *ret_exists = pg_rows(rows) == 1;
    return true;
}

static bool kpi_no_dimension(Pg *pg, const char *by, Arena *arena, const char **ret_word, Error *err) {
    *ret_word = NULL;
    if (!by)
        return true;
    CLEANUP(pg_result_drop) PgResult *rows =
        pg_query(pg, SQL_REPORT_KPI_NO_DIMENSION, PG_PARAMS(by), err);
    TRY(rows);
    if (pg_rows(rows) == 1)
        *ret_word = arena_string(arena, pg_value(rows, 0, 0));
    return true;
}

static bool kpi_rows(Pg *pg, const KpiQuestion *question, Arena *arena, Buf *out, KpiAnswer *answer,
                     Error *err) {
    const char *sql =
        sql_fill(arena, SQL_REPORT_KPI, {"figure", pg_quote_ident(arena, question->name)},
                 {"arguments", question->by ? "$1::date, $4::text[]" : "$1::date"});
    PgParams params = {.values = {question->as_of, question->from, question->to, question->by},
                       .n = question->by ? 4 : 3};
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, sql, &params, err);
    TRY(rows);
    buf_put_str(out, pg_value(rows, 0, 0));
    Str as_of = pg_value(rows, 0, 1);
    answer->as_of = str_is_null(as_of) ? NULL : arena_string(arena, as_of);
    return true;
}

bool report_kpi(Pg *pg, const KpiQuestion *question, Arena *arena, Buf *out, KpiAnswer *ret_answer,
                Error *err) {
    *ret_answer = (KpiAnswer){0};
    TRY(kpi_exists(pg, question->name, &ret_answer->is_known, err));
    TRY(kpi_no_dimension(pg, question->by, arena, &ret_answer->no_dimension, err));
    if (!ret_answer->is_known || ret_answer->no_dimension)
        return true;
    return kpi_rows(pg, question, arena, out, ret_answer, err);
}
