/* state.h - where feeds stand, and the ledger of committed pages.
 *
 * The cursor row is also the page fence (rules, section 3): a page locks it first and goes on only if
 * epoch and page number are still those it was read from. */
#pragma once
#include "storage/pg.h"
#include "storage/watermark.h"

typedef struct CursorState {
    int64_t page;           /* pages committed so far: the fence */
    bool is_loading;        /* first load: key pages from load_key on */
    size_t n_load_key;      /* 0: from the start */
    Str *load_key;
    const char *position;   /* where following starts; NULL before the first load */
    int64_t server;         /* whose clock and rows it goes by (storage/check.h); 0: not known */
    int64_t clock_ahead_us; /* of that clock before ours when the position was taken; 0: not known */
} CursorState;

/* Keeps ops.source equal to the configuration. In no longer transaction: it may lock the source's row, which daemons that
 * start want. */
bool state_source(Pg *pg, const char *source_system, const char *timezone, Error *err);
/* In a transaction: the source keeps its name until its end. False when it has another one already. */
bool state_source_hold(Pg *pg, const char *source_system, Error *err);
/* Keeps ops.feed_entity equal to it: lineage finds a table's raw rows by it, and retention those that newer ones replace.
 * `tells_past`: rows of one key stand beside each other. */
bool state_feed(Pg *pg, const char *feed, const char *entity, bool tells_past, Error *err);
/* Makes the feed's cursor row if it is new, raises its epoch, and reads it. Allocates in `arena`. */
bool state_cursor_open(Pg *pg, const char *feed, int64_t epoch, Arena *arena, CursorState *ret_cursor,
                       Error *err);
/* Where it stands, for who writes nothing: a feed that was never read is at the start of its first load. */
bool state_cursor_read(Pg *pg, const char *feed, Arena *arena, CursorState *ret_cursor, Error *err);
/* In a transaction: locks the row. When epoch or page have moved: 40001, the page is to be dropped. */
bool state_cursor_lock(Pg *pg, const char *feed, int64_t epoch, int64_t page, Error *err);
/* The same at once, or not at all: 55P03 where another has it. */
bool state_cursor_lock_now(Pg *pg, const char *feed, int64_t epoch, int64_t page, Error *err);
/* In a transaction: locks the row, whatever page it is at: for who places rows beside the feed's run and moves no
 * cursor (place.h, PlaceEntry). */
bool state_cursor_lock_beside(Pg *pg, const char *feed, int64_t epoch, Error *err);
/* In a transaction, after the lock: writes the state, and counts the page in `cursor`. */
bool state_cursor_write(Pg *pg, const char *feed, CursorState *cursor, Error *err);

/* What polls saw of the feed's counter, beside its cursor: after a restart it is what it was, and older. */
bool state_counter_read(Pg *pg, const char *feed, CounterMemory ret_counter[static 2], Error *err);
bool state_counter_write(Pg *pg, const char *feed, int64_t epoch, const CounterMemory counter[static 2], Error *err);

/* The placement lock (rules, section 3): pages hold it shared until their transaction ends, and use indexes until then. */
bool state_placement_lock_shared(Pg *pg, Error *err);
/* A page of claims that looks them up: one of a source at a time. Before the placement lock, and before any cursor is locked. */
bool state_claims_lock(Pg *pg, const char *source_system, Error *err);
/* And settle, a publication's claim and who else writes silver have it alone. */
bool state_placement_lock_alone(Pg *pg, Error *err);
/* For the transaction: it waits for no lock longer than that, as PostgreSQL writes a time. */
bool state_patience(Pg *pg, const char *most, Error *err);
/* And no statement takes longer, whatever it does or waits for. */
bool state_haste(Pg *pg, const char *most, Error *err);

/* Until it is taken back, every transaction of the session may only read: for plans. */
bool state_read_only(Pg *pg, bool is_read_only, Error *err);

/* The id of this list of columns of a feed; a new list gets a new one and sets `ret_is_new`. */
bool state_schema(Pg *pg, const char *feed, const char *const *columns, const char *const *types,
                  size_t n, int64_t *ret_schema_id, bool *ret_is_new, Error *err);
/* The version of a mapping by its fingerprint: rises when the fingerprint changes. */
bool state_mapping(Pg *pg, const char *feed, const uint8_t fingerprint[16], int32_t *ret_version,
                   Error *err);

/* The version it has or would get; `ret_is_new`: it would. */
bool state_mapping_read(Pg *pg, const char *feed, const uint8_t fingerprint[16], int32_t *ret_version,
                        bool *ret_is_new, Error *err);

typedef struct BatchCounts {
    int64_t rows_read;
    int64_t rows_changed; /* new ones included */
    int64_t rows_new, rows_flagged, rows_quarantined;
} BatchCounts;
bool state_batch_id(Pg *pg, int64_t *ret_batch_id, Error *err);
bool state_batch_write(Pg *pg, int64_t batch_id, int64_t run_id, const char *feed,
                       const BatchCounts *counts, Error *err);
/* No settle needs to look at the batch's rows. */
bool state_batch_settled(Pg *pg, int64_t batch_id, Error *err);
/* dq.result: how many of `checked` rows broke each rule. */
typedef struct RuleCount {
    const char *rule;
    int64_t failed;
} RuleCount;
bool state_result_write(Pg *pg, int64_t batch_id, const char *feed, int64_t checked,
                        const RuleCount *rules, size_t n_rules, Error *err);
/* ops.batch_attribute: of how many members a batch changed an attribute, by versions and in place. */
typedef struct AttributeChange {
    const char *attribute;
    int64_t versions, corrected;
} AttributeChange;
bool state_attributes_write(Pg *pg, int64_t batch_id, const AttributeChange *changes, size_t n, Error *err);
