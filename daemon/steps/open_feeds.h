/* open_feeds.h - a claims feed, opened once for the files of one source and header.
 *
 * Opening costs more than a small file's rows: what place_open() makes is kept for the next file that is alike, and
 * given up for another when FEEDS_OPEN are open, the one longest not used that nobody holds. Of one run; its thread's alone. */
#pragma once
#include "config.h"
#include "steps/place.h"

enum { FEEDS_OPEN = 4 };

typedef struct OpenFeed {
    PlaceFeed place; /* first: who has it has the OpenFeed */
    Arena *arena; /* NULL: none */
    const FilePattern *pattern;
    int64_t used; /* when: greater is later */
    int holders;
} OpenFeed;

/* {.run, .claims}, the rest zero. */
typedef struct OpenFeeds {
    RunContext *run;
    const ClaimsConfig *claims;
    OpenFeed open[FEEDS_OPEN];
    int64_t n_used;
} OpenFeeds;

/* NULL: none of this source and header is open. */
PlaceFeed *open_feeds_find(OpenFeeds *feeds, const FilePattern *pattern, const Field *fields, size_t n);
/* That one, or one opened now; NULL and an error, of class data where the header is the file's fault. `fields` are copied.
 * It is the caller's until open_feeds_give(), and may be held once more for as long; fewer than FEEDS_OPEN at once. */
PlaceFeed *open_feeds_take(OpenFeeds *feeds, const FilePattern *pattern, const Field *fields, size_t n, Error *err);
void open_feeds_hold(PlaceFeed *feed);
void open_feeds_give(PlaceFeed *feed);
void open_feeds_close(OpenFeeds *feeds);
