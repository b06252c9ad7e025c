/* job_kind.c - see job_kind.h. */
#include "job_kind.h"

#include <stddef.h>
#include <string.h>

static const char *const NAMES[JOB_KINDS] = {
    [JOB_EXTRACT] = "extract",     [JOB_RECEIVE] = "receive", [JOB_RECONCILE] = "reconcile",
    [JOB_SETTLE] = "settle",       [JOB_REFERENCE] = "reference", [JOB_PUBLISH] = "publish",
    [JOB_KPI] = "kpi",             [JOB_QUALITY] = "quality", [JOB_RETENTION] = "retention",
};
/* Before the dot of feeds that receive, and the feed of what is linked by hand (storage/person.h). */
static const char *const OTHERS[] = {"claims", "persons"};

const char *job_kind_name(JobKind kind) { return NAMES[kind]; }

bool job_kind_takes_name(const char *name) {
    for (size_t i = JOB_RECONCILE; i < JOB_KINDS; i++)
        if (strcmp(NAMES[i], name) == 0)
            return true;
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++)
        if (strcmp(OTHERS[i], name) == 0)
            return true;
    return false;
}
