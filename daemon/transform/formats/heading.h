/* heading.h - a header that stands where rows are: of files that were joined, of exports that print it on every page.
 *
 * One that says the same as the first is no row. Behind one that does not, columns stand in other places: rows there
 * must not be read by the first. What is no header costs a look at the first byte and the size of some of its fields. Pure; any
 * thread. */
#pragma once
#include "base/arena.h"
#include "transform/formats/csv.h"

typedef enum HeadingAnswer {
    HEADING_NONE,  /* a row */
    HEADING_AGAIN, /* the first header once more */
    HEADING_OTHER  /* one of other columns, or in another order */
} HeadingAnswer;

typedef struct Heading Heading;

/* What a header's field says, without blanks around it and characters that nobody sees. */
Str heading_name(Arena *arena, Str text);
/* `names`: of the columns, in their order; `wanted`: those that tell a header from a row. Both outlive it. */
const Heading *heading_make(Arena *arena, const Str *names, size_t n_names, const char *const *wanted, size_t n_wanted);
HeadingAnswer heading_look(const Heading *heading, const CsvRow *row, Arena *scratch);
