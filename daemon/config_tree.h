/* config_tree.h - a YAML file as a tree that knows where each of its parts stands.
 *
 * The only file that knows libyaml. One document; scalars are texts, whatever they look like: what a
 * text means is decided by the key it belongs to, so that 33o6 stays 33o6. Bounded in size, depth and
 * number of nodes, aliases counted as often as they are used. Keys are unique. */
#pragma once
#include "config_mistake.h"

typedef enum TreeKind { TREE_SCALAR, TREE_LIST, TREE_MAP } TreeKind;
typedef struct TreeNode TreeNode;

typedef struct TreeItem {
    const char *key; /* NULL in a list */
    Mark mark;       /* of the key; in a list of the value */
    const TreeNode *value;
} TreeItem;

struct TreeNode {
    TreeKind kind;
    Mark mark;
    const char *text; /* TREE_SCALAR */
    bool is_plain;    /* without quotes */
    TreeItem *items;
    size_t n;
    size_t weight; /* nodes beneath, and itself */
};

enum { TREE_MAX_BYTES = 4 << 20, TREE_MAX_DEPTH = 24, TREE_MAX_NODES = 200000, TREE_MAX_KEYS = 5000 };

/* NULL and a mistake when the file cannot be read or is no such YAML. `path` is borrowed. */
const TreeNode *tree_read(Mistakes *mistakes, const char *path);
/* The same for a text that is there already. */
const TreeNode *tree_parse(Mistakes *mistakes, const char *path, Str text);
/* The item of a map; NULL when it is not there. */
const TreeItem *tree_find(const TreeNode *map, const char *key);
/* "a value", "a list", "a map" */
const char *tree_kind_name(TreeKind kind);
