/* score.c - see score.h. */
#include "storage/score.h"

#include "base/failpoint.h"
#include "base/own.h"
#include "sql.h"
#include "storage/template.h"
#include "transform/entity.h"

#include <stdlib.h>

/* Whose rows there are. */
typedef struct Owner {
    const char *owner, *files, *belongs;
} Owner;
static const Owner BY_SOURCE = {"t.source_system", "", "e.entity = '{table}' AND split_part(e.feed, '.', 1) = c.owner"};
static const Owner BY_FILE = {"f.feed", "JOIN ops.file f USING (file_id)", "e.feed = c.owner"};

static const struct {
    const char *table, *current;
    const Owner *owner;
} TABLES[] = {
    {"patients", "t.is_current AND NOT t.is_deleted AND NOT t.is_inferred", &BY_SOURCE},
    {"providers", "t.is_current AND NOT t.is_deleted AND NOT t.is_inferred", &BY_SOURCE},
    {"departments", "NOT t.is_deleted AND NOT t.is_inferred", &BY_SOURCE},
    {"encounters", "NOT t.is_deleted", &BY_SOURCE},
    {"transactions", "NOT t.is_deleted", &BY_SOURCE},
    {"claims", "t.is_final AND NOT t.is_deleted", &BY_FILE},
    {"adjustments", "NOT t.is_deleted", &BY_FILE},
};
#define COUNT(list) (sizeof(list) / sizeof *(list))

typedef struct Scoring {
    Pg *pg;
    Arena *arena;
} Scoring;

static bool is_counted(const Column *column) {
    return column->role == ROLE_ATTRIBUTE && column_is_stored(column);
}

/* Its attributes as 'a', 'b' or as count(t.a), count(t.b). */
static const char *list_of(const Scoring *s, const Entity *entity, const char *before, const char *behind) {
    const char *list = "";
    for (int i = 0; i < entity->n_columns; i++)
        if (is_counted(&entity->columns[i]))
            list = arena_printf(s->arena, "%s%s%s%s%s", list, *list ? ", " : "", before, entity->columns[i].name, behind);
    return list;
}

static bool count_table(const Scoring *s, size_t i, const char *sql, Error *err) {
    const Entity *entity = entity_find(str_of(TABLES[i].table));
    const Owner *owner = TABLES[i].owner;
    const char *belongs = sql_fill(s->arena, owner->belongs, {"table", entity->name});
    const char *filled = sql_fill(s->arena, sql, {"table", entity->name}, {"current", TABLES[i].current},
                                  {"owner", owner->owner}, {"files", owner->files}, {"belongs", belongs},
                                  {"names", list_of(s, entity, "'", "'")}, {"counts", list_of(s, entity, "count(t.", ")")});
    return pg_exec(s->pg, filled, PG_NONE, NULL, err) || error_context(err, "scores of %s", entity->name);
}

static bool count_tables(const Scoring *s, Error *err) {
    static const char *const STEPS[] = {SQL_SCORE_FLAGS, SQL_SCORE_TOTALS, SQL_SCORE_RULES,
                                         SQL_SCORE_FLAGS_DROP, SQL_SCORE_FILLS};
    for (size_t i = 0; i < COUNT(TABLES); i++)
        for (size_t k = 0; k < COUNT(STEPS); k++)
            TRY(count_table(s, i, STEPS[k], err));
    return true;
}

static bool run_all(const Scoring *s, const char *const *steps, size_t n, Error *err) {
    for (size_t i = 0; i < n; i++)
        TRY(pg_exec(s->pg, steps[i], PG_NONE, NULL, err));
    return true;
}

static bool write_scores(const Scoring *s, int64_t run_id, int64_t *ret_changed, Error *err) {
    CLEANUP(pg_result_drop) PgResult *taken = pg_query(s->pg, SQL_SCORE_TAKE, PG_PARAMS(pg_number(run_id).text), err);
    TRY(taken);
    return pg_exec(s->pg, SQL_SCORE_WRITE, PG_PARAMS(pg_text(taken, 0, 0)), ret_changed, err);
}

bool score_is_due(Pg *pg, bool *ret_is_due, Error *err) {
    CLEANUP(pg_result_drop) PgResult *due = pg_query(pg, SQL_SCORE_IS_DUE, PG_NONE, err);
    TRY(due);
    *ret_is_due = pg_bool(due, 0, 0);
    return true;
}

bool score_take(Pg *pg, const LeaseFence *fence, int64_t run_id, Arena *arena, int64_t *ret_changed, Error *err) {
    static const char *const BEFORE[] = {SQL_SCORE_SESSION, SQL_SCORE_BEGIN, SQL_SCORE_BEGIN_RULES, SQL_SCORE_BEGIN_FILLS};
    static const char *const BEHIND[] = {SQL_SCORE_HELD, SQL_SCORE_OF_FEEDS, SQL_SCORE_OF_COLUMNS, SQL_SCORE_KEEP_COUNTS,
                                         SQL_SCORE_KEEP_FILLS};
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    Scoring s = {tx, arena};
    TRY(tx && run_all(&s, BEFORE, COUNT(BEFORE), err) && count_tables(&s, err) &&
        run_all(&s, BEHIND, COUNT(BEHIND), err) && write_scores(&s, run_id, ret_changed, err));
    FAILPOINT("quality.scores_before_commit");
    return lease_check(tx, fence, err) && pg_commit(&tx, PG_FLUSHED, err);
}

bool score_tell(Pg *pg, ScoreTell *tell, void *ctx, Error *err) {
    CLEANUP(pg_result_drop) PgResult *now = pg_query(pg, SQL_SCORE_NOW, PG_NONE, err);
    TRY(now);
    for (int r = 0; r < pg_rows(now); r++)
        tell(ctx, pg_text(now, r, 0), pg_text(now, r, 1), strtod(pg_text(now, r, 2), NULL));
    return true;
}
