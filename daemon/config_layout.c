/* config_layout.c - see config_layout.h. */
#include "config_layout.h"

#include "base/nearest.h"
#include "config_keys.h"
#include "transform/date.h"

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

/* ---- how values are written ---- */

static bool check_formats(Mistakes *mistakes, const TreeNode *section, const ClaimsConfig *claims) {
    for (size_t i = 0; i < claims->n_date_formats; i++) {
        const char *format = claims->date_format[i];
        if (strcmp(format, "ISO") == 0 || civil_format_is_complete(format))
            continue;
        mistake_add(mistakes, mark_of(section, "date_format"),
                    "`%s` is no date format: it needs YYYY, MM or MON, and DD, each once, as in \"MM/DD/YYYY\"", format);
        return false;
    }
    return true;
}

static const CleanerSpec *reader_of(Arena *arena, const ClaimsConfig *claims, const MapSpec *map, ColumnType type) {
    size_t n = type == TYPE_MONEY ? 1 : claims->n_date_formats;
    CleanerArg *args = ARENA_ARRAY(arena, CleanerArg, n);
    for (size_t i = 0; i < n; i++)
        args[i].value = type == TYPE_MONEY ? "decimal_comma" : claims->date_format[i];
    CleanerSpec *spec = ARENA_NEW(arena, CleanerSpec);
    *spec = (CleanerSpec){.name = type == TYPE_MONEY ? "cents" : type == TYPE_DATE ? "date" : "timestamp", .args = args,
                          .n_args = n, .line = map->line, .column = map->column_number};
    return spec;
}

static bool is_told(const ClaimsConfig *claims, ColumnType type) {
    if (type == TYPE_MONEY)
        return claims->decimal == DECIMAL_COMMA;
    return (type == TYPE_DATE || type == TYPE_TIMESTAMP) && claims->n_date_formats > 0;
}

/* What the files say for all columns is said for each: so a mapping's version changes with it. */
static void spread_values(Arena *arena, ClaimsConfig *claims) {
    MappingSpec *mapping = &claims->mapping;
    if (!mapping->entity || mapping->n_columns == 0)
        return;
    MapSpec *columns = ARENA_ARRAY(arena, MapSpec, mapping->n_columns);
    for (size_t i = 0; i < mapping->n_columns; i++) {
        columns[i] = mapping->columns[i];
        int column = entity_column(mapping->entity, str_of(columns[i].column));
        if (column == COLUMN_NONE || columns[i].n_clean > 0 || columns[i].n_from != 1)
            continue;
        ColumnType type = mapping->entity->columns[column].type;
        if (!is_told(claims, type))
            continue;
        columns[i].clean = reader_of(arena, claims, &columns[i], type);
        columns[i].n_clean = 1;
    }
    mapping->columns = columns;
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
    if (check_formats(mistakes, section, claims) && claims->format != FORMAT_X12) /* which has ways of its own */
        spread_values(mistakes->arena, claims);
}
