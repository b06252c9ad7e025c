/* settle.c - see settle.h. One table of steps, walked in order; temporary tables carry the scope. */
#include "storage/settle.h"

#include "base/failpoint.h"
#include "base/own.h"
#include "sql.h"
#include "storage/audit.h"
#include "storage/state.h"
#include "storage/template.h"
#include "transform/entity.h"

/* From here on hash joins; below, the indexes. */
enum { LARGE_ROWS = 20000, REPEAT_MAX = 10000 };

typedef enum StepKind {
    ONCE,
    COUNTED,   /* writes silver: its rows are rows_changed */
    REPEATED,  /* until it writes nothing */
    LATER,     /* finds what was settled before: nothing to find in the first settle */
    LATER_REPEATED
} StepKind;

typedef struct Step {
    const char *sql;
    const char *table; /* for {table}, {key}, {id}, {current}; NULL when the statement has none */
    StepKind kind;
} Step;

static const Step SCOPE[] = {
    {SQL_SETTLE_BATCHES, NULL, ONCE},
    {SQL_SETTLE_SCOPE, "patients", ONCE},
    {SQL_SETTLE_SCOPE, "providers", ONCE},
    {SQL_SETTLE_SCOPE, "departments", ONCE},
    {SQL_SETTLE_SCOPE, "encounters", ONCE},
    {SQL_SETTLE_SCOPE, "transactions", ONCE},
    {SQL_SETTLE_SCOPE, "claims", ONCE},
    {SQL_SETTLE_SCOPE, "adjustments", ONCE},
};

static const Step MEMBERS[] = {
    {SQL_SETTLE_NAMED, NULL, ONCE},
    {SQL_SETTLE_INFER_PATIENTS, NULL, COUNTED},
    {SQL_SETTLE_INFER_PROVIDERS, NULL, COUNTED},
    {SQL_SETTLE_INFER_DEPARTMENTS, NULL, COUNTED},
    {SQL_SETTLE_MAKE_PAYERS, NULL, COUNTED},
    {SQL_SETTLE_MAKE_PROCEDURES, NULL, COUNTED},
    {SQL_SETTLE_MAKE_DIAGNOSES, NULL, COUNTED},
    {SQL_SETTLE_MAKE_DATES, NULL, COUNTED},
    {SQL_SETTLE_MOVE_FISCAL_YEAR, NULL, COUNTED},
};

/* Each looks at what changed, not at what was found on the way: their order does not matter. */
static const Step SPREAD[] = {
    {SQL_SETTLE_SPREAD_ENCOUNTERS, NULL, LATER},
    {SQL_SETTLE_SPREAD_TRANSACTIONS, NULL, LATER},
    {SQL_SETTLE_SPREAD_CLAIMS, NULL, LATER},
    {SQL_SETTLE_SPREAD_ADJUSTMENTS, NULL, LATER},
};

/* Tables in which the same content under another id is remarkable. */
static const char *const TWINNED[] = {"patients", "providers", "encounters", "transactions", "claims"};

static const Step TWINS[] = {
    {SQL_SETTLE_HASHES, NULL, ONCE},
    {SQL_SETTLE_HASHES_FLAGGED, NULL, LATER},
    {SQL_SETTLE_TWINS, NULL, ONCE},
    {SQL_SETTLE_SPREAD_TWINS, NULL, LATER},
    {SQL_SETTLE_ANALYZE, NULL, ONCE},
};

static const Step PERSONS[] = {
    {SQL_SETTLE_MEMBERS, NULL, ONCE},
    {SQL_SETTLE_MEMBERS_CHANGED, NULL, ONCE},
    {SQL_SETTLE_MEMBERS_SPREAD, NULL, LATER_REPEATED},
    {SQL_SETTLE_MEMBERS_ANALYZE, NULL, ONCE},
    {SQL_SETTLE_MEMBERS_KEYS, NULL, ONCE},
    {SQL_SETTLE_MEMBERS_LABEL, NULL, REPEATED},
    {SQL_SETTLE_PERSONS, NULL, ONCE},
    {SQL_SETTLE_PERSONS_ALIAS_AGAIN, NULL, ONCE},
    {SQL_SETTLE_PERSONS_ALIAS, NULL, ONCE},
    {SQL_SETTLE_PERSONS_LINK, NULL, ONCE},
    {SQL_SETTLE_REVIEWS, NULL, ONCE},
    {SQL_SETTLE_REVIEWS_CLOSE, NULL, ONCE},
    {SQL_SETTLE_REVIEWS_OPEN, NULL, ONCE},
};

static const Step WRITE[] = {
    {SQL_SETTLE_CLAIMED, NULL, ONCE},
    {SQL_SETTLE_WRITE_PATIENTS, NULL, COUNTED},
    {SQL_SETTLE_WRITE_PROVIDERS, NULL, COUNTED},
    {SQL_SETTLE_WRITE_ENCOUNTERS, NULL, COUNTED},
    {SQL_SETTLE_WRITE_TRANSACTIONS, NULL, COUNTED},
    {SQL_SETTLE_WRITE_CLAIMS, NULL, COUNTED},
    {SQL_SETTLE_WRITE_ADJUSTMENTS, NULL, COUNTED},
    {SQL_SETTLE_RESULTS, NULL, ONCE},
};
#define COUNT(steps) (sizeof(steps) / sizeof *(steps))

typedef struct Settle {
    Pg *pg;
    const SettleOptions *options;
    bool is_first; /* no settle before this one */
    SettleOutcome outcome;
} Settle;

/* ---- walking the tables ---- */

/* Rows that count when contents are compared. */
static const char *current_rows(const Entity *entity) {
    switch (entity->kind) {
    case ENTITY_HISTORY:
        return "t.is_current AND NOT t.is_deleted";
    case ENTITY_CLAIM:
        return "t.is_final AND NOT t.is_deleted";
    default:
        return "NOT t.is_deleted";
    }
}

static const char *fill_step(const Settle *s, const Step *step, const char *table) {
    if (!table)
        return step->sql;
    const Entity *entity = entity_find(str_of(table));
    return sql_fill(s->options->arena, step->sql, {"table", entity->name}, {"key", entity->key},
                    {"id", entity->id}, {"current", current_rows(entity)});
}

static bool walk_step(Settle *s, const Step *step, const char *table, Error *err) {
    if (s->is_first && (step->kind == LATER || step->kind == LATER_REPEATED))
        return true;
    bool is_repeated = step->kind == REPEATED || step->kind == LATER_REPEATED;
    const char *sql = fill_step(s, step, table);
    int64_t n = 0;
    int rounds = 0;
    do {
        if (!pg_exec(s->pg, sql, PG_NONE, &n, err))
            return error_context(err, "settle%s%s", table ? " of " : "", table ? table : "");
        if (step->kind == COUNTED)
            s->outcome.rows_changed += n;
    } while (is_repeated && n > 0 && ++rounds < REPEAT_MAX);
    if (rounds == REPEAT_MAX)
        return error_set(err, STATE_BUG, "settle: groups of persons do not come to rest");
    return true;
}

static bool walk(Settle *s, const Step *steps, size_t n, Error *err) {
    for (size_t i = 0; i < n; i++)
        TRY(walk_step(s, &steps[i], steps[i].table, err));
    return true;
}

/* A replaced fact's content stands in its past; versions have no past table. */
static bool find_twins(Settle *s, const char *table, Error *err) {
    static const Step PAST = {SQL_SETTLE_HASHES_PAST, NULL, LATER};
    bool has_past = entity_find(str_of(table))->kind != ENTITY_HISTORY;
    for (size_t i = 0; i < COUNT(TWINS); i++) {
        TRY(walk_step(s, &TWINS[i], table, err));
        if (i == 0 && has_past)
            TRY(walk_step(s, &PAST, table, err));
    }
    return true;
}

/* ---- the ledger ---- */

static const char *number(const Settle *s, int64_t value) {
    return arena_printf(s->options->arena, "%lld", (long long)value);
}

static bool open_run(Settle *s, Error *err) {
    TRY(state_batch_id(s->pg, &s->outcome.batch_id, err));
    TRY(pg_exec(s->pg, SQL_SETTLE_SESSION, PG_NONE, NULL, err));
    return pg_exec(s->pg, SQL_SETTLE_RUN,
                   PG_PARAMS(number(s, s->outcome.batch_id), number(s, s->options->run_id),
                             number(s, s->options->fiscal_year_start_month)),
                   NULL, err);
}

/* Rows in scope; decides how the planner may join them. */
static bool count_scope(Settle *s, Error *err) {
    CLEANUP(pg_result_drop) PgResult *counted = pg_query(s->pg, SQL_SETTLE_COUNT, PG_NONE, err);
    TRY(counted);
    s->outcome.rows_read = pg_int(counted, 0, 0);
    bool is_large = s->outcome.rows_read > LARGE_ROWS;
    return pg_exec(s->pg, is_large ? SQL_SETTLE_SESSION_LARGE : SQL_SETTLE_SESSION_SMALL, PG_NONE, NULL, err);
}

static bool close_run(Settle *s, Error *err) {
    const SettleOutcome *outcome = &s->outcome;
    BatchCounts counts = {.rows_read = outcome->rows_read, .rows_changed = outcome->rows_changed};
    TRY(state_batch_write(s->pg, outcome->batch_id, s->options->run_id, "settle", &counts, err));
    TRY(pg_exec(s->pg, SQL_SETTLE_BATCH_CLOSE, PG_PARAMS(number(s, outcome->batch_id)), NULL, err));
    const char *details = arena_printf(s->options->arena, "{\"batch\":\"%lld\",\"read\":%lld,\"changed\":%lld}",
                                       (long long)outcome->batch_id, (long long)outcome->rows_read,
                                       (long long)outcome->rows_changed);
    return audit_write(s->pg, &(AuditLine){.actor = "pipeline", .action = "settle.commit", .object = "settle",
                                           .outcome = "done", .details = details}, err);
}

/* ---- the whole ---- */

static bool is_due(Settle *s, bool *ret_due, Error *err) {
    CLEANUP(pg_result_drop) PgResult *due = pg_query(s->pg, SQL_SETTLE_IS_DUE, PG_NONE, err);
    TRY(due);
    *ret_due = pg_bool(due, 0, 0);
    s->is_first = pg_bool(due, 0, 1);
    return true;
}

bool settle_rows(Pg *pg, const SettleOptions *options, SettleOutcome *ret_outcome, Error *err) {
    Settle s = {.pg = pg, .options = options};
    TRY(is_due(&s, &s.outcome.was_due, err));
    if (s.outcome.was_due) {
        TRY(open_run(&s, err));
        TRY(walk(&s, SCOPE, COUNT(SCOPE), err));
        TRY(count_scope(&s, err));
        TRY(walk(&s, MEMBERS, COUNT(MEMBERS), err));
        TRY(walk(&s, SPREAD, COUNT(SPREAD), err));
        FAILPOINT("settle.after_members");
        for (size_t i = 0; i < COUNT(TWINNED); i++)
            TRY(find_twins(&s, TWINNED[i], err));
        TRY(walk(&s, PERSONS, COUNT(PERSONS), err));
        TRY(count_scope(&s, err));
        TRY(walk(&s, WRITE, COUNT(WRITE), err));
        FAILPOINT("settle.after_write");
        TRY(close_run(&s, err));
    }
    *ret_outcome = s.outcome;
    return true;
}

bool settle(Pg *pg, const SettleOptions *options, SettleOutcome *ret_outcome, Error *err) {
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    TRY(tx && pg_exec(tx, SQL_PLACEMENT_LOCK_EXCLUSIVE, PG_NONE, NULL, err));
    FAILPOINT("settle.after_lock");
    SettleOutcome outcome;
    TRY(settle_rows(tx, options, &outcome, err));
    FAILPOINT("settle.before_commit");
    TRY(pg_commit(&tx, PG_FLUSHED, err));
    FAILPOINT("settle.after_commit");
    *ret_outcome = outcome;
    return true;
}
