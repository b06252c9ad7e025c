/* endings.h - how the rows of a file end: whether a last one that ends elsewhere was cut.
 *
 * A last line without an end has all its fields, and may be cut within the last one: the rows before it tell. Pure. */
#pragma once
#include "base/str.h"

#include <stdint.h>

/* Of no rows: zeroed. */
typedef struct Endings {
    size_t n, n_told; /* rows; those whose last field says something */
    int64_t line;     /* of the last of them */
    size_t width, tail;
    bool is_even, has_even_tails; /* all of one width; of one length behind their last sign */
} Endings;

/* A row that is whole, in the order of lines; one that was noted before is passed over. `last`: its last field, of fixed
 * width its line. */
void endings_note(Endings *endings, int64_t line, Str last);
/* Sure where that is shorter than in the rows before, which all have it equally long (dates, mostly), or lacks digits behind
 * its last sign that all others have (amounts). Of fixed width it is the line that may be shorter. */
bool endings_show_cut(const Endings *endings, Str last);
