/* str.c - see str.h. */
#include "base/str.h"

#include <stdlib.h>
#include <strings.h>

bool str_equal(Str a, Str b) {
    if (!a.at || !b.at)
        return a.at == b.at;
    return a.size == b.size && memcmp(a.at, b.at, a.size) == 0;
}

int str_compare(Str a, Str b) {
    if (!a.at || !b.at)
        return (a.at != NULL) - (b.at != NULL);
    size_t shared = a.size < b.size ? a.size : b.size;
    int order = memcmp(a.at, b.at, shared);
    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

static int compare_texts(const void *a, const void *b) { return str_compare(*(const Str *)a, *(const Str *)b); }

void str_sort(Str *texts, size_t n) {
    size_t i = 1;
    while (i < n && str_compare(texts[i - 1], texts[i]) <= 0)
        i++;
    if (i < n)
        qsort(texts, n, sizeof *texts, compare_texts);
}

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

Str str_trim(Str s) {
    while (s.size > 0 && is_blank(s.at[0]))
        s.at++, s.size--;
    while (s.size > 0 && is_blank(s.at[s.size - 1]))
        s.size--;
    return s;
}

bool str_to_int64(Str s, int64_t *ret_value) {
    bool negative = s.size > 0 && s.at[0] == '-';
    size_t i = s.size > 0 && (s.at[0] == '-' || s.at[0] == '+') ? 1 : 0;
    if (i == s.size)
        return false;
    int64_t value = 0; /* built up negative, so that INT64_MIN is reached too */
    for (; i < s.size; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, s.at[i] - '0', &value))
            return false;
    }
    if (!negative && __builtin_mul_overflow(value, -1, &value))
        return false;
    *ret_value = value;
    return true;
}
