/* text.h - texts as people typed them: encodings, blanks, case, words that mean nothing.
 *
 * Every function gives back the text it was given when there is nothing to do, else a new one in the
 * arena. Texts are UTF-8 once text_repair() has seen them. Pure; any thread. */
#pragma once
#include "base/arena.h"

bool text_is_ascii(Str text);
/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF; and no NUL, which PostgreSQL's
 * text cannot hold. */
bool text_is_clean_utf8(Str text);
/* Bytes that are not UTF-8 are taken for Windows-1252, those that it leaves open become U+FFFD; NULs
 * go. Sets *ret_repaired only when something was done. */
Str text_repair(Arena *arena, Str text, bool *ret_repaired);
/* The character; U+FFFD for a byte that Windows-1252 leaves open. */
uint32_t text_from_windows_1252(uint8_t byte);

/* Without blanks at both ends; U+00A0, the blank of web pages and spreadsheets, is one too. */
Str text_trim(Str text);
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
bool text_is_unknown_word(Str trimmed);
