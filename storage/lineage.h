/* lineage.h - from a clean row back to what was received, and forward again, as JSON.
 *
 * What was received is found in bronze by the row's key, in every feed of its table (ops.feed_entity); who
 * committed it, in which run, for whom, in ops.batch and ops.run. A version names the batch that made it
 * (made_by_batch): its batch_id may be of one that closed or corrected it.
 * Patient data: whoever asks is on record before (ROUTE_READS_PHI). Reads only, but for the index's summaries. */
#pragma once
#include "storage/pg.h"
#include "transform/entity.h"

/* Appends {table, view, key, …, row, changed_by, source_rows}; false in *ret_found when there is no such row. */
bool lineage_back(Pg *pg, const Entity *entity, int64_t key, Arena *arena, Buf *out, bool *ret_found, Error *err);
/* Appends {source_system, source_<entity>_id, versions}: all versions of the row one of whose surrogates is `key`. */
bool lineage_versions(Pg *pg, const Entity *entity, int64_t key, Arena *arena, Buf *out, bool *ret_found, Error *err);
/* Appends the JSON array of the current versions that bear the hospital's number. */
bool lineage_find_patient(Pg *pg, const char *source_system, const char *id, Buf *out, Error *err);

/* What a raw row became. `feed` and `source_key`, or `file_id` and `line` of a file's row. */
typedef struct LineageQuestion {
    const char *feed, *source_key;
    const char *source_system; /* of a claims feed, whose files may be of several; else NULL */
    int64_t file_id, line;     /* 0: by key */
} LineageQuestion;
typedef enum LineageOutcome { LINEAGE_ANSWERED, LINEAGE_NO_FEED, LINEAGE_NO_FILE, LINEAGE_NO_SOURCE } LineageOutcome;
/* Appends {source_rows, items, quarantine}. */
bool lineage_forward(Pg *pg, const LineageQuestion *question, Arena *arena, Buf *out, LineageOutcome *ret_outcome,
                     Error *err);
