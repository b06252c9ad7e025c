/* feed_rule.c - see feed_rule.h. */
#include "storage/feed_rule.h"

#include "base/failpoint.h"
#include "base/own.h"
#include "sql.h"

static PgResult *ask(Pg *pg, const RuleSpec *rule, Error *err) {
    if (rule->kind == RULE_FRESHNESS)
        return pg_query(pg, SQL_FEED_RULE_FRESHNESS, PG_PARAMS(rule->feed, pg_number(rule->within_ms).text, rule->name), err);
    return pg_query(pg, SQL_FEED_RULE_VOLUME,
                    PG_PARAMS(rule->feed, pg_number(rule->percent).text, pg_number(rule->runs).text), err);
}

static bool keep(Pg *pg, const RuleSpec *rule, FeedRuleFound *found, Error *err) {
    CLEANUP(pg_result_drop) PgResult *kept = pg_query(
        pg, SQL_FEED_RULE_KEEP, PG_PARAMS(rule->feed, rule->name, found->is_broken ? "true" : "false", found->found), err);
    TRY(kept);
    found->has_changed = pg_rows(kept) > 0;
    found->is_news = found->has_changed && pg_bool(kept, 0, 0);
    return true;
}

bool feed_rule_ask(Pg *pg, const RuleSpec *rule, Arena *arena, FeedRuleFound *ret_found, Error *err) {
    CLEANUP(pg_result_drop) PgResult *answer = ask(pg, rule, err);
    TRY(answer);
    *ret_found = (FeedRuleFound){.is_broken = pg_bool(answer, 0, 0), .found = arena_string(arena, pg_value(answer, 0, 1))};
    return true;
}

bool feed_rule_look(Pg *pg, const LeaseFence *fence, const RuleSpec *rule, Arena *arena, FeedRuleFound *ret_found, Error *err) {
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    FeedRuleFound found;
    TRY(tx && feed_rule_ask(tx, rule, arena, &found, err) && keep(tx, rule, &found, err));
    FAILPOINT("quality.before_commit");
    TRY(lease_check(tx, fence, err) && pg_commit(&tx, PG_FLUSHED, err));
    *ret_found = found;
    return true;
}
