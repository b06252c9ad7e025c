#include "test.h"

#include "inbox.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

typedef struct World {
    uv_loop_t loop;
    uv_timer_t limit;
    int calls[2];
    bool timed_out;
} World;

static void on_hint(void *context, size_t directory) {
    World *world = context;
    world->calls[directory]++;
    uv_stop(&world->loop);
}

static void on_limit(uv_timer_t *timer) {
    World *world = timer->data;
    world->timed_out = true;
    uv_stop(&world->loop);
}

/* Turns the loop until a hint comes, or 10 s have passed. */
static void await_hint(World *world) {
    world->timed_out = false;
    uv_timer_start(&world->limit, on_limit, 10000, 0);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    uv_timer_stop(&world->limit);
    assert_false(world->timed_out);
}

static void write_file(const char *directory, const char *name, const char *new_name) {
    char path[256], moved[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0 && write(fd, "x", 1) == 1);
    close(fd);
    if (!new_name)
        return;
    snprintf(moved, sizeof moved, "%s/%s", directory, new_name);
    assert_int_equal(rename(path, moved), 0);
}

static void run_inbox(World *world, const char *const *directories, void (*act)(World *, const char *const *)) {
    *world = (World){0};
    uv_loop_init(&world->loop);
    uv_timer_init(&world->loop, &world->limit);
    world->limit.data = world;
    Error err = {0};
    Inbox *inbox = inbox_open(&world->loop, directories, 2, on_hint, world, &err);
    assert_non_null(inbox);
    act(world, directories);
    inbox_close(inbox);
    uv_close((uv_handle_t *)&world->limit, NULL);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->loop), 0);
}

static void drop_and_move(World *world, const char *const *directories) {
    write_file(directories[1], "a.csv", NULL);
    await_hint(world);
    assert_int_equal(world->calls[0], 0);
    assert_true(world->calls[1] > 0);
    write_file(directories[0], ".b.tmp", "b.csv");
    await_hint(world);
    assert_true(world->calls[0] > 0);
}

static void wait_for_directory(World *world, const char *const *directories) {
    assert_int_equal(mkdir(directories[1], 0700), 0);
    await_hint(world); /* it can be watched now: look, for something may lie there */
    int before = world->calls[1];
    write_file(directories[1], "a.csv", NULL);
    await_hint(world);
    assert_true(world->calls[1] > before);
}

static void make_names(char base[64], char first[80], char second[80]) {
    strcpy(base, "inbox-XXXXXX");
    assert_non_null(mkdtemp(base));
    snprintf(first, 80, "%s/first", base);
    snprintf(second, 80, "%s/second", base);
    assert_int_equal(mkdir(first, 0700), 0);
}

static void remove_all(const char *base) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf -- '%s'", base);
    assert_int_equal(system(command), 0);
}

static void a_file_closed_or_moved_in_gives_a_hint_for_its_directory(void **state) {
    (void)state;
    char base[64], first[80], second[80];
    make_names(base, first, second);
    assert_int_equal(mkdir(second, 0700), 0);
    World world;
    run_inbox(&world, (const char *const[]){first, second}, drop_and_move);
    remove_all(base);
}

static void a_directory_that_comes_later_is_watched_then(void **state) {
    (void)state;
    char base[64], first[80], second[80];
    make_names(base, first, second);
    World world;
    run_inbox(&world, (const char *const[]){first, second}, wait_for_directory);
    remove_all(base);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_closed_or_moved_in_gives_a_hint_for_its_directory),
        cmocka_unit_test(a_directory_that_comes_later_is_watched_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
