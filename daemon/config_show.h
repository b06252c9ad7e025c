/* config_show.h - a configuration as it would be written, fallbacks filled in; and what another one changes.
 *
 * Driven by the table of keys. Passwords never are in a Config; a connection string or an address that holds one
 * is hidden as a whole. Pure; texts live in the caller's arena or in the Config's. */
#pragma once
#include "config.h"

#include <jansson.h>

/* The sections of the file, every value a text. The caller's reference. */
json_t *config_json(const Config *config);
/* Whether the key of this path is shown at all; a test asks for every key of the table. */
bool config_shows(const char *path);

typedef enum ConfigChangeKind { CONFIG_ADDED, CONFIG_REMOVED, CONFIG_CHANGED, CONFIG_RENAMED } ConfigChangeKind;
typedef struct ConfigChange {
    const char *what; /* "sources", "feeds", "claims", "settings" */
    const char *name; /* "hospital_a", "hospital_a.patients", "monthly", "bigquery" */
    const char *from; /* CONFIG_RENAMED: the old name */
    ConfigChangeKind kind;
} ConfigChange;
typedef struct ConfigChanges {
    ConfigChange *at;
    size_t n;
} ConfigChanges;

/* Feeds of a source that was added, removed or renamed are listed too. */
void config_compare(Arena *arena, const Config *before, const Config *after, ConfigChanges *ret_changes);
/* {"sources": {"added": [...], "removed": [...], "changed": [...], "renamed": [{"from", "to"}]}, "feeds": {...},
 * "claims": {...}, "settings": {...}}, empty lists included. The caller's reference. */
json_t *config_changes_json(const ConfigChanges *changes);
