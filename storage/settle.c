/* settle.c - see settle.h. One table of steps, walked in order; temporary tables carry the scope. */
#include "storage/settle.h"

#include "base/failpoint.h"
#include "base/own.h"
#include "sql.h"
#include "storage/audit.h"
#include "storage/person.h"
#include "storage/rule_book.h"
#include "storage/set_rule.h"
#include "storage/state.h"
#include "storage/template.h"
#include "transform/entity.h"

/* From here on hash joins; below, the indexes. */
enum { LARGE_ROWS = 20000 };

typedef enum StepKind {
    ONCE,
    COUNTED /* writes silver: its rows are rows_changed */
} StepKind;

typedef enum StepWhen {
    ALWAYS,
    FEW, /* rows wait to be settled */
    MANY
} StepWhen;

typedef struct Step {
    const char *sql;
    const char *table; /* for {table}, {key}, {id}, {current}; NULL when the statement has none */
    StepKind kind;
    StepWhen when;
    const char *cause; /* for {cause}, {cause_id} */
} Step;

/* Whose rows the batches may have; how those of a large scope are read. */
static const char *const TABLES[] = {"patients", "providers", "departments", "encounters", "transactions", "claims",
                                     "adjustments"};
static const char *const ROWS_MANY[] = {
    SQL_SETTLE_ROWS_MANY, SQL_SETTLE_ROWS_MANY,   SQL_SETTLE_ROWS_MANY,   SQL_SETTLE_ROWS_MANY,
    SQL_SETTLE_ROWS_MANY, SQL_SETTLE_ROWS_POSTED, SQL_SETTLE_ROWS_POSTED,
};

/* What the deliveries of a claim give one another. */
static const Step POSTED[] = {
    {SQL_SETTLE_POSTED, NULL, ONCE, ALWAYS},
    {SQL_SETTLE_FORGET_WITHDRAWN, NULL, ONCE, ALWAYS},
    {SQL_SETTLE_DELIVERIES, NULL, ONCE, ALWAYS},
    {SQL_SETTLE_RELEASED, NULL, ONCE, ALWAYS},
    {SQL_SETTLE_INHERIT, NULL, COUNTED, ALWAYS},
    {SQL_SETTLE_ADJUSTED, NULL, ONCE, ALWAYS},
    {SQL_SETTLE_ADJUSTMENTS_GONE, NULL, COUNTED, ALWAYS},
    {SQL_SETTLE_ADJUSTMENTS_CHANGED, NULL, COUNTED, ALWAYS},
    {SQL_SETTLE_ADJUSTMENTS_NEW, NULL, COUNTED, ALWAYS},
};

static const Step SCOPE[] = {
    {SQL_SETTLE_SCOPE_MEMBERS, "patients", ONCE, ALWAYS},
    {SQL_SETTLE_SCOPE_MEMBERS, "providers", ONCE, ALWAYS},
    {SQL_SETTLE_SCOPE_MEMBERS, "departments", ONCE, ALWAYS},
    {SQL_SETTLE_SCOPE_ENCOUNTERS, NULL, ONCE, ALWAYS},
    {SQL_SETTLE_SCOPE_TRANSACTIONS, NULL, ONCE, ALWAYS},
    {SQL_SETTLE_GUESSED, NULL, ONCE, ALWAYS},
    {SQL_SETTLE_SCOPE_GUESSED, NULL, ONCE, ALWAYS},
    {SQL_SETTLE_SCOPE, "claims", ONCE, ALWAYS},
    {SQL_SETTLE_SCOPE, "adjustments", ONCE, ALWAYS},
    {SQL_SETTLE_CLAIMS_NAME, NULL, ONCE, ALWAYS},
    {SQL_SETTLE_CLAIMS_NAMED, NULL, ONCE, ALWAYS},
};

static const Step MEMBERS[] = {
    {SQL_SETTLE_NAMED, NULL, ONCE, ALWAYS},
    {SQL_SETTLE_INFER_PATIENTS, NULL, COUNTED, ALWAYS},
    {SQL_SETTLE_INFER_PROVIDERS, NULL, COUNTED, ALWAYS},
    {SQL_SETTLE_INFER_DEPARTMENTS, NULL, COUNTED, ALWAYS},
    {SQL_SETTLE_MAKE_PAYERS, NULL, COUNTED, ALWAYS},
    {SQL_SETTLE_MAKE_PROCEDURES, NULL, COUNTED, ALWAYS},
    {SQL_SETTLE_MAKE_DIAGNOSES, NULL, COUNTED, ALWAYS},
    {SQL_SETTLE_MAKE_ADJUSTMENT_CODES, NULL, COUNTED, ALWAYS},
    {SQL_SETTLE_MAKE_DATES, NULL, COUNTED, ALWAYS},
    {SQL_SETTLE_MOVE_FISCAL_YEAR, NULL, COUNTED, ALWAYS},
};

/* Each looks at what changed, not at what was found on the way: their order does not matter. */
static const Step SPREAD[] = {
    {SQL_SETTLE_SPREAD_MEMBERS, "encounters", ONCE, ALWAYS, "patients"},
    {SQL_SETTLE_SPREAD_MEMBERS, "transactions", ONCE, ALWAYS, "patients"},
    {SQL_SETTLE_SPREAD_MEMBERS, "claims", ONCE, ALWAYS, "patients"},
    {SQL_SETTLE_SPREAD_MEMBERS, "encounters", ONCE, ALWAYS, "providers"},
    {SQL_SETTLE_SPREAD_MEMBERS, "transactions", ONCE, ALWAYS, "providers"},
    {SQL_SETTLE_SPREAD_MEMBERS, "claims", ONCE, ALWAYS, "providers"},
    {SQL_SETTLE_SPREAD_DEPARTMENTS, "encounters", ONCE, ALWAYS},
    {SQL_SETTLE_SPREAD_DEPARTMENTS, "transactions", ONCE, ALWAYS},
    {SQL_SETTLE_SPREAD_DEPARTMENTS, "claims", ONCE, ALWAYS},
    {SQL_SETTLE_SPREAD_CAME, "transactions", ONCE, ALWAYS},
    {SQL_SETTLE_SPREAD_CAME, "claims", ONCE, ALWAYS},
    {SQL_SETTLE_SPREAD_WENT, "transactions", ONCE, ALWAYS},
    {SQL_SETTLE_SPREAD_WENT, "claims", ONCE, ALWAYS},
    {SQL_SETTLE_SPREAD_CLAIMED, NULL, ONCE, ALWAYS},
    {SQL_SETTLE_SPREAD_NAMED, NULL, ONCE, ALWAYS},
    {SQL_SETTLE_SPREAD_ADJUSTMENTS, NULL, ONCE, ALWAYS},
};

/* Tables in which the same content under another id is remarkable. Versions have no past table. */
static const char *const TWINNED_MEMBERS[] = {"patients", "providers"};
static const char *const TWINNED_FACTS[] = {"encounters", "transactions", "claims"};

static const Step HASHES_OF_MEMBERS[] = {
    {SQL_SETTLE_HASHES, NULL, ONCE, ALWAYS},
    {SQL_SETTLE_HASHES_FLAGGED, NULL, ONCE, ALWAYS},
};
static const Step HASHES_OF_FACTS[] = {
    {SQL_SETTLE_HASHES_FACTS, NULL, ONCE, FEW},
    {SQL_SETTLE_SESSION_SORT, NULL, ONCE, MANY},
    {SQL_SETTLE_REPEATED, NULL, ONCE, MANY},
    {SQL_SETTLE_SESSION_HASH, NULL, ONCE, MANY},
    {SQL_SETTLE_HASHES_ALL, NULL, ONCE, MANY},
};
static const Step TWINS[] = {
    {SQL_SETTLE_HASHES_ANALYZE, NULL, ONCE, ALWAYS},
    {SQL_SETTLE_TWINS, NULL, ONCE, ALWAYS},
    {SQL_SETTLE_SPREAD_TWINS, NULL, ONCE, ALWAYS},
    {SQL_SETTLE_ANALYZE, NULL, ONCE, ALWAYS},
};

static const Step ROWS_DROP[] = {{SQL_SETTLE_ROWS_DROP, NULL, ONCE, MANY}};

static const Step WRITE[] = {
    {SQL_SETTLE_CLAIMED, NULL, ONCE, ALWAYS},
    {SQL_SETTLE_WRITE_PATIENTS, NULL, COUNTED, ALWAYS},
    {SQL_SETTLE_WRITE_PROVIDERS, NULL, COUNTED, ALWAYS},
    {SQL_SETTLE_WRITE_ENCOUNTERS, NULL, COUNTED, ALWAYS},
    {SQL_SETTLE_WRITE_TRANSACTIONS, NULL, COUNTED, ALWAYS},
    {SQL_SETTLE_WRITE_CLAIMS, NULL, COUNTED, ALWAYS},
    {SQL_SETTLE_WRITE_ADJUSTMENTS, NULL, COUNTED, ALWAYS},
    {SQL_SETTLE_RESULTS, NULL, ONCE, ALWAYS},
    {SQL_SETTLE_MEMBER_CHANGE, NULL, ONCE, ALWAYS},
};
#define COUNT(steps) (sizeof(steps) / sizeof *(steps))

typedef struct Settle {
    Pg *pg;
    const SettleOptions *options;
    int64_t n_unsettled; /* rows changed by the batches that wait */
    const char *first_batch;
    RuleBook *book;
    bool has_other_rules; /* than the store knows */
    PersonOutcome persons;
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
    const Entity *cause = step->cause ? entity_find(str_of(step->cause)) : entity;
    return sql_fill(s->options->arena, step->sql, {"table", entity->name}, {"key", entity->key},
                    {"id", entity->id}, {"current", current_rows(entity)}, {"cause", cause->name},
                    {"cause_id", cause->id});
}

static bool is_many(int64_t n_rows) { return n_rows > LARGE_ROWS; }

static bool walk_step(Settle *s, const Step *step, const char *table, Error *err) {
    if (step->when != ALWAYS && (step->when == MANY) != is_many(s->n_unsettled))
        return true;
    const char *sql = fill_step(s, step, table);
    int64_t n = 0;
    if (!pg_exec(s->pg, sql, PG_NONE, &n, err))
        return error_context(err, "settle%s%s", table ? " of " : "", table ? table : "");
    if (step->kind == COUNTED)
        s->outcome.rows_changed += n;
    return true;
}

static bool walk(Settle *s, const Step *steps, size_t n, Error *err) {
    for (size_t i = 0; i < n; i++)
        TRY(walk_step(s, &steps[i], steps[i].table, err));
    return true;
}

/* Steps that name no table, for each of these. */
static bool walk_tables(Settle *s, const Step *steps, size_t n, const char *const *tables, size_t n_tables,
                        Error *err) {
    for (size_t t = 0; t < n_tables; t++)
        for (size_t i = 0; i < n; i++)
            TRY(walk_step(s, &steps[i], tables[t], err));
    return true;
}

static bool find_twins(Settle *s, Error *err) {
    TRY(walk_tables(s, HASHES_OF_MEMBERS, COUNT(HASHES_OF_MEMBERS), TWINNED_MEMBERS, COUNT(TWINNED_MEMBERS), err));
    TRY(walk_tables(s, HASHES_OF_FACTS, COUNT(HASHES_OF_FACTS), TWINNED_FACTS, COUNT(TWINNED_FACTS), err));
    TRY(walk_tables(s, TWINS, COUNT(TWINS), TWINNED_MEMBERS, COUNT(TWINNED_MEMBERS), err));
    return walk_tables(s, TWINS, COUNT(TWINS), TWINNED_FACTS, COUNT(TWINNED_FACTS), err);
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

/* How the planner may join: without statistics on freshly loaded tables nested loops look cheap. */
static bool join_for(Settle *s, int64_t n_rows, Error *err) {
    return pg_exec(s->pg, is_many(n_rows) ? SQL_SETTLE_SESSION_LARGE : SQL_SETTLE_SESSION_SMALL, PG_NONE, NULL, err);
}

static bool count_scope(Settle *s, Error *err) {
    CLEANUP(pg_result_drop) PgResult *counted = pg_query(s->pg, SQL_SETTLE_COUNT, PG_NONE, err);
    TRY(counted);
    s->outcome.rows_read = pg_int(counted, 0, 0);
    return join_for(s, s->outcome.rows_read, err);
}

static bool has_rows(Settle *s, const char *table, const char *first, const char *last, bool *ret_has, Error *err) {
    Step step = {.sql = SQL_SETTLE_HAS_ROWS};
    CLEANUP(pg_result_drop) PgResult *found = pg_query(s->pg, fill_step(s, &step, table), PG_PARAMS(first, last), err);
    TRY(found);
    *ret_has = pg_bool(found, 0, 0);
    return true;
}

static bool take_few(Settle *s, const char *first, const char *last, Error *err) {
    Step step = {.sql = SQL_SETTLE_ROWS_FEW};
    for (size_t i = 0; i < COUNT(TABLES); i++)
        TRY(pg_exec(s->pg, fill_step(s, &step, TABLES[i]), PG_PARAMS(first, last), NULL, err));
    return true;
}

/* Tables without any are known as such from here on. */
static bool take_many(Settle *s, const char *first, const char *last, Error *err) {
    TRY(pg_exec(s->pg, SQL_SETTLE_SESSION_BY_INDEX, PG_NONE, NULL, err));
    for (size_t i = 0; i < COUNT(TABLES); i++) {
        bool has = false;
        TRY(has_rows(s, TABLES[i], first, last, &has, err));
        Step step = {.sql = has ? ROWS_MANY[i] : SQL_SETTLE_ROWS_NONE};
        TRY(pg_exec(s->pg, fill_step(s, &step, TABLES[i]), PG_NONE, NULL, err));
    }
    return pg_exec(s->pg, SQL_SETTLE_SESSION_BY_ANY_WAY, PG_NONE, NULL, err);
}

static bool take_rows(Settle *s, const char *first, const char *last, Error *err) {
    return is_many(s->n_unsettled) ? take_many(s, first, last, err) : take_few(s, first, last, err);
}

/* Batches that wait, and the rows of theirs that must be looked at. */
static bool find_scope(Settle *s, Error *err) {
    TRY(pg_exec(s->pg, SQL_SETTLE_BATCHES, PG_NONE, NULL, err));
    CLEANUP(pg_result_drop) PgResult *unsettled = pg_query(s->pg, SQL_SETTLE_UNSETTLED, PG_NONE, err);
    TRY(unsettled);
    s->n_unsettled = pg_int(unsettled, 0, 0);
    s->first_batch = arena_string(s->options->arena, pg_value(unsettled, 0, 1));
    TRY(join_for(s, s->n_unsettled, err));
    TRY(walk(s, POSTED, COUNT(POSTED), err));
    FAILPOINT("settle.after_posted");
    TRY(take_rows(s, pg_text(unsettled, 0, 1), pg_text(unsettled, 0, 2), err));
    return walk(s, SCOPE, COUNT(SCOPE), err);
}

/* Members that are missing, then the rows that all those affect. */
static bool spread(Settle *s, Error *err) {
    TRY(count_scope(s, err));
    TRY(walk(s, MEMBERS, COUNT(MEMBERS), err));
    FAILPOINT("settle.after_members");
    TRY(join_for(s, s->n_unsettled, err));
    TRY(walk(s, SPREAD, COUNT(SPREAD), err));
    return find_twins(s, err);
}

/* ---- persons ---- */

static bool link_persons(Settle *s, Error *err) {
    const SettleOptions *options = s->options;
    PersonWork work = {.actor = "pipeline", .run_id = options->run_id, .arena = options->arena};
    TRY(person_rules_set(s->pg, options->person_rules, options->n_person_rules, options->arena, &work.is_all, err));
    TRY(person_begin(s->pg, err));
    TRY(pg_exec(s->pg, SQL_SETTLE_PERSONS_CHANGED, PG_NONE, NULL, err));
    TRY(person_link(s->pg, &work, &s->persons, err));
    TRY(pg_exec(s->pg, SQL_SETTLE_MOVED, PG_NONE, NULL, err));
    FAILPOINT("settle.after_persons");
    return true;
}

/* Their flags come before settle's own columns, for those take the rows out of the batches. */
static bool apply_rules(Settle *s, Error *err) {
    SetRules rules = {.rules = s->options->rules, .n_rules = s->options->n_rules, .first_batch = s->first_batch,
                      .other_book = s->has_other_rules ? s->book : NULL, .arena = s->options->arena};
    int64_t n = 0;
    TRY(join_for(s, INT64_MAX, err) && set_rules_apply(s->pg, &rules, &n, err));
    s->outcome.rows_changed += n;
    return true;
}

static bool write_found(Settle *s, Error *err) {
    TRY(link_persons(s, err));
    TRY(apply_rules(s, err));
    TRY(count_scope(s, err));
    TRY(walk(s, WRITE, COUNT(WRITE), err));
    TRY(walk_tables(s, ROWS_DROP, COUNT(ROWS_DROP), TABLES, COUNT(TABLES), err));
    FAILPOINT("settle.after_write");
    return true;
}

static bool close_run(Settle *s, Error *err) {
    const SettleOutcome *outcome = &s->outcome;
    BatchCounts counts = {.rows_read = outcome->rows_read, .rows_changed = outcome->rows_changed};
    TRY(state_batch_write(s->pg, outcome->batch_id, s->options->run_id, "settle", &counts, err));
    TRY(pg_exec(s->pg, SQL_SETTLE_BATCH_CLOSE, PG_PARAMS(number(s, outcome->batch_id)), NULL, err));
    const char *details = arena_printf(
        s->options->arena,
        "{\"batch\":\"%lld\",\"read\":%lld,\"changed\":%lld,\"persons\":{\"linked\":%lld,\"merged\":%lld,\"to_review\":%lld}}",
        (long long)outcome->batch_id, (long long)outcome->rows_read, (long long)outcome->rows_changed,
        (long long)s->persons.n_linked, (long long)s->persons.n_merged, (long long)s->persons.n_opened);
    return audit_write(s->pg, &(AuditLine){.actor = "pipeline", .action = "settle.commit", .object = "settle",
                                           .outcome = "done", .details = details}, err);
}

/* ---- the whole ---- */

/* Another book of rules is a settle's matter when a rule over several rows is in it, or was. */
static bool compare_rules(Settle *s, bool *ret_is_due, Error *err) {
    const SettleOptions *options = s->options;
    s->book = rule_book_make(options->arena, options->rules, options->n_rules, err);
    *ret_is_due = false;
    TRY(s->book && rule_book_differs(s->book, s->pg, &s->has_other_rules, err));
    return !s->has_other_rules || rule_book_marks_rows(s->book, s->pg, ret_is_due, err);
}

/* When rows wait, or when the store knows other rules than those of the configuration. */
static bool is_due(Settle *s, Error *err) {
    CLEANUP(pg_result_drop) PgResult *due = pg_query(s->pg, SQL_SETTLE_IS_DUE, PG_NONE, err);
    const SettleOptions *options = s->options;
    bool has_other_persons, marks_rows;
    TRY(due && person_rules_differ(s->pg, options->person_rules, options->n_person_rules, options->arena,
                                   &has_other_persons, err));
    TRY(compare_rules(s, &marks_rows, err));
    s->outcome.was_due = has_other_persons || marks_rows || pg_bool(due, 0, 0);
    return true;
}

bool settle_rows(Pg *pg, const SettleOptions *options, SettleOutcome *ret_outcome, Error *err) {
    Settle s = {.pg = pg, .options = options};
    TRY(is_due(&s, err));
    if (s.outcome.was_due)
        TRY(open_run(&s, err) && find_scope(&s, err) && spread(&s, err) && write_found(&s, err) &&
            close_run(&s, err));
    else if (s.has_other_rules)
        TRY(rule_book_write(s.book, pg, err));
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
    TRY(lease_check(tx, &options->fence, err));
    TRY(pg_commit(&tx, PG_FLUSHED, err));
    FAILPOINT("settle.after_commit");
    *ret_outcome = outcome;
    return true;
}

bool settle_is_called(Pg *pg, bool *ret_is_called, Error *err) {
    CLEANUP(pg_result_drop) PgResult *called = pg_query(pg, SQL_SETTLE_IS_CALLED, PG_NONE, err);
    TRY(called);
    *ret_is_called = pg_bool(called, 0, 0);
    return true;
}

bool settle_undone(Pg *pg, const SettleOptions *options, SettleLook look, void *ctx, SettleOutcome *ret_outcome, Error *err) {
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    TRY(tx && pg_exec(tx, SQL_TRANSACTION_READ_WRITE, PG_NONE, NULL, err) &&
        pg_exec(tx, SQL_PLACEMENT_LOCK_EXCLUSIVE, PG_NONE, NULL, err));
    SettleOutcome outcome;
    TRY(settle_rows(tx, options, &outcome, err));
    TRY(!look || look(ctx, tx, err));
    *ret_outcome = outcome;
    return true;
}
