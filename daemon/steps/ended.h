/* ended.h - files whose end the ledger knows, until they lie in done/ or failed/ with their report.
 *
 * Their rows and their state are committed, but perhaps not flushed: a file is moved only after that (rules, section 3).
 * Flushing costs as much for one file as for a hundred, so small ones are moved together: ended_move() chooses the
 * names, commits them flushed, and everything before them with them, writes the reports, and moves. A crash before that
 * leaves the files in receiving/, where the next run finds them: finished, or to be read again. Nothing is written or moved
 * once the lease is another's: a file of that name in receiving/ is then another's, too. An Error of class conflict. The
 * lease is looked at while the files' rows are locked: who took over waits there before it moves them, and who lost its lease,
 * and with its sessions the locks, finds that the file is another. */
#pragma once
#include "steps/drop.h"
#include "steps/steps.h"
#include "storage/file.h"

enum { ENDED_MOST = 128 };

typedef struct EndedFile {
    int64_t file_id;
    DropEnd end;
    const char *name;      /* in receiving/ */
    DropStamp stamp;       /* the file itself, as it was opened */
    const char *known_as;  /* the name it gets, or one like it where that is taken */
    const char *stored_as; /* chosen before a crash; NULL: not yet */
    const char *outcome, *sentence; /* for who looks; sentence NULL: nothing is wrong */
} EndedFile;

typedef struct EndedFiles {
    RunContext *run;
    const Drop *drop;
    Arena *arena;
    EndedFile files[ENDED_MOST];
    size_t n;
    int64_t since_us; /* the first of them ended */
} EndedFiles;

void ended_init(EndedFiles *ended, RunContext *run, const Drop *drop);
void ended_done(EndedFiles *ended);
/* Copies what it is given; moves those it has when they are many, or one waits already for a while. */
bool ended_add(EndedFiles *ended, const EndedFile *file, Error *err);
/* All that it has, or those that wait for a while alone. */
bool ended_move(EndedFiles *ended, Error *err);
bool ended_move_old(EndedFiles *ended, Error *err);
