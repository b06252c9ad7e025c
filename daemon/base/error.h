/* error.h - why something failed, as a value on the caller's stack.
 *
 * An Error is an SQLSTATE and one sentence: what was attempted, on what, why; lower case, no full
 * stop; the mend in `hint`. Never a row value, a secret or a DSN. HTTP, BigQuery, MySQL and errno
 * are mapped to SQLSTATE classes where they arise (storage/), so that "may I try again?" has one
 * answer, error_class(). Not a log: whoever decides about an error logs it, once. */
#pragma once
#include <stdbool.h>

typedef struct Error {
    char state[6]; /* SQLSTATE, "" when nothing failed */
    char text[400];
    char hint[240]; /* "" when there is none */
} Error;

/* States of our own making; vendors' states pass through unchanged. */
#define STATE_CONNECTION "08006"
#define STATE_BUSY "55P03"
#define STATE_RESOURCES "53000"
#define STATE_IO "58030"
#define STATE_CONFLICT "40001"
#define STATE_DATA "22000"
#define STATE_INTEGRITY "23000"
#define STATE_CANCELED "57014"
#define STATE_AUTH "28000"
#define STATE_CONFIG "F0000"
#define STATE_HELD "F0H01" /* a person must decide before this goes on */
#define STATE_MISSING "42P01"
#define STATE_BUG "XX000"

typedef enum ErrorClass {
    ERROR_NONE,
    ERROR_TRANSIENT,     /* 08 53 55P 57P 58: retry with back-off */
    ERROR_CONFLICT,      /* 40: retry at once, three times */
    ERROR_DATA,          /* 22 23: quarantine */
    ERROR_CANCELED,      /* 57014 */
    ERROR_CONFIGURATION, /* 28 42 F0: stop the job, alert */
    ERROR_BUG            /* everything else */
} ErrorClass;

ErrorClass error_class(const Error *err);
const char *error_class_name(ErrorClass c);

/* Writes the error and returns false, so that `return error_set(err, …)` is the way to fail. */
bool error_set(Error *err, const char *state, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds the mend to an error already set; returns false. */
bool error_hint(Error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Puts "context: " before the text of an error already set; returns false. */
bool error_context(Error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* From errno: "cannot open /x: Permission denied". */
bool error_set_errno(Error *err, int number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void error_clear(Error *err);

#define TRY(expression)       \
    do {                      \
        if (!(expression))    \
            return false;     \
    } while (0)
#define TRY_NULL(expression)  \
    do {                      \
        if (!(expression))    \
            return NULL;      \
    } while (0)
