/* config_rules.c - see config_rules.h. */
#include "config_rules.h"

#include "base/nearest.h"
#include "config_keys.h"
#include "config_map.h"
#include "transform/rule_built_in.h"

static Mark mark_of(const TreeNode *node, const char *key) {
    const TreeItem *item = tree_find(node, key);
    return item ? item->value->mark : node->mark;
}

/* ---- one rule ---- */

/* What goes with the kind, and what does not. */
static void check_keys(Mistakes *mistakes, const TreeNode *node, const RuleSpec *rule) {
    const char *kind = rule_kind_name(rule->kind);
    for (size_t i = 0; i < node->n; i++)
        if (rule_kind_needs(rule->kind, node->items[i].key) == RULE_NEEDS_NOT)
            mistake_add(mistakes, node->items[i].mark, "`%s` means nothing to a rule of kind %s", node->items[i].key, kind);
    for (size_t i = 0; i < N_CONFIG_KEYS; i++) {
        const char *key = keys_name_in(&CONFIG_KEYS[i], "rules[]");
        if (key && rule_kind_needs(rule->kind, key) == RULE_MUST && !tree_find(node, key))
            mistake_add(mistakes, node->mark, "`%s` is missing: %s", key, CONFIG_KEYS[i].help);
    }
    if (rule->kind == RULE_RANGE && !rule->min && !rule->max)
        mistake_add(mistakes, node->mark, "a range has a `min`, a `max` or both");
    if (rule_scope(rule->kind) == RULE_OF_SET && rule->severity == SEVERITY_QUARANTINE)
        mistake_add(mistakes, mark_of(node, "severity"),
                    "a rule of kind %s looks at rows that come in any order: which of them to keep out would be chance; use `flag`, or "
                    "`stop`, which holds publications", kind);
    if (rule_scope(rule->kind) == RULE_OF_FEED && rule->severity == SEVERITY_QUARANTINE)
        mistake_add(mistakes, mark_of(node, "severity"),
                    "a rule of kind %s is about a feed and has no row to keep out; use `flag`, or `stop`, which holds publications",
                    kind);
    if (rule_scope(rule->kind) == RULE_OF_FEED && tree_find(node, "stop_percent"))
        mistake_add(mistakes, mark_of(node, "stop_percent"), "`stop_percent` is a share of rows; a rule of kind %s stops whenever it is "
                    "broken", kind);
}

/* What is built in may be changed, by a rule over one row alone; what settle finds has a name of its own. */
static void check_name(Mistakes *mistakes, const TreeNode *node, const RuleSpec *rule) {
    bool is_built_in = built_in_has(rule->name);
    if (is_built_in && (!rule_is_of_row(rule) || !built_in_can_change(rule->name)))
        mistake_add(mistakes, mark_of(node, "name"), "`%s` is built in and cannot be written anew", rule->name);
}

static void read_rule(Mistakes *mistakes, const TreeNode *node, RuleSpec *rule) {
    rule->line = node->mark.line;
    rule->column = node->mark.column;
    rule->name = rule->entity = "";
    if (!keys_read(mistakes, "rules[]", node, rule))
        return;
    if (rule->name[0] && (strspn(rule->name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(rule->name)))
        mistake_add(mistakes, mark_of(node, "name"), "rule `%s` must be named by small letters, digits and _",
                    rule->name);
    if (rule->entity[0])
        map_find_entity(mistakes, mark_of(node, "entity"), rule->entity);
    check_keys(mistakes, node, rule);
    check_name(mistakes, node, rule);
}

size_t rules_read(Mistakes *mistakes, const TreeNode *list, const RuleSpec **ret_rules) {
    RuleSpec *rules = ARENA_ARRAY(mistakes->arena, RuleSpec, list->n + 1);
    for (size_t i = 0; i < list->n; i++)
        read_rule(mistakes, list->items[i].value, &rules[i]);
    *ret_rules = rules;
    return list->n;
}

/* ---- what a rule names ---- */

/* What stops nothing must not look as if it did. */
static void check_stop(Mistakes *mistakes, const TreeNode *node, const RuleSpec *rule, const Config *config) {
    if (!rule_is_of_row(rule) && rule->severity == SEVERITY_STOP && !config->bigquery.enabled)
        mistake_add(mistakes, mark_of(node, "severity"),
                    "`stop` of a rule of kind %s holds publications, and there is no `bigquery`; use `flag`", rule_kind_name(rule->kind));
}

static void check_feed(Mistakes *mistakes, const TreeNode *node, const RuleSpec *rule, const Config *config) {
    if (!rule->feed || config_has_feed(config, rule->feed))
        return;
    Nearest nearest = nearest_start(str_of(rule->feed));
    for (size_t i = 0; i < config->n_claims; i++)
        nearest_offer(&nearest, config->claims[i].name);
    for (size_t i = 0; i < config->n_sources; i++)
        for (size_t k = 0; k < config->sources[i].n_feeds; k++)
            nearest_offer(&nearest, config->sources[i].feeds[k].name);
    char suggestion[NEAREST_TEXT_BYTES];
    nearest_suggest(&nearest, suggestion);
    mistake_add(mistakes, mark_of(node, "feed"), "there is no feed `%s`%s", rule->feed, suggestion);
}

static bool lacks_key(const TreeNode *node, const RuleSpec *rule) {
    for (size_t i = 0; i < N_CONFIG_KEYS; i++) {
        const char *key = keys_name_in(&CONFIG_KEYS[i], "rules[]");
        if (key && rule_kind_needs(rule->kind, key) == RULE_MUST && !tree_find(node, key))
            return true;
    }
    return false;
}

/* A rule over several rows: what compiling a mapping does not tell. */
static void check_set_rule(Mistakes *mistakes, const TreeNode *node, const RuleSpec *rule) {
    if (lacks_key(node, rule) || !entity_find(str_of(rule->entity)))
        return; /* said already */
    const char *mistake = rule_spec_mistake(mistakes->arena, rule);
    if (mistake)
        mistake_add(mistakes, node->mark, "rule `%s`: %s", rule->name, mistake);
}

/* A flag says which rule; two rules of a name could not be told apart. Of rows they may be: one for each entity. */
static void check_names_differ(Mistakes *mistakes, const TreeNode *list, const RuleSpec *rules) {
    for (size_t i = 0; i < list->n; i++)
        for (size_t before = 0; before < i; before++) {
            bool are_of_rows = rule_is_of_row(&rules[i]) && rule_is_of_row(&rules[before]);
            if (!are_of_rows && rules[i].name[0] && strcmp(rules[i].name, rules[before].name) == 0)
                mistake_add(mistakes, mark_of(list->items[i].value, "name"), "there is a rule `%s` already",
                            rules[i].name);
        }
}

/* For the compiler: what lacks a key that its kind needs says nothing, and stands for no entity. */
static const RuleSpec *whole_rules(Arena *arena, const TreeNode *list, const Config *config) {
    RuleSpec *rules = ARENA_ARRAY(arena, RuleSpec, config->n_rules + 1);
    for (size_t i = 0; i < list->n; i++) {
        rules[i] = config->rules[i];
        bool has_bound = rules[i].kind != RULE_RANGE || rules[i].min || rules[i].max;
        if (lacks_key(list->items[i].value, &rules[i]) || !has_bound)
            rules[i].entity = "";
    }
    return rules;
}

void rules_check(Mistakes *mistakes, const TreeNode *list, const Config *config) {
    check_names_differ(mistakes, list, config->rules);
    for (size_t i = 0; i < list->n; i++) {
        const TreeNode *node = list->items[i].value;
        RuleScope scope = rule_scope(config->rules[i].kind);
        if (scope == RULE_OF_SET)
            check_set_rule(mistakes, node, &config->rules[i]);
        else if (scope == RULE_OF_FEED)
            check_feed(mistakes, node, &config->rules[i], config);
        check_stop(mistakes, node, &config->rules[i], config);
    }
    map_check_rules(mistakes, whole_rules(mistakes->arena, list, config), config->n_rules, list);
}
