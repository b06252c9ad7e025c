/* reconcile.h - a hospital's table held against silver: counts, sums, and the rows that are unlike
 * (rules, section 5).
 *
 * Both sides put their rows into 4,096 buckets by the first 12 bits of source_hash, which the hospital's server
 * computes itself, in chunks of its key; a changed row lies in two of them. Only of buckets that differ are
 * keys and hashes asked for. They meet in temporary tables of the run's connection to PostgreSQL, so that
 * memory stays flat however many there are; one reconcile at a time on a connection.
 * Not the decision: what is looked at again, delivered or deleted is steps/reconcile.c's. */
#pragma once
#include "storage/pg.h"
#include "storage/source.h"
#include "transform/entity.h"

enum { RECONCILE_BUCKETS = 4096 };

/* Of the rows of one side. `sum` is modulo 2^64, of 44 bits of every hash that are not the bucket's. */
typedef struct Buckets {
    uint64_t count[RECONCILE_BUCKETS], sum[RECONCILE_BUCKETS];
    uint64_t n_rows;
    uint64_t n_unhashed; /* rows too long for the server's packet: it tells no hash of them */
} Buckets;

/* Which buckets, ascending. */
typedef struct BucketList {
    int at[RECONCILE_BUCKETS];
    int n;
} BucketList;
/* Those that differ. */
void buckets_compare(const Buckets *here, const Buckets *there, BucketList *ret_list);

/* ---- the source ---- */

/* A part of a table in key order: behind `after`, up to and with `upto`; NULL is open. */
typedef struct Chunk {
    const Str *after, *upto;
} Chunk;

/* The end of the chunk of so many rows behind `after`; NULL in *ret_upto when the table ends before. */
bool reconcile_chunk_end(My *my, const SourceTable *table, const Str *after, size_t rows, Arena *arena,
                         Str **ret_upto, Error *err);
/* Adds the chunk's rows, or with a NULL chunk those without a key. One statement, read whole. */
bool reconcile_count_there(My *my, const SourceTable *table, const Chunk *chunk, Arena *arena, Buckets *buckets,
                           Error *err);
/* The chunk's rows of these buckets: the columns of the key, then the hash, NULL where there is none. */
bool reconcile_read_there(My *my, const SourceTable *table, const Chunk *chunk, const BucketList *buckets,
                          Arena *arena, MyPage *ret_page, Error *err);
/* Whole rows of n keys (n_key values each). `is_cut`: some may be missing from the page. */
bool reconcile_read_keys(My *my, const SourceTable *table, const Str *keys, size_t n, SourceLimits limits,
                         Arena *arena, MyPage *ret_page, Error *err);
/* What tells this server from another: a hash. */
bool reconcile_server(My *my, Arena *arena, const char **ret_server, Error *err);

/* ---- what is here ---- */

/* Whose rows: those that these feeds of a source brought into one table of silver. */
typedef struct ReconcileScope {
    const Entity *entity;
    const char *feed, *source_system;
    const char *const *feeds; /* those of the same entity and source; `feed` is one of them */
    size_t n_feeds;
    int64_t run_id;
} ReconcileScope;

/* Empties the tables in which both sides meet; makes them first. */
bool reconcile_begin(Pg *pg, Error *err);
/* Of the source, whatever feed brought them. */
bool reconcile_has_more_rows(Pg *pg, Arena *arena, const ReconcileScope *scope, int64_t n, bool *ret_has, Error *err);
bool reconcile_count_here(Pg *pg, Arena *arena, const ReconcileScope *scope, Buckets *ret_buckets, Error *err);
/* Adds what reconcile_read_there() read. Rows of other feeds, and such without a key, are only compared with. */
bool reconcile_keep_there(Pg *pg, const MyPage *page, size_t n_key, bool is_own, Error *err);
bool reconcile_keep_here(Pg *pg, Arena *arena, const ReconcileScope *scope, const BucketList *buckets, Error *err);
/* The newest of the feed's mappings; 0: none yet. */
bool reconcile_mapping_version(Pg *pg, const char *feed, int32_t *ret_version, Error *err);
/* Both sides against each other. `collision_rule` and `mapping_version` say which entries of quarantine are to
 * be looked at in any case. */
bool reconcile_find_unlike(Pg *pg, const ReconcileScope *scope, const char *collision_rule,
                           int32_t mapping_version, int64_t *ret_n, Error *err);

/* Rows of the source that are not here, by their keys (n_key values each), behind *position, which goes on. */
bool reconcile_next_keys(Pg *pg, Arena *arena, size_t n_key, size_t n_max, int64_t *position, Str **ret_keys,
                         size_t *ret_n, Error *err);
/* Rows here that the source lacks, by their ids; without those that were marked found since. */
bool reconcile_next_ids(Pg *pg, Arena *arena, size_t n_max, int64_t *position, Str **ret_ids, size_t *ret_n,
                        Error *err);
bool reconcile_mark_found(Pg *pg, const Str *ids, size_t n, Error *err);

/* A row of the source that is not here as it is there. */
typedef struct Unlike {
    size_t row;  /* index into what was asked */
    bool is_here; /* with another content */
    bool is_held; /* the caller's: another row of the source holds its id */
    int64_t key, hash; /* silver's surrogate and source hash; 0: in quarantine alone */
} Unlike;
bool reconcile_look(Pg *pg, Arena *arena, const ReconcileScope *scope, const Str *ids, const int64_t *hashes,
                    size_t n, Unlike **ret_unlike, size_t *ret_n, Error *err);

/* Entries of quarantine without an id whose content is gone: how many, and their end. */
bool reconcile_count_gone_contents(Pg *pg, int64_t *ret_n, Error *err);
bool reconcile_end_gone_contents(Pg *pg, const char *feed, Error *err);

/* ---- rows that are gone: ops.gone ---- */

/* Of every run of the feed; or of this run alone. */
bool reconcile_forget_gone(Pg *pg, const char *feed, Error *err);
bool reconcile_forget_run(Pg *pg, int64_t run_id, Error *err);
bool reconcile_keep_gone(Pg *pg, Arena *arena, const ReconcileScope *scope, const Str *ids, size_t n, Error *err);
/* All that only we have, without a second look. */
bool reconcile_keep_all_gone(Pg *pg, Arena *arena, const ReconcileScope *scope, Error *err);
typedef struct GoneCounts {
    int64_t all, in_silver;
} GoneCounts;
bool reconcile_count_gone(Pg *pg, int64_t run_id, GoneCounts *ret_counts, Error *err);
/* In the order of ids, behind `after`. */
bool reconcile_next_gone(Pg *pg, Arena *arena, int64_t run_id, Str after, size_t n_max, Str **ret_ids,
                         size_t *ret_n, Error *err);

/* ---- the report ---- */

/* Since the last report of the feed; 0: there was none. */
bool reconcile_find_age(Pg *pg, const char *feed, int64_t *ret_age_us, Error *err);

/* True, too, when none was seen before. */
bool reconcile_server_is_known(Pg *pg, const char *feed, const char *server, bool *ret_known, Error *err);
bool reconcile_server_keep(Pg *pg, const char *feed, const char *server, Error *err);

enum { RECONCILE_KEYS_MAX = 1000 };
typedef struct ReconcileReport {
    const ReconcileScope *scope;
    int64_t started_us;
    int64_t rows_here, rows_there; /* there: of all feeds in scope */
    int64_t n_buckets;             /* that differed */
    int64_t rows_shipped;          /* keys with hashes, and whole rows, that left the source for it */
    int64_t missing, differing, gone; /* rows: not here; here with another content; not there */
    bool is_repaired;
    int64_t differing_keys[RECONCILE_KEYS_MAX];
    int n_differing_keys;
} ReconcileReport;
int64_t reconcile_differences(const ReconcileReport *report);
/* A line of ops.reconciliation, read by GET /v1/reconciliations. With the surrogates of rows, never their ids. */
bool reconcile_record(Pg *pg, Arena *arena, const ReconcileReport *report, Error *err);

/* Reports as a person reads them. */
typedef struct ReconcileLine {
    const char *subject, *sentence;
    const char *rows_here, *rows_there; /* "" of BigQuery */
    const char *differing, *gone;       /* surrogate keys, "" for none */
    bool is_open;                       /* it differs, and was not mended */
} ReconcileLine;
/* Of these runs, and of BigQuery's comparisons since; by subject. */
bool reconcile_read_lines(Pg *pg, Arena *arena, const int64_t *run_ids, size_t n, int64_t since_us,
                          ReconcileLine **ret_lines, size_t *ret_n, Error *err);
