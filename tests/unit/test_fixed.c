#include "test.h"

#include "transform/formats/fixed.h"

static void a_line_is_cut_by_characters(void **state) {
    (void)state;
    static const FixedColumn COLUMNS[] = {{"b", 6, 3}, {"a", 1, 4}};
    Str fields[2];
    assert_int_equal(fixed_cut(STR("12  |x y|rest"), COLUMNS, 2, fields), 2);
    assert_str(fields[0], "x y");
    assert_str(fields[1], "12");
    assert_int_equal(fixed_cut(STR("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80!|12 "), COLUMNS, 2, fields), 2);
    assert_str(fields[0], "12");
    assert_str(fields[1], "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80!");
    assert_int_equal(fixed_cut(STR("12345"), COLUMNS, 2, fields), 1);
    assert_true(str_is_null(fields[0]));
    assert_str(fields[1], "1234");
    assert_int_equal(fixed_cut(STR("     \xC3"), COLUMNS, 2, fields), 2); /* bytes that are no text are characters */
    assert_int_equal(fixed_cut(STR(""), COLUMNS, 2, fields), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_line_is_cut_by_characters)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
