/* drop.h - the drop directory: what lies in it, what is complete, and moving it.
 *
 *     DIR/             senders put files here
 *     DIR/receiving/   claimed by us, being read
 *     DIR/done/ DIR/failed/   where they end, each with NAME.report.json and NAME.report.txt beside it
 *
 * All moves are renames within one file system; nothing is ever overwritten. A file is complete when
 * nobody has it open for writing (a read lease tells, where the owner allows it), else when it has
 * not changed for settle_ms. Names that begin with a dot are senders' temporary files and left alone.
 * File names come from outside: they stand in the ledger and the reports, never in the log. */
#pragma once
#include "base/arena.h"
#include "base/error.h"

typedef struct Drop {
    int fd;           /* of the directory */
    const char *path; /* for sentences */
} Drop;

/* Makes the three folders, but for who only looks. An Error of class configuration when the directory cannot be used. */
typedef enum DropUse { DROP_WORK, DROP_LOOK } DropUse;
bool drop_open(const char *directory, DropUse use, Drop *ret_drop, Error *err);
void drop_close(Drop *drop);

typedef enum DropKind {
    DROP_READY,   /* complete: may be claimed */
    DROP_GROWING, /* not complete, or not for sure: may be after wait_ms; 0: when its writer closes it */
    DROP_UNFIT    /* nothing we can take: `sentence` says why; it stays where it is */
} DropKind;
typedef struct DropEntry {
    const char *name;
    DropKind kind;
    const char *sentence;
    int64_t wait_ms;
} DropEntry;
typedef struct DropList {
    DropEntry *entries; /* by name */
    size_t n;
} DropList;
bool drop_list(const Drop *drop, Arena *arena, int64_t settle_ms, DropList *ret_list, Error *err);
/* What lies in receiving/: all READY. */
bool drop_list_claimed(const Drop *drop, Arena *arena, DropList *ret_list, Error *err);

/* False without an error in `ret_claimed`: it is gone, or receiving/ holds one of that name. */
bool drop_claim(const Drop *drop, const char *name, bool *ret_claimed, Error *err);
/* A descriptor of a claimed file, or of one that still waits, for reading; -1 and an error. */
typedef enum DropPlace { DROP_WAITING, DROP_CLAIMED } DropPlace;
int drop_open_file(const Drop *drop, DropPlace place, const char *name, Error *err);

typedef enum DropEnd { DROP_DONE, DROP_FAILED } DropEnd;
bool drop_has(const Drop *drop, DropEnd end, const char *name);
/* `name`, or one like it that is still free there. */
const char *drop_free_name(const Drop *drop, Arena *arena, DropEnd end, const char *name);
/* Writes the reports, then moves the claimed file to `stored_as`. May be done again after a crash. */
typedef struct DropReport {
    Str json, text;
} DropReport;
bool drop_finish(const Drop *drop, Arena *arena, const char *name, DropEnd end, const char *stored_as,
                 const DropReport *report, Error *err);
