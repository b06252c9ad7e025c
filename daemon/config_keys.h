/* config_keys.h - THE table of configuration keys, and how one section of a file fills a struct by it.
 *
 * A path names a section and a key in it: `*` stands for a name of the site's own choosing, `[]` for the
 * elements of a list. What is not in the table is a mistake. --check-config, --help and a reload read it. */
#pragma once
#include "config_tree.h"

#include <stdint.h>

typedef enum KeyType {
    KEY_TEXT,     /* const char *; ${ENV} expanded */
    KEY_PATH,     /* the same, absolute */
    KEY_FILE,     /* the same, absolute or below $CREDENTIALS_DIRECTORY */
    KEY_DSN,      /* the same, without a password of its own */
    KEY_VARIABLE, /* const char *: NAME of ${NAME}; the value is not read */
    KEY_ADDRESS,  /* const char *: host:port or a socket's path */
    KEY_CHOICE,   /* int: index into choices */
    KEY_WORD,     /* const char *: one of choices */
    KEY_BOOL,     /* bool */
    KEY_INT,      /* int */
    KEY_COUNT,    /* int64_t */
    KEY_DURATION, /* int64_t, milliseconds */
    KEY_SIZE,     /* int64_t, bytes */
    KEY_SIZE_INT, /* int, bytes */
    KEY_BYTE,     /* char */
    KEY_TEXTS,    /* const char *const *, and a size_t right behind it */
    KEY_PART,     /* a section or list of its own: config.c reads it */
    KEY_LATER     /* named in the documents, does nothing in this version: refused with that sentence */
} KeyType;

typedef struct ConfigKey {
    const char *path;
    KeyType type;
    size_t offset;        /* into the section's struct */
    const char *fallback; /* as it would be written; NULL: unset */
    int64_t min, max;     /* of numbers, durations, sizes; 0 and 0: any */
    const char *const *choices;
    bool is_required;
    bool needs_restart; /* a reload leaves the old value in place */
    const char *help;
} ConfigKey;

extern const ConfigKey CONFIG_KEYS[];
extern const size_t N_CONFIG_KEYS;

/* The key's name when it belongs to the section itself, else NULL. */
const char *keys_name_in(const ConfigKey *key, const char *section);
/* Fills `base` from a map by the keys of `section` ("sources.*.feeds.*"), fallbacks included. False when
 * the node is no map at all. */
bool keys_read(Mistakes *mistakes, const char *section, const TreeNode *node, void *base);
