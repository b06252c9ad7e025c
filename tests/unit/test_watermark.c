/* What of the watermark needs no server: which uncommitted row holds it, positions, and their order. */
#include "test.h"

#include "base/own.h"
#include "storage/watermark.h"

static const int KEY_AND_CURSOR[] = {0, 1};

/* Two columns, key and cursor; with a third, the hash. */
static MyPage page_of(Str *fields, size_t n_rows, size_t n_fields) {
    return (MyPage){.fields = fields, .n_rows = n_rows, .n_fields = n_fields};
}

static int64_t first_unseen(Str *clean, size_t n_clean, Str *dirty, size_t n_dirty) {
    MyPage a = page_of(clean, n_clean, 2), b = page_of(dirty, n_dirty, 2);
    return watermark_first_unseen(&a, NULL, &b, KEY_AND_CURSOR, 2);
}

static void equal_pages_hold_nothing(void **state) {
    (void)state;
    Str rows[] = {STR("a"), STR("1"), STR("b"), STR("1"), STR("c"), STR("2")};
    assert_int_equal(first_unseen(rows, 3, rows, 3), -1);
    assert_int_equal(first_unseen(rows, 0, rows, 0), -1);
}

static void a_row_that_was_not_read_holds_wherever_it_stands(void **state) {
    (void)state;
    Str clean[] = {STR("a"), STR("1"), STR("c"), STR("3")};
    Str before[] = {STR("x"), STR("0"), STR("a"), STR("1"), STR("c"), STR("3")};
    Str between[] = {STR("a"), STR("1"), STR("b"), STR("2"), STR("c"), STR("3")};
    Str behind[] = {STR("a"), STR("1"), STR("c"), STR("3"), STR("d"), STR("4")};
    assert_int_equal(first_unseen(clean, 2, before, 3), 0);
    assert_int_equal(first_unseen(clean, 2, between, 3), 1);
    assert_int_equal(first_unseen(clean, 2, behind, 3), 2);
    assert_int_equal(first_unseen(clean, 0, behind, 3), 0);
}

/* Its committed place is read; where it stands uncommitted, it holds. */
static void a_row_that_somebody_moves_or_deletes_holds_where_it_goes(void **state) {
    (void)state;
    Str clean[] = {STR("a"), STR("1"), STR("b"), STR("2"), STR("c"), STR("3")};
    Str moved[] = {STR("b"), STR("2"), STR("c"), STR("3"), STR("a"), STR("9")};
    Str deleted[] = {STR("a"), STR("1"), STR("c"), STR("3")};
    assert_int_equal(first_unseen(clean, 3, moved, 3), 2);
    assert_int_equal(first_unseen(clean, 3, deleted, 2), -1);
}

static void other_content_under_the_same_coarse_cursor_holds(void **state) {
    (void)state;
    Str clean[] = {STR("a"), STR("1"), STR("b"), STR("1")};
    Str same[] = {STR("a"), STR("1"), STR("10"), STR("b"), STR("1"), STR("-20")};
    Str other[] = {STR("a"), STR("1"), STR("10"), STR("b"), STR("1"), STR("21")};
    Str too_long[] = {STR("a"), STR("1"), STR_NULL, STR("b"), STR("1"), STR("-20")};
    int64_t hashes[] = {10, -20};
    MyPage known = page_of(clean, 2, 2), a = page_of(same, 2, 3), b = page_of(other, 2, 3), c = page_of(too_long, 2, 3);
    assert_int_equal(watermark_first_unseen(&known, hashes, &a, KEY_AND_CURSOR, 2), -1);
    assert_int_equal(watermark_first_unseen(&known, hashes, &b, KEY_AND_CURSOR, 2), 1);
    assert_int_equal(watermark_first_unseen(&known, hashes, &c, KEY_AND_CURSOR, 2), -1);
}

static SourceTable table_of(CursorKind kind, int digits) {
    return (SourceTable){.cursor_kind = kind, .cursor_digits = digits};
}

static void a_position_is_cut_to_the_columns_digits(void **state) {
    (void)state;
    CLEANUP(arena_drop) Arena *arena = arena_open();
    int64_t us;
    assert_true(source_parse_time(STR("2026-03-01 12:00:59.987654"), &us));
    static const struct {
        CursorKind kind;
        int digits;
        const char *text;
    } CASES[] = {{CURSOR_INSTANT, 6, "2026-03-01 12:00:59.987654"}, {CURSOR_CIVIL, 3, "2026-03-01 12:00:59.987"},
                 {CURSOR_CIVIL, 0, "2026-03-01 12:00:59"}, {CURSOR_DATE, 0, "2026-03-01"}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        SourceTable table = table_of(CASES[i].kind, CASES[i].digits);
        assert_string_equal(source_format_position(arena, &table, us), CASES[i].text);
    }
}

static void earlier_goes_over_days_and_is_unknown_for_counters(void **state) {
    (void)state;
    CLEANUP(arena_drop) Arena *arena = arena_open();
    SourceTable civil = table_of(CURSOR_CIVIL, 0), day = table_of(CURSOR_DATE, 0), counter = table_of(CURSOR_COUNTER, 0);
    assert_string_equal(watermark_earlier(arena, &civil, "2026-03-01 00:05:00", 600000000), "2026-02-28 23:55:00");
    assert_string_equal(watermark_earlier(arena, &day, "2026-03-01", 600000000), "2026-02-28");
    assert_null(watermark_earlier(arena, &counter, "17", 600000000));
    assert_null(watermark_earlier(arena, &civil, "0000-00-00 00:00:00", 600000000));
}

static void counters_are_ordered_as_numbers(void **state) {
    (void)state;
    SourceTable counter = table_of(CURSOR_COUNTER, 0), civil = table_of(CURSOR_CIVIL, 0);
    static const char *const ASCENDING[] = {"-9223372036854775808", "-10", "-9", "0", "9", "10", "18446744073709551615"};
    for (size_t i = 1; i < sizeof ASCENDING / sizeof *ASCENDING; i++) {
        assert_true(source_compare_positions(&counter, str_of(ASCENDING[i - 1]), str_of(ASCENDING[i])) < 0);
        assert_true(source_compare_positions(&counter, str_of(ASCENDING[i]), str_of(ASCENDING[i - 1])) > 0);
        assert_int_equal(source_compare_positions(&counter, str_of(ASCENDING[i]), str_of(ASCENDING[i])), 0);
    }
    assert_true(source_compare_positions(&civil, STR("2026-03-01"), STR("2026-03-01 00:00:00")) < 0);
}

static void a_row_holds_only_below_the_watermark(void **state) {
    (void)state;
    SourceTable table = table_of(CURSOR_CIVIL, 0);
    Watermark mark = {.position = "2026-03-01 12:00:00"};
    assert_true(source_parse_time(STR("2026-03-01 12:00:00"), &mark.civil_us));
    watermark_hold_at(&mark, &table, "2026-03-01 12:00:00");
    assert_int_equal(mark.held_us, 0);
    watermark_hold_at(&mark, &table, "2026-03-01 11:59:00");
    assert_string_equal(mark.position, "2026-03-01 11:59:00");
    assert_int_equal(mark.held_us, 60000000);
    assert_string_equal(mark.cause, "a row that is not committed");
}

static void a_clock_that_shows_an_earlier_time_than_the_position_was_set_back(void **state) {
    (void)state;
    CLEANUP(arena_drop) Arena *arena = arena_open();
    SourceTable table = table_of(CURSOR_CIVIL, 0);
    Watermark mark = {0};
    assert_true(source_parse_time(STR("2026-03-01 12:00:00"), &mark.civil_us));
    assert_false(watermark_is_behind(arena, &table, &mark, "2026-03-01 12:00:00"));
    assert_true(watermark_is_behind(arena, &table, &mark, "2026-03-01 12:00:01"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_pages_hold_nothing),
        cmocka_unit_test(a_row_that_was_not_read_holds_wherever_it_stands),
        cmocka_unit_test(a_row_that_somebody_moves_or_deletes_holds_where_it_goes),
        cmocka_unit_test(other_content_under_the_same_coarse_cursor_holds),
        cmocka_unit_test(a_position_is_cut_to_the_columns_digits),
        cmocka_unit_test(earlier_goes_over_days_and_is_unknown_for_counters),
        cmocka_unit_test(counters_are_ordered_as_numbers),
        cmocka_unit_test(a_row_holds_only_below_the_watermark),
        cmocka_unit_test(a_clock_that_shows_an_earlier_time_than_the_position_was_set_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
