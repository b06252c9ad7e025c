/* config_show.c - see config_show.h. */
#include "config_show.h"

#include "config_keys.h" /* brings config_tree.h */
#include "config_value.h"

#include <stdio.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* ---- trees ---- */

static TreeNode *new_map(Arena *arena) {
    TreeNode *node = ARENA_NEW(arena, TreeNode);
    node->kind = TREE_MAP;
    return node;
}

static TreeNode *new_list(Arena *arena) {
    TreeNode *node = new_map(arena);
    node->kind = TREE_LIST;
    return node;
}

static TreeNode *new_scalar(Arena *arena, const char *text) {
    TreeNode *node = new_map(arena);
    node->kind = TREE_SCALAR;
    node->text = text;
    return node;
}

/* Room grows by doubling: when the count is a power of two there is none left. */
static void put(Arena *arena, TreeNode *node, const char *key, const TreeNode *value) {
    if ((node->n & (node->n - 1)) == 0) {
        TreeItem *items = ARENA_ARRAY(arena, TreeItem, node->n ? node->n * 2 : 1);
        if (node->n > 0)
            memcpy(items, node->items, sizeof *items * node->n);
        node->items = items;
    }
    node->items[node->n++] = (TreeItem){.key = key, .value = value};
}

static void put_text(Arena *arena, TreeNode *node, const char *key, const char *text) {
    if (text)
        put(arena, node, key, new_scalar(arena, text));
}

/* ---- values ---- */

static const char *number_text(Arena *arena, KeyType type, const char *at) {
    int narrow;
    int64_t wide;
    memcpy(&narrow, at, sizeof narrow);
    char text[VALUE_TEXT_BYTES];
    if (type == KEY_INT)
        return arena_printf(arena, "%d", narrow);
    if (type == KEY_SIZE_INT) {
        value_print_size(narrow, text);
        return arena_string(arena, str_of(text));
    }
    memcpy(&wide, at, sizeof wide);
    if (type == KEY_DURATION)
        value_print_duration(wide, text);
    else if (type == KEY_SIZE)
        value_print_size(wide, text);
    else
        snprintf(text, sizeof text, "%lld", (long long)wide);
    return arena_string(arena, str_of(text));
}

static const char *choice_text(const ConfigKey *key, const char *at) {
    int index;
    memcpy(&index, at, sizeof index);
    return key->choices[index];
}

/* NULL: nothing is set. */
static const char *shown_value(Arena *arena, const ConfigKey *key, const char *at) {
    const char *text;
    bool yes;
    switch (key->type) {
    case KEY_BOOL:
        memcpy(&yes, at, sizeof yes);
        return yes ? "true" : "false";
    case KEY_BYTE:
        return *at == '\0' ? NULL : *at == '\t' ? "\\t" : arena_printf(arena, "%c", *at);
    case KEY_CHOICE:
        return choice_text(key, at);
    case KEY_INT:
    case KEY_COUNT:
    case KEY_DURATION:
    case KEY_SIZE:
    case KEY_SIZE_INT:
        return number_text(arena, key->type, at);
    case KEY_VARIABLE:
        memcpy(&text, at, sizeof text);
        return text ? arena_printf(arena, "${%s}", text) : NULL;
    default:
        memcpy(&text, at, sizeof text);
        return text;
    }
}

static const TreeNode *texts_node(Arena *arena, const char *const *texts, size_t n) {
    TreeNode *list = new_list(arena);
    for (size_t i = 0; i < n; i++)
        put_text(arena, list, NULL, texts[i]);
    return list;
}

static void put_key(Arena *arena, TreeNode *node, const ConfigKey *key, const char *name, const char *at) {
    if (key->type != KEY_TEXTS) {
        put_text(arena, node, name, shown_value(arena, key, at));
        return;
    }
    const char *const *texts;
    size_t n;
    memcpy(&texts, at, sizeof texts);
    memcpy(&n, at + sizeof texts, sizeof n);
    if (n > 0)
        put(arena, node, name, texts_node(arena, texts, n));
}

static void put_keys(Arena *arena, TreeNode *node, const char *section, const void *base) {
    for (size_t i = 0; i < N_CONFIG_KEYS; i++) {
        const ConfigKey *key = &CONFIG_KEYS[i];
        const char *name = keys_name_in(key, section);
        if (name && key->type != KEY_PART && key->type != KEY_LATER)
            put_key(arena, node, key, name, (const char *)base + key->offset);
    }
}

static TreeNode *keys_node(Arena *arena, const char *section, const void *base) {
    TreeNode *node = new_map(arena);
    put_keys(arena, node, section, base);
    return node;
}

/* ---- mappings ---- */

static const TreeNode *cleaner_node(Arena *arena, const CleanerSpec *cleaner) {
    if (cleaner->n_args == 0)
        return new_scalar(arena, cleaner->name);
    bool has_keys = cleaner->args[0].key != NULL;
    TreeNode *args = has_keys ? new_map(arena) : new_list(arena), *node = new_map(arena);
    for (size_t i = 0; i < cleaner->n_args; i++)
        put_text(arena, args, cleaner->args[i].key, cleaner->args[i].value);
    put(arena, node, cleaner->name, args);
    return node;
}

static const TreeNode *column_node(Arena *arena, const MapSpec *column) {
    TreeNode *node = new_map(arena), *clean = new_list(arena);
    put(arena, node, "from", texts_node(arena, column->from, column->n_from));
    for (size_t i = 0; i < column->n_clean; i++)
        put(arena, clean, NULL, cleaner_node(arena, &column->clean[i]));
    if (clean->n > 0)
        put(arena, node, "clean", clean);
    put_text(arena, node, "history", column->history);
    return node;
}

static void put_mapping(Arena *arena, TreeNode *node, const MappingSpec *mapping) {
    TreeNode *map = new_map(arena);
    for (size_t i = 0; i < mapping->n_columns; i++)
        put(arena, map, mapping->columns[i].column, column_node(arena, &mapping->columns[i]));
    put_text(arena, node, "entity", mapping->entity->name);
    put(arena, node, "map", map);
}

/* ---- sections ---- */

static const TreeNode *source_node(Arena *arena, const SourceConfig *source) {
    TreeNode *node = keys_node(arena, "sources.*", source), *feeds = new_map(arena);
    for (size_t i = 0; i < source->n_feeds; i++) {
        TreeNode *feed = keys_node(arena, "sources.*.feeds.*", &source->feeds[i]);
        put_mapping(arena, feed, &source->feeds[i].mapping);
        put(arena, feeds, source->feeds[i].local, feed);
    }
    put(arena, node, "feeds", feeds);
    return node;
}

/* Names alone where they have no places. */
static const TreeNode *columns_node(Arena *arena, const ClaimsConfig *claims) {
    TreeNode *list = new_list(arena);
    for (size_t i = 0; i < claims->n_columns; i++)
        if (claims->format == FORMAT_FIXED)
            put(arena, list, NULL, keys_node(arena, "claims.*.columns[]", &claims->columns[i]));
        else
            put_text(arena, list, NULL, claims->columns[i].name);
    return list;
}

static const TreeNode *aliases_node(Arena *arena, const ClaimsConfig *claims) {
    TreeNode *map = new_map(arena);
    for (size_t i = 0; i < claims->n_aliases; i++)
        put(arena, map, claims->aliases[i].name,
            texts_node(arena, claims->aliases[i].others, claims->aliases[i].n_others));
    return map;
}

static const TreeNode *claims_node(Arena *arena, const ClaimsConfig *claims) {
    TreeNode *node = keys_node(arena, "claims.*", claims), *from = new_list(arena);
    for (size_t i = 0; i < claims->n_from; i++)
        put(arena, from, NULL, keys_node(arena, "claims.*.from[]", &claims->from[i]));
    put(arena, node, "from", from);
    if (claims->n_columns > 0)
        put(arena, node, "columns", columns_node(arena, claims));
    if (claims->n_aliases > 0)
        put(arena, node, "aliases", aliases_node(arena, claims));
    put_mapping(arena, node, &claims->mapping);
    return node;
}

static const TreeNode *rules_node(Arena *arena, const Config *config) {
    TreeNode *list = new_list(arena);
    for (size_t i = 0; i < config->n_rules; i++)
        put(arena, list, NULL, keys_node(arena, "rules[]", &config->rules[i]));
    return list;
}

static const TreeNode *persons_node(Arena *arena, const Config *config) {
    TreeNode *list = new_list(arena);
    for (size_t i = 0; i < config->n_person_rules; i++)
        put(arena, list, NULL, keys_node(arena, "persons[]", &config->person_rules[i]));
    return list;
}

/* Sections that are one struct; what stands several times is written out in show(). */
static const struct {
    const char *name;
    size_t offset; /* into Config */
} PARTS[] = {
    {"server", offsetof(Config, server)},
    {"store", 0},
    {"audit", 0},
    {"bigquery", offsetof(Config, bigquery)},
    {"retention", offsetof(Config, retention)},
    {"lineage", offsetof(Config, lineage)},
};
static const char *const LISTED[] = {"", "sources.*", "sources.*.feeds.*", "claims.*", "claims.*.from[]",
                                     "claims.*.columns[]", "rules[]", "persons[]"};

static bool is_reference(Str section) {
    static const Str PREFIX = {"reference.", sizeof "reference." - 1};
    if (section.size < PREFIX.size || memcmp(section.at, PREFIX.at, PREFIX.size) != 0)
        return false;
    for (size_t i = 0; i < REFERENCES; i++)
        if (str_equal(str_of(REFERENCE_KINDS[i].name), (Str){section.at + PREFIX.size, section.size - PREFIX.size}))
            return true;
    return false;
}

bool config_shows(const char *path) {
    const char *dot = strrchr(path, '.');
    Str section = {path, dot ? (size_t)(dot - path) : 0};
    for (size_t i = 0; i < COUNT(LISTED); i++)
        if (str_equal(str_of(LISTED[i]), section))
            return true;
    for (size_t i = 0; i < COUNT(PARTS); i++)
        if (str_equal(str_of(PARTS[i].name), section))
            return true;
    return is_reference(section);
}

static const TreeNode *references_node(Arena *arena, const Config *config) {
    TreeNode *map = new_map(arena);
    for (size_t i = 0; i < REFERENCES; i++)
        if (config->references[i].enabled)
            put(arena, map, REFERENCE_KINDS[i].name,
                keys_node(arena, arena_printf(arena, "reference.%s", REFERENCE_KINDS[i].name), &config->references[i]));
    return map;
}

static bool is_configured(const Config *config, const char *section) {
    if (strcmp(section, "bigquery") == 0)
        return config->bigquery.enabled;
    if (strcmp(section, "lineage") == 0)
        return config->lineage.enabled;
    return strcmp(section, "retention") != 0 || config->retention.enabled;
}

static const TreeNode *show(Arena *arena, const Config *config) {
    TreeNode *root = keys_node(arena, "", config), *sources = new_map(arena), *claims = new_map(arena);
    for (size_t i = 0; i < COUNT(PARTS); i++)
        if (is_configured(config, PARTS[i].name))
            put(arena, root, PARTS[i].name,
                keys_node(arena, PARTS[i].name, (const char *)config + PARTS[i].offset));
    for (size_t i = 0; i < config->n_sources; i++)
        put(arena, sources, config->sources[i].name, source_node(arena, &config->sources[i]));
    for (size_t i = 0; i < config->n_claims; i++)
        put(arena, claims, config->claims[i].local, claims_node(arena, &config->claims[i]));
    put(arena, root, "sources", sources);
    put(arena, root, "claims", claims);
    put(arena, root, "rules", rules_node(arena, config));
    put(arena, root, "persons", persons_node(arena, config));
    const TreeNode *references = references_node(arena, config);
    if (references->n > 0)
        put(arena, root, "reference", references);
    return root;
}

/* A variable's value may have brought a secret with it: password=… or user:password@ */
static bool holds_secret(const char *text) {
    const char *word = strcasestr(text, "password"), *host = strstr(text, "://");
    if (word)
        word += strlen("password") + strspn(word + strlen("password"), " ");
    return (word && *word == '=') || (host && strchr(host, '@'));
}

static json_t *node_json(const TreeNode *node) {
    if (node->kind == TREE_SCALAR)
        return json_string(holds_secret(node->text) ? "(hidden: it holds a password)" : node->text);
    json_t *json = node->kind == TREE_LIST ? json_array() : json_object();
    for (size_t i = 0; i < node->n; i++) {
        json_t *value = node_json(node->items[i].value);
        if (node->kind == TREE_LIST)
            json_array_append_new(json, value);
        else
            json_object_set_new(json, node->items[i].key, value);
    }
    return json;
}

json_t *config_json(const Config *config) {
    Arena *arena = arena_open();
    json_t *json = node_json(show(arena, config));
    arena_free(arena);
    return json;
}

/* ---- comparing ---- */

typedef struct Comparer {
    Arena *arena;
    ConfigChanges *changes;
    size_t capacity;
} Comparer;

static void add(Comparer *c, ConfigChange change) {
    ConfigChanges *changes = c->changes;
    if (changes->n == c->capacity) {
        c->capacity = c->capacity ? c->capacity * 2 : 16;
        ConfigChange *at = ARENA_ARRAY(c->arena, ConfigChange, c->capacity);
        if (changes->n > 0)
            memcpy(at, changes->at, sizeof *at * changes->n);
        changes->at = at;
    }
    changes->at[changes->n++] = change;
}

static bool is_apart(const char *key) {
    return key && (strcmp(key, "feeds") == 0 || strcmp(key, "renamed_from") == 0);
}

/* In whatever order maps have their keys; a source's feeds are compared one by one, and its old name says nothing. */
static bool is_equal(const TreeNode *a, const TreeNode *b) {
    if (a->kind != b->kind)
        return false;
    if (a->kind == TREE_SCALAR)
        return strcmp(a->text, b->text) == 0;
    size_t n = 0;
    for (size_t i = 0; i < a->n; i++) {
        if (is_apart(a->items[i].key))
            continue;
        const TreeItem *other = a->kind == TREE_MAP ? tree_find(b, a->items[i].key) : i < b->n ? &b->items[i] : NULL;
        if (!other || !is_equal(a->items[i].value, other->value))
            return false;
        n++;
    }
    for (size_t i = 0; i < b->n; i++)
        n -= !is_apart(b->items[i].key);
    return n == 0;
}

static const TreeNode *child(const TreeNode *node, const char *key) {
    static const TreeNode NOTHING = {.kind = TREE_MAP};
    const TreeItem *item = node ? tree_find(node, key) : NULL;
    return item ? item->value : &NOTHING;
}

static const char *full_name(Arena *arena, const char *prefix, const char *name) {
    return *prefix ? arena_printf(arena, "%s.%s", prefix, name) : name;
}

static void compare_maps(Comparer *c, const char *what, const char *old_prefix, const char *prefix,
                         const TreeNode *before, const TreeNode *after) {
    for (size_t i = 0; i < after->n; i++) {
        const TreeItem *now = &after->items[i], *then = tree_find(before, now->key);
        if (!then || !is_equal(then->value, now->value))
            add(c, (ConfigChange){what, full_name(c->arena, prefix, now->key), NULL,
                                  then ? CONFIG_CHANGED : CONFIG_ADDED});
    }
    for (size_t i = 0; i < before->n; i++)
        if (!tree_find(after, before->items[i].key))
            add(c, (ConfigChange){what, full_name(c->arena, old_prefix, before->items[i].key), NULL, CONFIG_REMOVED});
}

/* The name under which the source was known before; NULL: it is new. */
static const char *old_name(const TreeNode *before, const TreeItem *source) {
    const TreeItem *from = tree_find(source->value, "renamed_from");
    if (tree_find(before, source->key))
        return source->key;
    return from && tree_find(before, from->value->text) ? from->value->text : NULL;
}

static bool has_successor(const TreeNode *before, const TreeNode *after, const char *name) {
    for (size_t i = 0; i < after->n; i++) {
        const char *old = old_name(before, &after->items[i]);
        if (old && strcmp(old, name) == 0)
            return true;
    }
    return false;
}

static void compare_source(Comparer *c, const TreeNode *before, const TreeItem *source) {
    const char *name = source->key, *old = old_name(before, source);
    const TreeNode *then = child(before, old ? old : "");
    if (!old)
        add(c, (ConfigChange){"sources", name, NULL, CONFIG_ADDED});
    else if (strcmp(old, name) != 0)
        add(c, (ConfigChange){"sources", name, old, CONFIG_RENAMED});
    if (old && !is_equal(then, source->value))
        add(c, (ConfigChange){"sources", name, NULL, CONFIG_CHANGED});
    compare_maps(c, "feeds", old ? old : name, name, child(then, "feeds"), child(source->value, "feeds"));
}

static void compare_sources(Comparer *c, const TreeNode *before, const TreeNode *after) {
    for (size_t i = 0; i < after->n; i++)
        compare_source(c, before, &after->items[i]);
    for (size_t i = 0; i < before->n; i++) {
        const TreeItem *gone = &before->items[i];
        if (has_successor(before, after, gone->key))
            continue;
        add(c, (ConfigChange){"sources", gone->key, NULL, CONFIG_REMOVED});
        compare_maps(c, "feeds", gone->key, gone->key, child(gone->value, "feeds"), child(NULL, ""));
    }
}

/* Everything else: one name for a section or a value at the top. */
static const TreeNode *settings(Arena *arena, const TreeNode *root) {
    TreeNode *map = new_map(arena);
    for (size_t i = 0; i < root->n; i++)
        if (strcmp(root->items[i].key, "sources") != 0 && strcmp(root->items[i].key, "claims") != 0)
            put(arena, map, root->items[i].key, root->items[i].value);
    return map;
}

void config_compare(Arena *arena, const Config *before, const Config *after, ConfigChanges *ret_changes) {
    *ret_changes = (ConfigChanges){0};
    Comparer comparer = {arena, ret_changes, 0};
    const TreeNode *then = show(arena, before), *now = show(arena, after);
    compare_sources(&comparer, child(then, "sources"), child(now, "sources"));
    compare_maps(&comparer, "claims", "", "", child(then, "claims"), child(now, "claims"));
    compare_maps(&comparer, "settings", "", "", settings(arena, then), settings(arena, now));
}

json_t *config_changes_json(const ConfigChanges *changes) {
    static const char *const WHATS[] = {"sources", "feeds", "claims", "settings"};
    static const char *const KINDS[] = {"added", "removed", "changed", "renamed"};
    json_t *json = json_object();
    for (size_t i = 0; i < COUNT(WHATS); i++) {
        json_t *kinds = json_object();
        for (size_t k = 0; k < COUNT(KINDS); k++)
            json_object_set_new(kinds, KINDS[k], json_array());
        json_object_set_new(json, WHATS[i], kinds);
    }
    for (size_t i = 0; i < changes->n; i++) {
        const ConfigChange *change = &changes->at[i];
        json_t *list = json_object_get(json_object_get(json, change->what), KINDS[change->kind]);
        json_array_append_new(list, change->from ? json_pack("{s:s, s:s}", "from", change->from, "to", change->name)
                                                 : json_string(change->name));
    }
    return json;
}
