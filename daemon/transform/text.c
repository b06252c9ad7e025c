/* text.c - see text.h. */
#include "transform/text.h"

#include <unicase.h>
#include <unistr.h>

/* Length of the well-formed character at `at`, 0 when there is none. */
static size_t utf8_length(const char *at, size_t size) {
    ucs4_t character;
    int length = u8_mbtoucr(&character, (const uint8_t *)at, size);
    return length > 0 ? (size_t)length : 0;
}

static size_t clean_prefix(Str text) {
    size_t i = 0;
    while (i < text.size && text.at[i] != '\0') {
        size_t length = utf8_length(text.at + i, text.size - i);
        if (length == 0)
            break;
        i += length;
    }
    return i;
}

static uint64_t blank_or_beyond_ascii(uint64_t word) { return word_below(word, '!'); }
/* Bytes in [from, from + 25], of eight ASCII characters. */
static uint64_t letters_in(uint64_t word, unsigned from) {
    return (word + EVERY_BYTE(0x80 - from)) & ~(word + EVERY_BYTE(0x80 - from - 26)) & EVERY_HIGH;
}
static uint64_t small_letters_in(uint64_t word) { return letters_in(word, 'a'); }
static uint64_t small_or_beyond_ascii(uint64_t word) { return small_letters_in(word) | word_beyond_ascii(word); }
static uint64_t capital_or_beyond_ascii(uint64_t word) { return letters_in(word, 'A') | word_beyond_ascii(word); }

static uint64_t unseen_or_small(uint64_t word) {
    return small_letters_in(word) | word_below(word, '!') | (word_equal(word, '\x7F'));
}

bool text_is_upper_ascii(Str text) { return !words_have(text, unseen_or_small); }

bool text_is_ascii(Str text) { return !words_have(text, word_beyond_ascii); }

bool text_is_clean_utf8_beyond_ascii(Str text) { return clean_prefix(text) == text.size; }

/* Windows-1252 where it differs from Latin-1 (unicode.org, VENDORS/MICSFT/WINDOWS/CP1252.TXT). */
uint32_t text_from_windows_1252(uint8_t byte) {
    static const uint16_t HIGH_CONTROLS[32] = {
        0x20AC, 0xFFFD, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
        0x2039, 0x0152, 0xFFFD, 0x017D, 0xFFFD, 0xFFFD, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
        0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0xFFFD, 0x017E, 0x0178,
    };
    return byte >= 0x80 && byte < 0xA0 ? HIGH_CONTROLS[byte - 0x80] : byte;
}

Str text_repair(Arena *arena, Str text, bool *ret_repaired) {
    if (text_is_clean_utf8(text))
        return text;
    uint8_t *made = arena_alloc(arena, text.size * 3);
    size_t used = 0;
    for (size_t i = 0; i < text.size;) {
        Str rest = {text.at + i, text.size - i};
        size_t clean = clean_prefix(rest);
        memcpy(made + used, rest.at, clean);
        used += clean;
        i += clean;
        if (i == text.size)
            break;
        if (text.at[i] != '\0')
            used += (size_t)u8_uctomb(made + used, text_from_windows_1252((uint8_t)text.at[i]), 3);
        i++;
    }
    *ret_repaired = true;
    return (Str){(const char *)made, used};
}

/* Length of the blank at the start of `at`, 0 when there is none. */
static size_t blank_length(const char *at, size_t size) {
    if (*at == ' ' || (*at >= '\t' && *at <= '\r'))
        return 1;
    return size >= 2 && at[0] == '\xC2' && at[1] == '\xA0' ? 2 : 0;
}

Str text_trim_blanks(Str text) {
    for (;;) {
        text = str_trim(text);
        if (text.size >= 2 && blank_length(text.at, text.size) == 2)
            text.at += 2, text.size -= 2;
        else if (text.size >= 2 && blank_length(text.at + text.size - 2, 2) == 2)
            text.size -= 2;
        else
            return text;
    }
}

static bool is_unseen(ucs4_t character) {
    return character == 0xAD || (character >= 0x200B && character <= 0x200F) || (character >= 0x202A && character <= 0x202E) ||
           (character >= 0x2060 && character <= 0x2064) || character == 0xFEFF;
}

Str text_visible(Arena *arena, Str text) {
    if (text_is_ascii(text))
        return text;
    char *made = arena_alloc(arena, text.size);
    size_t used = 0;
    for (size_t i = 0, length; i < text.size; i += length) {
        ucs4_t character;
        length = (size_t)u8_mbtouc(&character, (const uint8_t *)text.at + i, text.size - i);
        if (is_unseen(character))
            continue;
        memcpy(made + used, text.at + i, length);
        used += length;
    }
    return (Str){made, used};
}

static bool has_run_of_blanks(Str text) {
    for (size_t i = 0; i < text.size; i++) {
        char c = text.at[i];
        bool is_run = c == ' ' && i + 1 < text.size && text.at[i + 1] == ' ';
        if (is_run || (c >= '\t' && c <= '\r') || c == '\xC2')
            return true; /* 0xC2 begins U+00A0, and other characters: the copy below tells */
    }
    return false;
}

Str text_collapse(Arena *arena, Str text) {
    if (!words_have(text, blank_or_beyond_ascii))
        return text;
    text = text_trim(text);
    if (!has_run_of_blanks(text))
        return text;
    char *made = arena_alloc(arena, text.size);
    size_t used = 0;
    bool is_after_blank = false;
    for (size_t i = 0; i < text.size;) {
        size_t blank = blank_length(text.at + i, text.size - i);
        if (blank == 0)
            made[used++] = text.at[i];
        else if (!is_after_blank)
            made[used++] = ' ';
        is_after_blank = blank > 0;
        i += blank > 0 ? blank : 1;
    }
    return (Str){made, used};
}

typedef ucs4_t MapCharacter(ucs4_t character);

static Str map_unicode(Arena *arena, Str text, MapCharacter *map) {
    uint8_t *made = arena_alloc(arena, text.size * 3); /* U+0250 grows from two bytes to three */
    size_t used = 0;
    for (size_t i = 0; i < text.size;) {
        ucs4_t character;
        i += (size_t)u8_mbtouc(&character, (const uint8_t *)text.at + i, text.size - i);
        used += (size_t)u8_uctomb(made + used, map(character), 6);
    }
    return (Str){(const char *)made, used};
}

/* Changes the case of letters; `from` is the first letter of the case to be changed: 'a' for upper, 'A' for lower. */
static Str map_ascii(Arena *arena, Str text, char from) {
    char *made = arena_alloc(arena, text.size);
    size_t i = 0;
    for (; i + 8 <= text.size; i += 8) {
        uint64_t word = word_load(text.at + i);
        word ^= letters_in(word, (uint8_t)from) >> 2; /* the bit 0x20 of a letter is its case */
        memcpy(made + i, &word, sizeof word);
    }
    for (; i < text.size; i++)
        made[i] = (uint8_t)(text.at[i] - from) < 26 ? (char)(text.at[i] ^ 0x20) : text.at[i];
    return (Str){made, text.size};
}

Str text_upper(Arena *arena, Str text) {
    if (!words_have(text, small_or_beyond_ascii))
        return text; /* as most ids */
    return text_is_ascii(text) ? map_ascii(arena, text, 'a') : map_unicode(arena, text, uc_toupper);
}

Str text_lower(Arena *arena, Str text) {
    if (!words_have(text, capital_or_beyond_ascii))
        return text;
    return text_is_ascii(text) ? map_ascii(arena, text, 'A') : map_unicode(arena, text, uc_tolower);
}

/* Which cases occur in the letters of a text. */
static void find_cases(Str text, bool *ret_upper, bool *ret_lower) {
    *ret_upper = *ret_lower = false;
    for (size_t i = 0; i < text.size;) {
        ucs4_t character;
        i += (size_t)u8_mbtouc(&character, (const uint8_t *)text.at + i, text.size - i);
        *ret_upper |= uc_tolower(character) != character;
        *ret_lower |= uc_toupper(character) != character;
    }
}

/* A capital, then at least one small letter, in ASCII: as most statuses come. */
static bool is_title_already(Str text) {
    return text.size >= 2 && (uint8_t)(text.at[0] - 'A') < 26 && (uint8_t)(text.at[1] - 'a') < 26;
}

Str text_title(Arena *arena, Str text) {
    if (is_title_already(text))
        return text; /* both cases occur */
    bool has_upper, has_lower;
    find_cases(text, &has_upper, &has_lower);
    if (has_upper == has_lower)
        return text;
    uint8_t *made = arena_alloc(arena, text.size * 3);
    size_t used = 0;
    bool is_first = true;
    for (size_t i = 0; i < text.size;) {
        ucs4_t character;
        i += (size_t)u8_mbtouc(&character, (const uint8_t *)text.at + i, text.size - i);
        ucs4_t mapped = is_first ? uc_toupper(character) : uc_tolower(character);
        used += (size_t)u8_uctomb(made + used, mapped, 6);
        is_first = character == ' ';
    }
    return (Str){(const char *)made, used};
}

Str text_digits(Arena *arena, Str text) {
    char *made = arena_alloc(arena, text.size);
    size_t used = 0;
    for (size_t i = 0; i < text.size; i++)
        if (text.at[i] >= '0' && text.at[i] <= '9')
            made[used++] = text.at[i];
    return used == text.size ? text : (Str){made, used};
}

static bool may_begin_unknown_word(char c) {
    switch (c) {
    case 'n': case 'N': case 'u': case 'U': case '-': case '(': case '<': case '#': case '?': case '.':
        return true;
    default:
        return false;
    }
}

bool text_is_short_unknown_word(Str trimmed) {
    static const char *const WORDS[] = {"NULL", "(null)", "<null>", "N/A", "#N/A", "n.a.", "-",
                                        "none", "unknown", "?", "."};
    if (trimmed.size > 0 && !may_begin_unknown_word(trimmed.at[0]))
        return false;
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (str_equal_nocase(trimmed, str_of(WORDS[i])))
            return true;
    return trimmed.size == 0;
}
