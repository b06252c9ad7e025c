/* words.h - is something in a text? Eight bytes at a time, without a look at where it is.
 *
 * For texts of which nearly all pass, so that who wants to know more may look again, slowly. Reads nothing beyond the
 * text. Pure; any thread. */
#pragma once
#include "base/str.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first character of a word is its lowest byte");

#define EVERY_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))
#define EVERY_HIGH EVERY_BYTE(0x80)

/* Of eight bytes some high bits, where one is what is looked for; none where none is. The digit 0 is nothing that
 * anybody looks for: short texts are filled with it. */
typedef uint64_t WordTest(uint64_t word);

static inline uint64_t word_load(const char *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* Every byte of a text of up to seven, some twice. */
static inline uint64_t word_of_short(Str text) {
    if (text.size >= 4) {
        uint32_t first, last;
        memcpy(&first, text.at, sizeof first);
        memcpy(&last, text.at + text.size - 4, sizeof last);
        return (uint64_t)first << 32 | last;
    }
    if (text.size == 0)
        return EVERY_BYTE('0');
    uint64_t first = (uint8_t)text.at[0], middle = (uint8_t)text.at[text.size / 2],
             last = (uint8_t)text.at[text.size - 1];
    return (EVERY_BYTE('0') & ~UINT64_C(0xFFFFFF)) | first << 16 | middle << 8 | last;
}

static inline __attribute__((always_inline)) bool words_have(Str text, WordTest *test) {
    if (text.size < 8)
        return test(word_of_short(text)) != 0;
    uint64_t found = test(word_load(text.at + text.size - 8));
    for (size_t i = 0; i + 8 < text.size; i += 8)
        found |= test(word_load(text.at + i));
    return found != 0;
}

/* ---- tests, and what they are made of ---- */

static inline uint64_t word_beyond_ascii(uint64_t word) { return word & EVERY_HIGH; }
/* Bytes less than one of at most 0x80, or beyond ASCII: the high bit set already, or borrowed by a byte that is less.
 * Above such a byte there may be more. */
static inline uint64_t word_below(uint64_t word, uint8_t least) { return (word | (word - EVERY_BYTE(least))) & EVERY_HIGH; }
static inline uint64_t word_equal(uint64_t word, char byte) {
    return word_below((word ^ EVERY_BYTE((uint8_t)byte)) & ~EVERY_HIGH, 1);
}

/* ---- a number of eight digits ---- */

/* Of eight characters, the first in the lowest byte as word_load() has it; -1 unless all are digits. Adds up pairs, then
 * fours, then all (Daniel Lemire, "Quickly parsing eight digits", 2018). */
static inline int64_t word_number(uint64_t characters) {
    uint64_t digits = characters ^ EVERY_BYTE('0');
    if ((digits | (digits + EVERY_BYTE(0x80 - 10))) & EVERY_HIGH)
        return -1;
    digits = (digits * (1 + (10 << 8))) >> 8;
    digits = ((digits & UINT64_C(0x00FF00FF00FF00FF)) * (1 + (100 << 16))) >> 16;
    return (int64_t)(((digits & UINT64_C(0x0000FFFF0000FFFF)) * (1 + (UINT64_C(10000) << 32))) >> 32);
}
