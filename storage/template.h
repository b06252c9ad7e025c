/* template.h - statements whose table or column names are only known at run time.
 *
 * The statement stands in storage/sql with {names}; sql_fill() puts in what the caller has quoted
 * (pg_quote_ident, my_put_ident, my_put_text). Values are parameters wherever the server has them. Sentences that are
 * made in the same way may be filled, too. */
#pragma once
#include "base/arena.h"

typedef struct SqlPart {
    const char *name; /* of the {place} */
    const char *text; /* already quoted */
} SqlPart;

/* Terminated text in `arena`. A {place} without a part is a bug and aborts. */
const char *sql_fill_parts(Arena *arena, const char *statement, const SqlPart *parts, size_t n_parts);
#define sql_fill(arena, statement, ...)                                \
    sql_fill_parts(arena, statement, (const SqlPart[]){__VA_ARGS__},   \
                   sizeof((const SqlPart[]){__VA_ARGS__}) / sizeof(SqlPart))
