/* clinical_tables.c - see clinical_tables.h. */
#include "storage/clinical_tables.h"

enum { PART = 500, MATCHES_MAX = 7500 };
/* Places in the answer. */
enum { TOTAL, CODES, EXTRA, SHOWN, MEMBERS_MIN };

static const char *list_url(Arena *arena, const LookupQuestion *question, const char *shown) {
    return arena_printf(arena, "%s%csf=code&cf=code&df=%s&count=%d&offset=%lld&terms=%s", question->endpoint,
                        strchr(question->endpoint, '?') ? '&' : '?', shown, PART, (long long)question->from,
                        question->code);
}

const char *icd10_list_url(Arena *arena, const LookupQuestion *question) {
    return list_url(arena, question, "code,name");
}

const char *hcpcs_list_url(Arena *arena, const LookupQuestion *question) {
    return list_url(arena, question, "code,long_desc,short_desc");
}

/* The first field behind the code that says anything. */
static Str description_of(const json_t *shown, Arena *arena) {
    for (size_t i = 1; i < json_array_size(shown); i++) {
        const char *text = json_string_value(json_array_get(shown, i));
        Str trimmed = str_trim(str_of(text ? text : ""));
        if (trimmed.size > 0)
            return str_of(arena_string(arena, trimmed));
    }
    return STR_NULL;
}

static bool find_code(const json_t *codes, const char *code, size_t *ret_place) {
    for (size_t i = 0; i < json_array_size(codes); i++) {
        const char *one = json_string_value(json_array_get(codes, i));
        if (one && strcmp(one, code) == 0) {
            *ret_place = i;
            return true;
        }
    }
    return false;
}

static void go_on(int64_t total, size_t n_here, const LookupQuestion *question, LookupAnswer *answer) {
    int64_t seen = question->from + (int64_t)n_here;
    if (seen >= total)
        answer->outcome = LOOKUP_NOT_FOUND;
    else if (n_here == 0 || seen >= MATCHES_MAX)
        lookup_say_unusable(answer, "its answer ends before its own count");
    else {
        answer->outcome = LOOKUP_FURTHER;
        answer->next = seen;
    }
}

void clinical_tables_read(const json_t *root, const LookupQuestion *question, Arena *arena, LookupAnswer *answer) {
    const json_t *total = json_array_get(root, TOTAL), *codes = json_array_get(root, CODES);
    const json_t *shown = json_array_get(root, SHOWN);
    size_t place;
    if (json_array_size(root) < MEMBERS_MIN || !json_is_integer(total) || !json_is_array(codes) || !json_is_array(shown) ||
        json_array_size(codes) != json_array_size(shown)) {
        lookup_say_unusable(answer, "its answer is no list of codes");
    } else if (find_code(codes, question->code, &place)) {
        answer->outcome = LOOKUP_FOUND;
        answer->description = description_of(json_array_get(shown, place), arena);
    } else {
        go_on(json_integer_value(total), json_array_size(codes), question, answer);
    }
}
