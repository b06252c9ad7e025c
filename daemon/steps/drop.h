/* drop.h - the drop directory: what lies in it, what is complete, and moving it.
 *
 *     DIR/             senders put files here
 *     DIR/receiving/   claimed by us, being read
 *     DIR/done/ DIR/failed/   where they end, each with NAME.report.json and NAME.report.txt beside it
 *
 * All moves are renames within one file system; nothing is ever overwritten but a report, and what is called as one is
 * not taken. Who was stopped and has lost its lease may wake between any check of the database and a move, and under the
 * name it knows another's file may lie by then: a move looks at the file itself, right before it. A file is complete when
 * nobody has it open for writing (a read lease tells, where the owner allows it), else when it has
 * not changed for settle_ms. Whoever writes on for all that is found out by the file's times and size.
 * Names that begin with a dot are senders' temporary files and left alone.
 * File names come from outside: they stand in the ledger and the reports, never in the log. */
#pragma once
#include "base/arena.h"
#include "base/error.h"

typedef struct Drop {
    int fd;           /* of the directory */
    const char *path; /* for sentences */
} Drop;

/* Files that are being uploaded (api/upload.h) lie here under such a name until they are whole. */
#define DROP_UPLOAD_PREFIX ".revcycled-upload-"
enum { DROP_UPLOAD_NAME_BYTES = 64, DROP_NAME_MAX = 200 };
/* Whether a file may be put here by this name; else why not, as a sentence's end. */
const char *drop_refuses_name(Str name);

/* Makes the three folders, but for who only looks. An Error of class configuration when the directory cannot be used. */
typedef enum DropUse { DROP_WORK, DROP_LOOK } DropUse;
bool drop_open(const char *directory, DropUse use, Drop *ret_drop, Error *err);
void drop_close(Drop *drop);
/* Uploads that a crash left behind: what nobody has written to for an hour. */
void drop_clear_uploads(const Drop *drop);

typedef enum DropEnd { DROP_DONE, DROP_FAILED } DropEnd;
typedef enum DropKind {
    DROP_READY,   /* complete: may be claimed */
    DROP_GROWING, /* not complete, or not for sure: may be after wait_ms; 0: when its writer closes it */
    DROP_UNFIT    /* nothing we can take: `sentence` says why; it stays where it is */
} DropKind;
typedef struct DropEntry {
    const char *name;     /* any bytes */
    const char *known_as; /* the caller's */
    DropKind kind;
    const char *sentence;
    int64_t wait_ms;
} DropEntry;
typedef struct DropList {
    DropEntry *entries; /* by name */
    size_t n;
} DropList;
/* Which folder is looked through. */
typedef enum DropPlace { DROP_WAITING, DROP_CLAIMED } DropPlace;
typedef struct DropLook {
    const Drop *drop;
    void *dir; /* NULL: there is no such folder yet */
    int64_t settle_ms;
} DropLook;
/* A directory may hold a million files: they come by lists of `most`, of which each is sorted; an empty one is the
 * last. What arrives meanwhile is in one of them, or in the next look's. What lies in receiving/ is all READY. */
bool drop_look_open(const Drop *drop, DropPlace place, int64_t settle_ms, DropLook *ret_look, Error *err);
void drop_look_next(DropLook *look, size_t most, Arena *arena, DropList *ret_list);
void drop_look_close(DropLook *look);

/* False without an error in `ret_claimed`: it is gone, or receiving/ holds one of that name. */
bool drop_claim(const Drop *drop, const char *name, bool *ret_claimed, Error *err);
/* What a file was when it was opened. */
typedef struct DropStamp {
    uint64_t inode;
    int64_t born_ns; /* a number that is free again is soon another file's; 0: the file system does not say */
    int64_t size_bytes, changed_ns;
} DropStamp;
/* A descriptor of a claimed file, or of one that still waits, for reading; -1 and an error. */
int drop_open_file(const Drop *drop, DropPlace place, const char *name, DropStamp *ret_stamp, Error *err);
/* Somebody had it open when it was claimed, and may write on. */
bool drop_is_written(int fd);
/* Of a claimed file: it is what it was. */
bool drop_is_unchanged(const Drop *drop, const char *name, const DropStamp *stamp);
/* An ended file, before it is asked whether it may be moved: which it is, and that nobody has moved it since. */
typedef struct DropMark {
    uint64_t inode;
    int64_t moved_ns;
} DropMark;
DropMark drop_mark(const Drop *drop, DropEnd end, const char *stored_as);
/* A file that had ended comes back to where it waited, to be read again; its reports go. False in `ret_moved` when
 * another of its name waits there, or it is not there any more, or not as it was marked (drop_has()). On disk when it returns. */
bool drop_fetch_back(const Drop *drop, Arena *arena, DropEnd end, const char *stored_as, const DropMark *mark, const char *name,
                     bool *ret_moved, Error *err);
/* A claimed file goes back to where it waited. False in `ret_moved` when another of its name waits there, or it is not there
 * any more. On disk when it returns. */
bool drop_give_back(const Drop *drop, const char *name, const DropStamp *stamp, bool *ret_moved, Error *err);

/* Whether an entry of that name lies there: where it waits, in receiving/, where it ended. */
bool drop_has_waiting(const Drop *drop, const char *name);
bool drop_has_claimed(const Drop *drop, const char *name);
bool drop_has(const Drop *drop, DropEnd end, const char *name);
/* `name`, or one like it that is still free there: with a small number, else with the file's id. */
const char *drop_free_name(const Drop *drop, Arena *arena, DropEnd end, const char *name, int64_t file_id);
/* Writes the reports, then moves the claimed file to `stored_as`. May be done again after a crash; there it may have been
 * moved already. An Error of class conflict when another lies under its name. */
typedef struct DropReport {
    Str json, text;
} DropReport;
bool drop_finish(const Drop *drop, Arena *arena, const char *name, const DropStamp *stamp, DropEnd end, const char *stored_as,
                 const DropReport *report, Error *err);
/* What was finished stays so when the machine stops. */
bool drop_sync_ends(const Drop *drop, Error *err);
