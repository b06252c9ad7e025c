/* arena.h - memory that is released together.
 *
 * A run has one arena; a page marks it, works, and rewinds to the mark. Nothing with a release of
 * its own (descriptor, PGresult, json_t) lives in an arena. Out of memory ends the process: a
 * daemon that cannot allocate a page's worth cannot answer for its data either.
 * In builds with a sanitizer every piece is a malloc of its own, so that overruns are seen.
 * One thread at a time. */
#pragma once
#include "base/str.h"

#include <stddef.h>

typedef struct Arena Arena;
typedef struct ArenaMark {
    void *block;
    size_t used;
} ArenaMark;

Arena *arena_open(void);
void arena_free(Arena *arena);
static inline void arena_drop(Arena **owner) {
    if (*owner)
        arena_free(*owner);
}

/* Uninitialised, aligned for any type; never NULL. */
void *arena_alloc(Arena *arena, size_t size_bytes);
/* Zeroed. */
void *arena_zero(Arena *arena, size_t size_bytes);
Str arena_copy(Arena *arena, Str text);
/* Terminated copy. */
char *arena_string(Arena *arena, Str text);
char *arena_printf(Arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

ArenaMark arena_mark(const Arena *arena);
/* Everything allocated since the mark is gone. */
void arena_rewind(Arena *arena, ArenaMark mark);
/* Everything is gone; the memory stays for what comes next. */
static inline void arena_empty(Arena *arena) { arena_rewind(arena, (ArenaMark){NULL, 0}); }
/* Of an empty one: the memory goes back, too. */
void arena_trim(Arena *arena);
/* Bytes held from the system. */
size_t arena_size_bytes(const Arena *arena);

#define ARENA_NEW(arena, type) ((type *)arena_zero((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_zero((arena), sizeof(type) * (count)))
