/* value.h - one clean value of the common data model.
 *
 * Text is borrowed (page arena or page buffer). Numbers: money in cents, percent in hundredths,
 * dates in days since 1970-01-01, timestamps in microseconds since 1970-01-01T00:00:00Z,
 * booleans 0 or 1. `is_set == false` is NULL, whatever the rest holds. A text is less than 4 GiB, as every field is. */
#pragma once
#include "base/str.h"

typedef struct Value {
    union {
        const char *at; /* a text's; value_str() and value_text() take it apart and put it together */
        int64_t number;
    };
    uint32_t size; /* a text's, in bytes */
    bool is_set;
} Value;

#define VALUE_NULL ((Value){.is_set = false})
static inline Value value_text(Str text) {
    return (Value){.at = text.at, .size = (uint32_t)text.size, .is_set = text.at != NULL};
}
static inline Value value_number(int64_t number) { return (Value){.number = number, .is_set = true}; }
/* A text's; STR_NULL of NULL. */
static inline Str value_str(Value value) { return value.is_set ? (Str){value.at, value.size} : STR_NULL; }
_Static_assert(sizeof(Value) == 16, "a page holds a hundred thousand values");
