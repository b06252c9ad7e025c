/* upload.c - see upload.h. */
#define OPENSSL_SUPPRESS_DEPRECATED /* as in transform/hash.c */
#include "api/upload.h"

#include "base/buf.h"
#include "base/own.h"
#include "steps/drop.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { PIECE_BYTES = 256 * 1024, ROOM_BYTES = 1 << 20 }; /* the library holds up to 32 KiB beyond a piece */

struct Upload {
    char *directory, *name;
    char hidden[DROP_UPLOAD_NAME_BYTES]; /* the name until it lands; "" before the first byte is written, and after */
    int directory_fd, fd;
    Buf gathered, handed;
    SHA256_CTX sha;
    FileBytes bytes;
    bool is_whole;
};

Upload *upload_open(const char *directory, const char *name, const char *id) {
    Upload *upload = calloc(1, sizeof *upload);
    if (!upload || !(upload->directory = strdup(directory)) || !(upload->name = strdup(name)))
        abort();
    upload->directory_fd = upload->fd = -1;
    snprintf(upload->hidden, sizeof upload->hidden, DROP_UPLOAD_PREFIX "%s", id);
    buf_init(&upload->gathered, ROOM_BYTES);
    buf_init(&upload->handed, ROOM_BYTES);
    SHA256_Init(&upload->sha);
    return upload;
}

void upload_free(Upload *upload) {
    if (upload->fd >= 0 && upload->hidden[0])
        unlinkat(upload->directory_fd, upload->hidden, 0);
    if (upload->fd >= 0)
        close(upload->fd);
    if (upload->directory_fd >= 0)
        close(upload->directory_fd);
    buf_done(&upload->gathered);
    buf_done(&upload->handed);
    free(upload->directory);
    free(upload->name);
    free(upload);
}

void upload_take(Upload *upload, Str bytes) {
    SHA256_Update(&upload->sha, bytes.at, bytes.size);
    upload->bytes.size_bytes += (int64_t)bytes.size;
    buf_put_str(&upload->gathered, bytes);
    if (buf_overflowed(&upload->gathered))
        abort(); /* whoever does not pause would lose bytes */
}

bool upload_has_piece(const Upload *upload) { return upload->gathered.size >= PIECE_BYTES; }

void upload_hand_over(Upload *upload) {
    Buf empty = upload->handed;
    upload->handed = upload->gathered;
    upload->gathered = empty;
    buf_clear(&upload->gathered);
}

static bool open_file(Upload *upload, Error *err) {
    if (upload->fd >= 0)
        return true;
    upload->directory_fd = open(upload->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (upload->directory_fd >= 0)
        upload->fd = openat(upload->directory_fd, upload->hidden, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (upload->fd >= 0)
        return true;
    error_set_errno(err, errno, "cannot write in the drop directory");
    return error_hint(err, "the daemon's user needs to write in it, and it needs room");
}

static bool write_buffer(Upload *upload, Buf *buf, Error *err) {
    TRY(open_file(upload, err));
    for (size_t done = 0; done < buf->size;) {
        ssize_t n = write(upload->fd, buf->data + done, buf->size - done);
        if (n < 0 && errno != EINTR)
            return error_set_errno(err, errno, "cannot write in the drop directory");
        done += n > 0 ? (size_t)n : 0;
    }
    buf_clear(buf);
    return true;
}

bool upload_write(Upload *upload, Error *err) { return write_buffer(upload, &upload->handed, err); }

const FileBytes *upload_bytes(Upload *upload) {
    if (!upload->is_whole)
        SHA256_Final(upload->bytes.sha256, &upload->sha);
    upload->is_whole = true;
    return &upload->bytes;
}

bool upload_finish(Upload *upload, Error *err) {
    TRY(write_buffer(upload, &upload->gathered, err));
    return fsync(upload->fd) == 0 || error_set_errno(err, errno, "cannot flush a file in the drop directory");
}

/* A piece that was lost on the way would be in the SHA-256 of its row, and not in the file. */
static bool is_written_whole(const Upload *upload, Error *err) {
    struct stat status;
    if (fstat(upload->fd, &status) != 0)
        return error_set_errno(err, errno, "cannot look at a file in the drop directory");
    return status.st_size == upload->bytes.size_bytes ||
           error_set(err, STATE_IO, "a file in the drop directory was not written whole");
}

bool upload_land(Upload *upload, bool *ret_landed, Error *err) {
    TRY(is_written_whole(upload, err));
    *ret_landed = renameat2(upload->directory_fd, upload->hidden, upload->directory_fd, upload->name, RENAME_NOREPLACE) == 0;
    if (!*ret_landed)
        return errno == EEXIST || error_set_errno(err, errno, "cannot name a file in the drop directory");
    upload->hidden[0] = '\0';
    return fsync(upload->directory_fd) == 0 || error_set_errno(err, errno, "cannot flush the drop directory");
}
