/* shown.c - see shown.h. */
#include "shown.h"

#include "base/metrics.h"

static bool has_feed(const void *config, const char *const *labels) { return config_has_feed(config, labels[0]); }

static bool has_rule(const void *context, const char *const *labels) {
    const Config *config = context;
    for (size_t i = 0; i < config->n_rules; i++) {
        const RuleSpec *rule = &config->rules[i];
        if (rule->feed && strcmp(rule->feed, labels[0]) == 0 && strcmp(rule->name, labels[1]) == 0)
            return true;
    }
    return false;
}

static bool has_register(const void *context, const char *const *labels) {
    const Config *config = context;
    for (int i = 0; i < REFERENCES; i++)
        if (strcmp(REFERENCE_KINDS[i].name, labels[0]) == 0)
            return config->references[i].enabled;
    return false;
}

static const struct {
    MetricId id;
    MetricsIsThere *is_there;
} SHOWN[] = {
    {METRIC_FEED_LAST_SUCCESS, has_feed},     {METRIC_FEED_LAG, has_feed},         {METRIC_FEED_CURSOR_HELD, has_feed},
    {METRIC_RECONCILE_DIFFERENCES, has_feed}, {METRIC_FEED_RULE_BROKEN, has_rule}, {METRIC_REFERENCE_AVAILABLE, has_register},
};

void shown_keep(const Config *config) {
    for (size_t i = 0; i < sizeof SHOWN / sizeof *SHOWN; i++)
        metrics_keep(SHOWN[i].id, SHOWN[i].is_there, config);
}
