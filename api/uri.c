/* uri.c - see uri.h. */
#include "api/uri.h"

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

typedef enum Place { IN_PATH, IN_QUERY } Place;

static const char *decode(Arena *arena, Str raw, Place place, Str *ret_text) {
    char *text = arena_alloc(arena, raw.size + 1);
    size_t size = 0;
    for (size_t i = 0; i < raw.size; i++) {
        unsigned char c = (unsigned char)raw.at[i];
        if (c == '%') {
            int high = raw.size - i > 2 ? hex_digit(raw.at[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(raw.at[i + 2]) : -1;
            if (high < 0 || low < 0)
                return "a percent sign in the target is not followed by two hexadecimal digits";
            c = (unsigned char)(high * 16 + low);
            i += 2;
            if (c == 0)
                return "the target holds an encoded NUL";
            if (place == IN_PATH && (c == '/' || c == '\\'))
                return "the path holds an encoded slash";
        } else if (c == '+' && place == IN_QUERY) {
            c = ' ';
        }
        if (c < 0x20 || c == 0x7f)
            return "the target holds a control character";
        text[size++] = (char)c;
    }
    *ret_text = (Str){text, size};
    return NULL;
}

static Str cut(Str *rest, char separator) {
    const char *end = memchr(rest->at, separator, rest->size);
    Str head = {rest->at, end ? (size_t)(end - rest->at) : rest->size};
    size_t taken = end ? head.size + 1 : head.size;
    *rest = end ? (Str){rest->at + taken, rest->size - taken} : STR_NULL;
    return head;
}

static const char *parse_path(Arena *arena, Str path, Uri *uri) {
    Str rest = {path.at + 1, path.size - 1};
    while (!str_is_null(rest)) {
        if (uri->n_segments == URI_SEGMENTS_MAX)
            return "the path has too many segments";
        Str *segment = &uri->segments[uri->n_segments++];
        const char *why = decode(arena, cut(&rest, '/'), IN_PATH, segment);
        if (why)
            return why;
        if (str_equal(*segment, STR(".")) || str_equal(*segment, STR("..")))
            return "the path holds a dot segment";
    }
    return NULL;
}

static const char *parse_query(Arena *arena, Str query, Uri *uri) {
    while (!str_is_null(query)) {
        Str pair = cut(&query, '&');
        if (pair.size == 0)
            continue;
        if (uri->n_params == URI_PARAMS_MAX)
            return "the query has too many parameters";
        UriParam param;
        Str value = pair;
        Str name = cut(&value, '=');
        const char *why = decode(arena, name, IN_QUERY, &param.name);
        if (!why)
            why = decode(arena, str_is_null(value) ? STR("") : value, IN_QUERY, &param.value);
        if (why)
            return why;
        for (size_t i = 0; i < uri->n_params; i++)
            if (str_equal(uri->params[i].name, param.name))
                return "a query parameter is given twice";
        uri->params[uri->n_params++] = param;
    }
    return NULL;
}

const char *uri_parse(Arena *arena, const char *target, Uri *ret_uri) {
    Str query = str_of(target);
    if (query.size == 0 || query.at[0] != '/')
        return "the target is not a path";
    for (size_t i = 0; i < query.size; i++)
        if (query.at[i] == '#' || (unsigned char)query.at[i] <= ' ' ||
            (unsigned char)query.at[i] >= 0x7f)
            return "the target holds a character that must be encoded";
    Uri uri = {0};
    Str path = cut(&query, '?');
    const char *why = parse_path(arena, path, &uri);
    if (!why)
        why = parse_query(arena, query, &uri);
    if (!why)
        *ret_uri = uri;
    return why;
}

Str uri_param(const Uri *uri, const char *name) {
    for (size_t i = 0; i < uri->n_params; i++)
        if (str_equal(uri->params[i].name, str_of(name)))
            return uri->params[i].value;
    return STR_NULL;
}
