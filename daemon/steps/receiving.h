/* receiving.h - claims files of one run, between receive.c, which finds them, and what becomes of each.
 *
 * receive_file.c has one file, from receiving/ to its end; receive_small.c those that are so small that several are placed as
 * one page. For these three alone; on the run's thread. */
#pragma once
#include "steps/open_feeds.h"
#include "steps/planned.h"
#include "steps/reading.h"
#include "steps/together.h"

/* What waits in the drop directory, and is known by another name than it bears there. */
typedef struct Staying {
    struct Staying *before;
    const char *name;
} Staying;

typedef enum Found { FOUND_WAITING, FOUND_LEFT } Found;

typedef struct Receiving {
    RunContext *run;
    const ClaimsConfig *claims;
    Drop drop;
    EndedFiles ended;
    Together together; /* read, and not placed yet */
    bool is_each_alone; /* they could not be placed so */
    OpenFeeds feeds;
    const char *position; /* of the cursor when the run began; NULL once a page has moved it */
    bool has_position;    /* it was read */
    int64_t page;         /* pages committed so far, of the feed */
    Arena *arena; /* one file's */
    Arena *pages; /* one page's */
    Arena *names; /* the run's */
    Planned planned; /* a plan's */
    Staying *staying; /* the last; of this look */
    bool looks_again; /* a file was given back that may be complete by now */
} Receiving;

/* Whoever lost the lease must not claim, end or give back another's files. */
bool receiving_is_ours(const Receiving *r, Error *err);
/* A name is any bytes to the file system, and text to the ledger: what is no letter stands there as `_`. */
const char *receiving_name(Arena *arena, const char *name);
/* It waits in the directory still. */
void receiving_stay(Receiving *r, const char *name, const char *known_as);
/* What is wrong with the file, and not with the house. */
bool receiving_is_files_fault(const Error *why);

/* The whole way of a file that was claimed, or that a plan looks at. What it needs in memory is gone behind it. */
bool receive_file(Receiving *r, const char *name, Found found, int64_t seen_id, Error *err);

/* Whether the file, of which `page` is the first, may wait for others to be placed with. */
bool small_may_wait(const Receiving *r, const Reading *reading, const DeliveryPage *page);
bool small_wait(Receiving *r, Reading *reading, const DeliveryPage *page, Error *err);
/* Those that wait, if any. Whatever becomes of them, they lie in receiving/ until they have ended. */
bool small_place(Receiving *r, Error *err);
/* Before the pages of a file that does not wait: its feed may be the one that they were of. */
bool small_place_before(Receiving *r, Reading *reading, Error *err);
