/* config_layout.h - how claims files are laid out and written: `columns:`, `aliases:`, what of `format:` excludes what, and what
 * `decimal:` and `date_format:` mean to the columns of the map. */
#pragma once
#include "config.h"
#include "config_tree.h"

/* `section` is the claims' node, whose keys and map `claims` holds already. Columns that name no cleaner get theirs. */
void layout_read(Mistakes *mistakes, const TreeNode *section, ClaimsConfig *claims);
