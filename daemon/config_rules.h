/* config_rules.h - `rules:` of the configuration: what is written, and whether it can hold. */
#pragma once
#include "config.h"
#include "config_tree.h"

/* The elements of the list, each by its keys. Before the sources: their mappings point at them. */
size_t rules_read(Mistakes *mistakes, const TreeNode *list, const RuleSpec **ret_rules);
/* Behind the sources, whose feeds rules may name. */
void rules_check(Mistakes *mistakes, const TreeNode *list, const Config *config);
