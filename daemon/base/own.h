/* own.h - acquire, and name the release on the same line.
 *
 *     CLEANUP(pg_result_drop) PgResult *rows = pg_query(…);
 *
 * `x_drop` takes the address of the variable. TAKE gives ownership away: it returns the value and
 * leaves NULL behind, so that the cleanup does nothing. */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(drop) __attribute__((cleanup(drop)))
#define TAKE(variable)                         \
    ({                                         \
        __typeof__(variable) taken_ = (variable); \
        (variable) = NULL;                     \
        taken_;                                \
    })
/* Defines x_drop() for a type released by `release(pointer)`. */
/* Unused in a file is fine: clang, unlike gcc, would warn of it. */
#define DEFINE_DROP(type, drop, release)                    \
    __attribute__((unused)) static inline void drop(type **owner) { \
        if (*owner)                                         \
            release(*owner);                                \
    }

static inline void mem_drop(void *owner) { free(*(void **)owner); }
static inline void fd_drop(int *owner) {
    if (*owner >= 0)
        close(*owner);
}
static inline void file_drop(FILE **owner) {
    if (*owner)
        fclose(*owner);
}
