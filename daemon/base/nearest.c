/* nearest.c - see nearest.h. Optimal string alignment distance, three rows at a time. */
#include "base/nearest.h"

#include <stdio.h>

enum { NAME_BYTES_MAX = 63 }; /* longer names are nobody's slip of a key */

typedef size_t Row[NAME_BYTES_MAX + 1];

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static char fold(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static bool are_swapped(Str a, Str b, size_t i, size_t j) {
    return i > 1 && j > 1 && fold(a.at[i - 1]) == fold(b.at[j - 2]) &&
           fold(a.at[i - 2]) == fold(b.at[j - 1]);
}

static size_t distance_between(Str a, Str b) {
    Row rows[3];
    for (size_t j = 0; j <= b.size; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        size_t *now = rows[i % 3], *before = rows[(i + 2) % 3], *earlier = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            size_t changed = before[j - 1] + (fold(a.at[i - 1]) != fold(b.at[j - 1]));
            now[j] = least(changed, least(before[j], now[j - 1]) + 1);
            if (are_swapped(a, b, i, j))
                now[j] = least(now[j], earlier[j - 2] + 1);
        }
    }
    return rows[a.size % 3][b.size];
}

Nearest nearest_start(Str wanted) {
    return (Nearest){.wanted = wanted, .name = NULL, .distance = (wanted.size + 2) / 3 + 1};
}

void nearest_offer(Nearest *nearest, const char *name) {
    Str offered = str_of(name);
    if (nearest->wanted.size > NAME_BYTES_MAX || offered.size > NAME_BYTES_MAX)
        return;
    size_t distance = distance_between(nearest->wanted, offered);
    if (distance < nearest->distance) {
        nearest->name = name;
        nearest->distance = distance;
    }
}

void nearest_suggest(const Nearest *nearest, char *ret_text) {
    ret_text[0] = '\0';
    if (nearest->name)
        snprintf(ret_text, NEAREST_TEXT_BYTES, ", did you mean `%s`?", nearest->name);
}
