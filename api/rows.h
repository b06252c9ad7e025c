/* rows.h - rows of a claims feed as a client writes them: a JSON array of objects, or an object a line (NDJSON).
 *
 * Members are named as the columns of files are, by their aliases too; a value is a string, a whole number or null,
 * and becomes text as it would stand in a file. Whatever else there is, is a mistake told with its place (RFC 6901);
 * no value goes into a sentence. Pure but for the reply; any thread. */
#pragma once
#include "api/reply.h"
#include "config.h"

typedef enum RowsForm { ROWS_ARRAY, ROWS_LINES } RowsForm;
typedef struct PostedRows {
    Str *values; /* row-major, in the order of post_columns(); STR_NULL: null, or not there. In the arena */
    size_t n;
} PostedRows;

/* False with a reply that says where the mistakes are. `body` must not change meanwhile. */
bool rows_read(Str body, RowsForm form, const ClaimsConfig *claims, Arena *arena, Reply *reply, PostedRows *ret_rows);
