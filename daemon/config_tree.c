/* config_tree.c - see config_tree.h.
 *
 * A recursive descent over libyaml's events. An anchor is known only when its node is complete, so that
 * no node can contain itself. */
#include "config_tree.h"

#include "base/own.h"

#include <errno.h>
#include <yaml.h>

typedef struct Anchor {
    const char *name;
    const TreeNode *node;
    struct Anchor *next;
} Anchor;

typedef struct Reader {
    Mistakes *mistakes;
    const char *path;
    yaml_parser_t parser;
    yaml_event_t event; /* the one being looked at */
    Anchor *anchors;
    size_t weight;
    int depth;
} Reader;

static Mark mark_of(const Reader *reader, yaml_mark_t mark) {
    return (Mark){reader->path, (int)mark.line + 1, (int)mark.column + 1};
}

static Mark here(const Reader *reader) { return mark_of(reader, reader->event.start_mark); }

static bool next_event(Reader *reader) {
    yaml_event_delete(&reader->event);
    if (yaml_parser_parse(&reader->parser, &reader->event))
        return true;
    const yaml_parser_t *parser = &reader->parser;
    yaml_mark_t at = parser->problem_mark.line || parser->problem_mark.column ? parser->problem_mark
                                                                              : parser->context_mark;
    mistake_add(reader->mistakes, mark_of(reader, at), "not readable as YAML: %s%s%s",
                parser->problem ? parser->problem : "unknown problem", parser->context ? ", " : "",
                parser->context ? parser->context : "");
    return false;
}

static const TreeNode *read_node(Reader *reader);

static bool count(Reader *reader, size_t weight) {
    reader->weight += weight;
    if (reader->weight <= TREE_MAX_NODES)
        return true;
    mistake_add(reader->mistakes, here(reader), "more than %d values, aliases counted as often as used",
                TREE_MAX_NODES);
    return false;
}

static TreeNode *new_node(Reader *reader, TreeKind kind) {
    TreeNode *node = ARENA_NEW(reader->mistakes->arena, TreeNode);
    *node = (TreeNode){.kind = kind, .mark = here(reader), .weight = 1};
    return count(reader, 1) ? node : NULL;
}

static void add_item(Reader *reader, TreeNode *node, TreeItem item) {
    if ((node->n & (node->n - 1)) == 0) { /* 0, 1, 2, 4, …: full */
        TreeItem *items = ARENA_ARRAY(reader->mistakes->arena, TreeItem, node->n ? node->n * 2 : 1);
        if (node->n > 0)
            memcpy(items, node->items, sizeof *items * node->n);
        node->items = items;
    }
    node->items[node->n++] = item;
    node->weight += item.value->weight;
}

static void remember_anchor(Reader *reader, const char *name, const TreeNode *node) {
    if (!name)
        return;
    Anchor *anchor = ARENA_NEW(reader->mistakes->arena, Anchor);
    *anchor = (Anchor){name, node, reader->anchors};
    reader->anchors = anchor;
}

static const char *keep_text(Reader *reader, const yaml_char_t *text) {
    return text ? arena_string(reader->mistakes->arena, str_of((const char *)text)) : NULL;
}

static const TreeNode *read_alias(Reader *reader) {
    const char *name = (const char *)reader->event.data.alias.anchor;
    for (const Anchor *anchor = reader->anchors; anchor; anchor = anchor->next)
        if (strcmp(anchor->name, name) == 0)
            return count(reader, anchor->node->weight) ? anchor->node : NULL;
    mistake_add(reader->mistakes, here(reader), "alias `*%s` names no anchor that ended before it", name);
    return NULL;
}

static const TreeNode *read_scalar(Reader *reader) {
    const char *value = (const char *)reader->event.data.scalar.value;
    size_t length = reader->event.data.scalar.length;
    if (memchr(value, '\0', length)) {
        mistake_add(reader->mistakes, here(reader), "a value holds a zero byte");
        return NULL;
    }
    TreeNode *node = new_node(reader, TREE_SCALAR);
    if (!node)
        return NULL;
    node->text = arena_string(reader->mistakes->arena, (Str){value, length});
    node->is_plain = reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    remember_anchor(reader, keep_text(reader, reader->event.data.scalar.anchor), node);
    return node;
}

static const TreeNode *read_list(Reader *reader) {
    TreeNode *node = new_node(reader, TREE_LIST);
    const char *anchor = keep_text(reader, reader->event.data.sequence_start.anchor);
    while (node && next_event(reader)) {
        if (reader->event.type == YAML_SEQUENCE_END_EVENT) {
            remember_anchor(reader, anchor, node);
            return node;
        }
        Mark mark = here(reader);
        const TreeNode *value = read_node(reader);
        if (!value)
            return NULL;
        add_item(reader, node, (TreeItem){NULL, mark, value});
    }
    return NULL;
}

static bool check_key(Reader *reader, const TreeNode *map, const TreeNode *key) {
    if (key->kind != TREE_SCALAR) {
        mistake_add(reader->mistakes, key->mark, "a key must be a plain name, not %s", tree_kind_name(key->kind));
        return false;
    }
    const TreeItem *first = tree_find(map, key->text);
    if (first)
        mistake_add(reader->mistakes, key->mark, "duplicate key `%s`, first on line %d", key->text,
                    first->mark.line);
    if (map->n >= TREE_MAX_KEYS)
        mistake_add(reader->mistakes, key->mark, "more than %d keys in one map", TREE_MAX_KEYS);
    return map->n < TREE_MAX_KEYS;
}

static const TreeNode *read_map(Reader *reader) {
    TreeNode *node = new_node(reader, TREE_MAP);
    const char *anchor = keep_text(reader, reader->event.data.mapping_start.anchor);
    while (node && next_event(reader)) {
        if (reader->event.type == YAML_MAPPING_END_EVENT) {
            remember_anchor(reader, anchor, node);
            return node;
        }
        Mark mark = here(reader);
        const TreeNode *key = read_node(reader);
        if (!key || !check_key(reader, node, key) || !next_event(reader))
            return NULL;
        const TreeNode *value = read_node(reader);
        if (!value)
            return NULL;
        if (!tree_find(node, key->text))
            add_item(reader, node, (TreeItem){key->text, mark, value});
    }
    return NULL;
}

static const TreeNode *read_nested(Reader *reader) {
    if (reader->depth >= TREE_MAX_DEPTH) {
        mistake_add(reader->mistakes, here(reader), "nested deeper than %d levels", TREE_MAX_DEPTH);
        return NULL;
    }
    reader->depth++;
    const TreeNode *node =
        reader->event.type == YAML_SEQUENCE_START_EVENT ? read_list(reader) : read_map(reader);
    reader->depth--;
    return node;
}

/* The node that begins with the event being looked at. */
static const TreeNode *read_node(Reader *reader) {
    switch (reader->event.type) {
    case YAML_ALIAS_EVENT:
        return read_alias(reader);
    case YAML_SCALAR_EVENT:
        return read_scalar(reader);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return read_nested(reader);
    default:
        mistake_add(reader->mistakes, here(reader), "a value is missing");
        return NULL;
    }
}

/* Up to the first thing that is not the frame of the stream. */
static bool skip_frame(Reader *reader) {
    do {
        if (!next_event(reader))
            return false;
    } while (reader->event.type == YAML_STREAM_START_EVENT || reader->event.type == YAML_DOCUMENT_START_EVENT ||
             reader->event.type == YAML_DOCUMENT_END_EVENT);
    return true;
}

static const TreeNode *read_document(Reader *reader) {
    if (!skip_frame(reader))
        return NULL;
    if (reader->event.type == YAML_STREAM_END_EVENT) {
        mistake_add(reader->mistakes, (Mark){reader->path, 1, 1}, "the file is empty");
        return NULL;
    }
    const TreeNode *root = read_node(reader);
    if (!root || !skip_frame(reader))
        return NULL;
    if (reader->event.type == YAML_STREAM_END_EVENT)
        return root;
    mistake_add(reader->mistakes, here(reader), "a second document; one file holds one");
    return NULL;
}

const TreeNode *tree_parse(Mistakes *mistakes, const char *path, Str text) {
    Reader reader = {.mistakes = mistakes, .path = path};
    if (!yaml_parser_initialize(&reader.parser))
        abort();
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text.at, text.size);
    const TreeNode *root = read_document(&reader);
    yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    return root;
}

const TreeNode *tree_read(Mistakes *mistakes, const char *path) {
    CLEANUP(file_drop) FILE *file = fopen(path, "rbe");
    CLEANUP(mem_drop) char *text = malloc(TREE_MAX_BYTES + 1);
    if (!text)
        abort();
    size_t size = file ? fread(text, 1, TREE_MAX_BYTES + 1, file) : 0;
    if (!file || ferror(file)) {
        mistake_add(mistakes, (Mark){path, 0, 0}, "cannot be read: %s", strerror(errno));
        return NULL;
    }
    if (size > TREE_MAX_BYTES) {
        mistake_add(mistakes, (Mark){path, 0, 0}, "longer than %d MiB", TREE_MAX_BYTES >> 20);
        return NULL;
    }
    return tree_parse(mistakes, path, (Str){text, size});
}

const TreeItem *tree_find(const TreeNode *map, const char *key) {
    for (size_t i = 0; i < map->n; i++)
        if (map->items[i].key && strcmp(map->items[i].key, key) == 0)
            return &map->items[i];
    return NULL;
}

const char *tree_kind_name(TreeKind kind) {
    static const char *const NAMES[] = {"a value", "a list", "a map"};
    return NAMES[kind];
}
