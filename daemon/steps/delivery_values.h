/* delivery_values.h - are a claims file's dates and amounts written as its mapping says?
 *
 * Asked of its first rows: where none of a column's can be read, and all of them fit another way, that is the sender's and
 * has to be declared: whether 03/04 is in March or April is not guessed. Pure. */
#pragma once
#include "steps/place.h"

/* The rows, as they were read by these fields. */
typedef struct ValueSample {
    const Field *fields;
    size_t n_fields;
    const RawRows *rows;
    Arena *arena;
} ValueSample;

/* False and a sentence of class data. `ret_decimal`: "comma" or "point", where amounts show it; else it stays. */
bool values_check(const ValueSample *sample, const Mapping *mapping, const char **ret_decimal, Error *err);
