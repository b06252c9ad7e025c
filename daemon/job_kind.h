/* job_kind.h - the kinds of jobs there are, and what they are called.
 *
 * A kind of which there is one job gives it its name (`settle`); jobs of feeds are called after their feed. A source of
 * such a name would read as that job's: `settle.patients`. */
#pragma once
#include <stdbool.h>

typedef enum JobKind {
    JOB_EXTRACT,
    JOB_RECEIVE,
    JOB_RECONCILE, /* `reconcile.<feed>`; those below are one each */
    JOB_SETTLE,
    JOB_REFERENCE,
    JOB_PUBLISH,
    JOB_KPI,
    JOB_QUALITY,
    JOB_RETENTION,
    JOB_KINDS
} JobKind;

const char *job_kind_name(JobKind kind);
/* A job's, the part before the dot of some, or the feed of what persons say by hand: no source's then. */
bool job_kind_takes_name(const char *name);
