/* buf.c - see buf.h. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "buf.h swaps bytes unconditionally"
#endif

void buf_init(Buf *buf, size_t max_bytes) { *buf = (Buf){.max_bytes = max_bytes}; }

void buf_done(Buf *buf) {
    free(buf->data);
    *buf = (Buf){0};
}

void buf_clear(Buf *buf) {
    buf->size = 0;
    buf->overflowed = false;
}

char *buf_grow(Buf *buf, size_t size) {
    if (buf->overflowed || size > buf->max_bytes - buf->size) {
        buf->overflowed = true;
        return NULL;
    }
    if (!buf->data || buf->size + size > buf->capacity) {
        size_t capacity = buf->capacity ? buf->capacity * 2 : 256;
        while (capacity < buf->size + size)
            capacity *= 2;
        if (capacity > buf->max_bytes)
            capacity = buf->max_bytes;
        char *data = realloc(buf->data, capacity);
        if (!data) {
            fputs("out of memory\n", stderr);
            abort();
        }
        buf->data = data;
        buf->capacity = capacity;
    }
    return buf->data + buf->size;
}

void buf_put_json(Buf *buf, const char *text) {
    buf_put_byte(buf, '"');
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\')
            buf_put_byte(buf, '\\'), buf_put_byte(buf, (uint8_t)*c);
        else if ((unsigned char)*c < 0x20)
            buf_printf(buf, "\\u%04x", (unsigned char)*c);
        else
            buf_put_byte(buf, (uint8_t)*c);
    }
    buf_put_byte(buf, '"');
}

void buf_printf(Buf *buf, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *room = buf_reserve(buf, (size_t)size + 1); /* vsnprintf wants its terminator */
    if (room) {
        vsnprintf(room, (size_t)size + 1, format, again);
        buf->size += (size_t)size;
    }
    va_end(again);
}
