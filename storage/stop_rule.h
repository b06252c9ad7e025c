/* stop_rule.h - rules with severity stop that look at what is placed already: while one is broken nothing is published.
 *
 * Over several rows: broken when more than `stop_percent` of the table's rows in force bear its flag, as of the last settle.
 * Over a feed: asked now. A person may approve what was found; it is let pass until it is another finding, or a larger share of
 * rows, or the rule held meanwhile. */
#pragma once
#include "storage/pg.h"
#include "transform/rule_spec.h"

typedef struct StopLook {
    const RuleSpec *rules; /* of all scopes and severities; others are passed over */
    size_t n_rules;
    bool is_approved; /* a person lets pass what is found now */
    int64_t run_id;   /* whose */
    Arena *arena;
} StopLook;

/* `ret_rule`: the first that is broken and not approved, `ret_found` in a sentence; NULL: nothing is to be held. */
bool stop_rules_look(Pg *pg, const StopLook *look, const RuleSpec **ret_rule, const char **ret_found, Error *err);
