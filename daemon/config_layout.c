/* config_layout.c - see config_layout.h. */
#include "config_layout.h"

#include "base/nearest.h"
#include "config_keys.h"

static Mark mark_of(const TreeNode *section, const char *key) {
    const TreeItem *item = tree_find(section, key);
    return item ? item->value->mark : section->mark;
}

/* ---- columns ---- */

static void read_column(Mistakes *mistakes, const TreeNode *node, const ClaimsConfig *claims, FixedColumn *column) {
    column->name = "";
    if (claims->format == FORMAT_FIXED) {
        if (node->kind != TREE_MAP)
            mistake_add(mistakes, node->mark, "with `format: fixed` a column is {name: …, start: …, width: …}");
        else
            keys_read(mistakes, "claims.*.columns[]", node, column);
    } else if (node->kind != TREE_SCALAR || !node->text[0]) {
        mistake_add(mistakes, node->mark, "a column is its name; only with `format: fixed` it has a place");
    } else {
        column->name = node->text;
    }
}

static bool overlap(const FixedColumn *a, const FixedColumn *b) {
    return a->width > 0 && b->width > 0 && a->start < b->start + b->width && b->start < a->start + a->width;
}

static void check_column(Mistakes *mistakes, Mark mark, const FixedColumn *columns, size_t i) {
    for (size_t k = 0; k < i; k++) {
        if (columns[i].name[0] && strcmp(columns[i].name, columns[k].name) == 0)
            mistake_add(mistakes, mark, "column `%s` is named twice", columns[i].name);
        if (overlap(&columns[i], &columns[k]))
            mistake_add(mistakes, mark, "column `%s` overlaps `%s`", columns[i].name, columns[k].name);
    }
}

static void read_columns(Mistakes *mistakes, const TreeNode *node, ClaimsConfig *claims) {
    if (node->kind != TREE_LIST || node->n == 0 || node->n > CSV_FIELDS_MAX) {
        mistake_add(mistakes, node->mark, "`columns` must be a list of 1 to %d columns", CSV_FIELDS_MAX);
        return;
    }
    FixedColumn *columns = ARENA_ARRAY(mistakes->arena, FixedColumn, node->n);
    for (size_t i = 0; i < node->n; i++) {
        read_column(mistakes, node->items[i].value, claims, &columns[i]);
        check_column(mistakes, node->items[i].value->mark, columns, i);
    }
    claims->columns = columns;
    claims->n_columns = node->n;
}

/* ---- aliases ---- */

static const char *read_name(Mistakes *mistakes, const TreeNode *node) {
    if (node->kind == TREE_SCALAR && node->text[0])
        return node->text;
    mistake_add(mistakes, node->mark, "an alias must be a name");
    return "";
}

static void read_alias(Mistakes *mistakes, const TreeItem *item, ColumnAlias *alias) {
    const TreeNode *node = item->value;
    size_t n = node->kind == TREE_LIST ? node->n : 1;
    const char **others = ARENA_ARRAY(mistakes->arena, const char *, n + 1);
    for (size_t i = 0; i < n; i++)
        others[i] = read_name(mistakes, node->kind == TREE_LIST ? node->items[i].value : node);
    *alias = (ColumnAlias){item->key, others, n};
}

static void read_aliases(Mistakes *mistakes, const TreeNode *node, ClaimsConfig *claims) {
    if (node->kind != TREE_MAP) {
        mistake_add(mistakes, node->mark, "`aliases` must be names of columns, each with what other files call it");
        return;
    }
    ColumnAlias *aliases = ARENA_ARRAY(mistakes->arena, ColumnAlias, node->n + 1);
    for (size_t i = 0; i < node->n; i++)
        read_alias(mistakes, &node->items[i], &aliases[i]);
    claims->aliases = aliases;
    claims->n_aliases = node->n;
}

/* ---- what excludes what ---- */

static void check_layout(Mistakes *mistakes, const TreeNode *section, const ClaimsConfig *claims) {
    if (claims->delimiter && claims->format != FORMAT_CSV)
        mistake_add(mistakes, mark_of(section, "delimiter"), "`delimiter` goes with `format: csv` alone");
    if (claims->format == FORMAT_FIXED && !tree_find(section, "columns"))
        mistake_add(mistakes, section->mark, "`columns` is missing: with `format: fixed` they say where each stands");
    if (claims->header == HEADER_NO && !tree_find(section, "columns"))
        mistake_add(mistakes, mark_of(section, "header"), "`columns` is missing: without a header they say what stands where");
}

/* Without a header the names are the configuration's own, and one that does not fit can be told at once. */
static void check_asked(Mistakes *mistakes, const TreeNode *section, const ClaimsConfig *claims) {
    for (size_t i = 0; i < claims->mapping.n_columns && claims->n_columns > 0; i++)
        for (size_t j = 0; j < claims->mapping.columns[i].n_from; j++) {
            const char *name = claims->mapping.columns[i].from[j];
            Nearest nearest = nearest_start(str_of(name));
            bool is_there = false;
            for (size_t k = 0; k < claims->n_columns; k++) {
                is_there |= strcmp(claims->columns[k].name, name) == 0;
                nearest_offer(&nearest, claims->columns[k].name);
            }
            char suggestion[NEAREST_TEXT_BYTES];
            nearest_suggest(&nearest, suggestion);
            if (!is_there)
                mistake_add(mistakes, mark_of(section, "columns"), "`columns` does not name `%s`, which `map` asks for%s", name,
                            suggestion);
        }
}

void layout_read(Mistakes *mistakes, const TreeNode *section, ClaimsConfig *claims) {
    const TreeItem *columns = tree_find(section, "columns"), *aliases = tree_find(section, "aliases");
    if (columns)
        read_columns(mistakes, columns->value, claims);
    if (aliases)
        read_aliases(mistakes, aliases->value, claims);
    check_layout(mistakes, section, claims);
    check_asked(mistakes, section, claims);
}
