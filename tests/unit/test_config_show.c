#include "test.h"

#include "base/own.h"
#include "config_keys.h"
#include "config_show.h"

#include <stdio.h>
#include <stdlib.h>

static Config *load(const char *text) {
    char path[] = "/tmp/revcycled-show-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    Config *config = config_load(path, config_print_mistake, stderr);
    unlink(path);
    assert_non_null(config);
    return config;
}

#define STORE "store: {dsn: \"dbname=revcycle\"}\n"
#define SOURCE(name, more)                                                                              \
    "  " name ":\n    host: db\n    database: d\n    user: u\n    password: ${TEST_PASSWORD}\n" more "    feeds:\n"
#define FEED(name, more)                                                                                          \
    "      " name ": {entity: departments, key: [id], " more "map: {source_department_id: id, name: {from: [a, b], " \
    "clean: [{concat: \"-\"}, {map: {1: One}}, trim]}}}\n"

static void every_key_of_the_table_is_shown(void **state) {
    (void)state;
    for (size_t i = 0; i < N_CONFIG_KEYS; i++)
        if (CONFIG_KEYS[i].type != KEY_PART && CONFIG_KEYS[i].type != KEY_LATER && !config_shows(CONFIG_KEYS[i].path))
            fail_msg("%s is a key that GET /v1/config leaves out", CONFIG_KEYS[i].path);
}

static void values_are_shown_as_they_would_be_written_and_secrets_are_not(void **state) {
    (void)state;
    setenv("TEST_PASSWORD", "hush", 1);
    setenv("TEST_DSN", "password = 'hush' dbname=x", 1);
    Config *config = load("store: {dsn: \"${TEST_DSN}\"}\nsources:\n" SOURCE("a", "    timezone: America/Chicago\n")
                          FEED("d", "every: 90s, ") "bigquery: {project: p, endpoint: \"http://u:hush@h\"}\n");
    json_t *json = config_json(config);
    CLEANUP(mem_drop) char *text = json_dumps(json, 0);
    assert_null(strstr(text, "hush"));
    json_t *source = json_object_get(json_object_get(json, "sources"), "a");
    json_t *feed = json_object_get(json_object_get(source, "feeds"), "d");
    assert_string_equal(json_string_value(json_object_get(source, "password")), "${TEST_PASSWORD}");
    assert_string_equal(json_string_value(json_object_get(source, "tls")), "required");
    assert_string_equal(json_string_value(json_object_get(feed, "every")), "90s");
    assert_string_equal(json_string_value(json_object_get(feed, "page_bytes")), "4MiB");
    CLEANUP(mem_drop) char *clean = json_dumps(
        json_object_get(json_object_get(json_object_get(feed, "map"), "name"), "clean"), JSON_COMPACT);
    assert_string_equal(clean, "[{\"concat\":[\"-\"]},{\"map\":{\"1\":\"One\"}},\"trim\"]");
    json_decref(json);
    config_free(config);
}

/* The changes from one text to the other, as JSON without what is empty. */
static void assert_changes(const char *before, const char *after, const char *expected) {
    Config *old = load(before), *new = load(after);
    CLEANUP(arena_drop) Arena *arena = arena_open();
    ConfigChanges changes;
    config_compare(arena, old, new, &changes);
    json_t *json = config_changes_json(&changes), *kinds, *list;
    const char *what, *kind;
    void *next, *next_kind;
    json_object_foreach_safe(json, next, what, kinds) {
        json_object_foreach_safe(kinds, next_kind, kind, list)
            if (json_array_size(list) == 0)
                json_object_del(kinds, kind);
        if (json_object_size(kinds) == 0)
            json_object_del(json, what);
    }
    CLEANUP(mem_drop) char *text = json_dumps(json, JSON_COMPACT);
    assert_string_equal(text, expected);
    json_decref(json);
    config_free(old);
    config_free(new);
}

static void what_changed_is_named(void **state) {
    (void)state;
    const char *one = STORE "sources:\n" SOURCE("a", "") FEED("d", "");
    assert_changes(one, one, "{}");
    assert_changes(one, STORE "sources:\n" SOURCE("a", "") FEED("d", "every: 1h, ") FEED("e", ""),
                   "{\"feeds\":{\"added\":[\"a.e\"],\"changed\":[\"a.d\"]}}");
    assert_changes(STORE "sources:\n" SOURCE("a", "") "      p: {entity: patients, key: [id], map: {source_patient_id: id, phone: tel}}\n",
                   STORE "sources:\n" SOURCE("a", "") "      p: {entity: patients, key: [id], map: {source_patient_id: id, "
                   "phone: {from: tel, history: ignore}}}\n", "{\"feeds\":{\"changed\":[\"a.p\"]}}");
    assert_changes(one, STORE "workers: 2\nsources:\n" SOURCE("a", "    port: 1\n") FEED("d", ""),
                   "{\"sources\":{\"changed\":[\"a\"]},\"settings\":{\"changed\":[\"workers\"]}}");
    assert_changes(one, STORE "sources:\n" SOURCE("b", "    renamed_from: a\n") FEED("d", "") FEED("e", ""),
                   "{\"sources\":{\"renamed\":[{\"from\":\"a\",\"to\":\"b\"}]},\"feeds\":{\"added\":[\"b.e\"]}}");
    assert_changes(one, STORE "sources:\n" SOURCE("b", "") FEED("d", ""),
                   "{\"sources\":{\"added\":[\"b\"],\"removed\":[\"a\"]},"
                   "\"feeds\":{\"added\":[\"b.d\"],\"removed\":[\"a.d\"]}}");
}

/* A secret that a variable brought is compared, too, though never shown. */
static void a_changed_secret_is_a_change(void **state) {
    (void)state;
    const char *text = "store: {dsn: \"${TEST_DSN}\"}\nsources: {a: {kind: files}}\n";
    setenv("TEST_DSN", "password = 'one' dbname=x", 1);
    Config *old = load(text);
    setenv("TEST_DSN", "password = 'two' dbname=x", 1);
    Config *new = load(text);
    CLEANUP(arena_drop) Arena *arena = arena_open();
    ConfigChanges changes;
    config_compare(arena, old, new, &changes);
    assert_int_equal(changes.n, 1);
    assert_string_equal(changes.at[0].name, "store");
    config_free(old);
    config_free(new);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_of_the_table_is_shown),
        cmocka_unit_test(values_are_shown_as_they_would_be_written_and_secrets_are_not),
        cmocka_unit_test(what_changed_is_named),
        cmocka_unit_test(a_changed_secret_is_a_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
