/* config_layout.h - how claims files are laid out: `columns:`, `aliases:`, and what of `format:` excludes what. */
#pragma once
#include "config.h"
#include "config_tree.h"

/* `section` is the claims' node, whose keys `claims` holds already. */
void layout_read(Mistakes *mistakes, const TreeNode *section, ClaimsConfig *claims);
