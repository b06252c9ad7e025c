/* config_map.c - see config_map.h. */
#include "config_map.h"

#include "base/nearest.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>

const Entity *map_find_entity(Mistakes *mistakes, Mark mark, const char *name) {
    const Entity *entity = entity_find(str_of(name));
    if (entity && entity->id)
        return entity;
    char suggestion[NEAREST_TEXT_BYTES];
    entity_suggest(str_of(name), suggestion);
    if (entity)
        mistake_add(mistakes, mark, "entity `%s` belongs to no source: no feed fills it", name);
    else
        mistake_add(mistakes, mark, "unknown entity `%s`%s", name, suggestion);
    return NULL;
}

/* ---- one column ---- */

static const char *scalar_of(Mistakes *mistakes, const TreeNode *node, const char *what) {
    if (node->kind == TREE_SCALAR && node->text[0])
        return node->text;
    mistake_add(mistakes, node->mark, "%s must be a name or value, not %s", what,
                node->kind == TREE_SCALAR ? "empty" : tree_kind_name(node->kind));
    return NULL;
}

/* A name, or a list of names. */
static const char *const *read_names(Mistakes *mistakes, const TreeNode *node, size_t *ret_n) {
    size_t n = node->kind == TREE_LIST ? node->n : 1;
    const char **names = ARENA_ARRAY(mistakes->arena, const char *, n + 1);
    *ret_n = 0;
    for (size_t i = 0; i < n; i++) {
        const char *name = scalar_of(mistakes, node->kind == TREE_LIST ? node->items[i].value : node, "`from`");
        if (name)
            names[(*ret_n)++] = name;
    }
    return names;
}

/* What stands behind a cleaner's name: a value, several, or keys with values. */
static void read_args(Mistakes *mistakes, const TreeNode *node, CleanerSpec *spec) {
    size_t n = node->kind == TREE_SCALAR ? 1 : node->n;
    CleanerArg *args = ARENA_ARRAY(mistakes->arena, CleanerArg, n + 1);
    for (size_t i = 0; i < n; i++) {
        const TreeNode *value = node->kind == TREE_SCALAR ? node : node->items[i].value;
        if (value->kind != TREE_SCALAR)
            mistake_add(mistakes, value->mark, "an argument of `%s` must be a value, not %s", spec->name,
                        tree_kind_name(value->kind));
        args[i] = (CleanerArg){node->kind == TREE_MAP ? node->items[i].key : NULL,
                               value->kind == TREE_SCALAR ? value->text : ""};
    }
    spec->args = args;
    spec->n_args = n;
}

static CleanerSpec read_cleaner(Mistakes *mistakes, const TreeNode *node) {
    CleanerSpec spec = {.name = "", .line = node->mark.line, .column = node->mark.column};
    if (node->kind == TREE_SCALAR) {
        spec.name = node->text;
    } else if (node->kind == TREE_MAP && node->n == 1) {
        spec.name = node->items[0].key;
        read_args(mistakes, node->items[0].value, &spec);
    } else {
        mistake_add(mistakes, node->mark, "a cleaner is a name, or {name: arguments}");
    }
    return spec;
}

static void read_clean(Mistakes *mistakes, const TreeNode *node, MapSpec *spec) {
    size_t n = node->kind == TREE_LIST ? node->n : 1;
    CleanerSpec *clean = ARENA_ARRAY(mistakes->arena, CleanerSpec, n + 1);
    for (size_t i = 0; i < n; i++)
        clean[i] = read_cleaner(mistakes, node->kind == TREE_LIST ? node->items[i].value : node);
    spec->clean = clean;
    spec->n_clean = n;
}

static void read_long_form(Mistakes *mistakes, const TreeItem *item, MapSpec *spec) {
    for (size_t i = 0; i < item->value->n; i++) {
        const TreeItem *part = &item->value->items[i];
        if (strcmp(part->key, "from") == 0)
            spec->from = read_names(mistakes, part->value, &spec->n_from);
        else if (strcmp(part->key, "clean") == 0)
            read_clean(mistakes, part->value, spec);
        else if (strcmp(part->key, "history") == 0)
            spec->history = scalar_of(mistakes, part->value, "`history`");
        else
            mistake_add(mistakes, part->mark, "unknown key `%s`; a column has `from`, `clean` and `history`", part->key);
    }
}

static MapSpec read_column(Mistakes *mistakes, const TreeItem *item) {
    MapSpec spec = {.column = item->key, .line = item->mark.line, .column_number = item->mark.column};
    if (item->value->kind == TREE_MAP)
        read_long_form(mistakes, item, &spec);
    else
        spec.from = read_names(mistakes, item->value, &spec.n_from);
    return spec;
}

/* ---- a feed's map ---- */

static bool is_map(Mistakes *mistakes, const TreeNode *node, const char *what) {
    if (node->kind == TREE_MAP)
        return true;
    mistake_add(mistakes, node->mark, "%s must be a map of columns, not %s", what, tree_kind_name(node->kind));
    return false;
}

static const TreeNode *read_shared(Mistakes *mistakes, const TreeNode *name, const char *config_path) {
    const char *text = scalar_of(mistakes, name, "`map_file`");
    if (!text)
        return NULL;
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", config_path);
    const char *path = text[0] == '/' ? text : arena_printf(mistakes->arena, "%s/%s", dirname(copy), text);
    return tree_read(mistakes, path);
}

static void add_columns(Mistakes *mistakes, const TreeNode *node, const TreeNode *before, MapSpec *columns,
                        size_t *n) {
    for (size_t i = 0; i < node->n; i++)
        if (!before || !tree_find(before, node->items[i].key))
            columns[(*n)++] = read_column(mistakes, &node->items[i]);
}

void map_read(Mistakes *mistakes, const TreeNode *section, const char *config_path, const MapDefault *fallback,
              MappingSpec *ret_spec) {
    const TreeItem *entity = tree_find(section, "entity");
    const char *name = entity ? scalar_of(mistakes, entity->value, "`entity`") : NULL;
    ret_spec->entity = name ? map_find_entity(mistakes, entity->value->mark, name) : NULL;
    const TreeItem *map = tree_find(section, "map"), *file = tree_find(section, "map_file");
    if (!map && !file && fallback) {
        ret_spec->columns = fallback->columns;
        ret_spec->n_columns = fallback->n_columns;
        return;
    }
    if (!map && !file)
        mistake_add(mistakes, section->mark, "`map` is missing: which column of the model comes from which column");
    const TreeNode *own = map && is_map(mistakes, map->value, "`map`") ? map->value : NULL;
    const TreeNode *shared = file ? read_shared(mistakes, file->value, config_path) : NULL;
    if (shared && !is_map(mistakes, shared, "a map_file"))
        shared = NULL;
    MapSpec *columns = ARENA_ARRAY(mistakes->arena, MapSpec, (own ? own->n : 0) + (shared ? shared->n : 0) + 1);
    ret_spec->n_columns = 0;
    if (own)
        add_columns(mistakes, own, NULL, columns, &ret_spec->n_columns);
    if (shared)
        add_columns(mistakes, shared, own, columns, &ret_spec->n_columns);
    ret_spec->columns = columns;
}

/* ---- checks ---- */

typedef struct Checker {
    Mistakes *mistakes;
    const TreeNode *within; /* mistakes at other places are somebody else's */
    const char *fallback;   /* file of those that have no place; NULL: passed over */
} Checker;

/* mapping_check() knows lines and columns; the file is that of the node which stands there. */
static const char *file_at(const TreeNode *node, int line, int column) {
    if (node->mark.line == line && node->mark.column == column)
        return node->mark.file;
    for (size_t i = 0; i < node->n; i++) {
        const TreeItem *item = &node->items[i];
        bool is_here = item->mark.line == line && item->mark.column == column;
        const char *file = is_here ? item->mark.file : file_at(item->value, line, column);
        if (file)
            return file;
    }
    return NULL;
}

static void report(void *context, int line, int column, const char *sentence) {
    const Checker *checker = context;
    const char *file = file_at(checker->within, line, column);
    if (!file)
        file = checker->fallback;
    if (!file)
        return;
    Mark mark = line > 0 ? (Mark){file, line, column} : checker->within->mark;
    mistake_add(checker->mistakes, mark, "%s", sentence);
}

/* A place in a map_file is looked for there by its columns' own nodes: they are not beneath the section. */
static const char *shared_file(const TreeNode *section, const char *config_path, Arena *arena) {
    const TreeItem *file = tree_find(section, "map_file");
    if (!file || file->value->kind != TREE_SCALAR)
        return section->mark.file;
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", config_path);
    return file->value->text[0] == '/' ? file->value->text
                                       : arena_printf(arena, "%s/%s", dirname(copy), file->value->text);
}

void map_check(Mistakes *mistakes, const MappingSpec *spec, const TreeNode *section, const char *config_path) {
    if (!spec->entity || spec->n_columns == 0)
        return; /* said already */
    MappingSpec columns = {.entity = spec->entity, .columns = spec->columns, .n_columns = spec->n_columns};
    Checker checker = {mistakes, section, shared_file(section, config_path, mistakes->arena)};
    mapping_check(&columns, report, &checker);
}

void map_check_rules(Mistakes *mistakes, const RuleSpec *rules, size_t n_rules, const TreeNode *list) {
    Checker checker = {mistakes, list, NULL};
    for (int i = 0; i < N_ENTITIES; i++)
        mapping_check(&(MappingSpec){.entity = &ENTITIES[i], .rules = rules, .n_rules = n_rules}, report, &checker);
}
