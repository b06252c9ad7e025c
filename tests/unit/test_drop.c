#include "test.h"

#include "base/own.h"
#include "steps/drop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { LONG_MS = 3600 * 1000 };

typedef struct World {
    char path[64];
    Drop drop;
    Arena *arena;
} World;

static int set_up(void **state) {
    World *world = calloc(1, sizeof *world);
    strcpy(world->path, "drop-XXXXXX");
    Error err = {0};
    assert_non_null(mkdtemp(world->path));
    assert_true(drop_open(world->path, DROP_WORK, &world->drop, &err));
    world->arena = arena_open();
    *state = world;
    return 0;
}

static int tear_down(void **state) {
    World *world = *state;
    char command[256];
    snprintf(command, sizeof command, "chmod -R u+rwx -- '%s' && rm -rf -- '%s'", world->path, world->path);
    assert_int_equal(system(command), 0);
    drop_close(&world->drop);
    arena_free(world->arena);
    free(world);
    return 0;
}

static int create(const World *world, const char *name, const char *text) {
    int fd = openat(world->drop.fd, name, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    return fd;
}

static void put(const World *world, const char *name, const char *text) { close(create(world, name, text)); }

static DropList list(const World *world, int64_t settle_ms) {
    DropList found;
    Error err = {0};
    assert_true(drop_list(&world->drop, world->arena, settle_ms, &found, &err));
    return found;
}

static void a_closed_file_is_ready_and_one_being_written_is_not(void **state) {
    World *world = *state;
    put(world, "closed.csv", "a");
    int writer = create(world, "open.csv", "a");
    DropList found = list(world, LONG_MS);
    close(writer);
    assert_int_equal(found.n, 2);
    assert_int_equal(found.entries[0].kind, DROP_READY);
    assert_int_equal(found.entries[1].kind, DROP_GROWING);
    assert_int_equal(found.entries[1].wait_ms, 0); /* its close will tell */
}

static void a_file_unchanged_for_long_enough_is_ready_even_if_empty(void **state) {
    World *world = *state;
    put(world, "empty.csv", "");
    DropEntry entry = list(world, LONG_MS).entries[0];
    assert_int_equal(entry.kind, DROP_GROWING);
    assert_true(entry.wait_ms > LONG_MS - 60 * 1000);
    assert_int_equal(list(world, 0).entries[0].kind, DROP_READY);
}

static void what_cannot_be_taken_has_a_sentence(void **state) {
    World *world = *state;
    assert_int_equal(mkdirat(world->drop.fd, "a-directory", 0700), 0);
    assert_int_equal(mkfifoat(world->drop.fd, "b-fifo", 0600), 0);
    assert_int_equal(symlinkat("/etc/passwd", world->drop.fd, "c-link"), 0);
    put(world, ".hidden", "a");
    DropList found = list(world, 0);
    assert_int_equal(found.n, 3);
    static const char *const SENTENCES[] = {"a directory is not taken; put its files here",
                                            "not a regular file",
                                            "a symbolic link is not taken; put the file itself here"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(found.entries[i].kind, DROP_UNFIT);
        assert_string_equal(found.entries[i].sentence, SENTENCES[i]);
    }
}

static void a_file_without_right_to_read_is_left_with_a_sentence(void **state) {
    World *world = *state;
    if (geteuid() == 0)
        skip(); /* root may read everything */
    put(world, "secret.csv", "a");
    assert_int_equal(fchmodat(world->drop.fd, "secret.csv", 0, 0), 0);
    assert_string_equal(list(world, 0).entries[0].sentence, "the daemon's user may not read the file");
}

static void a_file_ends_beside_its_reports_and_overwrites_nothing(void **state) {
    World *world = *state;
    Error err = {0};
    DropReport report = {STR("{}"), STR("text")};
    for (int round = 0; round < 2; round++) {
        put(world, "a.csv", round ? "second" : "first");
        bool claimed = false;
        assert_true(drop_claim(&world->drop, "a.csv", &claimed, &err));
        assert_true(claimed);
        DropList held;
        assert_true(drop_list_claimed(&world->drop, world->arena, &held, &err));
        assert_int_equal(held.n, 1);
        const char *stored_as = drop_free_name(&world->drop, world->arena, DROP_DONE, "a.csv");
        assert_string_equal(stored_as, round ? "a.csv.2" : "a.csv");
        assert_true(drop_finish(&world->drop, world->arena, "a.csv", DROP_DONE, stored_as, &report, &err));
        assert_true(drop_has(&world->drop, DROP_DONE, stored_as));
    }
    assert_true(drop_has(&world->drop, DROP_DONE, "a.csv.report.json"));
    assert_true(drop_has(&world->drop, DROP_DONE, "a.csv.2.report.txt"));
    assert_int_equal(list(world, 0).n, 0);
}

static void a_file_that_is_gone_or_in_the_way_is_not_claimed(void **state) {
    World *world = *state;
    Error err = {0};
    bool claimed = true;
    assert_true(drop_claim(&world->drop, "nothing.csv", &claimed, &err));
    assert_false(claimed);
    put(world, "a.csv", "first");
    assert_true(drop_claim(&world->drop, "a.csv", &claimed, &err) && claimed);
    put(world, "a.csv", "second");
    assert_true(drop_claim(&world->drop, "a.csv", &claimed, &err));
    assert_false(claimed);
}

static void a_missing_directory_is_an_error_of_configuration(void **state) {
    (void)state;
    Drop drop;
    Error err = {0};
    assert_false(drop_open("no-such-directory", DROP_WORK, &drop, &err));
    assert_int_equal(error_class(&err), ERROR_CONFIGURATION);
    assert_non_null(strstr(err.text, "no-such-directory: No such file or directory"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_closed_file_is_ready_and_one_being_written_is_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_unchanged_for_long_enough_is_ready_even_if_empty, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_taken_has_a_sentence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_without_right_to_read_is_left_with_a_sentence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_ends_beside_its_reports_and_overwrites_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_is_gone_or_in_the_way_is_not_claimed, set_up, tear_down),
        cmocka_unit_test(a_missing_directory_is_an_error_of_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
