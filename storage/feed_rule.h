/* feed_rule.h - rules over a feed: how fresh it is, and whether a delivery is as large as usual (transform/rule_spec.h).
 *
 * What was found is kept in dq.feed_rule, and written only when it changes. Asked when something came and from time to time,
 * for what makes a feed stale is that nothing does. */
#pragma once
#include "storage/run_store.h"
#include "transform/rule_spec.h"

typedef struct FeedRuleFound {
    bool is_broken;
    bool has_changed; /* anything that is kept of it */
    bool is_news;     /* broken, and was not before */
    const char *found; /* a sentence, in the arena */
} FeedRuleFound;
/* Only looks: `has_changed` and `is_news` are false. */
bool feed_rule_ask(Pg *pg, const RuleSpec *rule, Arena *arena, FeedRuleFound *ret_found, Error *err);
/* A transaction of its own, fenced. */
bool feed_rule_look(Pg *pg, const LeaseFence *fence, const RuleSpec *rule, Arena *arena, FeedRuleFound *ret_found, Error *err);
