/* nppes.c - see nppes.h. */
#include "storage/nppes.h"

enum { TAXONOMIES_MAX = 64 };

const char *nppes_url(Arena *arena, const LookupQuestion *question) {
    return arena_printf(arena, "%s%cversion=2.1&number=%s", question->endpoint,
                        strchr(question->endpoint, '?') ? '&' : '?', question->code);
}

static bool is_number(const json_t *value, const char *npi) {
    char text[24] = "";
    if (json_is_integer(value))
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
    return strcmp(json_is_string(value) ? json_string_value(value) : text, npi) == 0;
}

static const json_t *find_entry(const json_t *results, const char *npi) {
    for (size_t i = 0; i < json_array_size(results); i++)
        if (is_number(json_object_get(json_array_get(results, i), "number"), npi))
            return json_array_get(results, i);
    return NULL;
}

static void take_taxonomies(const json_t *list, Arena *arena, LookupAnswer *answer) {
    Str *taxonomies = ARENA_ARRAY(arena, Str, TAXONOMIES_MAX);
    for (size_t i = 0; i < json_array_size(list) && answer->n_taxonomies < TAXONOMIES_MAX; i++) {
        const char *words = json_string_value(json_object_get(json_array_get(list, i), "desc"));
        if (words && *words)
            taxonomies[answer->n_taxonomies++] = str_of(arena_string(arena, str_of(words)));
    }
    answer->taxonomies = taxonomies;
}

static void take_entry(const json_t *entry, Arena *arena, LookupAnswer *answer) {
    const char *status = json_string_value(json_object_get(json_object_get(entry, "basic"), "status"));
    const char *kind = json_string_value(json_object_get(entry, "enumeration_type"));
    answer->outcome = !status || strcmp(status, "A") == 0 ? LOOKUP_FOUND : LOOKUP_NOT_FOUND;
    answer->is_organization = kind && strcmp(kind, "NPI-2") == 0;
    take_taxonomies(json_object_get(entry, "taxonomies"), arena, answer);
}

void nppes_read(const json_t *root, const LookupQuestion *question, Arena *arena, LookupAnswer *answer) {
    const json_t *results = json_object_get(root, "results"), *count = json_object_get(root, "result_count");
    const json_t *entry = find_entry(results, question->code);
    if (json_object_get(root, "Errors"))
        lookup_say_unusable(answer, "it answers with errors");
    else if (!json_is_array(results) || !json_is_integer(count))
        lookup_say_unusable(answer, "its answer has no results");
    else if (entry)
        take_entry(entry, arena, answer);
    else if (json_array_size(results) > 0 || json_integer_value(count) != 0)
        lookup_say_unusable(answer, "its answer is about another number");
    else
        answer->outcome = LOOKUP_NOT_FOUND;
}
