/* proof.h - what `revcycled reconcile` found, for a person: a line per feed, then BigQuery's. Surrogate keys alone
 * name rows. */
#pragma once
#include "job.h"

#include <stdio.h>

/* Of the runs that `jobs` remembers, and of comparisons since that time of ours. *ret_equal: what was compared is
 * equal now, be it that it was mended. */
bool proof_print(Pg *pg, const Jobs *jobs, int64_t since_us, FILE *out, bool *ret_equal, Error *err);
