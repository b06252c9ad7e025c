/* set_rule.h - rules over several rows: unique, reference, cross_row, cross_table (transform/rule_spec.h).
 *
 * Part of settle, in its transaction, before its own columns are written: a rule is asked anew of its whole table when rows
 * of that table, or of the other one that it looks at, are in the batches, or when it is new; what differs gets or loses the
 * flag and takes settle's batch. The end state is a function of the rows in force and of the rules. Nothing is read when
 * nothing of the kind came. */
#pragma once
#include "storage/rule_book.h"

typedef struct SetRules {
    const RuleSpec *rules; /* of all scopes; those of others are passed over */
    size_t n_rules;
    const char *first_batch; /* the first of those that settle looks at */
    const RuleBook *other_book; /* the store has another one, and gets this; NULL: it has these rules */
    Arena *arena;
} SetRules;

/* `ret_changed`: rows whose flags changed. */
bool set_rules_apply(Pg *pg, const SetRules *rules, int64_t *ret_changed, Error *err);

/* The rows of the entity that rules are asked of, as a condition on `t`. */
const char *set_rule_in_force(const Entity *entity);
