/* publication.h - the ledger of what was sent to BigQuery, and the rows of a publication.
 *
 * The PostgreSQL half of rules, section 8: which batches belong to a publication, how far it came, what
 * it carried and what both sides must agree on. A Publication is a value in the run's arena; save() makes
 * what it says durable. Knows nothing of BigQuery's interface: star_apply.h is the other half. */
#pragma once
#include "storage/pg.h"
#include "storage/sums.h"
#include "transform/entity.h"
#include "transform/formats/avro.h"

#include <stdatomic.h>

enum { PUBLICATION_TABLES_MAX = 16 };

/* What a publication does to one table. */
typedef struct PublishedTable {
    const Entity *entity;
    int64_t changed, deleted; /* rows staged to be merged, and to be removed */
    const char **months;      /* first days, ascending; NULL dates are always touched too */
    int n_months;
    bool has_expected, has_found;
    Sums expected, found; /* over the touched partitions: here, there */
} PublishedTable;

typedef struct Publication {
    int64_t id;          /* 0: none */
    int64_t claimed_us; /* when; since 1970 */
    const char *state;
    int attempt;
    bool is_rebuild;
    PublishedTable tables[PUBLICATION_TABLES_MAX];
    int n_tables;
} Publication;

typedef struct PublicationCost {
    int64_t load_jobs, bytes_sent, bytes_billed;
} PublicationCost;

/* The oldest one that was begun and has not succeeded; id 0 when there is none. */
bool publication_find_unfinished(Pg *pg, Arena *arena, Publication *ret_publication, Error *err);
/* What there is to do. One index look-up while there is nothing. */
typedef struct PublicationDue {
    bool rows;     /* a batch that no publication carries has rows, or rows moved */
    int64_t lag_s; /* the age of the oldest such batch */
    bool rebuild;  /* one was begun, may have emptied tables, and none has succeeded since */
} PublicationDue;
bool publication_find_due(Pg *pg, PublicationDue *ret_due, Error *err);
/* Load jobs and bytes billed of the last 24 hours. */
bool publication_usage(Pg *pg, PublicationCost *ret_cost, Error *err);
/* How many rows of each entity the next publication would carry, changed and gone, as things stand; a rebuild: all.
 * N_ENTITIES numbers, in `arena`. */
bool publication_plan(Pg *pg, Arena *arena, bool is_rebuild, int64_t **ret_rows, Error *err);
/* Cost that no publication and no comparison accounts for. */
bool publication_add_cost(Pg *pg, const PublicationCost *cost, Error *err);
bool publication_epoch(Pg *pg, Arena *arena, const char **ret_epoch, Error *err);
/* Whether this database sent that publication. */
bool publication_is_known(Pg *pg, int64_t id, bool *ret_known, Error *err);
bool publication_has_published(Pg *pg, bool *ret_any, Error *err);

/* Where a sequence of surrogates stands. */
typedef struct SequencePosition {
    const char *name;
    int64_t position;
} SequencePosition;

/* --- after a restore: nothing that BigQuery has seen is given out a second time --- */

/* The next id will be above `id`. */
bool publication_start_above(Pg *pg, int64_t id, Error *err);
/* The sequences of surrogates draw above these positions from now on; those that do already are left
 * alone, unknown names too. Safe beside pages that draw from them. */
bool publication_raise_sequences(Pg *pg, const SequencePosition *positions, int n, Error *err);
/* From now on this is another database than the one it was restored from. */
bool publication_begin_epoch(Pg *pg, Arena *arena, const char **ret_epoch, Error *err);

/* Gives every batch and move without a publication a new one, in a transaction of its own, flushed; with a
 * profile that discloses direct identifiers its audit line stands before anything leaves. id 0 when no
 * published row changed. The caller holds the placement lock (rules, section 3). */
bool publication_claim(Pg *pg, bool is_rebuild, PrivacyProfile profile, Publication *ret_publication,
                       Error *err);
/* Gives the batches back: the next publication carries them. */
bool publication_abandon(Pg *pg, const Publication *publication, const char *why, Error *err);
/* Makes state, attempt, tables and cost durable. `error` may be NULL. Class 40 when the publication has
 * ended meanwhile: this worker slept, and another took over. */
bool publication_save(Pg *pg, const Publication *publication, const char *error,
                      const PublicationCost *cost, Error *err);

/* The session's placement lock, alone. */
bool publication_lock(Pg *pg, Error *err);
bool publication_unlock(Pg *pg, Error *err);

/* Leaves one row `held` that says why, raises the alert, and is false with class F0H; or with what kept the
 * ledger from saying so. release() takes row and alert away. */
bool publication_hold(Pg *pg, const char *why, Error *err);
bool publication_release(Pg *pg, Error *err);
bool publication_alert(Pg *pg, const char *sentence, Error *err);

/* --- inside a REPEATABLE READ transaction, the publication's snapshot --- */

/* Begins it, and reads once so that the snapshot is taken now. Ended by pg_tx_drop() or pg_commit(). */
Pg *publication_snapshot(Pg *pg, const Publication *publication, Error *err);
/* Adds the table's touched months and expected sums. */
bool publication_measure(Pg *tx, Arena *arena, const Publication *publication, PublishedTable *table,
                         Error *err);
/* Writes the table's changed rows and the keys that are gone; counts both. */
bool publication_write_rows(Pg *tx, const Publication *publication, PrivacyProfile profile, Arena *arena,
                            PublishedTable *table, AvroWriter *avro, const atomic_bool *cancel, Error *err);
/* The figures' default date (kpis.md), ISO, or "" when there is no service yet. */
bool publication_as_of(Pg *pg, Arena *arena, const char **ret_as_of, Error *err);
/* Where the surrogates' sequences stand, n of them. */
bool publication_sequences(Pg *pg, Arena *arena, SequencePosition **ret_positions, int *ret_n, Error *err);
