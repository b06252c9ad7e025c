/* arena.c - a chain of blocks, newest first; a mark is a block and a fill level.
 *
 * Rewinding keeps the blocks that came after the mark as spares: a page loop would otherwise give its memory
 * back and ask for it again each time, and pay for every page of it. An arena holds what its largest page
 * needed until it is freed. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define BLOCK_BYTES 1 /* every piece becomes a block of its own */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BLOCK_BYTES 1
#endif
#endif
#ifndef BLOCK_BYTES
#define BLOCK_BYTES (256 * 1024)
#endif

typedef struct Block {
    struct Block *older;
    size_t capacity;
    size_t used;
    alignas(max_align_t) char data[];
} Block;

struct Arena {
    Block *newest;
    Block *spares;
    size_t size_bytes;
};

static void die_out_of_memory(void) {
    fputs("out of memory\n", stderr);
    abort();
}

Arena *arena_open(void) {
    Arena *arena = calloc(1, sizeof *arena);
    if (!arena)
        die_out_of_memory();
    return arena;
}

static void block_release(Arena *arena, Block *block) {
    if (BLOCK_BYTES > 1) {
        block->older = arena->spares;
        arena->spares = block;
        return;
    }
    arena->size_bytes -= sizeof *block + block->capacity;
    free(block);
}

void arena_trim(Arena *arena) {
    for (Block *older; arena->spares; arena->spares = older) {
        older = arena->spares->older;
        arena->size_bytes -= sizeof *arena->spares + arena->spares->capacity;
        free(arena->spares);
    }
}

void arena_free(Arena *arena) {
    arena_empty(arena);
    arena_trim(arena);
    free(arena);
}

/* A spare that is large enough and not wastefully so; taken out of the chain. */
static Block *take_spare(Arena *arena, size_t need) {
    for (Block **at = &arena->spares; *at; at = &(*at)->older) {
        Block *block = *at;
        if (block->capacity < need || (block->capacity > BLOCK_BYTES && block->capacity / 2 > need))
            continue;
        *at = block->older;
        return block;
    }
    return NULL;
}

/* Large blocks come in sizes that double: one for each size asked for would be kept for ever as pages grow. */
static size_t capacity_for(size_t need) {
    size_t capacity = BLOCK_BYTES;
    if (BLOCK_BYTES == 1 || need > SIZE_MAX / 4)
        return need;
    while (capacity < need)
        capacity *= 2;
    return capacity;
}

static Block *block_add(Arena *arena, size_t need) {
    Block *block = take_spare(arena, need);
    if (!block) {
        size_t capacity = capacity_for(need);
        block = malloc(sizeof *block + capacity);
        if (!block)
            die_out_of_memory();
        block->capacity = capacity;
        arena->size_bytes += sizeof *block + capacity;
    }
    block->older = arena->newest;
    block->used = 0;
    arena->newest = block;
    return block;
}

void *arena_alloc(Arena *arena, size_t size_bytes) {
    size_t need = (size_bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (need < size_bytes)
        die_out_of_memory();
    if (need == 0)
        need = alignof(max_align_t);
    if (BLOCK_BYTES == 1)
        need = size_bytes ? size_bytes : 1; /* exact, so that an overrun by one byte is seen */
    Block *block = arena->newest;
    if (!block || block->capacity - block->used < need)
        block = block_add(arena, need);
    void *piece = block->data + block->used;
    block->used += need;
    return piece;
}

void *arena_zero(Arena *arena, size_t size_bytes) {
    return memset(arena_alloc(arena, size_bytes), 0, size_bytes);
}

Str arena_copy(Arena *arena, Str text) {
    if (str_is_null(text))
        return STR_NULL;
    char *copy = arena_alloc(arena, text.size);
    memcpy(copy, text.at, text.size);
    return (Str){copy, text.size};
}

char *arena_string(Arena *arena, Str text) {
    char *copy = arena_alloc(arena, text.size + 1);
    if (text.size > 0)
        memcpy(copy, text.at, text.size);
    copy[text.size] = '\0';
    return copy;
}

char *arena_printf(Arena *arena, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = arena_alloc(arena, (size_t)size + 1);
    vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    return text;
}

ArenaMark arena_mark(const Arena *arena) {
    return (ArenaMark){arena->newest, arena->newest ? arena->newest->used : 0};
}

void arena_rewind(Arena *arena, ArenaMark mark) {
    while (arena->newest != mark.block) {
        Block *block = arena->newest;
        arena->newest = block->older;
        block_release(arena, block);
    }
    if (arena->newest)
        arena->newest->used = mark.used;
}

size_t arena_size_bytes(const Arena *arena) { return arena->size_bytes; }
