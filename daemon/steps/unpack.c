/* unpack.c - see unpack.h. */
#include "steps/unpack.h"

#include "base/own.h"
#include "base/str.h"
#include "steps/zip.h"

#include <errno.h>
#include <sys/stat.h>
#include <zlib.h>

enum { PIECE_BYTES = 64 * 1024, RATIO_FREE_BYTES = 1024 * 1024, HEAD_BYTES = 16 };
enum { WINDOW_GZIP = 15 + 16, WINDOW_RAW = -15 };

struct Unpacker {
    int fd;
    Packing packing;
    UnpackLimits limits;
    int64_t from, to;  /* the packed bytes in the file */
    int64_t at;        /* the next of them to be read */
    int64_t given;     /* unpacked bytes so far */
    int64_t size;      /* of the whole, unpacked */
    bool is_cut, is_at_end;
    ZipMember member;
    z_stream stream;
    bool is_inflating; /* the stream is open */
    uint32_t crc;      /* zip: of what was given */
    uint8_t piece[PIECE_BYTES];
};

const char *packing_name(Packing packing) {
    static const char *const NAMES[] = {[PACKED_PLAIN] = "plain", [PACKED_GZIP] = "gzip", [PACKED_ZIP] = "zip"};
    return NAMES[packing];
}

/* ---- what the first bytes say ---- */

/* Kinds of files that come by mistake: without this they would be one long line of nonsense. */
static const struct {
    Str start;
    const char *what, *mend;
} FOREIGN[] = {
    {STR("BZh"), "packed by bzip2", "send it plain, as gzip or as zip"},
    {STR("\xFD" "7zXZ"), "packed by xz", "send it plain, as gzip or as zip"},
    {STR("\x28\xB5\x2F\xFD"), "packed by zstd", "send it plain, as gzip or as zip"},
    {STR("7z\xBC\xAF\x27\x1C"), "a 7z archive", "send it plain, as gzip or as zip"},
    {STR("Rar!\x1A\x07"), "a rar archive", "send it plain, as gzip or as zip"},
    {STR("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"), "a workbook or document of an office program", "save its sheet as CSV and send that"},
    {STR("%PDF-"), "a PDF", "send the rows as CSV"},
    {STR("PAR1"), "a Parquet file", "send the rows as CSV"},
    {STR("{\\rtf"), "a text document (RTF)", "send the rows as CSV"},
    {STR("-----BEGIN PGP"), "encrypted by PGP", "send it decrypted, over a way that is safe"},
    {STR("\x7F" "ELF"), "a program", "send the rows as CSV"},
    {STR("SQLite format 3"), "a SQLite database", "send the rows as CSV"},
};

static bool starts_with(Str text, Str start) {
    return text.size >= start.size && memcmp(text.at, start.at, start.size) == 0;
}

static bool refuse_foreign(Str head, Error *err) {
    for (size_t i = 0; i < sizeof FOREIGN / sizeof *FOREIGN; i++)
        if (starts_with(head, FOREIGN[i].start)) {
            error_set(err, STATE_DATA, "the file is %s, not a text of rows", FOREIGN[i].what);
            return error_hint(err, "%s", FOREIGN[i].mend);
        }
    return true;
}

static bool look_at_head(Unpacker *u, Error *err) {
    char bytes[HEAD_BYTES] = {0};
    struct stat file;
    if (fstat(u->fd, &file) != 0)
        return error_set_errno(err, errno, "cannot read a claims file");
    ssize_t n = pread(u->fd, bytes, sizeof bytes, 0);
    if (n < 0)
        return error_set_errno(err, errno, "cannot read a claims file");
    if (n == 0) {
        error_set(err, STATE_DATA, "the file is empty");
        return error_hint(err, "send it again, whole");
    }
    Str head = {bytes, (size_t)n};
    TRY(refuse_foreign(head, err));
    u->to = file.st_size;
    if (starts_with(head, STR("\x1F\x8B")))
        u->packing = PACKED_GZIP;
    if (!starts_with(head, STR("PK\3\4")) && !starts_with(head, STR("PK\5\6")))
        return true;
    TRY(zip_find(u->fd, file.st_size, &u->member, err));
    u->packing = PACKED_ZIP;
    u->from = u->member.offset;
    u->to = u->from + u->member.packed_bytes;
    return true;
}

/* ---- limits ---- */

static bool refuse_bomb(const char *why, Error *err) {
    error_set(err, STATE_DATA, "the file unpacks to more than %s, and was not unpacked", why);
    return error_hint(err, "if the sender meant it, raise the limit, or have it sent in parts");
}

static bool check_limits(const Unpacker *u, Error *err) {
    int64_t packed = u->at - u->from - (int64_t)u->stream.avail_in;
    char why[80];
    snprintf(why, sizeof why, "%lld bytes (max_unpacked_bytes)", (long long)u->limits.max_bytes);
    if (u->limits.max_bytes > 0 && u->given > u->limits.max_bytes)
        return refuse_bomb(why, err);
    snprintf(why, sizeof why, "%d times its size (max_unpacked_ratio)", u->limits.max_ratio);
    if (u->limits.max_ratio > 0 && u->given > RATIO_FREE_BYTES && u->given / (packed > 0 ? packed : 1) >= u->limits.max_ratio)
        return refuse_bomb(why, err);
    return true;
}

/* ---- reading ---- */

static bool read_file(Unpacker *u, void *to, size_t size_bytes, size_t *ret_n, Error *err) {
    int64_t left = u->to - u->at;
    size_t wanted = left < (int64_t)size_bytes ? (size_t)(left > 0 ? left : 0) : size_bytes;
    ssize_t n;
    do
        n = pread(u->fd, to, wanted, u->at);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return error_set_errno(err, errno, "cannot read a claims file");
    u->at += n;
    *ret_n = (size_t)n;
    return true;
}

static bool is_damaged(const Unpacker *u, const char *why, Error *err) {
    error_set(err, STATE_DATA, "the %s is damaged: %s", u->packing == PACKED_GZIP ? "gzip file" : "zip archive", why);
    return error_hint(err, "send it again, whole");
}

static bool fill(Unpacker *u, Error *err) {
    size_t n = 0;
    if (u->stream.avail_in > 0)
        return true;
    TRY(read_file(u, u->piece, sizeof u->piece, &n, err));
    u->stream.next_in = u->piece;
    u->stream.avail_in = (uInt)n;
    return true;
}

/* Behind a gzip another may follow, or the zeros of a tape's block; anything else is a damaged one, whose rows would
 * be lost without a word. */
static bool go_on_behind(Unpacker *u, Error *err) {
    for (;; u->stream.next_in++, u->stream.avail_in--) {
        TRY(fill(u, err));
        u->is_at_end = u->stream.avail_in == 0;
        if (u->is_at_end)
            return true;
        if (*u->stream.next_in == 0x1F)
            return inflateReset(&u->stream) == Z_OK || is_damaged(u, "its bytes do not unpack", err);
        if (*u->stream.next_in != 0)
            return is_damaged(u, "other bytes follow behind its end", err);
    }
}

static bool check_member(Unpacker *u, Error *err) {
    u->is_at_end = true;
    if (u->given != u->member.unpacked_bytes)
        return is_damaged(u, "it holds more or less than its directory says", err);
    return u->crc == u->member.crc || is_damaged(u, "its checksum does not match", err);
}

static const char *why_damaged(const Unpacker *u) {
    const char *message = u->stream.msg;
    bool is_check = message && (strcmp(message, "incorrect data check") == 0 || strcmp(message, "incorrect length check") == 0);
    return is_check ? "its checksum does not match" : "its bytes do not unpack";
}

/* The file ends in the midst of it. */
static bool end_early(Unpacker *u, Error *err) {
    u->is_cut = u->is_at_end = true;
    return u->packing == PACKED_GZIP || is_damaged(u, "its bytes do not unpack", err);
}

/* One step of zlib's: some bytes, or the end. Without bytes of the file it may still hold some to give. */
static bool inflate_some(Unpacker *u, char *to, size_t size_bytes, size_t *ret_n, Error *err) {
    TRY(fill(u, err));
    u->stream.next_out = (Bytef *)to;
    u->stream.avail_out = (uInt)size_bytes;
    int code = inflate(&u->stream, Z_NO_FLUSH);
    if (code == Z_MEM_ERROR)
        return error_set_errno(err, ENOMEM, "cannot unpack a claims file");
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
        return is_damaged(u, why_damaged(u), err);
    *ret_n = size_bytes - u->stream.avail_out;
    u->given += (int64_t)*ret_n;
    u->crc = (uint32_t)crc32(u->crc, (const Bytef *)to, (uInt)*ret_n);
    TRY(check_limits(u, err));
    if (code == Z_BUF_ERROR)
        return end_early(u, err);
    if (code != Z_STREAM_END)
        return true;
    return u->packing == PACKED_GZIP ? go_on_behind(u, err) : check_member(u, err);
}

static bool read_packed(Unpacker *u, char *to, size_t size_bytes, size_t *ret_n, Error *err) {
    *ret_n = 0;
    while (*ret_n == 0 && !u->is_at_end)
        TRY(inflate_some(u, to, size_bytes, ret_n, err));
    return true;
}

static bool read_stored(Unpacker *u, char *to, size_t size_bytes, size_t *ret_n, Error *err) {
    TRY(read_file(u, to, size_bytes, ret_n, err));
    u->given += (int64_t)*ret_n;
    if (u->packing == PACKED_PLAIN)
        return true;
    u->crc = (uint32_t)crc32(u->crc, (const Bytef *)to, (uInt)*ret_n);
    TRY(check_limits(u, err));
    return *ret_n > 0 || check_member(u, err);
}

static bool is_deflated(const Unpacker *u) {
    return u->packing == PACKED_GZIP || (u->packing == PACKED_ZIP && u->member.is_deflated);
}

bool unpack_read(Unpacker *u, char *to, size_t size_bytes, size_t *ret_n, Error *err) {
    return is_deflated(u) ? read_packed(u, to, size_bytes, ret_n, err) : read_stored(u, to, size_bytes, ret_n, err);
}

static bool start(Unpacker *u, Error *err) {
    u->at = u->from;
    u->given = 0;
    u->crc = 0;
    u->is_at_end = false;
    u->stream.avail_in = 0;
    if (!is_deflated(u))
        return true;
    int window = u->packing == PACKED_GZIP ? WINDOW_GZIP : WINDOW_RAW;
    if (u->is_inflating ? inflateReset(&u->stream) != Z_OK : inflateInit2(&u->stream, window) != Z_OK)
        return error_set_errno(err, ENOMEM, "cannot unpack a claims file");
    u->is_inflating = true;
    return true;
}

/* Reads and forgets up to an offset, or the end. */
static bool pass_over(Unpacker *u, int64_t offset, Error *err) {
    CLEANUP(mem_drop) char *scratch = malloc(PIECE_BYTES);
    if (!scratch)
        return error_set_errno(err, ENOMEM, "cannot unpack a claims file");
    for (size_t n = 1; n > 0 && u->given < offset;) {
        if (u->limits.canceled && atomic_load(u->limits.canceled))
            return error_set(err, STATE_CANCELED, "canceled while a packed file was looked through");
        int64_t left = offset - u->given;
        TRY(unpack_read(u, scratch, left < PIECE_BYTES ? (size_t)left : PIECE_BYTES, &n, err));
    }
    return true;
}

bool unpack_seek(Unpacker *u, int64_t offset, Error *err) {
    if (u->packing == PACKED_PLAIN) {
        u->at = u->given = offset;
        return true;
    }
    if (offset < u->given || u->is_at_end)
        TRY(start(u, err));
    TRY(pass_over(u, offset, err));
    return u->given == offset || error_set(err, STATE_IO, "cannot go on within a claims file");
}

static bool look_through(Unpacker *u, Error *err) {
    TRY(start(u, err));
    if (u->packing == PACKED_PLAIN) {
        u->size = u->to;
        return true;
    }
    TRY(pass_over(u, INT64_MAX, err));
    u->size = u->given;
    return start(u, err);
}

Unpacker *unpack_open(int fd, UnpackLimits limits, Error *err) {
    CLEANUP(fd_drop) int owned = fd;
    CLEANUP(unpack_drop) Unpacker *u = calloc(1, sizeof *u);
    if (!u) {
        error_set_errno(err, ENOMEM, "cannot open a claims file");
        return NULL;
    }
    u->fd = owned;
    owned = -1;
    u->limits = limits;
    TRY_NULL(look_at_head(u, err) && look_through(u, err));
    return TAKE(u);
}

void unpack_close(Unpacker *u) {
    if (u->is_inflating)
        inflateEnd(&u->stream);
    close(u->fd);
    free(u);
}

Packing unpack_packing(const Unpacker *u) { return u->packing; }
bool unpack_is_cut(const Unpacker *u) { return u->is_cut; }
int64_t unpack_size(const Unpacker *u) { return u->size; }
