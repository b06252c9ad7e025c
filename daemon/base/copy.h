/* copy.h - memcpy() for pieces of which most are shorter than a call of it takes: fields, ids, names of columns.
 *
 * Loads that overlap stand for every length from 4 to 15, and from 16 to 32: which of them it is, no branch has to guess.
 * Reads and writes nothing beyond the piece. Pure; any thread. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define COPY_ENDS(type, to, from, size)                              \
    do {                                                             \
        type first, last;                                            \
        memcpy(&first, (from), sizeof first);                        \
        memcpy(&last, (from) + (size) - sizeof last, sizeof last);   \
        memcpy((to), &first, sizeof first);                          \
        memcpy((to) + (size) - sizeof last, &last, sizeof last);     \
    } while (0)

/* Of 4 to 15 bytes: two pieces of four from each end, which are the same up to seven. */
static inline void copy_fours(char *to, const char *from, size_t size) {
    size_t second = size / 8 * 4;
    COPY_ENDS(uint32_t, to + second, from + second, size - 2 * second);
    COPY_ENDS(uint32_t, to, from, size);
}

static inline void copy_short(char *to, const char *from, size_t size) {
    typedef struct Half {
        uint64_t words[2];
    } Half;
    if (size > 2 * sizeof(Half))
        memcpy(to, from, size);
    else if (size >= sizeof(Half))
        COPY_ENDS(Half, to, from, size);
    else if (size >= 4)
        copy_fours(to, from, size);
    else if (size >= 2)
        COPY_ENDS(uint16_t, to, from, size);
    else if (size == 1)
        *to = *from;
}
