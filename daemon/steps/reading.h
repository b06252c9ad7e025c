/* reading.h - the rows of one claims file, page by page, to silver.
 *
 * Most files are one page. Of others the next page is read and cleaned while one is placed (ahead.h), and while
 * all rows are new two sessions write pages by turns (turns.h). With the first page goes the file's entry in the ledger, with the last
 * one its end, and the cursor says with each how far: "file offset line cut way".
 * Reader: receive_file.c, which has found the file, opened it, and ends it. One file's; on the run's thread alone. */
#pragma once
#include "steps/delivery.h"
#include "steps/drop.h"
#include "steps/ended.h"
#include "steps/turns.h"
#include "storage/former.h"

/* One claimed file. */
typedef struct Incoming {
    const char *name;     /* where it lies: any bytes */
    const char *known_as; /* in the ledger and when it has ended: UTF-8 */
    bool is_leftover; /* lay in receiving/ when the run began */
    DropStamp stamp;
    FileBytes bytes;
    FileSeen seen;
    const FilePattern *pattern;
    const FileDetected *detected; /* NULL: not yet */
    FileEntry entry;              /* file_id 0: it is not entered */
    int64_t *former;              /* rows of the ledger that may have placed rows of the same bytes before; room for one more */
    size_t n_former;
    bool is_changed;              /* somebody wrote to it while it was read */
} Incoming;

/* How far a file was placed. */
typedef struct FileProgress {
    int64_t offset, line;
    bool was_cut;
} FileProgress;

enum { READING_POSITION_BYTES = 112 };

/* Begun with {.run, .claims, .drop, .ended, .file, .delivery, .feed}, the rest zero. */
typedef struct Reading {
    RunContext *run;
    const ClaimsConfig *claims;
    Drop *drop;
    EndedFiles *ended; /* files before it, which are moved when they have waited long enough */
    Incoming *file;
    DeliveryFile *delivery;
    PlaceFeed *feed; /* its cursor stands where the feed does */
    FileProgress progress;
    bool has_placed; /* a page: what the cursor's position was is history */
    /* the page in hand: its end, its entry when its transaction has made one, and where the cursor will stand */
    FileProgress ahead;
    FormerReading former; /* .n 0: nothing of these bytes was read before */
    FormerClaims claims_before;
    Turns turns;
    bool is_last;
    FileEntry entry;
    char position[READING_POSITION_BYTES];
} Reading;

/* `position`: the cursor's, where the file may have been left; or NULL. */
bool reading_begin(Reading *reading, const char *position, Error *err);
/* The first page, in `page->arena`, read and not cleaned. */
bool reading_first(Reading *reading, AheadPage *page, Error *err);
/* That page and those behind it; its arena is emptied when it is placed. */
bool reading_place(Reading *reading, AheadPage *first, Error *err);
/* What is to be said of a file that was received; or NULL. */
const char *reading_warning(const Reading *reading);
void reading_done(Reading *reading);
