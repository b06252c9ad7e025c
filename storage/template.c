/* template.c - see template.h. */
#include "storage/template.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

enum { STATEMENT_MAX_BYTES = 4 << 20 };

static const char *part_text(const SqlPart *parts, size_t n_parts, const char *name, size_t size) {
    for (size_t i = 0; i < n_parts; i++)
        if (strlen(parts[i].name) == size && memcmp(parts[i].name, name, size) == 0)
            return parts[i].text;
    fprintf(stderr, "a statement has a place {%.*s} that nobody fills\n", (int)size, name);
    abort();
}

/* The end of the {place} that begins at `at`, or NULL when the brace is not one ('{}' is an array). */
static const char *place_end(const char *at) {
    size_t size = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz_");
    return size > 0 && at[1 + size] == '}' ? at + 1 + size : NULL;
}

const char *sql_fill_parts(Arena *arena, const char *statement, const SqlPart *parts, size_t n_parts) {
    Buf out;
    buf_init(&out, STATEMENT_MAX_BYTES);
    for (const char *at = statement; *at; at++) {
        const char *end = *at == '{' ? place_end(at) : NULL;
        if (!end) {
            buf_put_byte(&out, (uint8_t)*at);
            continue;
        }
        buf_put_str(&out, str_of(part_text(parts, n_parts, at + 1, (size_t)(end - at - 1))));
        at = end;
    }
    const char *filled = arena_string(arena, buf_str(&out));
    buf_done(&out);
    return filled;
}
