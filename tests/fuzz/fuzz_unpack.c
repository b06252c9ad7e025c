/* fuzz_unpack - any bytes as a file: no crash, no more than the limits allow, and the same bytes wherever one goes on.
 *
 * Built and run by scripts/fuzz. The first two bytes choose where to go back to. */
#include "base/own.h"
#include "steps/unpack.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MOST_BYTES = 1 << 20, MOST_RATIO = 50, CHUNK_BYTES = 4096 };

static char whole[MOST_BYTES + CHUNK_BYTES], rest[MOST_BYTES + CHUNK_BYTES];

static size_t read_all(Unpacker *unpacker, char *text) {
    Error err = {0};
    size_t used = 0, n;
    do {
        if (!unpack_read(unpacker, text + used, CHUNK_BYTES, &n, &err))
            abort(); /* it was looked through when it was opened */
        used += n;
        if (used > MOST_BYTES)
            abort();
    } while (n > 0);
    return used;
}

static int file_of(const uint8_t *data, size_t size) {
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || size > MOST_BYTES)
        return 0;
    Error err = {0};
    UnpackLimits limits = {.max_bytes = MOST_BYTES, .max_ratio = MOST_RATIO};
    CLEANUP(unpack_drop) Unpacker *unpacker = unpack_open(file_of(data + 2, size - 2), limits, &err);
    if (!unpacker) {
        if (error_class(&err) != ERROR_DATA || !err.text[0])
            abort(); /* a file's fault is said as one */
        return 0;
    }
    size_t n = read_all(unpacker, whole), from = n ? (data[0] | (size_t)data[1] << 8) % n : 0;
    if ((int64_t)n != unpack_size(unpacker))
        abort();
    if (!unpack_seek(unpacker, (int64_t)from, &err) ||
        read_all(unpacker, rest) != n - from || memcmp(whole + from, rest, n - from) != 0)
        abort();
    return 0;
}
