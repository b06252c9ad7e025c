/* quality.c - step_quality: what is known of a feed's rows as a whole, after a settle and from time to time. */
#include "base/log.h"
#include "base/metrics.h"
#include "steps/steps.h"
#include "storage/feed_rule.h"
#include "storage/orphan.h"
#include "storage/score.h"

static bool look_at_feed(RunContext *run, const RuleSpec *rule, Error *err) {
    LeaseFence fence = {run->job, run->epoch};
    FeedRuleFound found;
    TRY(feed_rule_look(run->pg, &fence, rule, run->arena, &found, err));
    run->counts.rows_changed += found.has_changed;
    METRIC_SET(METRIC_FEED_RULE_BROKEN, found.is_broken, rule->feed, rule->name);
    if (found.is_news)
        LOG_WARN("a feed breaks a rule", LOG_TEXT("feed", rule->feed), LOG_TEXT("rule", rule->name),
                 LOG_TEXT("says", rule_spec_sentence(run->arena, rule)), LOG_TEXT("found", found.found));
    return true;
}

static void show_score(void *ctx, const char *feed, const char *dimension, double score) {
    (void)ctx;
    METRIC_SET(METRIC_QUALITY_SCORE, score, feed, dimension);
}

static void show_orphans(void *ctx, const char *entity, const char *orphan, int64_t n_open) {
    (void)ctx;
    METRIC_SET(METRIC_ORPHANS, n_open, entity, orphan);
}

static bool look_at_rows(RunContext *run, Error *err) {
    LeaseFence fence = {run->job, run->epoch};
    int64_t n_orphans, n_scores;
    TRY(orphan_take(run->pg, &fence, run->arena, &n_orphans, err));
    TRY(score_take(run->pg, &fence, run->run_id, run->arena, &n_scores, err));
    run->counts.rows_changed += n_orphans + n_scores;
    return true;
}

bool step_quality(RunContext *run, Error *err) {
    for (size_t i = 0; i < run->config->n_rules; i++) {
        if (step_is_canceled(run, err))
            return false;
        const RuleSpec *rule = &run->config->rules[i];
        if (rule_scope(rule->kind) == RULE_OF_FEED)
            TRY(look_at_feed(run, rule, err));
    }
    bool is_due;
    TRY(score_is_due(run->pg, &is_due, err));
    TRY(!is_due || look_at_rows(run, err));
    /* Shown when nothing changed, too: the process may be new. */
    return score_tell(run->pg, show_score, NULL, err) && orphan_tell(run->pg, show_orphans, NULL, err);
}
