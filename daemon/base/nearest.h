/* nearest.h - the name somebody probably meant.
 *
 *     Nearest nearest = nearest_start(STR("frist_name"));
 *     for (…)
 *         nearest_offer(&nearest, columns[i].name);
 *     nearest_suggest(&nearest, text);      ", did you mean `first_name`?" or ""
 *
 * Nearest by edits: a letter missing, added, changed, or two neighbours swapped, whatever their case.
 * A name that differs in more than a third of its letters is no suggestion. Names are borrowed and
 * must outlive the Nearest. Pure; any thread. */
#pragma once
#include "base/str.h"

typedef struct Nearest {
    Str wanted;
    const char *name; /* best so far, NULL when none is near enough */
    size_t distance;
} Nearest;

Nearest nearest_start(Str wanted);
void nearest_offer(Nearest *nearest, const char *name);

/* The end of a sentence about an unknown name; `ret_text` holds NEAREST_TEXT_BYTES. */
#define NEAREST_TEXT_BYTES 100
void nearest_suggest(const Nearest *nearest, char *ret_text);
