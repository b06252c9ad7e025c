/* text.h - texts as people typed them: encodings, blanks, case, words that mean nothing.
 *
 * Every function gives back the text it was given when there is nothing to do, else a new one in the
 * arena. Texts are UTF-8 once text_repair() has seen them. Pure; any thread. */
#pragma once
#include "base/arena.h"
#include "base/words.h"

bool text_is_ascii(Str text);
/* All of it ASCII, to be seen and no small letter: no blank, no control character. */
bool text_is_upper_ascii(Str text);
/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF; and no NUL, which PostgreSQL's
 * text cannot hold. */
bool text_is_clean_utf8_beyond_ascii(Str text); /* as text_is_clean_utf8(), where some of it is not ASCII */
static inline uint64_t text_nul_or_beyond_ascii(uint64_t word) { return word_below(word, 1); }
static inline bool text_is_clean_utf8(Str text) {
    return !words_have(text, text_nul_or_beyond_ascii) || text_is_clean_utf8_beyond_ascii(text);
}
/* Bytes that are not UTF-8 are taken for Windows-1252, those that it leaves open become U+FFFD; NULs
 * go. Sets *ret_repaired only when something was done. */
Str text_repair(Arena *arena, Str text, bool *ret_repaired);
/* The character; U+FFFD for a byte that Windows-1252 leaves open. */
uint32_t text_from_windows_1252(uint8_t byte);

/* Without blanks at both ends; U+00A0, the blank of web pages and spreadsheets, is one too. */
Str text_trim_blanks(Str text); /* as text_trim(), where an end is no visible ASCII */
static inline bool text_is_visible_ascii(char c) { return (uint8_t)(c - '!') < 94; }
static inline Str text_trim(Str text) {
    bool is_trimmed = text.size > 0 && text_is_visible_ascii(text.at[0]) && text_is_visible_ascii(text.at[text.size - 1]);
    return is_trimmed ? text : text_trim_blanks(text);
}
/* Without characters that nobody sees: zero-width blanks and joiners, marks of byte order and of direction, soft hyphens. */
Str text_visible(Arena *arena, Str text);
/* Trimmed, and every run of blanks one space. */
Str text_collapse(Arena *arena, Str text);
/* Letters of any script, one character at a time (simple case mapping). */
Str text_upper(Arena *arena, Str text);
Str text_lower(Arena *arena, Str text);
/* A text all in capitals, or all in small letters, gets one capital per word; others stay: "FOLLOW-UP
 * VISIT" becomes "Follow-up Visit", "Self-Pay" stays. For statuses and types; names have name_case.h. */
Str text_title(Arena *arena, Str text);
/* The digits of it, in order. */
Str text_digits(Arena *arena, Str text);

/* NULL, N/A, -, none, unknown and the like: the trimmed text says that nothing is known. */
enum { TEXT_UNKNOWN_BYTES = 7 }; /* the longest of them */
bool text_is_short_unknown_word(Str trimmed); /* as text_is_unknown_word(), of up to so many bytes */
static inline bool text_is_unknown_word(Str trimmed) {
    return trimmed.size <= TEXT_UNKNOWN_BYTES && text_is_short_unknown_word(trimmed);
}
