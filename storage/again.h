/* again.h - reading what was received once more, to clean it by today's mapping (rules, section 2).
 *
 * Of bronze's copies those that a clean row was made of: the newest of a fact or member, that of each version
 * of a patient or provider; and those that quarantine holds. Reads only; whoever cleans is the feed's one run,
 * so that nothing is appended meanwhile. */
#pragma once
#include "storage/pg.h"
#include "transform/mapping.h"

/* Columns that rows of the feed were read with. */
typedef struct AgainSchema {
    int64_t id;
    const char **names, **types;
    size_t n;
} AgainSchema;
/* Newest first; none when nothing was ever read. */
bool again_schemas(Pg *pg, const char *feed, Arena *arena, AgainSchema **ret_schemas, size_t *ret_n, Error *err);
/* Its index among them; -1: it is none of them, or bronze has the row no more. */
int again_find_schema(const AgainSchema *schemas, size_t n, int64_t id);

typedef struct AgainRow {
    int64_t schema_id; /* 0: bronze does not have it any more */
    int64_t entry;     /* in quarantine; 0: a clean row was made of it */
    int64_t source_hash;
    Str id;            /* STR_NULL: it had none */
    Str raw;           /* packed: bronze_unpack() */
} AgainRow;
typedef struct AgainPage {
    AgainRow *rows; /* those of one schema stand together */
    size_t n;
} AgainPage;

/* Where reading goes on. Zeroed: at the start. */
typedef struct AgainPlace {
    int64_t block, n_blocks;
    const char *within; /* the stretch's last row read; NULL: its start */
    int64_t entry;      /* the last entry of quarantine */
} AgainPlace;
typedef struct AgainFeed {
    const char *feed, *source_system;
    const Entity *entity;
    size_t max_rows, max_bytes;
    bool only_asked; /* of quarantine: what again_asked() tells */
} AgainFeed;

/* The next page's rows, in `arena`, and where the one after it begins, in `run`; a page may be empty before the
 * end. False in `ret_more` behind the last. */
bool again_stored(Pg *pg, const AgainFeed *feed, AgainPlace *place, Arena *run, Arena *arena, AgainPage *ret_page,
                  bool *ret_more, Error *err);
/* Open entries of quarantine, in the order they were made. Of those that were asked for, either the ones whose content
 * a clean row was made of before today's rules refused it, or the others: those correct a row, these are news. */
typedef enum AgainHeld { AGAIN_HELD_ALL, AGAIN_HELD_STORED, AGAIN_HELD_NEWS } AgainHeld;
bool again_held(Pg *pg, const AgainFeed *feed, AgainHeld which, AgainPlace *place, Arena *arena, AgainPage *ret_page,
                bool *ret_more, Error *err);

/* A claim's delivery, placed or held; its text, and its entry in quarantine. */
typedef struct AgainDelivery {
    AgainRow row;
    int64_t file_id, line;
    Str period, sha256;
    bool is_placed;
    int32_t mapping_version;  /* of the entry */
    bool is_last;             /* of its claim; of rows without an id each */
} AgainDelivery;
/* Whose files a claims feed has ever received. */
bool again_sources(Pg *pg, const char *feed, Arena *arena, const char ***ret_sources, size_t *ret_n, Error *err);
/* Opens the way through all deliveries of one source, claim by claim; entries of `left_out` (a text[] literal of rules)
 * that were never placed are passed over. One at a time on a connection; not in a transaction. */
bool again_deliveries_open(Pg *pg, const AgainFeed *feed, const char *left_out, Error *err);
/* The next whole claims, about a page of them; none: that was all. A claim of thousands of rows comes in parts, for what
 * is stored and has no row in a page stays as it is. */
bool again_deliveries_next(Pg *pg, const AgainFeed *feed, Arena *arena, AgainDelivery **ret_deliveries, size_t *ret_n,
                           Error *err);
void again_deliveries_close(Pg *pg);

typedef struct AgainDue {
    bool mapping; /* the feed's newest was not applied to everything yet */
    bool replay;  /* a person asked for entries of quarantine */
} AgainDue;
bool again_due(Pg *pg, const char *feed, AgainDue *ret_due, Error *err);
bool again_done(Pg *pg, const char *feed, int32_t mapping_version, Error *err);

/* The entries that a person asked for, and when, as array literals; asked for no more. What is asked for in between stays, also
 * where it was asked for before. */
typedef struct AgainAsked {
    const char *entries, *times;
} AgainAsked;
bool again_asked(Pg *pg, const char *feed, Arena *arena, AgainAsked *ret_asked, Error *err);
bool again_asked_done(Pg *pg, const AgainAsked *asked, Error *err);
