/* buf.h - bytes that grow, up to a mandatory maximum.
 *
 * Passing the maximum sets a sticky overflow flag and drops what does not fit whole; the writer
 * goes on and the owner asks once, at the end, with buf_overflowed(). Owns its memory.
 * Binary writers put integers in network order, as PostgreSQL's COPY wants them. */
#pragma once
#include "base/copy.h"
#include "base/str.h"

typedef struct Buf {
    char *data;
    size_t size;
    size_t capacity;
    size_t max_bytes;
    bool overflowed;
} Buf;

void buf_init(Buf *buf, size_t max_bytes);
void buf_done(Buf *buf);
static inline void buf_drop(Buf *buf) { buf_done(buf); } /* CLEANUP(buf_drop) Buf out; */
void buf_clear(Buf *buf); /* empties, keeps the memory, clears the flag */
static inline bool buf_overflowed(const Buf *buf) { return buf->overflowed; }
static inline Str buf_str(const Buf *buf) { return (Str){buf->data ? buf->data : "", buf->size}; }

char *buf_grow(Buf *buf, size_t size); /* for buf_reserve() */
/* Room for `size` more bytes at data + size, NULL when they would pass the maximum. */
static inline char *buf_reserve(Buf *buf, size_t size) {
    bool has_room = buf->data && !buf->overflowed && size <= buf->capacity - buf->size;
    return has_room ? buf->data + buf->size : buf_grow(buf, size);
}

static inline void buf_put(Buf *buf, const void *bytes, size_t size) {
    char *room = buf_reserve(buf, size);
    if (room && size > 0) {
        memcpy(room, bytes, size);
        buf->size += size;
    }
}
/* Most are short. */
static inline void buf_put_str(Buf *buf, Str text) {
    char *room = buf_reserve(buf, text.size);
    if (!room)
        return;
    copy_short(room, text.at, text.size);
    buf->size += text.size;
}
static inline void buf_put_byte(Buf *buf, uint8_t byte) { buf_put(buf, &byte, 1); }
static inline void buf_put_i16(Buf *buf, int16_t value) {
    uint16_t wire = __builtin_bswap16((uint16_t)value);
    buf_put(buf, &wire, sizeof wire);
}
static inline void buf_put_i32(Buf *buf, int32_t value) {
    uint32_t wire = __builtin_bswap32((uint32_t)value);
    buf_put(buf, &wire, sizeof wire);
}
static inline void buf_put_i64(Buf *buf, int64_t value) {
    uint64_t wire = __builtin_bswap64((uint64_t)value);
    buf_put(buf, &wire, sizeof wire);
}
/* A field of COPY's binary rows: how long it is, and it; -1 and nothing for NULL. Room is asked for once. */
static inline void buf_put_field(Buf *buf, const void *bytes, size_t size) {
    uint32_t wire = __builtin_bswap32((uint32_t)size);
    char *room = buf_reserve(buf, sizeof wire + size);
    if (!room)
        return;
    memcpy(room, &wire, sizeof wire);
    copy_short(room + sizeof wire, bytes, size);
    buf->size += sizeof wire + size;
}
static inline void buf_put_null_field(Buf *buf) { buf_put_i32(buf, -1); }
static inline void buf_put_str_field(Buf *buf, Str text) {
    if (str_is_null(text))
        buf_put_null_field(buf);
    else
        buf_put_field(buf, text.at, text.size);
}
static inline void buf_put_i32_field(Buf *buf, int32_t value) {
    uint32_t wire = __builtin_bswap32((uint32_t)value);
    buf_put_field(buf, &wire, sizeof wire);
}
static inline void buf_put_i64_field(Buf *buf, int64_t value) {
    uint64_t wire = __builtin_bswap64((uint64_t)value);
    buf_put_field(buf, &wire, sizeof wire);
}
/* A text in quotes, as JSON writes it. */
void buf_put_json(Buf *buf, const char *text);
void buf_printf(Buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
