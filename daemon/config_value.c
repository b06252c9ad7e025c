/* config_value.c - see config_value.h. */
#include "config_value.h"

#include "base/buf.h"
#include "base/own.h"

enum { EXPANDED_MAX_BYTES = 65536 };

typedef struct Unit {
    const char *name;
    int64_t factor;
} Unit;

/* From small to great. */
static const Unit DURATIONS[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", MS_PER_DAY}, {"w", 7 * MS_PER_DAY}, {"y", 365 * MS_PER_DAY},
};
static const Unit SIZES[] = {
    {"", 1}, {"KiB", INT64_C(1) << 10}, {"MiB", INT64_C(1) << 20}, {"GiB", INT64_C(1) << 30}, {"TiB", INT64_C(1) << 40},
};
static const Unit DECIMAL_SIZES[] = {
    {"B", 1}, {"KB", 1000}, {"MB", 1000000}, {"GB", 1000000000}, {"TB", INT64_C(1000000000000)},
};

static bool parse_unit(const char *text, const Unit *units, size_t n, int64_t *ret_value) {
    size_t digits = strspn(text, "0123456789");
    int64_t number;
    if (digits == 0 || !str_to_int64((Str){text, digits}, &number))
        return false;
    for (size_t i = 0; i < n; i++)
        if (strcmp(text + digits, units[i].name) == 0)
            return !__builtin_mul_overflow(number, units[i].factor, ret_value);
    return false;
}

bool value_parse_duration(const char *text, int64_t *ret_ms) {
    if (strcmp(text, "0") == 0) {
        *ret_ms = 0;
        return true;
    }
    return parse_unit(text, DURATIONS, sizeof DURATIONS / sizeof *DURATIONS, ret_ms);
}

bool value_parse_size(const char *text, int64_t *ret_bytes) {
    return parse_unit(text, SIZES, sizeof SIZES / sizeof *SIZES, ret_bytes) ||
           parse_unit(text, DECIMAL_SIZES, sizeof DECIMAL_SIZES / sizeof *DECIMAL_SIZES, ret_bytes);
}

/* In the greatest unit that divides it. */
static void print_unit(int64_t value, const Unit *units, size_t n, char *ret_text) {
    const Unit *best = &units[0];
    for (size_t i = 1; i < n; i++)
        if (value != 0 && value % units[i].factor == 0)
            best = &units[i];
    snprintf(ret_text, VALUE_TEXT_BYTES, "%lld%s", (long long)(value / best->factor), value ? best->name : "");
}

void value_print_duration(int64_t ms, char *ret_text) {
    print_unit(ms, DURATIONS, 5, ret_text); /* days at most: weeks and years are harder to compare */
}

void value_print_size(int64_t size_bytes, char *ret_text) {
    print_unit(size_bytes, SIZES, sizeof SIZES / sizeof *SIZES, ret_text);
}

bool value_is_address(const char *text) {
    if (text[0] == '/')
        return text[1] != '\0' && strlen(text) < 108; /* sun_path */
    const char *colon = strrchr(text, ':');
    int64_t port;
    if (!colon || colon == text || !str_to_int64(str_of(colon + 1), &port) || port < 0 || port > 65535)
        return false;
    bool is_bracketed = text[0] == '[' && colon[-1] == ']';
    return is_bracketed || !memchr(text, ':', (size_t)(colon - text));
}

static bool is_variable_name(Str name) {
    if (name.size == 0 || (name.at[0] >= '0' && name.at[0] <= '9'))
        return false;
    return strspn(name.at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") >= name.size;
}

const char *value_expand(Arena *arena, const char *text, const char **ret_missing) {
    *ret_missing = NULL;
    CLEANUP(buf_drop) Buf out;
    buf_init(&out, EXPANDED_MAX_BYTES);
    for (const char *open; (open = strstr(text, "${"));) {
        const char *close = strchr(open, '}');
        if (!close || !is_variable_name((Str){open + 2, (size_t)(close - open - 2)}))
            return NULL;
        const char *name = arena_string(arena, (Str){open + 2, (size_t)(close - open - 2)});
        const char *value = getenv(name);
        if (!value) {
            *ret_missing = name;
            return NULL;
        }
        buf_put(&out, text, (size_t)(open - text));
        buf_put_str(&out, str_of(value));
        text = close + 1;
    }
    buf_put_str(&out, str_of(text));
    return buf_overflowed(&out) ? NULL : arena_string(arena, buf_str(&out));
}

const char *value_variable(Arena *arena, const char *text) {
    size_t size = strlen(text);
    if (size < 4 || strncmp(text, "${", 2) != 0 || text[size - 1] != '}')
        return NULL;
    Str name = {text + 2, size - 3};
    return is_variable_name(name) ? arena_string(arena, name) : NULL;
}
