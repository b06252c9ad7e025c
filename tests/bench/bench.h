/* bench.h - what benches of pure code share: processor time, and a file in memory. */
#pragma once
#include "base/arena.h"
#include "base/own.h"

#include <time.h>

/* Processor time: what else the machine does must not count. */
static int64_t cpu_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Ends the bench when it cannot be read. */
static Str read_file(Arena *arena, const char *path) {
    CLEANUP(file_drop) FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(2);
    }
    size_t size = (size_t)ftell(file);
    rewind(file);
    char *text = arena_alloc(arena, size + 1);
    return (Str){text, fread(text, 1, size, file)};
}
