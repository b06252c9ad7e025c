/* fingerprint.c - every word of the specification, each with its end, through XXH3-128. */
#include "transform/fingerprint.h"

#include "transform/cleaner.h"

#include <stdlib.h>
#include <xxhash.h>

static void add(XXH3_state_t *state, const char *word) {
    const char *text = word ? word : "\1"; /* NULL is not "" */
    XXH3_128bits_update(state, text, strlen(text) + 1);
}

static void add_cleaner(XXH3_state_t *state, const CleanerSpec *cleaner) {
    add(state, cleaner->name);
    for (size_t i = 0; i < cleaner->n_args; i++) {
        add(state, cleaner->args[i].key);
        add(state, cleaner->args[i].value);
    }
    add(state, ";");
}

static void add_column(XXH3_state_t *state, const MapSpec *column) {
    add(state, column->column);
    for (size_t i = 0; i < column->n_from; i++)
        add(state, column->from[i]);
    add(state, ":");
    for (size_t i = 0; i < column->n_clean; i++)
        add_cleaner(state, &column->clean[i]);
    if (column->history)
        add(state, column->history);
}

/* What the rule says to people is no part of it: another sentence cleans nothing anew. */
static void add_rule(XXH3_state_t *state, Arena *arena, const RuleSpec *rule, const char *entity) {
    if (!rule_is_of_row(rule) || (rule->entity && strcmp(rule->entity, entity) != 0))
        return;
    add(state, rule->name);
    add(state, rule_spec_check(arena, rule));
    char severity[2] = {(char)('0' + (int)rule->severity), '\0'};
    add(state, severity);
}

void mapping_fingerprint(const MappingSpec *spec, uint8_t ret_fingerprint[16]) {
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        abort();
    XXH3_128bits_reset(state);
    add(state, CLEANERS_VERSION);
    add(state, spec->entity->name);
    for (size_t i = 0; i < spec->n_columns; i++)
        add_column(state, &spec->columns[i]);
    Arena *arena = arena_open();
    for (size_t i = 0; i < spec->n_rules; i++)
        add_rule(state, arena, &spec->rules[i], spec->entity->name);
    arena_free(arena);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    memcpy(ret_fingerprint, canonical.digest, 16);
    XXH3_freeState(state);
}
