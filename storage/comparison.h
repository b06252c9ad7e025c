/* comparison.h - PostgreSQL and BigQuery held side by side, month by month.
 *
 * What a publication compares is what it touched; this is everything else, once a day (rules, section 8). Our
 * side is measured in the snapshot of what BigQuery holds, theirs by star_measure_months(). A Comparison is a
 * value in the run's arena; record() makes what it found durable. */
#pragma once
#include "storage/publication.h"

/* Of one month of a table, or of a whole table. */
typedef struct MonthSums {
    int64_t month; /* 202403; 0: rows without a date, or a table without partitions */
    Sums sums;
} MonthSums;

typedef struct TableSums {
    MonthSums *months; /* ascending */
    int n;
} TableSums;

typedef struct TableComparison {
    const Entity *entity;
    TableSums here, there;
} TableComparison;

typedef struct Comparison {
    int64_t started_us;
    TableComparison tables[PUBLICATION_TABLES_MAX];
    int n_tables;
} Comparison;

/* True when the last one is older than that, and something was published. One index look-up. */
bool comparison_is_due(Pg *pg, int64_t every_ms, bool *ret_due, Error *err);
/* What the last one found, as a sentence; NULL when both sides agreed, or a rebuild came since. */
bool comparison_find_difference(Pg *pg, Arena *arena, const char **ret_sentence, Error *err);

/* Fills `here` of every table, in a snapshot. */
bool comparison_measure(Pg *tx, Arena *arena, Comparison *comparison, Error *err);
/* Durable, with its cost. `*ret_sentence` says what differs, or is NULL. */
bool comparison_record(Pg *pg, Arena *arena, const Comparison *comparison, int64_t bytes_billed,
                       const char **ret_sentence, Error *err);
