/* disposition.c - see disposition.h. */
#include "api/disposition.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

typedef struct Reader {
    const char *at;
    Arena *arena;
} Reader;

static void skip_blanks(Reader *r) { r->at += strspn(r->at, " \t"); }

/* RFC 9110, section 5.6.2. */
static Str take_token(Reader *r) {
    size_t size = 0;
    while (isalnum((unsigned char)r->at[size]) || (r->at[size] && strchr("!#$%&'*+-.^_`|~", r->at[size])))
        size++;
    Str token = {r->at, size};
    r->at += size;
    return token;
}

static bool take_quoted(Reader *r, Str *ret_text) {
    char *out = arena_alloc(r->arena, strlen(r->at) + 1);
    size_t size = 0;
    for (r->at++; *r->at && *r->at != '"'; r->at++) {
        if (*r->at == '\\' && r->at[1])
            r->at++;
        out[size++] = *r->at;
    }
    if (!*r->at)
        return false;
    r->at++;
    *ret_text = (Str){out, size};
    return true;
}

static int digit_of(char c) {
    return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? (c | 0x20) - 'a' + 10 : -1;
}

/* UTF-8'language'percent-encoded; STR_NULL for another charset. */
static Str decode_extended(Arena *arena, Str value) {
    static const char CHARSET[] = "UTF-8'";
    if (value.size < sizeof CHARSET - 1 || strncasecmp(value.at, CHARSET, sizeof CHARSET - 1) != 0)
        return STR_NULL;
    const char *language = value.at + sizeof CHARSET - 1, *end = value.at + value.size;
    const char *at = memchr(language, '\'', (size_t)(end - language));
    if (!at)
        return STR_NULL;
    char *out = arena_alloc(arena, value.size);
    size_t size = 0;
    for (at++; at < end; at++) {
        bool is_coded = *at == '%';
        if (is_coded && (end - at < 3 || digit_of(at[1]) < 0 || digit_of(at[2]) < 0))
            return STR_NULL;
        out[size++] = (char)(is_coded ? digit_of(at[1]) << 4 | digit_of(at[2]) : *at);
        at += is_coded ? 2 : 0;
    }
    return (Str){out, size};
}

Str disposition_filename(Arena *arena, const char *header) {
    Reader r = {header, arena};
    Str plain = STR_NULL, extended = STR_NULL;
    skip_blanks(&r);
    take_token(&r); /* the type: attachment, form-data, … */
    for (skip_blanks(&r); *r.at == ';'; skip_blanks(&r)) {
        r.at++;
        skip_blanks(&r);
        Str name = take_token(&r), value;
        skip_blanks(&r);
        if (*r.at != '=')
            return STR_NULL;
        r.at++;
        skip_blanks(&r);
        if (*r.at != '"')
            value = take_token(&r);
        else if (!take_quoted(&r, &value))
            return STR_NULL;
        if (str_equal_nocase(name, STR("filename")))
            plain = value;
        else if (str_equal_nocase(name, STR("filename*")))
            extended = decode_extended(arena, value);
    }
    return *r.at ? STR_NULL : str_is_null(extended) ? plain : extended;
}
