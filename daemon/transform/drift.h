/* drift.h - what became of a hospital's table since its columns were agreed, and what the contract says to it.
 *
 * Agreed is the list of columns that is read; seen is what the server describes now. The answer names every
 * difference once, and the list to read from now on: the agreed columns in their order, then new ones, so that a
 * column that only moved within the table is none.
 *
 *     on_new_column      evolve: read it | discard: go on without it | freeze: stand still
 *     on_missing_column  evolve, discard: go on without it           | freeze
 *     on_retyped_column  evolve: read it as it is | discard: go on without it | freeze
 *
 * A column that the feed needs (mapped, of its key, its cursor) is never gone on without: without it the feed
 * stands still under every contract, for its values must not become NULL. One that the mapping came to name is read
 * under every contract. A changed primary key goes by on_retyped_column, and stands still in any case when
 * the feed's key allows doubles then: pages in its order could pass over rows.
 * Pure; allocates in the caller's arena. */
#pragma once
#include "base/arena.h"

typedef enum Contract { CONTRACT_EVOLVE, CONTRACT_FREEZE, CONTRACT_DISCARD } Contract;
const char *contract_name(Contract contract);

typedef struct DriftContract {
    Contract on_new, on_missing, on_retyped;
} DriftContract;

typedef enum DriftKind {
    DRIFT_ADDED,
    DRIFT_DROPPED,
    DRIFT_RENAMED,
    DRIFT_RETYPED,
    DRIFT_NARROWED, /* retyped, and some values that fitted do not fit any more */
    DRIFT_KEY,
    DRIFT_TABLE /* it is not there; not of drift_judge(), which needs a table */
} DriftKind;
const char *drift_kind_name(DriftKind kind);

typedef enum DriftState { DRIFT_EVOLVED, DRIFT_DISCARDED, DRIFT_FROZEN } DriftState;
const char *drift_state_name(DriftState state);

typedef struct DriftEvent {
    DriftKind kind;
    DriftState state;
    Contract contract;
    const char *column;    /* "" for the table */
    const char *was, *now; /* types, names or keys; "" for nothing */
    const char *sentence;  /* what, and what follows from it */
} DriftEvent;

typedef struct TableShape {
    const char *const *names, *const *types;
    size_t n;
    const char *primary_key; /* names joined by ", "; "" without one */
} TableShape;

typedef struct DriftQuestion {
    const TableShape *agreed; /* NULL: the first time, everything is read */
    const TableShape *seen;
    DriftContract contract;
    const char *const *needed;
    size_t n_needed;
    const DriftEvent *standing; /* what is discarded or frozen since an earlier look */
    size_t n_standing;
    bool key_is_unique; /* the feed's, as the table is now */
} DriftQuestion;

typedef struct DriftAnswer {
    DriftEvent *events;
    size_t n_events;
    const char **names; /* to read, in this order */
    size_t n_names;
    bool is_frozen;
    bool has_evolved; /* agreed anew: what was read under the earlier list is to be read again */
} DriftAnswer;

void drift_judge(Arena *arena, const DriftQuestion *question, DriftAnswer *ret_answer);
/* True when every value of `now` fitted into `was`, but not the other way round, as far as the types tell. */
bool drift_is_narrower(const char *was, const char *now);
