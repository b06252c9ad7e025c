/* recent.h - the last thousand runs, in memory.
 *
 * Owns the runs that it keeps. One that waits for a person does not grow old, and one that has gone on is its
 * job's until it is kept again. Loop thread only. */
#pragma once
#include "job_table.h"

enum { RECENT_MAX = 1000 };

/* Zeroed: none. */
typedef struct Recent {
    Run *runs[RECENT_MAX]; /* newest at [n_ever - 1 mod] */
    size_t n_ever;
} Recent;

void recent_done(Recent *recent);
void recent_keep(Recent *recent, Run *run);
/* One of them is forgotten, and freed: the store alone knows it from now on. */
void recent_drop(Recent *recent, Run *run);

size_t recent_count(const Recent *recent);
/* Newest first. */
Run *recent_at(const Recent *recent, size_t index);
/* NULL: not among them. */
Run *recent_find(const Recent *recent, int64_t id);
/* The job's run that waits for a person, or NULL. */
Run *recent_find_held(const Recent *recent, const Job *job);
