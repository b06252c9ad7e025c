/* zip.c - see zip.h.
 *
 * The end record stands in the last 64 KiB, behind a comment of any length; it says where the directory is, the
 * directory where the member's own header is, and behind that the bytes stand. Sizes and checksum are taken
 * from the directory alone: a streaming packer leaves them out of the header. Every number of the archive is
 * somebody else's claim: what it points at is read by pread() within the file, or not at all. */
#include "steps/zip.h"

#include "base/own.h"
#include "base/str.h"

#include <errno.h>

enum {
    END_BYTES = 22, COMMENT_MAX_BYTES = 65535, LOCATOR_BYTES = 20, END64_BYTES = 56, ENTRY_BYTES = 46, LOCAL_BYTES = 30,
    NAME_MAX_BYTES = 65535, ENTRIES_MAX = 1000, EXTRA_ZIP64 = 1, FLAG_ENCRYPTED = 1
};
enum { METHOD_STORED = 0, METHOD_DEFLATED = 8 };
enum { MAGIC_END = 0x06054B50, MAGIC_END64 = 0x06064B50, MAGIC_LOCATOR = 0x07064B50, MAGIC_ENTRY = 0x02014B50,
       MAGIC_LOCAL = 0x04034B50 };

typedef struct Archive {
    int fd;
    int64_t size_bytes;
    int64_t directory, n_entries; /* the directory's offset; what it says it holds */
} Archive;

/* One line of the directory. */
typedef struct Entry {
    ZipMember member;
    int64_t header; /* the member's own, in the file */
    unsigned flags, method;
    char *name; /* not terminated */
    size_t name_bytes;
} Entry;

static uint16_t get16(const uint8_t *at) { return (uint16_t)(at[0] | at[1] << 8); }
static uint32_t get32(const uint8_t *at) { return get16(at) | (uint32_t)get16(at + 2) << 16; }
static uint64_t get64(const uint8_t *at) { return get32(at) | (uint64_t)get32(at + 4) << 32; }

static bool is_damaged(Error *err, const char *why) {
    error_set(err, STATE_DATA, "the zip archive is damaged: %s", why);
    return error_hint(err, "send it again, whole");
}

static bool read_at(const Archive *archive, int64_t offset, void *to, size_t size_bytes, Error *err) {
    if (offset < 0 || offset > archive->size_bytes - (int64_t)size_bytes)
        return is_damaged(err, "its directory points beyond its end");
    for (size_t done = 0; done < size_bytes;) {
        ssize_t n = pread(archive->fd, (char *)to + done, size_bytes - done, offset + (int64_t)done);
        if (n < 0 && errno != EINTR)
            return error_set_errno(err, errno, "cannot read a claims file");
        if (n == 0)
            return is_damaged(err, "its directory points beyond its end");
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* ---- the end record ---- */

static bool find_end(const Archive *archive, int64_t *ret_offset, Error *err) {
    int64_t most = END_BYTES + COMMENT_MAX_BYTES;
    size_t size = (size_t)(archive->size_bytes < most ? archive->size_bytes : most);
    CLEANUP(mem_drop) uint8_t *tail = malloc(size ? size : 1);
    if (!tail)
        return error_set_errno(err, ENOMEM, "cannot read a zip archive");
    TRY(read_at(archive, archive->size_bytes - (int64_t)size, tail, size, err));
    for (size_t at = size >= END_BYTES ? size - END_BYTES + 1 : 0; at-- > 0;)
        if (get32(tail + at) == MAGIC_END && at + END_BYTES + get16(tail + at + 20) <= size) {
            *ret_offset = archive->size_bytes - (int64_t)(size - at);
            return true;
        }
    error_set(err, STATE_DATA, "the zip archive was cut: the directory at its end is missing");
    return error_hint(err, "send it again, whole");
}

/* Archives of 4 GiB and more say where things are in a record of their own, which a locator points at. */
static bool read_end64(Archive *archive, int64_t end, Error *err) {
    uint8_t locator[LOCATOR_BYTES], record[END64_BYTES];
    TRY(read_at(archive, end - LOCATOR_BYTES, locator, sizeof locator, err));
    if (get32(locator) != MAGIC_LOCATOR)
        return is_damaged(err, "its end record points at nothing");
    TRY(read_at(archive, (int64_t)get64(locator + 8), record, sizeof record, err));
    if (get32(record) != MAGIC_END64)
        return is_damaged(err, "its end record points at nothing");
    archive->n_entries = (int64_t)get64(record + 32);
    archive->directory = (int64_t)get64(record + 48);
    return true;
}

static bool read_end(Archive *archive, Error *err) {
    int64_t end = 0;
    uint8_t record[END_BYTES];
    TRY(find_end(archive, &end, err));
    TRY(read_at(archive, end, record, sizeof record, err));
    archive->n_entries = get16(record + 10);
    archive->directory = get32(record + 16);
    bool is_zip64 = archive->n_entries == UINT16_MAX || archive->directory == UINT32_MAX;
    if (!is_zip64 && (get16(record + 4) != 0 || get16(record + 8) != archive->n_entries)) {
        error_set(err, STATE_DATA, "the zip archive is one part of several");
        return error_hint(err, "pack the file anew, into one archive");
    }
    return !is_zip64 || read_end64(archive, end, err);
}

/* ---- the directory ---- */

/* The zip64 field brings, in this order, those of the three that do not fit into 32 bits. */
static bool widen(Entry *entry, const uint8_t *extra, size_t size, Error *err) {
    int64_t *const PLACES[] = {&entry->member.unpacked_bytes, &entry->member.packed_bytes, &entry->header};
    for (size_t at = 0; at + 4 <= size; at += 4u + get16(extra + at + 2)) {
        size_t left = get16(extra + at + 2), from = at + 4;
        if (get16(extra + at) != EXTRA_ZIP64 || left > size - from)
            continue;
        for (size_t i = 0; i < 3; i++) {
            if (*PLACES[i] != UINT32_MAX)
                continue;
            if (left < 8)
                return is_damaged(err, "a size is missing in its directory");
            *PLACES[i] = (int64_t)get64(extra + from);
            from += 8, left -= 8;
        }
        return true;
    }
    return true;
}

/* `at` moves behind the entry; its name is the caller's to free. */
static bool read_entry(const Archive *archive, int64_t *at, Entry *ret_entry, Error *err) {
    uint8_t fixed[ENTRY_BYTES];
    TRY(read_at(archive, *at, fixed, sizeof fixed, err));
    if (get32(fixed) != MAGIC_ENTRY)
        return is_damaged(err, "its directory cannot be read");
    Entry entry = {
        .member = {.crc = get32(fixed + 16), .packed_bytes = get32(fixed + 20), .unpacked_bytes = get32(fixed + 24)},
        .header = get32(fixed + 42), .flags = get16(fixed + 8), .method = get16(fixed + 10),
        .name_bytes = get16(fixed + 28),
    };
    size_t extra_bytes = get16(fixed + 30), size = entry.name_bytes + extra_bytes;
    CLEANUP(mem_drop) char *text = malloc(size + 1);
    if (!text)
        return error_set_errno(err, ENOMEM, "cannot read a zip archive");
    TRY(read_at(archive, *at + ENTRY_BYTES, text, size, err));
    TRY(widen(&entry, (const uint8_t *)text + entry.name_bytes, extra_bytes, err));
    *at += ENTRY_BYTES + (int64_t)size + get16(fixed + 32);
    entry.name = TAKE(text);
    *ret_entry = entry;
    return true;
}

static bool is_by_macos(Str name) {
    static const char FOLDER[] = "__MACOSX/";
    return name.size >= sizeof FOLDER - 1 && memcmp(name.at, FOLDER, sizeof FOLDER - 1) == 0;
}

/* What packs a workbook or a document is a zip archive as well. */
static bool is_workbook(Str name) {
    return str_equal(name, STR("[Content_Types].xml")) || str_equal(name, STR("mimetype"));
}

static bool refuse_workbook(Error *err) {
    error_set(err, STATE_DATA, "the file is a workbook or document of an office program, not a text of rows");
    return error_hint(err, "save its sheet as CSV and send that");
}

static bool refuse_folder(Error *err) {
    error_set(err, STATE_DATA, "the zip archive holds a directory, and one file is expected");
    return error_hint(err, "pack the file alone, or send it plain or as gzip");
}

static bool refuse_count(Error *err, int64_t n_files) {
    if (n_files == 0)
        error_set(err, STATE_DATA, "the zip archive is empty");
    else
        error_set(err, STATE_DATA, "the zip archive holds several files, and one is expected");
    return error_hint(err, n_files == 0 ? "pack the file into it, and send it again" : "send each file by itself");
}

static bool check_method(const Entry *entry, Error *err) {
    if (entry->flags & FLAG_ENCRYPTED) {
        error_set(err, STATE_DATA, "the zip archive is encrypted");
        return error_hint(err, "send it without a password, over a way that is safe");
    }
    if (entry->method == METHOD_STORED || entry->method == METHOD_DEFLATED)
        return true;
    error_set(err, STATE_DATA, "the zip archive is packed by method %u, and only deflate and stored are known", entry->method);
    return error_hint(err, "pack it anew without special options, or as gzip");
}

/* The one entry that is a file. */
static bool choose(const Archive *archive, Entry *ret_entry, Error *err) {
    int64_t at = archive->directory, n_files = 0;
    for (int64_t i = 0; i < archive->n_entries && i < ENTRIES_MAX && n_files < 2; i++) {
        Entry entry;
        TRY(read_entry(archive, &at, &entry, err));
        CLEANUP(mem_drop) char *name = entry.name;
        Str text = {name, entry.name_bytes};
        if (is_by_macos(text))
            continue;
        if (is_workbook(text))
            return refuse_workbook(err);
        if (text.size > 0 && text.at[text.size - 1] == '/')
            return refuse_folder(err);
        entry.name = NULL;
        *ret_entry = entry;
        n_files++;
    }
    return n_files == 1 ? check_method(ret_entry, err) : refuse_count(err, n_files);
}

bool zip_find(int fd, int64_t size_bytes, ZipMember *ret_member, Error *err) {
    Archive archive = {.fd = fd, .size_bytes = size_bytes};
    Entry entry = {0};
    uint8_t local[LOCAL_BYTES];
    TRY(read_end(&archive, err) && choose(&archive, &entry, err));
    TRY(read_at(&archive, entry.header, local, sizeof local, err));
    if (get32(local) != MAGIC_LOCAL)
        return is_damaged(err, "its directory points at no file");
    ZipMember member = entry.member;
    member.is_deflated = entry.method == METHOD_DEFLATED;
    member.offset = entry.header + LOCAL_BYTES + get16(local + 26) + get16(local + 28);
    if (member.packed_bytes < 0 || member.unpacked_bytes < 0 || member.offset > size_bytes ||
        member.packed_bytes > size_bytes - member.offset)
        return is_damaged(err, "its directory points beyond its end");
    if (!member.is_deflated && member.packed_bytes != member.unpacked_bytes)
        return is_damaged(err, "the sizes in its directory contradict each other");
    *ret_member = member;
    return true;
}
