/* cleaner.h - cleaners, and chains of them: how a field of text becomes a value.
 *
 * One table in cleaner.c: name, arguments, what it makes, function; docs and --help read it through
 * cleaner_next(). A chain runs over one field; each cleaner sees what the one before it left:
 * text, until one makes a date, a time, an amount or a number, which ends the chain. A chain that
 * ends in text where the column is none gets its type's own reader (date, timestamp, cents, integer)
 * at its end. NULL passes through all but those that say otherwise (default, gender).
 * A bad value becomes NULL, and its flag is set.
 *
 * A column mapped by a bare name gets the chain of cleaner_defaults(). Pure; compiled chains are
 * immutable, any thread. */
#pragma once
#include "transform/address.h"
#include "transform/mapping.h"

/* Raised when a cleaner, a derivation or a built-in rule gives another result for the same text: rows
 * cleaned before are then cleaned again from bronze (part of mapping_fingerprint()). */
#define CLEANERS_VERSION "1"

/* What the cells of one row share while it is cleaned. */
typedef struct CleanRow {
    Arena *page;
    const Zone *zone;
    uint64_t flags;          /* bits of Flag */
    const char *address_at;  /* the text `address` was parsed from: four columns ask for one */
    size_t address_size;
    Address address;
} CleanRow;

/* Where a column's text comes from. */
typedef struct CellSource {
    int field;         /* index of its first `from` column, or -1 */
    const int *others; /* the further ones, for concat */
    size_t n_others;
    FieldKind kind;
    bool folds_case;
} CellSource;

/* A field on its way through a chain. */
typedef struct Cell {
    Value *value;      /* where it ends: the record's; copying it costs more than most cleaners */
    const Str *fields; /* the row */
    const CellSource *source;
    CleanRow *row;
} Cell;

typedef void CleanFunction(Cell *cell, const void *args);

typedef struct Step {
    CleanFunction *run;
    const void *args;
    bool takes_null;
} Step;

typedef struct Chain {
    const Step *steps;
    size_t n;
} Chain;

/* `map` with its cleaners resolved, or its column's default chain when it names none. Mistakes go to
 * `report` with the place of the cleaner; false when there was one. `splits` says that the column
 * shares its source column with its sisters: address, city, state and zip are then parts of one
 * text, phone_extension the end of its phone's. */
bool chain_compile(Arena *arena, const MapSpec *map, const Column *column, bool splits,
                   MappingReport report, void *context, Chain *ret_chain);

static inline void chain_run(const Chain *chain, Cell *cell) {
    for (size_t i = 0; i < chain->n; i++)
        if (cell->value->is_set || chain->steps[i].takes_null)
            chain->steps[i].run(cell, chain->steps[i].args);
}

/* True for columns that are parts of one text when they share a source column. */
bool column_is_part_of(const char *column, const char *sister);

/* The table, for documents: `previous` NULL starts, NULL ends. */
typedef struct Cleaner Cleaner;
const Cleaner *cleaner_next(const Cleaner *previous);
const char *cleaner_name(const Cleaner *cleaner);
const char *cleaner_usage(const Cleaner *cleaner); /* arguments and what it does, one line */
