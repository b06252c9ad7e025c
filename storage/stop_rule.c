/* stop_rule.c - see stop_rule.h. */
#include "storage/stop_rule.h"

#include "base/failpoint.h"
#include "base/own.h"
#include "sql.h"
#include "storage/feed_rule.h"
#include "storage/set_rule.h"
#include "storage/template.h"

typedef struct Found {
    bool is_broken;
    const char *subject, *what;
    int64_t failed;
} Found;

static bool look_at_table(Pg *pg, const RuleSpec *rule, Arena *arena, Found *ret_found, Error *err) {
    const Entity *entity = entity_find(str_of(rule->entity));
    const char *sql = sql_fill(arena, SQL_STOP_RULE_SHARE, {"table", entity->name}, {"current", set_rule_in_force(entity)});
    CLEANUP(pg_result_drop) PgResult *share = pg_query(pg, sql, PG_PARAMS(rule->name), err);
    TRY(share);
    int64_t failed = pg_int(share, 0, 0), all = pg_int(share, 0, 1);
    *ret_found = (Found){.is_broken = failed * 100 > (int64_t)rule->stop_percent * all, .subject = entity->name, .failed = failed,
                         .what = arena_printf(arena, "%lld of %lld rows of %s break it, more than %d %%", (long long)failed,
                                              (long long)all, entity->name, rule->stop_percent)};
    return true;
}

static bool look_at_feed(Pg *pg, const RuleSpec *rule, Arena *arena, Found *ret_found, Error *err) {
    FeedRuleFound found;
    TRY(feed_rule_ask(pg, rule, arena, &found, err));
    *ret_found = (Found){.is_broken = found.is_broken, .subject = rule->feed, .what = found.found};
    return true;
}

static bool is_approved(Pg *pg, const RuleSpec *rule, const Found *found, bool *ret_is, Error *err) {
    CLEANUP(pg_result_drop) PgResult *approved =
        pg_query(pg, SQL_STOP_RULE_IS_APPROVED,
                 PG_PARAMS(found->subject, rule->name, found->what, pg_number(found->failed).text), err);
    TRY(approved);
    *ret_is = pg_bool(approved, 0, 0);
    return true;
}

static bool approve(Pg *pg, const StopLook *look, const RuleSpec *rule, const Found *found, Error *err) {
    TRY(pg_exec(pg, SQL_STOP_RULE_APPROVE,
                PG_PARAMS(found->subject, rule->name, found->what, pg_number(found->failed).text, pg_number(look->run_id).text),
                NULL, err));
    FAILPOINT("stop.after_approved");
    return true;
}

static bool look_at(Pg *pg, const StopLook *look, const RuleSpec *rule, const char **ret_found, Error *err) {
    Found found;
    bool is_of_feed = rule_scope(rule->kind) == RULE_OF_FEED, may_pass = false;
    TRY(is_of_feed ? look_at_feed(pg, rule, look->arena, &found, err) : look_at_table(pg, rule, look->arena, &found, err));
    *ret_found = NULL;
    if (!found.is_broken)
        return pg_exec(pg, SQL_STOP_RULE_FORGET, PG_PARAMS(found.subject, rule->name), NULL, err);
    TRY(is_approved(pg, rule, &found, &may_pass, err));
    if (!may_pass && look->is_approved)
        return approve(pg, look, rule, &found, err);
    *ret_found = may_pass ? NULL : found.what;
    return true;
}

bool stop_rules_look(Pg *pg, const StopLook *look, const RuleSpec **ret_rule, const char **ret_found, Error *err) {
    *ret_rule = NULL;
    *ret_found = NULL;
    for (size_t i = 0; i < look->n_rules && !*ret_found; i++) {
        const RuleSpec *rule = &look->rules[i];
        if (rule->severity != SEVERITY_STOP || rule_is_of_row(rule))
            continue;
        TRY(look_at(pg, look, rule, ret_found, err) || error_context(err, "rule %s", rule->name));
        *ret_rule = *ret_found ? rule : NULL;
    }
    return true;
}
