/* str.h - a borrowed piece of text.
 *
 * A Str points into memory somebody else owns (an arena, a page buffer, a literal) and is not
 * terminated. `at == NULL` is SQL's NULL; an empty text has `at != NULL` and `size == 0`.
 * Pure; any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

typedef struct Str {
    const char *at;
    size_t size; /* bytes */
} Str;

#define STR(literal) ((Str){(literal), sizeof(literal) - 1})
#define STR_NULL ((Str){NULL, 0})
#define STR_ARG(s) (int)(s).size, (s).at /* for "%.*s" */

static inline Str str_of(const char *text) { return (Str){text, text ? strlen(text) : 0}; }
static inline bool str_is_null(Str s) { return s.at == NULL; }

/* Equal bytes, or both NULL. */
bool str_equal(Str a, Str b);
/* Equal but for the case of ASCII letters. Most differ in size or in their first byte already. */
static inline bool str_equal_nocase(Str a, Str b) {
    if (!a.at || !b.at || a.size != b.size)
        return !a.at && !b.at;
    return a.size == 0 || (((a.at[0] ^ b.at[0]) & ~0x20) == 0 && strncasecmp(a.at, b.at, a.size) == 0);
}
/* Order of bytes, as COLLATE "C" has it; NULL first. */
int str_compare(Str a, Str b);
/* Into that order; a pass where they are in it already, as most are. */
void str_sort(Str *texts, size_t n);
/* Without ASCII blanks at both ends (space, tab, CR, LF, VT, FF). */
Str str_trim(Str s);
/* Whole text as a decimal integer with optional sign; false when it is not one or overflows. */
bool str_to_int64(Str s, int64_t *ret_value);
