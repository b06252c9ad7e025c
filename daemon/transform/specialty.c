/* specialty.c - see specialty.h. */
#include "transform/specialty.h"

#include <ctype.h>

enum { STEM_BYTES = 5 }; /* cardi-ology, cardi-ovascular; ortho-pedics, ortho-paedic */

/* They stand in the names of most specialties, and tell none from another. */
static const char *const COMMON[] = {"and", "care", "clinic", "doctor", "for", "general", "health", "medical", "medicine",
                                     "of", "physician", "practice", "provider", "services", "specialist", "specialty",
                                     "surgeon", "surgery", "surgical", "the"};

/* The next run of letters; empty at the end. */
static Str next_word(Str *rest) {
    size_t start = 0;
    while (start < rest->size && !isalpha((unsigned char)rest->at[start]))
        start++;
    size_t end = start;
    while (end < rest->size && isalpha((unsigned char)rest->at[end]))
        end++;
    Str word = {rest->at + start, end - start};
    *rest = (Str){rest->at + end, rest->size - end};
    return word;
}

static bool is_common(Str word) {
    for (size_t i = 0; i < sizeof COMMON / sizeof *COMMON; i++)
        if (str_equal_nocase(word, str_of(COMMON[i])))
            return true;
    return word.size < 2;
}

static bool has_word_like(Str text, Str word) {
    Str stem = {word.at, word.size < STEM_BYTES ? word.size : STEM_BYTES};
    for (Str other; (other = next_word(&text)).size > 0;)
        if (other.size >= stem.size && str_equal_nocase((Str){other.at, stem.size}, stem))
            return true;
    return false;
}

/* `ret_n` words were compared: those that tell something, or every one. */
static bool shares_word(Str ours, Str theirs, bool is_every, size_t *ret_n) {
    *ret_n = 0;
    for (Str word; (word = next_word(&ours)).size > 0;) {
        if (!is_every && is_common(word))
            continue;
        ++*ret_n;
        if (has_word_like(theirs, word))
            return true;
    }
    return false;
}

bool specialty_agrees(Str ours, Str theirs) {
    size_t n;
    if (shares_word(ours, theirs, false, &n))
        return true;
    return n == 0 && (shares_word(ours, theirs, true, &n) || n == 0); /* "General Surgery" is all it says */
}
