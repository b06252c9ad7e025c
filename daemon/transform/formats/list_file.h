/* list_file.h - a list that a customer keeps in a small text file: codes and what they mean, names and how they are spelled.
 *
 * CSV with a header that names the columns, in any order and case, among others; the delimiter is the one of ',', ';',
 * tab and '|' that finds them. Encodings as in decode.h. A line that has not as many fields as the header is refused, not
 * guessed at: a comma in a text that is not quoted would put one column's words into the next.
 * Errors name the line, never a value. Pure; any thread. */
#pragma once
#include "base/arena.h"
#include "base/error.h"

enum { LIST_COLUMNS_MAX = 4 };
typedef struct ListFormat {
    struct {
        const char *name;
        bool is_required; /* else the column may be absent, and a field of it empty */
    } columns[LIST_COLUMNS_MAX];
    int n;
} ListFormat;

/* Trimmed; STR_NULL for what is absent or empty. */
typedef struct ListRow {
    Str values[LIST_COLUMNS_MAX]; /* in the format's order */
    int64_t line;
} ListRow;

/* Rows and texts live in the arena. An empty list is refused. */
bool list_read(Str bytes, const ListFormat *format, Arena *arena, ListRow **ret_rows, size_t *ret_n, Error *err);
