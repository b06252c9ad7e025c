/* openlineage.h - a run, told as OpenLineage does (https://openlineage.io/spec/2-0-2/OpenLineage.json, RunEvent): when
 * it began and ended, which datasets it read and wrote, and which column was made of which.
 *
 * Names of configuration and counts, never a row's value: a drop directory's files are not named, for such names may be a
 * patient's. Datasets are called as the specification's page on naming says: mysql://host:port and database.table,
 * postgres://host:port and database.schema.table, bigquery and project.dataset.table, file and a directory.
 * Pure; any thread. */
#pragma once
#include "run.h"

/* Where all this happens; texts are borrowed. */
typedef struct LineageHouse {
    const char *namespace; /* of jobs */
    const char *store, *database; /* "postgres://host:port", its database */
} LineageHouse;

typedef enum LineageMoment {
    LINEAGE_BEGIN, /* START, at started_us */
    LINEAGE_END    /* COMPLETE, FAIL or ABORT, at finished_us, as run->state says */
} LineageMoment;

/* Kinds that read or write datasets at all: false of a retention. */
bool openlineage_tells(JobKind kind);
/* One event as one line of JSON, without the line's end; the caller's, by free(). */
char *openlineage_event(const LineageHouse *house, const Run *run, LineageMoment moment);
