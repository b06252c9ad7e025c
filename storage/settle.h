/* settle.h - what depends on other feeds' rows (rules, section 6).
 *
 * Looks at the rows of batches that no settle has seen, and at the rows those affect: as-of keys,
 * inferred members, payers, codes and dates in use, persons, payment status, age, cross-feed flags. Of
 * encounters and transactions only at those that place could not tell all of (member.h); the others are
 * checked by reading, and written where they are wrong. The end state is a function of the rows, not of the
 * order they came in. Set-based: every statement stands in storage/sql/settle.sql; settle.c is their order.
 * Persons are person.h's. */
#pragma once
#include "storage/run_store.h"
#include "transform/person.h"
#include "transform/rule_spec.h"

typedef struct SettleOptions {
    int64_t run_id;
    LeaseFence fence; /* a settle whose lease was taken meanwhile is not committed */
    int fiscal_year_start_month; /* 1 to 12 */
    const PersonRule *person_rules; /* strongest first */
    size_t n_person_rules;
    const RuleSpec *rules; /* of the configuration: those over several rows are settle's */
    size_t n_rules;
    Arena *arena;
} SettleOptions;

typedef struct SettleOutcome {
    bool was_due; /* false: no unsettled batch, nothing written */
    int64_t batch_id;
    int64_t rows_read;    /* rows looked at */
    int64_t rows_changed; /* rows written: they bear batch_id */
} SettleOutcome;

/* In a transaction of the caller's that holds the exclusive placement lock. */
bool settle_rows(Pg *pg, const SettleOptions *options, SettleOutcome *ret_outcome, Error *err);
/* The same in a transaction of its own, under the lock, fenced. */
bool settle(Pg *pg, const SettleOptions *options, SettleOutcome *ret_outcome, Error *err);
/* Whether there are rows to settle whose runs, anybody's, are over. */
bool settle_is_called(Pg *pg, bool *ret_is_called, Error *err);
/* What it would do: the same, rolled back; `look`, unless NULL, sees what it left before that. Takes the lock as long.
 * Numbers that it draws from sequences stay drawn, as of any transaction that fails. */
typedef bool (*SettleLook)(void *ctx, Pg *pg, Error *err);
bool settle_undone(Pg *pg, const SettleOptions *options, SettleLook look, void *ctx, SettleOutcome *ret_outcome, Error *err);
