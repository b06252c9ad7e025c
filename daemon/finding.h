/* finding.h - what doctor's checks find, and how it is told.
 *
 * A check fills one Finding; it becomes one line "ok", "mind" (it works, but less well or less safely than it
 * could) or "BAD" (a run will fail), with the mend beneath. Never a row value or a secret. */
#pragma once
#include "base/error.h"

#include <stdio.h>

typedef enum FindingKind {
    FINDING_OK,
    FINDING_MIND,
    FINDING_BAD,
    FINDING_NOTHING /* the check does not apply here: no line */
} FindingKind;

typedef struct Finding {
    FindingKind kind;
    char text[400]; /* "" when "ok" says it all */
    char mend[240];
} Finding;

/* A remark on what is well. */
void finding_remark(Finding *finding, const char *format, ...) __attribute__((format(printf, 2, 3)));
void finding_mind(Finding *finding, const char *mend, const char *format, ...) __attribute__((format(printf, 3, 4)));
void finding_bad(Finding *finding, const Error *err);

typedef struct Report {
    FILE *out;
    bool is_well; /* nothing is bad */
} Report;
/* "ok    hospital_a.patients, engine" */
void report_finding(Report *report, const char *subject, const char *check, const Finding *finding);
