/* zip.h - the one file that a zip archive holds: where its bytes stand.
 *
 * Reads the directory at the archive's end (APPNOTE.TXT 6.3.10, PKWARE; zip64 too), never a member's bytes: that is
 * unpack.h's. An archive that holds anything but one file, stored or deflated, is refused with its sentence: which
 * of several is meant would be a guess. What macOS adds for itself (__MACOSX/) is passed over.
 * Names in an archive are used for nothing: a file's source is told by the name it was sent under.
 * Any thread. */
#pragma once
#include "base/error.h"

#include <stdint.h>

typedef struct ZipMember {
    int64_t offset;      /* of its first packed byte */
    int64_t packed_bytes, unpacked_bytes; /* as the directory says */
    uint32_t crc;        /* CRC-32 of what it holds */
    bool is_deflated;    /* false: stored */
} ZipMember;

/* `size_bytes` is the file's. An Error of class data when the archive is no good. */
bool zip_find(int fd, int64_t size_bytes, ZipMember *ret_member, Error *err);
