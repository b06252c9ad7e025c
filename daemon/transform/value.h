/* value.h - one clean value of the common data model.
 *
 * Text is borrowed (page arena or page buffer). Numbers: money in cents, percent in hundredths,
 * dates in days since 1970-01-01, timestamps in microseconds since 1970-01-01T00:00:00Z,
 * booleans 0 or 1. `is_set == false` is NULL, whatever the rest holds. */
#pragma once
#include "base/str.h"

typedef struct Value {
    bool is_set;
    union {
        Str text;
        int64_t number;
    };
} Value;

#define VALUE_NULL ((Value){.is_set = false})
static inline Value value_text(Str text) { return (Value){.is_set = text.at != NULL, .text = text}; }
static inline Value value_number(int64_t number) { return (Value){.is_set = true, .number = number}; }
