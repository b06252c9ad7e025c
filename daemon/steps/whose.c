/* whose.c - see whose.h. */
#include "steps/whose.h"

#include <fnmatch.h>
#include <regex.h>

enum { PERIOD_GROUPS = 2 };

static Str plain_name(const char *name) {
    static const char *const PACKED[] = {".gz", ".zip"};
    size_t size = strlen(name);
    for (size_t i = 0; i < sizeof PACKED / sizeof *PACKED; i++) {
        size_t end = strlen(PACKED[i]);
        if (size > end && strcmp(name + size - end, PACKED[i]) == 0)
            return (Str){name, size - end};
    }
    return (Str){name, size};
}

static bool matches(const FilePattern *pattern, Str name) {
    char text[256 + 1]; /* no file system has longer ones */
    if (name.size >= sizeof text)
        return false;
    memcpy(text, name.at, name.size);
    text[name.size] = '\0';
    return fnmatch(pattern->pattern, text, FNM_PERIOD) == 0;
}

const FilePattern *whose_file(const ClaimsConfig *claims, const char *name, Error *err) {
    const FilePattern *found = NULL;
    for (size_t i = 0; i < claims->n_from; i++) {
        const FilePattern *pattern = &claims->from[i];
        if (!matches(pattern, plain_name(name)))
            continue;
        if (found) {
            error_set(err, STATE_DATA, "its name matches two patterns of %s, %s and %s, so its source is not known",
                      claims->name, found->pattern, pattern->pattern);
            error_hint(err, "name it so that one matches, or make the patterns narrower");
            return NULL;
        }
        found = pattern;
    }
    if (!found) {
        error_set(err, STATE_DATA, "its name matches no pattern of %s, so its source is not known", claims->name);
        error_hint(err, "name it by one of them, or add a pattern to `from`");
    }
    return found;
}

bool whose_period(const ClaimsConfig *claims, const FilePattern *pattern, const char *name, Arena *arena,
                  const char **ret_period, Error *err) {
    *ret_period = NULL;
    if (!pattern->period)
        return true;
    regex_t expression;
    if (regcomp(&expression, pattern->period, REG_EXTENDED) != 0)
        return error_set(err, STATE_CONFIG, "%s: the period of pattern %s is no regular expression", claims->name,
                         pattern->pattern);
    regmatch_t groups[PERIOD_GROUPS];
    if (regexec(&expression, arena_string(arena, plain_name(name)), PERIOD_GROUPS, groups, 0) == 0 && groups[1].rm_so >= 0)
        *ret_period = arena_string(arena, (Str){name + groups[1].rm_so, (size_t)(groups[1].rm_eo - groups[1].rm_so)});
    regfree(&expression);
    return true;
}
