/* hexkey.c - see hexkey.h. */
#include "storage/hexkey.h"

#include <stdlib.h>

void hexkey_put(Buf *out, const Str *fields, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_put_byte(out, ',');
        for (size_t k = 0; k < fields[i].size; k++)
            buf_printf(out, "%02x", (uint8_t)fields[i].at[k]);
    }
}

static Str take_field(Arena *arena, Str hex) {
    char *bytes = arena_alloc(arena, hex.size / 2 + 1);
    for (size_t i = 0; i + 1 < hex.size; i += 2)
        bytes[i / 2] = (char)strtoul((const char[]){hex.at[i], hex.at[i + 1], '\0'}, NULL, 16);
    return (Str){bytes, hex.size / 2};
}

void hexkey_take(Arena *arena, Str key, size_t n, Str *ret_fields) {
    for (size_t i = 0; i < n; i++) {
        const char *comma = memchr(key.at, ',', key.size);
        size_t size = comma ? (size_t)(comma - key.at) : key.size;
        size_t step = size + (comma ? 1 : 0);
        ret_fields[i] = take_field(arena, (Str){key.at, size});
        key = (Str){key.at + step, key.size - step};
    }
}
