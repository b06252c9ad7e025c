/* drop.c - see drop.h. */
#include "steps/drop.h"

#include "base/clock.h"
#include "base/own.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { NAMES_TRIED = 9, MICROS_PER_MS = 1000 };
#define RECEIVING "receiving"
static const char *const REPORT_ENDINGS[] = {".report.json", ".report.txt"};
static const char *const ENDS[] = {[DROP_DONE] = "done", [DROP_FAILED] = "failed"};

/* ---- the directory ---- */

static bool make_folder(const Drop *drop, const char *name, mode_t mode, Error *err) {
    if (mkdirat(drop->fd, name, mode) == 0 || errno == EEXIST)
        return true;
    error_set(err, STATE_CONFIG, "cannot make %s/%s: %s", drop->path, name, strerror(errno));
    return error_hint(err, "the daemon's user needs to write in the drop directory");
}

bool drop_open(const char *directory, DropUse use, Drop *ret_drop, Error *err) {
    Drop drop = {.path = directory};
    CLEANUP(fd_drop) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        error_set(err, STATE_CONFIG, "cannot open the drop directory %s: %s", directory, strerror(errno));
        return error_hint(err, "make the directory, and let the daemon's user read and write it");
    }
    drop.fd = fd;
    TRY(use == DROP_LOOK ||
        (make_folder(&drop, RECEIVING, 0700, err) && make_folder(&drop, ENDS[DROP_DONE], 0750, err) &&
         make_folder(&drop, ENDS[DROP_FAILED], 0750, err)));
    *ret_drop = drop;
    fd = -1;
    return true;
}

void drop_close(Drop *drop) {
    if (drop->fd >= 0)
        close(drop->fd);
    drop->fd = -1;
}

/* ---- what lies there ---- */

static bool is_ours(const char *name) {
    return strcmp(name, RECEIVING) == 0 || strcmp(name, ENDS[DROP_DONE]) == 0 ||
           strcmp(name, ENDS[DROP_FAILED]) == 0;
}

/* A sender's file that is called as a report would be written over, or taken for one. */
static bool is_called_as_report(Str name) {
    for (size_t i = 0; i < sizeof REPORT_ENDINGS / sizeof *REPORT_ENDINGS; i++) {
        Str ending = str_of(REPORT_ENDINGS[i]);
        if (name.size >= ending.size && memcmp(name.at + name.size - ending.size, ending.at, ending.size) == 0)
            return true;
    }
    return false;
}

const char *drop_refuses_name(Str name) {
    if (name.size == 0 || name.size > DROP_NAME_MAX)
        return "has 1 to 200 bytes";
    if (name.at[0] == '.')
        return "does not begin with a dot";
    for (size_t i = 0; i < name.size; i++)
        if (name.at[i] == '/' || (uint8_t)name.at[i] < ' ' || name.at[i] == 0x7F)
            return "holds no slash and no control character";
    if (is_called_as_report(name))
        return "does not end as a report's does (.report.json, .report.txt)";
    char text[DROP_NAME_MAX + 1];
    memcpy(text, name.at, name.size);
    text[name.size] = '\0';
    return is_ours(text) ? "is not one of the daemon's own folders'" : NULL;
}

enum { UPLOAD_STALE_S = 3600 };

void drop_clear_uploads(const Drop *drop) {
    int fd = openat(drop->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    for (struct dirent *found; dir && (found = readdir(dir));) {
        struct stat status;
        bool is_upload = strncmp(found->d_name, DROP_UPLOAD_PREFIX, sizeof DROP_UPLOAD_PREFIX - 1) == 0;
        if (is_upload && fstatat(drop->fd, found->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            status.st_mtim.tv_sec < clock_wall_us() / 1000000 - UPLOAD_STALE_S)
            unlinkat(drop->fd, found->d_name, 0);
    }
    if (dir)
        closedir(dir);
}

static const char *why_unfit(mode_t mode) {
    switch (mode & S_IFMT) {
    case S_IFREG:
        return NULL;
    case S_IFLNK:
        return "a symbolic link is not taken; put the file itself here";
    case S_IFDIR:
        return "a directory is not taken; put its files here";
    default:
        return "not a regular file";
    }
}

/* The kernel grants a read lease only while nobody has the file open for writing, and only to its owner. Who has it
 * open for long is still believed: what is written to a file that was taken is lost. */
typedef enum Writing { NOBODY_WRITES, SOMEBODY_WRITES, CANNOT_TELL } Writing;
static Writing who_writes(int fd) {
    if (fcntl(fd, F_SETLEASE, F_RDLCK) != 0)
        return errno == EAGAIN ? SOMEBODY_WRITES : CANNOT_TELL;
    fcntl(fd, F_SETLEASE, F_UNLCK);
    return NOBODY_WRITES;
}

/* Time since the last change in ms. ctime is set by this machine's clock, also by a rename. */
static int64_t unchanged_ms(const struct stat *status) {
    int64_t changed_us = (int64_t)status->st_ctim.tv_sec * 1000000 + status->st_ctim.tv_nsec / 1000;
    int64_t age_us = clock_wall_us() - changed_us;
    return age_us < 0 ? 0 : age_us / MICROS_PER_MS;
}

/* False when the entry is gone meanwhile. */
static bool look_at(const Drop *drop, const char *name, int64_t settle_ms, DropEntry *entry) {
    struct stat status;
    *entry = (DropEntry){.name = name, .kind = DROP_UNFIT};
    if (fstatat(drop->fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    entry->sentence = why_unfit(status.st_mode);
    if (!entry->sentence && is_called_as_report(str_of(name)))
        entry->sentence = "called as a report is (.report.json, .report.txt), and not taken; rename the file";
    if (entry->sentence)
        return true;
    CLEANUP(fd_drop) int fd = openat(drop->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return false;
    if (fd < 0) {
        entry->sentence = "the daemon's user may not read the file";
        return true;
    }
    int64_t age_ms = unchanged_ms(&status);
    Writing writing = who_writes(fd);
    bool is_complete = writing == NOBODY_WRITES ? status.st_size > 0 || age_ms >= settle_ms
                                                : writing == CANNOT_TELL && age_ms >= settle_ms;
    entry->kind = is_complete ? DROP_READY : DROP_GROWING;
    entry->wait_ms = is_complete || writing == SOMEBODY_WRITES ? 0 : settle_ms - age_ms;
    return true;
}

static int compare_entries(const void *a, const void *b) {
    return strcmp(((const DropEntry *)a)->name, ((const DropEntry *)b)->name);
}

bool drop_look_open(const Drop *drop, DropPlace place, int64_t settle_ms, DropLook *ret_look, Error *err) {
    int fd = openat(drop->fd, place == DROP_CLAIMED ? RECEIVING : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_missing = fd < 0 && errno == ENOENT && place == DROP_CLAIMED; /* whoever only looks did not make it */
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir && !is_missing)
        return error_set_errno(err, errno, "cannot read %s", drop->path);
    *ret_look = (DropLook){.drop = drop, .dir = dir, .settle_ms = place == DROP_CLAIMED ? 0 : settle_ms};
    return true;
}

void drop_look_next(DropLook *look, size_t most, Arena *arena, DropList *ret_list) {
    DropList list = {.entries = ARENA_ARRAY(arena, DropEntry, most)};
    for (struct dirent *found; look->dir && list.n < most && (found = readdir(look->dir));) {
        if (found->d_name[0] == '.' || is_ours(found->d_name))
            continue;
        Drop within = {.fd = dirfd(look->dir), .path = look->drop->path};
        list.n += look_at(&within, arena_string(arena, str_of(found->d_name)), look->settle_ms, &list.entries[list.n]);
    }
    qsort(list.entries, list.n, sizeof *list.entries, compare_entries);
    *ret_list = list;
}

void drop_look_close(DropLook *look) {
    if (look->dir)
        closedir(look->dir);
    look->dir = NULL;
}

/* ---- moving ---- */

/* Not every file system knows it of folders. */
static bool sync_folder(const Drop *drop, const char *folder, Error *err) {
    CLEANUP(fd_drop) int fd = openat(drop->fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return (fd >= 0 && (fsync(fd) == 0 || errno == EINVAL)) ||
           error_set_errno(err, errno, "cannot write %s/%s to disk", drop->path, folder);
}

bool drop_sync_ends(const Drop *drop, Error *err) {
    return sync_folder(drop, RECEIVING, err) && sync_folder(drop, ENDS[DROP_DONE], err) &&
           sync_folder(drop, ENDS[DROP_FAILED], err);
}

static int64_t ns_of(struct statx_timestamp at) { return at.tv_sec * INT64_C(1000000000) + at.tv_nsec; }

/* statx(2), for the birth. Of the entry itself, where it is a link. False: there is none. */
static bool stamp_at(int fd, const char *path, DropStamp *ret_stamp) {
    struct statx status;
    if (statx(fd, path, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &status) != 0)
        return false;
    *ret_stamp = (DropStamp){.inode = status.stx_ino,
                             .born_ns = status.stx_mask & STATX_BTIME ? ns_of(status.stx_btime) : 0,
                             .size_bytes = (int64_t)status.stx_size,
                             .changed_ns = ns_of(status.stx_mtime)};
    return true;
}

static bool is_file_at(const Drop *drop, const char *path, const DropStamp *stamp) {
    DropStamp now;
    return stamp_at(drop->fd, path, &now) && now.inode == stamp->inode && now.born_ns == stamp->born_ns;
}

static const char *path_in(Arena *arena, const char *folder, const char *name) {
    return arena_printf(arena, "%s/%s", folder, name);
}

bool drop_claim(const Drop *drop, const char *name, bool *ret_claimed, Error *err) {
    char to[sizeof RECEIVING + NAME_MAX + 2];
    snprintf(to, sizeof to, "%s/%s", RECEIVING, name);
    *ret_claimed = renameat2(drop->fd, name, drop->fd, to, RENAME_NOREPLACE) == 0;
    if (*ret_claimed || errno == ENOENT || errno == EEXIST)
        return true;
    return error_set_errno(err, errno, "cannot move a file within %s", drop->path);
}

int drop_open_file(const Drop *drop, DropPlace place, const char *name, DropStamp *ret_stamp, Error *err) {
    char path[sizeof RECEIVING + NAME_MAX + 2];
    snprintf(path, sizeof path, "%s%s", place == DROP_CLAIMED ? RECEIVING "/" : "", name);
    int fd = openat(drop->fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && stamp_at(fd, "", ret_stamp))
        return fd;
    error_set_errno(err, errno, "cannot open a file in %s", drop->path);
    if (fd >= 0)
        close(fd);
    return -1;
}

bool drop_is_written(int fd) { return who_writes(fd) == SOMEBODY_WRITES; }

bool drop_is_unchanged(const Drop *drop, const char *name, const DropStamp *stamp) {
    char path[sizeof RECEIVING + NAME_MAX + 2];
    DropStamp now;
    snprintf(path, sizeof path, RECEIVING "/%s", name);
    return stamp_at(drop->fd, path, &now) && now.inode == stamp->inode && now.size_bytes == stamp->size_bytes &&
           now.changed_ns == stamp->changed_ns;
}

bool drop_give_back(const Drop *drop, const char *name, const DropStamp *stamp, bool *ret_moved, Error *err) {
    char from[sizeof RECEIVING + NAME_MAX + 2];
    snprintf(from, sizeof from, RECEIVING "/%s", name);
    *ret_moved = false;
    if (!is_file_at(drop, from, stamp))
        return true;
    *ret_moved = renameat2(drop->fd, from, drop->fd, name, RENAME_NOREPLACE) == 0;
    if (*ret_moved)
        return sync_folder(drop, ".", err) && sync_folder(drop, RECEIVING, err);
    return errno == EEXIST || errno == ENOENT || error_set_errno(err, errno, "cannot move a file within %s", drop->path);
}

static bool is_there(const Drop *drop, const char *path) {
    DropStamp ignored;
    return stamp_at(drop->fd, path, &ignored);
}

bool drop_has_waiting(const Drop *drop, const char *name) { return is_there(drop, name); }

bool drop_has_claimed(const Drop *drop, const char *name) {
    char path[sizeof RECEIVING + NAME_MAX + 2];
    snprintf(path, sizeof path, RECEIVING "/%s", name);
    return is_there(drop, path);
}

bool drop_has(const Drop *drop, DropEnd end, const char *name) {
    char path[16 + NAME_MAX];
    snprintf(path, sizeof path, "%s/%s", ENDS[end], name);
    return is_there(drop, path);
}

/* Of a name in UTF-8: as many bytes as fit, and no part of a letter. */
static size_t whole_letters(const char *name, size_t most) {
    size_t size = strnlen(name, most);
    while (size == most && size > 0 && ((uint8_t)name[size] & 0xC0) == 0x80)
        size--;
    return size;
}

/* Room is left for an id, a number and a report's ending. */
const char *drop_free_name(const Drop *drop, Arena *arena, DropEnd end, const char *name, int64_t file_id) {
    const char *tried = name;
    int size = (int)whole_letters(name, NAME_MAX - 48);
    for (int i = 2; drop_has(drop, end, tried) && i <= NAMES_TRIED; i++)
        tried = arena_printf(arena, "%.*s.%d", size, name, i);
    if (drop_has(drop, end, tried))
        tried = arena_printf(arena, "%.*s.%lld", size, name, (long long)file_id);
    for (int i = 2; drop_has(drop, end, tried); i++) /* put there by somebody else */
        tried = arena_printf(arena, "%.*s.%lld.%d", size, name, (long long)file_id, i);
    return tried;
}

static const char *report_name(Arena *arena, const char *folder, const char *stored_as, const char *kind) {
    return arena_printf(arena, "%s/%.*s.report.%s", folder, NAME_MAX - 16, stored_as, kind);
}

/* Every rename sets the time of the file's last change of state. */
static DropMark mark_at(const Drop *drop, const char *path) {
    struct stat status;
    if (fstatat(drop->fd, path, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return (DropMark){.inode = 0};
    return (DropMark){(uint64_t)status.st_ino, (int64_t)status.st_ctim.tv_sec * 1000000000 + status.st_ctim.tv_nsec};
}

DropMark drop_mark(const Drop *drop, DropEnd end, const char *stored_as) {
    char path[16 + NAME_MAX];
    snprintf(path, sizeof path, "%s/%s", ENDS[end], stored_as);
    return mark_at(drop, path);
}

bool drop_fetch_back(const Drop *drop, Arena *arena, DropEnd end, const char *stored_as, const DropMark *mark, const char *name,
                     bool *ret_moved, Error *err) {
    const char *from = path_in(arena, ENDS[end], stored_as);
    DropMark now = mark_at(drop, from);
    *ret_moved = false;
    if (now.inode != mark->inode || now.moved_ns != mark->moved_ns)
        return true;
    *ret_moved = renameat2(drop->fd, from, drop->fd, name, RENAME_NOREPLACE) == 0;
    if (!*ret_moved)
        return errno == EEXIST || errno == ENOENT || error_set_errno(err, errno, "cannot move a file within %s", drop->path);
    unlinkat(drop->fd, report_name(arena, ENDS[end], stored_as, "json"), 0);
    unlinkat(drop->fd, report_name(arena, ENDS[end], stored_as, "txt"), 0);
    return sync_folder(drop, ".", err) && sync_folder(drop, ENDS[end], err);
}

static bool write_all(int fd, Str text) {
    for (size_t done = 0; done < text.size;) {
        ssize_t n = write(fd, text.at + done, text.size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static bool write_report(const Drop *drop, Arena *arena, const char *folder, const char *stored_as,
                         const char *kind, Str text, Error *err) {
    const char *path = report_name(arena, folder, stored_as, kind);
    CLEANUP(fd_drop) int fd =
        openat(drop->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (fd < 0 || !write_all(fd, text))
        return error_set_errno(err, errno, "cannot write a report in %s/%s", drop->path, folder);
    return true;
}

bool drop_finish(const Drop *drop, Arena *arena, const char *name, const DropStamp *stamp, DropEnd end, const char *stored_as,
                 const DropReport *report, Error *err) {
    const char *from = path_in(arena, RECEIVING, name), *to = path_in(arena, ENDS[end], stored_as);
    if (!is_file_at(drop, from, stamp))
        return is_file_at(drop, to, stamp) || /* whoever took over has moved it */
               error_set(err, STATE_CONFLICT, "a file in %s/" RECEIVING " is another by now, and left to whoever claimed it",
                         drop->path);
    if (drop_has(drop, end, stored_as)) /* no report of ours beside somebody else's file */
        return error_set_errno(err, EEXIST, "cannot move a file to %s/%s", drop->path, ENDS[end]);
    TRY(write_report(drop, arena, ENDS[end], stored_as, "json", report->json, err));
    TRY(write_report(drop, arena, ENDS[end], stored_as, "txt", report->text, err));
    if (renameat2(drop->fd, from, drop->fd, to, RENAME_NOREPLACE) == 0)
        return true;
    return error_set_errno(err, errno, "cannot move a file to %s/%s", drop->path, ENDS[end]);
}
