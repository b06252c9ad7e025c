/* put_back.c - see put_back.h. */
#include "steps/put_back.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "base/own.h"
#include "storage/file.h"
#include "storage/run_store.h"

#include <fcntl.h>
#include <sys/stat.h>

typedef struct PutBack {
    RunContext *run;
    const Drop *drop;
    const FileReplay *file;
    DropEnd end; /* where it lies */
    DropMark mark;
    Arena *arena;
} PutBack;

static bool is_still_there(const PutBack *p) { return drop_has(p->drop, p->end, p->file->stored_as); }

static bool check_lease(const PutBack *p, Error *err) {
    return lease_check(p->run->pg, &(LeaseFence){p->run->job, p->run->epoch}, err);
}

/* A run that was killed before its commit has moved it: the bytes tell that it is not another of its name. */
static bool is_back(const PutBack *p, bool *ret_is_back, Error *err) {
    DropStamp stamp;
    FileBytes bytes;
    struct stat status;
    Error why = {0};
    *ret_is_back = false;
    if (fstatat(p->drop->fd, p->file->name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode))
        return true;
    CLEANUP(fd_drop) int fd = drop_open_file(p->drop, DROP_WAITING, p->file->name, &stamp, &why);
    if (fd < 0 && (error_class(&why) == ERROR_DATA || error_class(&why) == ERROR_CONFIGURATION)) /* we had read ours */
        return true;
    if (fd < 0)
        *err = why;
    TRY(fd >= 0 && file_hash(fd, p->run->canceled, &bytes, err));
    return file_has_bytes(p->run->pg, p->file->file_id, &bytes, ret_is_back, err);
}

static bool move_back(const PutBack *p, bool *ret_is_back, Error *err) {
    TRY(drop_fetch_back(p->drop, p->arena, p->end, p->file->stored_as, &p->mark, p->file->name, ret_is_back, err));
    if (*ret_is_back || is_still_there(p))
        return true;
    return is_back(p, ret_is_back, err);
}

static bool forget(const PutBack *p, Error *err) {
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(p->run->pg, err);
    TRY(tx && file_forget_replay(tx, p->file->file_id, err) && check_lease(p, err) && pg_commit(&tx, PG_FLUSHED, err));
    LOG_WARN("a file that is to be read again is not there any more", LOG_TEXT("feed", p->run->claims->name),
             LOG_INT("file", p->file->file_id));
    return true;
}

/* Moved and `seen` in one transaction: whoever is killed in between finds the file where it waits, and the request. Its
 * row is locked first, then the lease is looked at. */
static bool put_back(const PutBack *p, Error *err) {
    bool is_seen = false, is_there = false;
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(p->run->pg, err);
    TRY(tx && file_see_again(tx, p->file->file_id, &is_seen, err) && check_lease(p, err));
    FAILPOINT("receive.before_fetch_back");
    if (is_seen)
        TRY(move_back(p, &is_there, err));
    FAILPOINT("receive.before_put_back");
    if (is_there)
        return pg_commit(&tx, PG_FLUSHED, err);
    pg_tx_drop(&tx);
    return is_still_there(p) || forget(p, err); /* still there: another of its name waits, and the next run is asked */
}

bool put_back_asked(RunContext *run, const Drop *drop, Error *err) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    FileReplay *files;
    size_t n;
    if (run->plan)
        return true;
    drop_clear_uploads(drop);
    TRY(file_replays(run->pg, run->claims->name, arena, &files, &n, err));
    for (size_t i = 0; i < n; i++) {
        DropEnd end = strcmp(files[i].state, "failed") == 0 ? DROP_FAILED : DROP_DONE;
        PutBack p = {.run = run, .drop = drop, .file = &files[i], .end = end,
                     .mark = drop_mark(drop, end, files[i].stored_as), .arena = arena};
        TRY(put_back(&p, err));
    }
    return true;
}
