/* pattern.h - regular expressions that describe a whole text: `[0-9]{5}(-[0-9]{4})?`.
 *
 * Syntax: characters, `.` (any character), `[a-z_]`, `[^...]` (ASCII characters and ranges), \d \w \s \D \W \S, \t \n,
 * `( )` and `(?: )`, `|`, `* + ?`, `{n}` `{n,}` `{n,m}`. A pattern holds for the text from its begin to its end, as
 * HTML's pattern attribute and XML Schema's do; `^` in front and `$` at the end may stand there and change nothing.
 * Characters are those of UTF-8; texts must be valid.
 *
 * Compiled once into a table of states, so that a text costs one step a byte, whatever the pattern and the text: there
 * is nothing to backtrack (Thompson, "Regular Expression Search Algorithm", CACM 11(6), 1968). A pattern that needs more
 * than PATTERN_STATES_MAX states is refused. Pure; a Pattern is immutable, any thread. */
#pragma once
#include "base/arena.h"
#include "base/error.h"

enum { PATTERN_STATES_MAX = 500 };

typedef struct Pattern Pattern;

/* NULL and what is wrong, without the pattern, when it is none. Lives in `arena`. */
const Pattern *pattern_compile(Arena *arena, Str text, Error *err);
bool pattern_matches(const Pattern *pattern, Str text);
