/* chain.h - cleaners in a row: how a field of text becomes a column's value.
 *
 * A chain runs over one field; each cleaner sees what the one before it left: text, until one makes a date, a
 * time, an amount or a number, which ends the chain. A chain that ends in text where the column is none gets its
 * type's own reader (date, timestamp, cents, integer) at its end. A column mapped by a bare name gets the chain of
 * its name or type. Pure; compiled chains are immutable, any thread. */
#pragma once
#include "transform/cleaner.h"

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
