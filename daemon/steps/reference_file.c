/* reference_file.c - see reference_file.h. */
#include "steps/reference_file.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <sys/stat.h>

enum { FILE_BYTES_MAX = 32 << 20 };

/* Not blocked by a FIFO that lies there instead. */
static bool read_bytes(const char *path, Arena *arena, Str *ret_bytes, Error *err) {
    CLEANUP(fd_drop) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0)
        return error_set_errno(err, errno, "cannot read it");
    if (!S_ISREG(info.st_mode))
        return error_set(err, STATE_DATA, "it is no file");
    if (info.st_size > FILE_BYTES_MAX)
        return error_set(err, STATE_DATA, "it is longer than %d MiB", FILE_BYTES_MAX >> 20);
    char *bytes = arena_alloc(arena, (size_t)info.st_size + 1);
    size_t size = 0;
    ssize_t got;
    while (size < (size_t)info.st_size && (got = read(fd, bytes + size, (size_t)info.st_size - size)) != 0) {
        if (got < 0)
            return error_set_errno(err, errno, "cannot read it");
        size += (size_t)got;
    }
    *ret_bytes = (Str){bytes, size};
    return true;
}

static void hash(Str bytes, char ret_hex[65]) {
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)bytes.at, bytes.size, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(ret_hex + 2 * i, 3, "%02x", digest[i]);
}

bool reference_file_read(const ReferenceService *service, Reference reference, Arena *arena, ReferenceList *ret_list,
                         Error *err) {
    Str bytes;
    ListRow *rows;
    size_t n;
    if (!read_bytes(service->file, arena, &bytes, err) ||
        !list_read(bytes, REFERENCE_KINDS[reference].format, arena, &rows, &n, err))
        return error_context(err, "%s, %s", REFERENCE_KINDS[reference].subject, service->file);
    *ret_list = (ReferenceList){.rows = rows, .n = n};
    hash(bytes, ret_list->sha256);
    return true;
}
