/* in_arena.h - an arena that a group of tests shares: cmocka_run_group_tests(tests, open_arena, close_arena). */
#pragma once
#include "test.h"

#include "base/arena.h"

static Arena *arena;

static int open_arena(void **state) {
    (void)state;
    arena = arena_open();
    return 0;
}

static int close_arena(void **state) {
    (void)state;
    arena_free(arena);
    return 0;
}
