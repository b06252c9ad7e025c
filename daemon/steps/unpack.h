/* unpack.h - the bytes that a sender packed: plain, gzip or zip, told by the file's first bytes.
 *
 * First of the layers under delivery.h: bytes -> unpacked -> UTF-8 (formats/decode.h) -> rows (formats/csv.h).
 * A packed file is read once to its end when it is opened, because only there stands whether it is whole: one that is
 * damaged, or unpacks to more than it may, gives no byte at all. One that was cut gives what there is.
 * Offsets count unpacked bytes; going back in a packed file reads it again. One thread at a time. */
#pragma once
#include "base/error.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

typedef enum Packing { PACKED_PLAIN, PACKED_GZIP, PACKED_ZIP } Packing;
const char *packing_name(Packing packing);

/* Against what unpacks to far more than its sender can have meant. 0: any. */
typedef struct UnpackLimits {
    int64_t max_bytes; /* unpacked */
    int max_ratio;     /* of unpacked bytes to packed ones; not asked for the first MiB */
    const atomic_bool *canceled; /* looked at while a file is looked through, which may take minutes; NULL: never */
} UnpackLimits;

typedef struct Unpacker Unpacker;
/* Takes the descriptor over, which must be seekable. NULL and an Error of class data when the file is no good: its
 * text and hint are the sentence for the report. */
Unpacker *unpack_open(int fd, UnpackLimits limits, Error *err);
void unpack_close(Unpacker *unpacker);
static inline void unpack_drop(Unpacker **owner) {
    if (*owner)
        unpack_close(*owner);
}
/* Up to so many bytes; 0 at the end. */
bool unpack_read(Unpacker *unpacker, char *to, size_t size_bytes, size_t *ret_n, Error *err);
bool unpack_seek(Unpacker *unpacker, int64_t offset, Error *err);

Packing unpack_packing(const Unpacker *unpacker);
/* A packed file that ends before its end; plain ones are not known to. */
bool unpack_is_cut(const Unpacker *unpacker);
/* Of the whole. */
int64_t unpack_size(const Unpacker *unpacker);
