/* place_count.h - what is counted of a page: for the caller, the run, the ledgers, the metrics; and rules that stop it. */
#pragma once
#include "steps/placing.h"

/* The record's own flags, then those of settle that place could tell. */
enum { FLAGS_COUNTED = FLAGS_MAX + SETTLE_FLAGS };
typedef struct FlagCounts {
    RuleCount rules[FLAGS_COUNTED];
    size_t n;
} FlagCounts;

/* How many new and changed rows bear which flag; those that none bears are left out. */
void place_count_flags(const PlaceFeed *feed, const SilverPage *page, FlagCounts *ret);
int64_t place_rows_written(const PlaceOutcome *outcome);

/* `stop` rules: a page of which too many rows break one is not placed at all. Of several files each is judged by itself. */
bool placing_check_stops(Placing *placing, Error *err);
/* The page is placed: the run's counts and, where anything was written, the metrics. */
bool placing_count(Placing *placing, Error *err);
