/* retention.c - see retention.h. The statements are put together from pieces of retention.sql. */
#include "storage/retention.h"

#include "base/own.h"
#include "sql.h"
#include "storage/bronze.h"
#include "storage/template.h"

enum { IDS_MAX_BYTES = 1 << 20 };

static bool count_of(Pg *pg, const char *sql, const PgParams *params, int64_t *ret_n, Error *err) {
    CLEANUP(pg_result_drop) PgResult *row = pg_query(pg, sql, params, err);
    TRY(row);
    *ret_n = pg_int(row, 0, 0);
    return true;
}

static bool text_of(Pg *pg, const char *sql, const PgParams *params, Arena *arena, const char **ret_text, Error *err) {
    CLEANUP(pg_result_drop) PgResult *row = pg_query(pg, sql, params, err);
    TRY(row);
    *ret_text = arena_string(arena, pg_value(row, 0, 0));
    return true;
}

bool retention_before(Pg *pg, int64_t age_ms, Arena *arena, const char **ret_before, Error *err) {
    return text_of(pg, SQL_RETENTION_BEFORE, PG_PARAMS(pg_number(age_ms).text), arena, ret_before, err);
}

bool retention_holds(Pg *pg, Arena *arena, const char **ret_holds, Error *err) {
    return text_of(pg, SQL_RETENTION_HOLDS, PG_NONE, arena, ret_holds, err);
}

bool retention_lock(Pg *tx, const char *holds, Arena *arena, bool *ret_is_same, Error *err) {
    const char *now;
    TRY(pg_exec(tx, SQL_RETENTION_LOCK_HOLDS, PG_NONE, NULL, err) && retention_holds(tx, arena, &now, err));
    *ret_is_same = strcmp(now, holds) == 0;
    return true;
}

/* ---- raw rows ---- */

bool retention_feeds(Pg *pg, Arena *arena, RetentionFeed **ret_feeds, size_t *ret_n, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_RETENTION_FEEDS, PG_NONE, err);
    TRY(rows);
    RetentionFeed *feeds = ARENA_ARRAY(arena, RetentionFeed, (size_t)pg_rows(rows) + 1);
    size_t n = 0;
    for (int r = 0; r < pg_rows(rows); r++) {
        const Entity *entity = entity_find(pg_value(rows, r, 1));
        if (entity && entity->id) /* else: of a build that knew more tables */
            feeds[n++] = (RetentionFeed){.feed = arena_string(arena, pg_value(rows, r, 0)), .entity = entity};
    }
    *ret_feeds = feeds;
    *ret_n = n;
    return true;
}

static bool has_column(const Entity *entity, const char *name) {
    return entity_column(entity, str_of(name)) != COLUMN_NONE;
}

/* Several pieces, of which those that do not apply are "". */
static const char *piece(Arena *arena, const Entity *entity, bool applies, const char *sql) {
    return applies ? sql_fill(arena, sql, {"table", entity->name}, {"id", entity->id}) : "";
}

static const char *needed(Arena *arena, const Entity *entity) {
    return arena_printf(arena, "\n%s\n%s\n%s", piece(arena, entity, true, SQL_RETENTION_NEEDED),
                        piece(arena, entity, entity->kind == ENTITY_HISTORY, SQL_RETENTION_NEEDED_BY_VERSION),
                        piece(arena, entity, entity->kind == ENTITY_CLAIM, SQL_RETENTION_NEEDED_BY_CLAIM));
}

typedef enum Holding { HELD_NONE, HELD_PATIENTS, HELD_FACTS } Holding;

static Holding holding_of(const Entity *entity) {
    if (strcmp(entity->name, "patients") == 0)
        return HELD_PATIENTS;
    return has_column(entity, "source_patient_id") ? HELD_FACTS : HELD_NONE;
}

static const char *held(Arena *arena, const Entity *entity) {
    static const char *const IDS[] = {SQL_RETENTION_HELD_NONE, SQL_RETENTION_HELD_PATIENTS, SQL_RETENTION_HELD_FACTS};
    return arena_printf(arena, "%s\n%s", piece(arena, entity, true, IDS[holding_of(entity)]),
                        piece(arena, entity, entity->kind == ENTITY_CLAIM, SQL_RETENTION_HELD_CLAIMS));
}

static const char *whose(Arena *arena, const Entity *entity) {
    static const char *const PIECES[] = {"", SQL_RETENTION_WHOSE_PATIENTS, SQL_RETENTION_WHOSE_FACTS};
    return arena_printf(arena, "\n%s", piece(arena, entity, true, PIECES[holding_of(entity)]));
}

static const char *raw_rows(Arena *arena, const RetentionFeed *feed) {
    return sql_fill(arena, SQL_RETENTION_RAW, {"raw", bronze_table(arena, feed->feed)},
                    {"held", held(arena, feed->entity)}, {"needed", needed(arena, feed->entity)},
                    {"whose", whose(arena, feed->entity)});
}

bool retention_raw_count(Pg *pg, const RetentionFeed *feed, Arena *arena, int64_t *ret_n, Error *err) {
    const char *sql = sql_fill(arena, SQL_RETENTION_RAW_COUNT, {"raw_rows", raw_rows(arena, feed)});
    return count_of(pg, sql, PG_PARAMS(feed->feed, feed->before), ret_n, err);
}

bool retention_raw_choose(Pg *pg, const RetentionFeed *feed, Arena *arena, int64_t *ret_n, Error *err) {
    const char *sql = sql_fill(arena, SQL_RETENTION_RAW_CHOOSE, {"raw_rows", raw_rows(arena, feed)});
    return pg_script(pg, SQL_RETENTION_RAW_TABLE, err) && pg_exec(pg, sql, PG_PARAMS(feed->feed, feed->before), ret_n, err);
}

bool retention_raw_delete(Pg *tx, const RetentionFeed *feed, int64_t first, int64_t last, Arena *arena, int64_t *ret_n,
                          Error *err) {
    const char *sql = sql_fill(arena, SQL_RETENTION_RAW_DELETE, {"raw", bronze_table(arena, feed->feed)},
                               {"held", held(arena, feed->entity)}, {"needed", needed(arena, feed->entity)});
    return pg_exec(tx, SQL_RETENTION_LOCK_FEED, PG_PARAMS(feed->feed), NULL, err) &&
           pg_exec(tx, sql, PG_PARAMS(feed->feed, feed->before, pg_number(first).text, pg_number(last).text), ret_n, err);
}

/* ---- ledgers ---- */

static const struct {
    const char *choice, *remove;
} LEDGERS[RETENTION_LEDGERS] = {
    [RETENTION_QUARANTINE] = {SQL_RETENTION_QUARANTINE, SQL_RETENTION_QUARANTINE_DELETE},
    [RETENTION_PROOFS] = {SQL_RETENTION_PROOFS, SQL_RETENTION_PROOFS_DELETE},
    [RETENTION_RUNS] = {SQL_RETENTION_RUNS, SQL_RETENTION_RUNS_DELETE},
};

static const char *choice_of(Arena *arena, RetentionLedger ledger, const char *statement) {
    return sql_fill(arena, statement,
                    {"ledger", sql_fill(arena, LEDGERS[ledger].choice, {"proofs", SQL_RETENTION_PROOFS})});
}

bool retention_count(Pg *pg, RetentionLedger ledger, const char *before, Arena *arena, int64_t *ret_n, Error *err) {
    return count_of(pg, choice_of(arena, ledger, SQL_RETENTION_LEDGER_COUNT), PG_PARAMS(before), ret_n, err);
}

bool retention_delete(Pg *tx, RetentionLedger ledger, const char *before, int64_t max, Arena *arena, int64_t *after,
                      int64_t *ret_n, Error *err) {
    const char *sql = choice_of(arena, ledger, SQL_RETENTION_LEDGER_PAGE);
    CLEANUP(pg_result_drop) PgResult *page =
        pg_query(tx, sql, PG_PARAMS(before, pg_number(*after).text, pg_number(max).text), err);
    TRY(page);
    CLEANUP(buf_drop) Buf ids = pg_array(IDS_MAX_BYTES);
    for (int r = 0; r < pg_rows(page); r++)
        pg_array_int(&ids, *after = pg_int(page, r, 0));
    const char *array = pg_array_end(&ids, err);
    return array && pg_exec(tx, LEDGERS[ledger].remove, PG_PARAMS(array), ret_n, err);
}

/* ---- the audit trail ---- */

bool retention_months(Pg *pg, int64_t age_ms, Arena *arena, RetentionMonth **ret_months, size_t *ret_n,
                      int64_t *ret_unsealed, Error *err) {
    PgNumber age = pg_number(age_ms);
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_RETENTION_MONTHS, PG_PARAMS(age.text), err);
    TRY(rows && count_of(pg, SQL_RETENTION_MONTHS_UNSEALED, PG_PARAMS(age.text), ret_unsealed, err));
    *ret_n = (size_t)pg_rows(rows);
    RetentionMonth *months = ARENA_ARRAY(arena, RetentionMonth, *ret_n + 1);
    for (size_t i = 0; i < *ret_n; i++)
        months[i] = (RetentionMonth){arena_string(arena, pg_value(rows, (int)i, 0)), pg_int(rows, (int)i, 1)};
    *ret_months = months;
    return true;
}

bool retention_month_drop(Pg *tx, const RetentionMonth *month, int64_t age_ms, Error *err) {
    return pg_exec(tx, SQL_RETENTION_MONTH_DROP, PG_PARAMS(month->partition, pg_number(age_ms).text), NULL, err);
}
