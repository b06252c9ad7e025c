/* chain.h - cleaners in a row: how a field of text becomes a column's value.
 *
 * A chain runs over one field; each cleaner sees what the one before it left: text, until one makes a date, a
 * time, an amount or a number, which ends the chain. A chain that ends in text where the column is none gets its
 * type's own reader (date, timestamp, cents, integer) at its end. A column mapped by a bare name gets the chain of
 * its name or type. Pure; compiled chains are immutable, any thread. */
#pragma once
#include "transform/cleaner.h"
#include "transform/text.h"

typedef struct Step {
    CleanFunction *run; /* NULL: `read` is the step, always the last one */
    ReadFunction *read;
    const void *args;
    LeavesFunction *leaves;
    Flag unread;
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

/* The value of a text as it stands, of a chain that has one step, which reads it or leaves it; false: chain_run() tells,
 * once the text is repaired. Most fields need no more. */
static inline bool chain_run_short(const Chain *chain, const Cell *cell, Str text) {
    const Step *step = chain->steps;
    int64_t number;
    if (chain->n != 1 || text.size == 0)
        return false;
    if (step->read && step->read(cell, text_trim(text), step->args, &number))
        *cell->value = value_number(number);
    else if (step->leaves && step->leaves(text))
        *cell->value = value_text(text);
    else
        return false;
    return true;
}

static inline void chain_run(const Chain *chain, Cell *cell) {
    for (const Step *step = chain->steps, *end = step + chain->n; step < end; step++) {
        if (!cell->value->is_set && !step->takes_null)
            continue;
        if (step->run)
            step->run(cell, step->args);
        else
            cleaner_read(cell, step->read, step->unread, step->args);
    }
}

/* True for columns that are parts of one text when they share a source column. */
bool column_is_part_of(const char *column, const char *sister);
