#include "test.h"

#include "base/own.h"
#include "steps/drop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { LONG_MS = 3600 * 1000, SYNCED_MOST = 16 };

/* Instead of the library's: which folders the code under test has flushed. */
static ino_t synced[SYNCED_MOST];
static int n_synced;
int fsync(int fd) {
    struct stat status;
    if (n_synced < SYNCED_MOST && fstat(fd, &status) == 0)
        synced[n_synced++] = status.st_ino;
    return (int)syscall(SYS_fsync, fd);
}

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

static DropList list_in(const World *world, DropPlace place, int64_t settle_ms) {
    DropList found;
    DropLook look;
    Error err = {0};
    assert_true(drop_look_open(&world->drop, place, settle_ms, &look, &err));
    drop_look_next(&look, 100, world->arena, &found);
    drop_look_close(&look);
    return found;
}

static DropList list(const World *world, int64_t settle_ms) { return list_in(world, DROP_WAITING, settle_ms); }

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

static void a_file_that_somebody_keeps_open_is_never_ready(void **state) {
    World *world = *state;
    int writer = create(world, "open.csv", "a");
    DropEntry entry = list(world, 0).entries[0];
    close(writer);
    assert_int_equal(entry.kind, DROP_GROWING);
    assert_int_equal(list(world, 0).entries[0].kind, DROP_READY);
}

static void many_files_come_by_lists_and_each_once(void **state) {
    World *world = *state;
    enum { FILES = 1000, A_LIST = 64 };
    bool seen[FILES] = {false};
    DropLook look;
    Error err = {0};
    for (int i = 0; i < FILES; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        put(world, name, "a");
    }
    assert_true(drop_look_open(&world->drop, DROP_WAITING, 0, &look, &err));
    for (DropList found = {.n = 1}; found.n > 0;) {
        drop_look_next(&look, A_LIST, world->arena, &found);
        assert_true(found.n <= A_LIST);
        for (size_t i = 0; i < found.n; i++) { /* taken while the look goes on */
            bool claimed, *is_seen = &seen[atoi(found.entries[i].name)];
            assert_false(*is_seen);
            *is_seen = true;
            assert_true(drop_claim(&world->drop, found.entries[i].name, &claimed, &err) && claimed);
        }
    }
    drop_look_close(&look);
    for (int i = 0; i < FILES; i++)
        assert_true(seen[i]);
}

static void a_claimed_file_that_is_written_to_is_found_out_and_given_back(void **state) {
    World *world = *state;
    Error err = {0};
    bool is_done = false;
    DropStamp stamp;
    int writer = create(world, "a.csv", "a");
    assert_true(drop_claim(&world->drop, "a.csv", &is_done, &err) && is_done);
    int fd = drop_open_file(&world->drop, DROP_CLAIMED, "a.csv", &stamp, &err);
    assert_true(fd >= 0 && drop_is_written(fd));
    assert_true(drop_is_unchanged(&world->drop, "a.csv", &stamp));
    assert_int_equal(write(writer, "b", 1), 1);
    close(writer);
    assert_false(drop_is_written(fd));
    assert_false(drop_is_unchanged(&world->drop, "a.csv", &stamp));
    close(fd);
    put(world, "a.csv", "another");
    assert_true(drop_give_back(&world->drop, "a.csv", &stamp, &is_done, &err));
    assert_false(is_done);
    assert_int_equal(unlinkat(world->drop.fd, "a.csv", 0), 0);
    assert_true(drop_give_back(&world->drop, "a.csv", &stamp, &is_done, &err) && is_done);
    assert_true(drop_has_waiting(&world->drop, "a.csv"));
}

static void what_cannot_be_taken_has_a_sentence(void **state) {
    World *world = *state;
    assert_int_equal(mkdirat(world->drop.fd, "a-directory", 0700), 0);
    assert_int_equal(mkfifoat(world->drop.fd, "b-fifo", 0600), 0);
    assert_int_equal(symlinkat("/etc/passwd", world->drop.fd, "c-link"), 0);
    put(world, ".hidden", "a");
    put(world, "d.csv.report.json", "a");
    put(world, "e.report.txt", "a");
    DropList found = list(world, 0);
    assert_int_equal(found.n, 5);
    static const char *const SENTENCES[] = {"a directory is not taken; put its files here",
                                            "not a regular file",
                                            "a symbolic link is not taken; put the file itself here",
                                            "called as a report is (.report.json, .report.txt), and not taken; rename the file",
                                            "called as a report is (.report.json, .report.txt), and not taken; rename the file"};
    for (size_t i = 0; i < 5; i++) {
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

static DropStamp stamp_of(const World *world, const char *name) {
    Error err = {0};
    DropStamp stamp;
    int fd = drop_open_file(&world->drop, DROP_CLAIMED, name, &stamp, &err);
    assert_true(fd >= 0);
    close(fd);
    return stamp;
}

/* Its size tells, and its time, each alone. */
static void a_file_that_somebody_wrote_to_is_not_unchanged(void **state) {
    World *world = *state;
    put(world, "receiving/a.csv", "first");
    DropStamp stamp = stamp_of(world, "a.csv");
    assert_true(drop_is_unchanged(&world->drop, "a.csv", &stamp));
    struct stat status;
    assert_int_equal(fstatat(world->drop.fd, "receiving/a.csv", &status, 0), 0);
    struct timespec as_it_was[2] = {status.st_atim, status.st_mtim};
    put(world, "receiving/a.csv", "longer than that");
    assert_int_equal(utimensat(world->drop.fd, "receiving/a.csv", as_it_was, 0), 0);
    assert_false(drop_is_unchanged(&world->drop, "a.csv", &stamp));
    put(world, "receiving/a.csv", "other");
    as_it_was[1].tv_sec++;
    assert_int_equal(utimensat(world->drop.fd, "receiving/a.csv", as_it_was, 0), 0);
    assert_false(drop_is_unchanged(&world->drop, "a.csv", &stamp));
}

static void what_lies_there_under_its_name_by_now_is_not_moved(void **state) {
    World *world = *state;
    Error err = {0};
    DropReport report = {STR("{}"), STR("text")};
    bool is_done = false;
    put(world, "receiving/a.csv", "first");
    DropStamp stamp = stamp_of(world, "a.csv");
    assert_int_equal(renameat(world->drop.fd, "receiving/a.csv", world->drop.fd, "done/elsewhere.csv"), 0);
    put(world, "receiving/a.csv", "second");
    assert_false(drop_finish(&world->drop, world->arena, "a.csv", &stamp, DROP_DONE, "a.csv", &report, &err));
    assert_int_equal(error_class(&err), ERROR_CONFLICT);
    assert_false(drop_has(&world->drop, DROP_DONE, "a.csv") || drop_has(&world->drop, DROP_DONE, "a.csv.report.json"));
    assert_true(drop_give_back(&world->drop, "a.csv", &stamp, &is_done, &err));
    assert_false(is_done || drop_has_waiting(&world->drop, "a.csv"));
    /* one that has the number of a file that is no more */
    DropStamp reused = stamp_of(world, "a.csv");
    reused.born_ns--;
    assert_false(drop_finish(&world->drop, world->arena, "a.csv", &reused, DROP_DONE, "a.csv", &report, &err));
    assert_int_equal(error_class(&err), ERROR_CONFLICT);
    /* a name that somebody took: no report of ours lies beside it */
    DropStamp own = stamp_of(world, "a.csv");
    put(world, "done/a.csv", "somebody's");
    assert_false(drop_finish(&world->drop, world->arena, "a.csv", &own, DROP_DONE, "a.csv", &report, &err));
    assert_false(drop_has(&world->drop, DROP_DONE, "a.csv.report.json"));
    assert_int_equal(unlinkat(world->drop.fd, "done/a.csv", 0), 0);
    /* one that was moved to and fro since it was marked */
    DropMark mark = drop_mark(&world->drop, DROP_DONE, "elsewhere.csv");
    assert_int_equal(renameat(world->drop.fd, "done/elsewhere.csv", world->drop.fd, "done/b.csv"), 0);
    do /* the clock of files goes by ticks */
        assert_int_equal(renameat(world->drop.fd, "done/b.csv", world->drop.fd, "done/elsewhere.csv") |
                         renameat(world->drop.fd, "done/elsewhere.csv", world->drop.fd, "done/b.csv"), 0);
    while (drop_mark(&world->drop, DROP_DONE, "b.csv").moved_ns == mark.moved_ns);
    assert_true(drop_fetch_back(&world->drop, world->arena, DROP_DONE, "b.csv", &mark, "a.csv", &is_done, &err));
    assert_false(is_done || drop_has_waiting(&world->drop, "a.csv"));
    mark = drop_mark(&world->drop, DROP_DONE, "b.csv");
    assert_true(drop_fetch_back(&world->drop, world->arena, DROP_DONE, "b.csv", &mark, "a.csv", &is_done, &err));
    assert_true(is_done && drop_has_waiting(&world->drop, "a.csv"));
}

static bool was_synced(const World *world, const char *folder) {
    struct stat status;
    assert_int_equal(fstatat(world->drop.fd, folder, &status, 0), 0);
    for (int i = 0; i < n_synced; i++)
        if (synced[i] == status.st_ino)
            return true;
    return false;
}

static void both_folders_of_a_move_are_flushed(void **state) {
    World *world = *state;
    Error err = {0};
    bool is_done = false;
    put(world, "receiving/a.csv", "a");
    DropStamp stamp = stamp_of(world, "a.csv");
    n_synced = 0;
    assert_true(drop_give_back(&world->drop, "a.csv", &stamp, &is_done, &err) && is_done);
    assert_true(was_synced(world, ".") && was_synced(world, "receiving"));
    assert_int_equal(renameat(world->drop.fd, "a.csv", world->drop.fd, "failed/a.csv"), 0);
    DropMark mark = drop_mark(&world->drop, DROP_FAILED, "a.csv");
    n_synced = 0;
    assert_true(drop_fetch_back(&world->drop, world->arena, DROP_FAILED, "a.csv", &mark, "a.csv", &is_done, &err) && is_done);
    assert_true(was_synced(world, ".") && was_synced(world, "failed"));
    n_synced = 0;
    assert_true(drop_sync_ends(&world->drop, &err));
    assert_true(was_synced(world, "receiving") && was_synced(world, "done") && was_synced(world, "failed"));
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
        DropList held = list_in(world, DROP_CLAIMED, 0);
        assert_int_equal(held.n, 1);
        const char *stored_as = drop_free_name(&world->drop, world->arena, DROP_DONE, "a.csv", 77);
        assert_string_equal(stored_as, round ? "a.csv.2" : "a.csv");
        DropStamp stamp = stamp_of(world, "a.csv");
        assert_true(drop_finish(&world->drop, world->arena, "a.csv", &stamp, DROP_DONE, stored_as, &report, &err));
        assert_true(drop_has(&world->drop, DROP_DONE, stored_as));
        assert_true(drop_finish(&world->drop, world->arena, "a.csv", &stamp, DROP_DONE, stored_as, &report, &err)); /* moved already */
    }
    assert_true(drop_sync_ends(&world->drop, &err));
    assert_true(drop_has(&world->drop, DROP_DONE, "a.csv.report.json"));
    assert_true(drop_has(&world->drop, DROP_DONE, "a.csv.2.report.txt"));
    assert_int_equal(list(world, 0).n, 0);
}

static void take_names(const World *world, const char *name, int size) {
    put(world, arena_printf(world->arena, "done/%s", name), "taken");
    for (int i = 2; i <= 9; i++)
        put(world, arena_printf(world->arena, "done/%.*s.%d", size, name, i), "taken");
}

static void where_many_names_are_taken_the_id_is_one(void **state) {
    World *world = *state;
    take_names(world, "a.csv", 5);
    assert_string_equal(drop_free_name(&world->drop, world->arena, DROP_DONE, "a.csv", 77), "a.csv.77");
    put(world, "done/a.csv.77", "taken");
    assert_string_equal(drop_free_name(&world->drop, world->arena, DROP_DONE, "a.csv", 77), "a.csv.77.2");
    char name[NAME_MAX + 1];
    memset(name, 'n', NAME_MAX);
    name[NAME_MAX] = '\0';
    take_names(world, name, NAME_MAX - 48);
    const char *found = drop_free_name(&world->drop, world->arena, DROP_DONE, name, INT64_MAX);
    assert_true(strlen(found) + strlen(".report.json") <= NAME_MAX);
    assert_string_equal(found + strlen(found) - 20, ".9223372036854775807");
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
        cmocka_unit_test_setup_teardown(a_file_that_somebody_keeps_open_is_never_ready, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_files_come_by_lists_and_each_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_claimed_file_that_is_written_to_is_found_out_and_given_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_taken_has_a_sentence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_without_right_to_read_is_left_with_a_sentence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_somebody_wrote_to_is_not_unchanged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_lies_there_under_its_name_by_now_is_not_moved, set_up, tear_down),
        cmocka_unit_test_setup_teardown(both_folders_of_a_move_are_flushed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_ends_beside_its_reports_and_overwrites_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_many_names_are_taken_the_id_is_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_is_gone_or_in_the_way_is_not_claimed, set_up, tear_down),
        cmocka_unit_test(a_missing_directory_is_an_error_of_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
