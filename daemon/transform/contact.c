/* contact.c - see contact.h. */
#include "transform/contact.h"

#include <strings.h>

enum {
    NATIONAL_DIGITS = 10, /* North American Numbering Plan */
    E164_DIGITS_MIN = 8,
    E164_DIGITS_MAX = 15,
    EXTENSION_DIGITS_MAX = 8,
    TYPED_DIGITS_MAX = 24,
};

/* What was typed before the extension: its digits and whether a plus began it. */
typedef struct Typed {
    char digits[TYPED_DIGITS_MAX];
    size_t count;
    bool has_plus;
} Typed;

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Length of an extension's mark at the start of `text`; longest first. */
static size_t extension_mark(Str text) {
    static const char *const MARKS[] = {"extension", "ext.", "ext", "x", "#", ";ext="};
    for (size_t i = 0; i < sizeof MARKS / sizeof *MARKS; i++) {
        size_t size = strlen(MARKS[i]);
        if (text.size >= size && strncasecmp(text.at, MARKS[i], size) == 0)
            return size;
    }
    return 0;
}

/* Digits with spaces around and nothing else. */
static bool read_extension(Str text, Str *ret_extension) {
    text = str_trim(text);
    for (size_t i = 0; i < text.size; i++)
        if (!is_digit(text.at[i]))
            return false;
    *ret_extension = text;
    return text.size >= 1 && text.size <= EXTENSION_DIGITS_MAX;
}

static bool take_typed(Typed *typed, char c) {
    if (is_digit(c)) {
        if (typed->count == TYPED_DIGITS_MAX)
            return false;
        typed->digits[typed->count++] = c;
        return true;
    }
    if (c == '+' && typed->count == 0 && !typed->has_plus)
        return typed->has_plus = true;
    return c != '\0' && strchr(" ()-./", c) != NULL;
}

static bool read_typed(Str text, Typed *typed, Str *ret_extension) {
    *ret_extension = STR_NULL;
    for (size_t i = 0; i < text.size; i++) {
        size_t mark = extension_mark((Str){text.at + i, text.size - i});
        if (mark > 0)
            return read_extension((Str){text.at + i + mark, text.size - i - mark}, ret_extension);
        if (!take_typed(typed, text.at[i]))
            return false;
    }
    return true;
}

static void drop_front(Typed *typed, size_t count) {
    typed->count -= count;
    memmove(typed->digits, typed->digits + count, typed->count);
}

static bool starts_with(const Typed *typed, const char *digits) {
    size_t size = strlen(digits);
    return typed->count > size && memcmp(typed->digits, digits, size) == 0;
}

/* Leaves the digits behind the plus of E.164 in `typed`. */
static bool make_international(Typed *typed, const char *country) {
    bool is_nanp = strcmp(country, "1") == 0;
    if (!typed->has_plus && is_nanp && typed->count == NATIONAL_DIGITS) {
        memmove(typed->digits + 1, typed->digits, typed->count++);
        typed->digits[0] = '1';
    } else if (!typed->has_plus && is_nanp && starts_with(typed, "011")) {
        drop_front(typed, 3); /* the way out of North America */
    } else if (!typed->has_plus && starts_with(typed, "00")) {
        drop_front(typed, 2); /* the way out of most other countries, also typed as 001 */
    } else if (!typed->has_plus && !(is_nanp && typed->digits[0] == '1')) {
        size_t size = strlen(country), trunk = starts_with(typed, "0");
        if (is_nanp || typed->count + size > TYPED_DIGITS_MAX)
            return false;
        drop_front(typed, trunk);
        memmove(typed->digits + size, typed->digits, typed->count);
        memcpy(typed->digits, country, size);
        typed->count += size;
    }
    if (typed->count > 0 && typed->digits[0] == '1') /* North America has one length */
        return typed->count == NATIONAL_DIGITS + 1;
    return typed->count >= E164_DIGITS_MIN && typed->count <= E164_DIGITS_MAX && typed->digits[0] != '0';
}

/* 000-000-0000 and its like: typed to fill a field. */
static bool is_one_digit(const Typed *typed) {
    size_t from = typed->count > NATIONAL_DIGITS ? typed->count - NATIONAL_DIGITS : 0;
    for (size_t i = from; i < typed->count; i++)
        if (typed->digits[i] != typed->digits[from])
            return false;
    return true;
}

bool phone_parse(Arena *arena, Str text, const char *country, Phone *ret_phone) {
    Typed typed = {.count = 0};
    Str extension;
    if (!read_typed(text, &typed, &extension) || !make_international(&typed, country) ||
        is_one_digit(&typed))
        return false;
    char *number = arena_alloc(arena, typed.count + 1);
    number[0] = '+';
    memcpy(number + 1, typed.digits, typed.count);
    *ret_phone = (Phone){{number, typed.count + 1}, extension};
    return true;
}

static bool is_alphanumeric(char c) {
    return is_digit(c) || (uint8_t)((c | 32) - 'a') < 26;
}

/* Atoms of RFC 5322 section 3.2.3 with single dots between. */
static bool local_is_valid(Str local) {
    if (local.size == 0 || local.size > 64)
        return false;
    for (size_t i = 0; i < local.size; i++) {
        char c = local.at[i];
        bool is_dot = c == '.' && i > 0 && i + 1 < local.size && local.at[i - 1] != '.';
        if (!is_dot && !is_alphanumeric(c) && (c == '\0' || !strchr("!#$%&'*+-/=?^_`{|}~", c)))
            return false;
    }
    return true;
}

/* A label of RFC 1035 section 2.3.1, also beginning with a digit (RFC 1123 section 2.1). */
static bool label_is_valid(Str label) {
    if (label.size == 0 || label.size > 63 || label.at[0] == '-' || label.at[label.size - 1] == '-')
        return false;
    for (size_t i = 0; i < label.size; i++)
        if (!is_alphanumeric(label.at[i]) && label.at[i] != '-')
            return false;
    return true;
}

static bool is_all_digits(Str label) {
    for (size_t i = 0; i < label.size; i++)
        if (!is_digit(label.at[i]))
            return false;
    return true;
}

static bool domain_is_valid(Str domain) {
    size_t n_labels = 0;
    Str label = {domain.at, 0};
    for (size_t i = 0; i <= domain.size; i++) {
        if (i < domain.size && domain.at[i] != '.')
            continue;
        label.size = (size_t)(domain.at + i - label.at);
        if (!label_is_valid(label))
            return false;
        n_labels++;
        if (i < domain.size)
            label.at = domain.at + i + 1;
    }
    return n_labels >= 2 && label.size >= 2 && !is_all_digits(label);
}

bool email_is_valid(Str text) {
    const char *at = text.size > 0 && text.size <= 254 ? memrchr(text.at, '@', text.size) : NULL;
    if (!at)
        return false;
    size_t local_size = (size_t)(at - text.at);
    return local_is_valid((Str){text.at, local_size}) &&
           domain_is_valid((Str){at + 1, text.size - local_size - 1});
}
