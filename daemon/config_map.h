/* config_map.h - `map:`, `map_file:` and `entity:` of a feed: its MappingSpec. */
#pragma once
#include "config_tree.h"
#include "transform/mapping.h"

/* The map of a section that writes none. */
typedef struct MapDefault {
    const MapSpec *columns;
    size_t n_columns;
} MapDefault;
/* `section` is the feed's or claims' node; a relative map_file lies beside the configuration. `fallback` NULL: a map is
 * needed. Leaves `ret_spec->rules` alone. */
void map_read(Mistakes *mistakes, const TreeNode *section, const char *config_path, const MapDefault *fallback,
              MappingSpec *ret_spec);
/* Columns and cleaners, where they stand. */
void map_check(Mistakes *mistakes, const MappingSpec *spec, const TreeNode *section, const char *config_path);
/* The rules alone, once per entity that they name. */
void map_check_rules(Mistakes *mistakes, const RuleSpec *rules, size_t n_rules, const TreeNode *list);
/* NULL and a mistake when there is no such entity, or a mapping cannot fill it. */
const Entity *map_find_entity(Mistakes *mistakes, Mark mark, const char *name);
