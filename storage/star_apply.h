/* star_apply.h - what a publication does in BigQuery, and what it finds there.
 *
 * The BigQuery half of rules, section 8: the one transaction that merges the staged tables, whether it
 * happened, and the sums to compare. Texts live in the caller's arena. */
#pragma once
#include "storage/bigquery.h"
#include "storage/comparison.h"

typedef struct StarTarget {
    BigQuery *bq;
    const char *dataset; /* "project.dataset" */
    const char *epoch;   /* of the database */
    PrivacyProfile profile;
    bool may_replace; /* a rebuild: tables of another profile are made anew */
    Arena *arena;
} StarTarget;

/* "project.dataset" when both are plain names; NULL and an error otherwise: they stand in SQL. */
const char *star_dataset(Arena *arena, const char *project, const char *dataset, Error *err);
/* Makes what is missing, widens what is old; leaves what has today's schema version. A table of another
 * profile is class F0H: held. */
bool star_ensure(const StarTarget *target, Error *err);
/* The newest publication BigQuery knows; id 0 when there is none, or no table yet. */
bool star_newest(const StarTarget *target, int64_t *ret_id, const char **ret_epoch, Error *err);
/* The highest position of each sequence of surrogates that any publication saw. */
bool star_sequences(const StarTarget *target, SequencePosition **ret_positions, int *ret_n, Error *err);
/* The script of the apply job. */
const char *star_apply_script(const StarTarget *target, const Publication *publication, const char *as_of,
                              const SequencePosition *sequences, int n_sequences);
/* True when `_publications` holds the id: the transaction committed. */
bool star_is_applied(const StarTarget *target, int64_t id, bool *ret_applied, Error *err);
/* Fills `found` of a table. */
bool star_measure(const StarTarget *target, PublishedTable *table, Error *err);
/* Fills `there` of a comparison's table, every month of it. */
bool star_measure_months(const StarTarget *target, TableComparison *table, Error *err);
/* "TRUE", or the touched partitions as literals on T's bare column. Exposed for its test. */
const char *star_partitions(Arena *arena, const PublishedTable *table);
