/* together.h - small claims files that one transaction places.
 *
 * A file of three rows costs as many statements as one of five thousand. So files of one source and header that their first
 * page holds whole wait here, and are placed as one page, each with an entry, counts and an end of its own: the ledger, silver
 * and quarantine are as if each had come alone. That takes that none of their rows is about a claim that another's is about;
 * that nothing of their bytes was read before; and that nothing is to be said of them. What cannot be placed here is the
 * caller's to place by itself. So is every one of them when the page fails, for whatever reason that may be one file's alone:
 * nothing of it is committed then.
 * They wait at most for the others of the list they came with (drop.h), and in receiving/, where a crash leaves them. */
#pragma once
#include "steps/delivery.h"
#include "steps/drop.h"

enum { TOGETHER_MOST = 128, TOGETHER_ROWS_A_FILE = 500, TOGETHER_BYTES_A_FILE = 64 * 1024 };

typedef struct SmallFile {
    const char *name; /* in receiving/ */
    DropStamp stamp;
    FileBytes bytes;
    FileSeen seen; /* known by this name; its row's id is the file's */
    FileDetected detected;
    size_t n_rows;
} SmallFile;

typedef struct Together {
    Arena *arena; /* what they are; empty while there are none */
    PlaceFeed *feed;
    SmallFile *files;
    size_t n;
    /* their rows, behind one another */
    Str *fields;
    int64_t *lines;
    RawReject *rejects;
    RowFile *row_files;
    uint64_t *keys; /* the claims that their rows are about: open addressing, 0 is free */
    size_t n_rows, most_rows, size_bytes;
} Together;

void together_init(Together *together);
void together_done(Together *together);
void together_empty(Together *together);
/* A file of the same source and bytes waits here. */
bool together_has(const Together *together, const char *source_system, const FileBytes *bytes);
/* The most rows that may wait, of one file and of all: fewer where the header is wide. */
size_t together_most_rows(const PlaceFeed *feed);
/* Whether the rows of such a file may be placed with those that wait, if it is of their feed; `scratch` may grow. */
bool together_fits(const Together *together, const PlaceFeed *feed, const DeliveryPage *page, Arena *scratch);
/* Copies what it is given, which fits. The feed stays open (open_feeds_hold()) until together_empty(). */
void together_add(Together *together, PlaceFeed *feed, const SmallFile *file, const DeliveryPage *page, Arena *scratch);
/* All that wait, as the next page of their feed; they stay until together_empty(). */
bool together_place(const Together *together, const Drop *drop, Arena *page, Error *err);
