/* place.h - one page of rows, one transaction (rules, section 3).
 *
 * place_page() locks the feed's cursor (the fence), looks up what is known of the page's keys, drops rows
 * whose source hash is known, cleans the others, and writes bronze, silver, quarantine, counts, audit
 * line and cursor together, or nothing. A page in which nothing is new writes nothing at all.
 * Used by extract and receive; one PlaceFeed belongs to one run, and is placed by one thread. */
#pragma once
#include "steps/steps.h"
#include "storage/bronze.h"
#include "storage/member.h"
#include "storage/spelling.h"
#include "storage/state.h"

typedef struct PlaceFeed {
    RunContext *run;
    Pg *pg; /* the session its pages are placed by: the run's, of a lane's feed the lane's */
    const char *feed;
    const char *source_system;
    const Entity *entity;
    const Mapping *mapping;
    int32_t mapping_version;
    const Field *fields;
    size_t n_fields;
    BronzeFeed bronze;
    CursorState cursor; /* after the last committed page */
    Members *members;   /* remembered over the run's pages */
    Tells tells;
    bool is_mapping_new; /* a plan's: a run would give it another version */
    PgCommit commit;    /* PG_RELAXED where a lost page is read again */
    int64_t clock_us;   /* tests: what rows are received at; 0: this machine's clock */
} PlaceFeed;

typedef struct PlaceSource {
    const char *feed;
    const char *source_system;
    const char *timezone;
    const Zone *zone;
    const MappingSpec *mapping;
    const Field *fields;
    const char *const *types;
    size_t n_fields;
    Tells tells; /* the past and again: members with versions alone count every row of a page */
} PlaceSource;

/* Registers source, schema and mapping, makes the bronze table, opens the cursor, compiles the mapping.
 * Lives in the run's arena, but for what place_close() gives back. */
bool place_open(RunContext *run, const PlaceSource *source, PlaceFeed *ret_feed, Error *err);
/* Zeroed or opened; for CLEANUP. */
void place_close(PlaceFeed *feed);

/* A row its reader could not make sense of: it goes to quarantine as it is. */
typedef struct RawReject {
    const char *rule; /* NULL: the row is fit to be cleaned */
    const char *reason;
    Str entry; /* the natural key of its entry; STR_NULL: it has none */
} RawReject;

/* What belongs to a page beside its rows, in its transaction. `enter` makes the file's entry once the feed is locked;
 * `conclude` is given what became of every row before the page commits, news or none. False from either ends the page,
 * and nothing happened. Either may be NULL. `pg`: the session that the page is placed by. Rows that are placed beside the
 * feed's run, as they come: the fence is the lease alone, and no cursor moves, so that neither drops the other's page. */
typedef struct PlaceEntry {
    bool (*enter)(void *ctx, Pg *pg, int64_t *ret_file_id, Error *err);
    bool (*conclude)(void *ctx, Pg *pg, const SilverPage *page, Error *err);
    void *ctx;
    bool is_beside;
} PlaceEntry;

typedef struct RawRows {
    const Str *fields;    /* row-major, n_fields each */
    const int64_t *lines; /* files; NULL for databases */
    size_t n_rows;
    const RawReject *rejects; /* one per row; NULL: none */
    const SpellingTake *takes; /* which rows come to hold their id (steps/collision.h) */
    size_t n_takes;
    int64_t file_id;      /* 0 for databases, and for rows of several files */
    Str period, sha256;   /* files: what their deliveries are ordered by */
    const RowFile *files; /* one per row, of several files behind one another, each of which is judged by itself; else NULL */
    int64_t source_now_us;
    bool is_first_load;   /* rows behind the stored position: nothing can be known of them */
    bool is_mostly_new;   /* worth cleaning before it is known what is stored */
    SilverPage *prepared; /* by place_prepare(), or NULL */
    const FormerReading *former; /* files that are read anew; or NULL */
    const PlaceEntry *entry; /* or NULL */
    bool is_trial;        /* everything is written, and rolled back: would the store have it? */
} RawRows;

typedef struct PlaceOutcome {
    int64_t rows_new, rows_changed, rows_same, rows_flagged, rows_quarantined;
    int64_t rows_deleted; /* place_gone(), and what a file read anew does not hold any more */
    bool is_committed; /* false: nothing was new and the cursor did not move */
} PlaceOutcome;

/* Adds what became of n rows of a page to the counts. */
void place_count(const SilverRow *rows, size_t n, PlaceOutcome *outcome);
/* What of a page needs no database: ids, hashes, and the cleaning where most rows are new. Pure but for the clock; for
 * another thread than the run's. Lives in `page`. Whose file the rows are need not be known yet. */
SilverPage *place_prepare(const PlaceFeed *feed, const RawRows *rows, Arena *page);

/* `next`: the cursor to store with the page; NULL keeps the position. Counts go to run->counts.
 * `page` is rewound by the caller. */
bool place_page(PlaceFeed *feed, const RawRows *rows, const CursorState *next, Arena *page,
                PlaceOutcome *ret_outcome, Error *err);
/* A page whose rows are written before its turn, while the page before it is placed: in a transaction of its own, by the
 * session `feed->pg`, which is not the run's, on any thread (lane.h). Only one of which nothing is known: every row is new or
 * unfit and bears an id, no member is made for it; and none of its ids may stand in the page before it. True: it stands, and
 * is dropped unless place_in_turn() commits it; what is unfit goes to quarantine then. False: it goes by place_page() as any other, and nothing happened.
 * Its rows hold what others may wait for, so it must not wait for its turn without an end.
 * What is late is the fence alone: the cursor is locked, judged and moved by place_in_turn(), in the same transaction. */
typedef struct EarlyPage {
    Pg *tx;
    SilverPage *page; /* in the arena of `rows` */
    PlaceOutcome outcome;
} EarlyPage;
bool place_early(PlaceFeed *feed, const RawRows *rows, EarlyPage *ret_early);
/* Whether it is worth trying: prepared rows that could be read, of one file. Nothing of theirs is changed by asking. */
bool place_may_be_early(const RawRows *rows);
void early_page_drop(EarlyPage *early);
/* While `feed`'s session has nothing to write: reads some of the patients that pages will name. False when there is nothing
 * left of that to do, or it has to be left. */
bool place_read_ahead(PlaceFeed *feed);
/* When the page before it is committed; `feed` is the run's, and moves on as by place_page(). On the run's thread. False:
 * whatever it is, also when it is not known whether it was committed, the page goes by place_page() once it is dropped: its
 * fence tells. */
bool place_in_turn(PlaceFeed *feed, EarlyPage *early, const RawRows *rows, const CursorState *next, PlaceOutcome *ret_outcome,
                   Error *err);
/* Rows that are no longer at the source, by natural id as mapping_id() gives it; a page's worth of them. Facts
 * and plain members are marked, members with versions get a tombstone (storage/history.h), what quarantine holds
 * of them is superseded. An id that is not here, or deleted already, is passed over; when all are, nothing is
 * written. Not of claims: they come from files alone, and one that a file lacks is not thereby deleted.
 * The caller has made sure that they are gone (rules, section 5). */
bool place_gone(PlaceFeed *feed, const Str *ids, size_t n, Arena *page, PlaceOutcome *ret_outcome, Error *err);
/* Rows from bronze, cleaned once more (storage/again.h): `record_hash` decides, bronze gets nothing but, once more, the text of a
 * row whose id was found only now.
 * AGAIN_STORED: what clean rows were made of; a difference corrects the row in place, a version too, and makes no
 * history. One that is unusable now goes to quarantine, and its clean row stays as it was: so it is with any row
 * whose newest content cannot be used. AGAIN_HELD: what quarantine holds; what is usable now is placed as any delivery, and
 * its entry is `replayed`. */
typedef enum AgainKind { AGAIN_STORED, AGAIN_HELD } AgainKind;
typedef struct AgainRows {
    AgainKind kind;
    RawRows rows;
    const Str *ids; /* AGAIN_STORED: of the clean rows */
    const BronzeText *texts; /* AGAIN_HELD: one per row, with the id that it had when it was received */
} AgainRows;
bool place_again(PlaceFeed *feed, const AgainRows *again, Arena *page, PlaceOutcome *ret_outcome, Error *err);
/* A page that its step makes, decides upon and writes itself, in a transaction like any other's: locked and fenced,
 * with its batch, counts and audit line. `decide` gives every row its fate, and says whether there is anything to write;
 * a plan ends there. */
typedef struct PlaceWork {
    bool (*decide)(void *ctx, SilverPage *page, bool *ret_has_news, Error *err);
    bool (*write)(void *ctx, SilverPage *page, Error *err);
    void *ctx;
    bool is_part; /* of a page that was looked at as a whole */
} PlaceWork;
/* True, and `err` is cleared, where a page failed by what another session committed meanwhile, which is there to be looked up
 * by now: it is to be made anew and placed again. `attempt`: which has failed, from 1; there is a last one. */
bool place_may_pass(int attempt, Error *err);
/* Without rows. */
SilverPage *place_new_page(const PlaceFeed *feed, size_t n_rows, Arena *page);
bool place_work(PlaceFeed *feed, SilverPage *page, const PlaceWork *work, PlaceOutcome *ret_outcome, Error *err);
/* The cursor alone, fenced, when a run ends without a page to carry it. Relaxed where losing it means no more than
 * that rows are read again. */
bool place_cursor(PlaceFeed *feed, const CursorState *next, PgCommit commit, Error *err);
