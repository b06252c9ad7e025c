#include "in_arena.h"

#include "base/own.h"
#include "transform/date.h"
#include "transform/zone.h"

static Str read_zone_file(const char *name) {
    CLEANUP(file_drop) FILE *file = fopen(arena_printf(arena, "/usr/share/zoneinfo/%s", name), "rb");
    if (!file)
        fail_msg("no zone file for %s: install tzdata", name);
    char *bytes = arena_alloc(arena, 1 << 16);
    return (Str){bytes, fread(bytes, 1, 1 << 16, file)};
}

static Zone *zone_of(const char *name) {
    Error err = {0};
    Zone *zone = zone_parse(arena, name, read_zone_file(name), &err);
    if (!zone)
        fail_msg("%s", err.text);
    return zone;
}

static int64_t us_of(const char *iso) {
    CivilTime civil;
    assert_true(civil_parse_iso(str_of(iso), &civil));
    return civil_to_us(&civil);
}

typedef struct Case {
    const char *zone, *civil, *utc;
} Case;

static void civil_times_become_instants(void **state) {
    (void)state;
    static const Case CASES[] = {
        {"America/New_York", "2024-01-15 12:00:00", "2024-01-15 17:00:00"},
        {"America/New_York", "2024-07-15 12:00:00.000001", "2024-07-15 16:00:00.000001"},
        {"America/New_York", "2024-03-10 01:59:59.999999", "2024-03-10 06:59:59.999999"},
        {"America/New_York", "2024-03-10 02:00:00", "2024-03-10 07:00:00"}, /* skipped: the jump */
        {"America/New_York", "2024-03-10 02:59:59", "2024-03-10 07:00:00"},
        {"America/New_York", "2024-03-10 03:00:00", "2024-03-10 07:00:00"},
        {"America/New_York", "2024-11-03 00:59:59", "2024-11-03 04:59:59"},
        {"America/New_York", "2024-11-03 01:30:00", "2024-11-03 05:30:00"}, /* twice: the first */
        {"America/New_York", "2024-11-03 02:00:00", "2024-11-03 07:00:00"},
        {"America/New_York", "1937-06-04 00:00:00", "1937-06-04 04:00:00"},
        {"America/New_York", "2199-07-15 12:00:00", "2199-07-15 16:00:00"}, /* by the footer */
        {"America/New_York", "9999-07-15 12:00:00", "9999-07-15 16:00:00"}, /* cycles beyond */
        {"America/New_York", "9999-12-31 00:00:00", "9999-12-31 05:00:00"},
        {"Australia/Sydney", "2099-01-15 12:00:00", "2099-01-15 01:00:00"},
        {"Australia/Sydney", "2099-07-15 12:00:00", "2099-07-15 02:00:00"},
        {"Europe/Dublin", "2099-07-15 12:00:00", "2099-07-15 11:00:00"}, /* summer is its standard */
        {"Europe/Dublin", "2099-01-15 12:00:00", "2099-01-15 12:00:00"},
        {"Asia/Kathmandu", "2024-01-15 12:00:00", "2024-01-15 06:15:00"},
        {"Pacific/Apia", "2011-12-30 12:00:00", "2011-12-30 10:00:00"}, /* a day that never was */
        {"UTC", "2024-01-15 12:00:00", "2024-01-15 12:00:00"},
        {"Etc/GMT+5", "2024-01-15 12:00:00", "2024-01-15 17:00:00"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const Zone *zone = zone_of(CASES[i].zone);
        int64_t instant = zone_to_instant(zone, us_of(CASES[i].civil));
        if (instant != us_of(CASES[i].utc))
            fail_msg("%s in %s is off by %lld s", CASES[i].civil, CASES[i].zone,
                     (long long)((instant - us_of(CASES[i].utc)) / 1000000));
    }
}

static void instants_come_back_from_civil_time(void **state) {
    (void)state;
    static const char *const ZONES[] = {"America/New_York", "America/Chicago", "Australia/Lord_Howe",
                                        "Europe/Dublin", "Africa/Casablanca", "America/Anchorage"};
    for (size_t z = 0; z < sizeof ZONES / sizeof *ZONES; z++) {
        const Zone *zone = zone_of(ZONES[z]);
        int64_t last = INT64_MIN;
        /* An odd step of about five hours; a repeated hour maps to its first showing. */
        for (int64_t at = us_of("1900-01-01"); at < us_of("2500-01-01"); at += 18047 * US_PER_SECOND) {
            int64_t back = zone_to_instant(zone, zone_to_civil(zone, at));
            if (back > at || at - back > 2 * 3600 * US_PER_SECOND || back < last)
                fail_msg("%s at %lld", ZONES[z], (long long)at);
            last = back;
        }
    }
}

static void utc_is_itself(void **state) {
    (void)state;
    assert_int_equal(zone_to_instant(zone_utc(), -5), -5);
    assert_int_equal(zone_to_civil(zone_utc(), INT64_C(253402300799999999)), INT64_C(253402300799999999));
}

static void a_file_cut_anywhere_is_refused(void **state) {
    (void)state;
    Str whole = read_zone_file("America/New_York");
    for (size_t size = 0; size < whole.size; size++) {
        Error err = {0};
        Arena *scratch = arena_open();
        char *copy = arena_alloc(scratch, size); /* exact, so that a sanitizer sees an overrun */
        memcpy(copy, whole.at, size);
        assert_null(zone_parse(scratch, "cut", (Str){copy, size}, &err));
        assert_string_equal(err.state, STATE_CONFIG);
        arena_free(scratch);
    }
}

static void damaged_files_do_no_harm(void **state) {
    (void)state;
    Str whole = read_zone_file("America/New_York");
    uint32_t seed = 1;
    for (int round = 0; round < 3000; round++) {
        Arena *scratch = arena_open();
        Str copy = arena_copy(scratch, whole);
        for (int i = 0; i < 4; i++) {
            seed = seed * 1664525 + 1013904223;
            ((char *)copy.at)[(seed >> 8) % copy.size] = (char)(seed >> 24);
        }
        Error err = {0};
        const Zone *zone = zone_parse(scratch, "damaged", copy, &err);
        if (zone)
            zone_to_instant(zone, zone_to_civil(zone, us_of("2024-03-10 02:30:00")));
        arena_free(scratch);
    }
}

static void the_repeated_hour_is_foretold(void **state) {
    (void)state;
    const int64_t hour = INT64_C(3600) * 1000000;
    const Zone *zone = zone_of("America/Chicago");
    int64_t change = us_of("2024-11-03 07:00:00"); /* 02:00 becomes 01:00 */
    assert_int_equal(zone_set_back(zone, change - 4 * hour), 0);
    assert_int_equal(zone_set_back(zone, change - hour), hour);
    assert_int_equal(zone_set_back(zone, change - 1), hour);
    assert_int_equal(zone_set_back(zone, change), 0);
    assert_int_equal(zone_set_back(zone, us_of("2024-03-10 07:59:59")), 0); /* an hour is jumped over */
    assert_int_equal(zone_set_back(zone_utc(), change - hour), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(civil_times_become_instants),
        cmocka_unit_test(instants_come_back_from_civil_time),
        cmocka_unit_test(utc_is_itself),
        cmocka_unit_test(the_repeated_hour_is_foretold),
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
        cmocka_unit_test(damaged_files_do_no_harm),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
