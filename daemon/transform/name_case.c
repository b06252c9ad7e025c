/* name_case.c - see name_case.h.
 *
 * A name is words between blanks, a word is parts between hyphens, points and apostrophes. The case of
 * the letters of a part as it came decides what may be done to it. */
#include "transform/name_case.h"

#include "transform/text.h"

#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>
#include <stdlib.h>

typedef enum Style { STYLE_NONE, STYLE_UPPER, STYLE_LOWER, STYLE_TITLE, STYLE_MIXED } Style;

typedef struct Part {
    ucs4_t *at;
    size_t size; /* characters */
} Part;

enum { WORDS_MAX = 32 };

/* Lower-case words that stay small before the name proper. */
static const char *const PARTICLES[] = {"de", "del", "della", "da", "do", "dos", "das", "van", "von",
                                        "vom", "zu", "zur", "ter", "ten", "bin", "ibn"};
/* Pairs that are particles however they came. */
static const char *const PAIRS[][2] = {
    {"de", "la"},   {"de", "las"},  {"de", "los"},  {"de", "le"},   {"van", "de"},
    {"van", "der"}, {"van", "den"}, {"van", "het"}, {"von", "der"}, {"von", "den"}, {"von", "dem"},
};
/* Last words that are not names, as they are written. */
static const char *const SUFFIXES[] = {"II", "III", "IV", "VII", "VIII", "MD", "RN", "DDS", "PhD"};
/* Surnames whose Mac is followed by a capital. */
static const char *const MACS[] = {
    "macarthur",  "macaulay", "macbride",   "maccallum", "macdonald",  "macdonnell", "macdougall",
    "macduff",    "macewan",  "macfadden",  "macfarlane", "macgillivray", "macgowan", "macgregor",
    "macintosh",  "macintyre", "macivor",   "mackenzie", "mackinnon",  "maclachlan", "maclaren",
    "maclean",    "macleod",  "macmahon",   "macmanus",  "macmillan",  "macmurray",  "macnab",
    "macnamara",  "macneil",  "macneill",   "macpherson", "macquarie", "macrae",     "mactaggart",
};
#define COUNT(list) (sizeof(list) / sizeof *(list))

static bool is_letter(ucs4_t c) {
    return uc_is_general_category(c, UC_CATEGORY_L) || uc_is_general_category(c, UC_CATEGORY_M);
}

static bool is_apostrophe(ucs4_t c) { return c == '\'' || c == 0x2019; }

static Style style_of(Part part) {
    size_t n_upper = 0, n_lower = 0;
    bool starts_upper = false;
    for (size_t i = 0; i < part.size; i++) {
        bool is_upper = uc_tolower(part.at[i]) != part.at[i];
        bool is_lower = !is_upper && uc_toupper(part.at[i]) != part.at[i];
        if (n_upper + n_lower == 0)
            starts_upper = is_upper;
        n_upper += is_upper;
        n_lower += is_lower;
    }
    if (n_upper + n_lower == 0)
        return STYLE_NONE;
    if (n_lower == 0 || (n_upper > 1 && n_lower == 1 && !starts_upper))
        return STYLE_UPPER; /* jOHN: the capitals key was on */
    if (n_upper == 0)
        return STYLE_LOWER;
    return n_upper == 1 && starts_upper ? STYLE_TITLE : STYLE_MIXED;
}

/* Equal to an ASCII word, whatever the case. */
static bool part_is(Part part, const char *word) {
    size_t i = 0;
    for (; i < part.size && word[i]; i++)
        if (uc_tolower(part.at[i]) != uc_tolower((uint8_t)word[i]))
            return false;
    return i == part.size && word[i] == '\0';
}

static const char *find_word(Part part, const char *const *words, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (part_is(part, words[i]))
            return words[i];
    return NULL;
}

static void to_lower(Part part) {
    for (size_t i = 0; i < part.size; i++)
        part.at[i] = uc_tolower(part.at[i]);
}

static void to_title(Part part) {
    to_lower(part);
    if (part.size > 0)
        part.at[0] = uc_toupper(part.at[0]);
}

/* Mcdonald has its second capital always, Macdonald only when the case told nothing. */
static void capitalise_mac(Part part, Style style) {
    bool is_mc = part.size >= 4 && part_is((Part){part.at, 2}, "mc");
    bool is_mac = style != STYLE_TITLE && find_word(part, MACS, COUNT(MACS));
    if (is_mc || is_mac)
        part.at[is_mc ? 2 : 3] = uc_toupper(part.at[is_mc ? 2 : 3]);
}

static void case_part(Part part) {
    Style style = style_of(part);
    if (style == STYLE_NONE || style == STYLE_MIXED)
        return;
    to_title(part);
    capitalise_mac(part, style);
}

/* Where the part at the start of `rest` ends. An apostrophe ends it after a prefix of one or two
 * letters before at least three (O'Brien, De'Andre), not in Ba'al or Noor's. */
static size_t part_length(Part rest) {
    size_t i = 0;
    while (i < rest.size && (is_letter(rest.at[i]) || is_apostrophe(rest.at[i]))) {
        size_t tail = i + 1;
        while (tail < rest.size && is_letter(rest.at[tail]))
            tail++;
        if (is_apostrophe(rest.at[i]) && i >= 1 && i <= 2 && tail - i - 1 >= 3)
            return i;
        i++;
    }
    return i;
}

static void case_word(Part word) {
    for (size_t i = 0; i < word.size;) {
        Part rest = {word.at + i, word.size - i};
        size_t length = part_length(rest);
        case_part((Part){rest.at, length});
        i += length + 1; /* and the character that ended it */
    }
}

static bool is_pair(const Part *words, size_t i, size_t n) {
    if (i + 2 >= n)
        return false; /* something must follow */
    for (size_t k = 0; k < COUNT(PAIRS); k++)
        if (part_is(words[i], PAIRS[k][0]) && part_is(words[i + 1], PAIRS[k][1]))
            return true;
    return false;
}

static bool is_particle(const Part *words, size_t i, size_t n) {
    if (is_pair(words, i, n) || (i > 0 && is_pair(words, i - 1, n)))
        return true;
    Style style = style_of(words[i]);
    if (i + 1 >= n || (style != STYLE_UPPER && style != STYLE_LOWER))
        return false;
    if (i > 0 && style == STYLE_LOWER && part_is(words[i], "y"))
        return true; /* Garcia y Vega; a capital Y is an initial */
    return find_word(words[i], PARTICLES, COUNT(PARTICLES)) != NULL;
}

static void case_words(const Part *words, size_t n) {
    bool is_small[WORDS_MAX];
    for (size_t i = 0; i < n; i++)
        is_small[i] = is_particle(words, i, n);
    for (size_t i = 0; i < n; i++) {
        const char *suffix = i > 0 && i + 1 == n ? find_word(words[i], SUFFIXES, COUNT(SUFFIXES)) : NULL;
        if (suffix)
            for (size_t k = 0; k < words[i].size; k++)
                words[i].at[k] = (uint8_t)suffix[k];
        else if (is_small[i])
            to_lower(words[i]);
        else
            case_word(words[i]);
    }
}

static size_t split_words(Part name, Part *ret_words) {
    size_t n = 0;
    for (size_t i = 0; i < name.size && n < WORDS_MAX; i++) {
        if (name.at[i] == ' ')
            continue;
        size_t start = i;
        while (i < name.size && name.at[i] != ' ')
            i++;
        ret_words[n++] = (Part){name.at + start, i - start};
    }
    return n;
}

/* Most names of a database: one word, one capital, then small letters, nothing special in it. */
static bool is_plain(Str text) {
    if (text.size < 2 || (uint8_t)(text.at[0] - 'A') >= 26 || (text.at[0] == 'M' && text.at[1] == 'c'))
        return text.size == 1 && (uint8_t)(text.at[0] - 'A') < 26;
    for (size_t i = 1; i < text.size; i++)
        if ((uint8_t)(text.at[i] - 'a') >= 26)
            return false;
    return true;
}

static Part decode(Arena *arena, Str text) {
    Part name = {arena_alloc(arena, text.size * sizeof(ucs4_t)), 0};
    for (size_t i = 0; i < text.size;)
        i += (size_t)u8_mbtouc(&name.at[name.size++], (const uint8_t *)text.at + i, text.size - i);
    return name;
}

static Str encode(Arena *arena, Part name) {
    uint8_t *made = arena_alloc(arena, name.size * 4);
    size_t used = 0;
    for (size_t i = 0; i < name.size; i++)
        used += (size_t)u8_uctomb(made + used, name.at[i], 4);
    return (Str){(const char *)made, used};
}

/* Composition never makes more characters than there were, but the library wants room to work. */
static Part compose(Arena *arena, Part name) {
    size_t size = 3 * name.size + 1;
    ucs4_t *made = arena_alloc(arena, size * sizeof *made);
    ucs4_t *composed = u32_normalize(UNINORM_NFC, name.at, name.size, made, &size);
    if (composed == made)
        return (Part){made, size};
    free(composed);
    return name;
}

Str name_case(Arena *arena, Str text) {
    if (is_plain(text))
        return text;
    Part words[WORDS_MAX];
    Part name = decode(arena, text);
    if (!text_is_ascii(text))
        name = compose(arena, name);
    case_words(words, split_words(name, words));
    return encode(arena, name);
}
