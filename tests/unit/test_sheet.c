#include "test.h"

#include "transform/sheet.h"

#include <stdlib.h>
#include <string.h>

typedef struct Case {
    const char *id;
    bool is_it;
} Case;

static void check(bool (*says)(Str id), const Case *cases, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (says(str_of(cases[i].id)) != cases[i].is_it)
            fail_msg("\"%s\" should %sbe one", cases[i].id, cases[i].is_it ? "" : "not ");
}

static void numbers_that_a_sheet_has_rounded_are_known(void **state) {
    (void)state;
    static const Case CASES[] = {
        {"1.23E+11", true}, {"1,23E+11", true}, {"1e+15", true}, {"9E+100", true}, {"1.23457E+15", true},
        {"", false}, {"1", false}, {"1.", false}, {"1.23", false}, {"12.3E+11", false}, {".3E+11", false}, {"1.E+11", false},
        {"1.23E11", false}, {"1.23E-11", false}, {"1.23E+", false}, {"1.23E+1", false}, {"1.23E", false}, {"1E", false},
        {"1.23E+11 ", false}, {" 1.23E+11", false}, {"1.23E+11A", false}, {"-1.23E+11", false}, {"1.2.3E+11", false},
        {"1F+11", false}, {"E+11", false}, {"CLM1E+11", false}, {"1.23E+1\xC2\xB2", false},
    };
    check(sheet_has_rounded, CASES, sizeof CASES / sizeof *CASES);
}

static void words_of_totals_are_known(void **state) {
    (void)state;
    static const Case CASES[] = {
        {"Total", true}, {"TOTAL", true}, {"total:", true}, {"Totals", true}, {" Grand Total : ", true}, {"grand totals", true},
        {"Subtotal", true}, {"Sub-Total", true}, {"sub total", true}, {"Sum", true},
        {"", false}, {":", false}, {"Total1", false}, {"Total 2024", false}, {"T-otal", false}, {"Total::", false}, {":Total", false},
        {"Summit", false}, {"grandtotal", false}, {"Totality", false}, {"tota", false},
    };
    check(sheet_says_total, CASES, sizeof CASES / sizeof *CASES);
}

/* Each beginning by itself, in memory of its size: what is looked at behind it is ASan's to see. */
static void nothing_is_read_behind_an_end(void **state) {
    (void)state;
    static const char TEXT[] = "1.23E+11";
    for (size_t n = 1; n < sizeof TEXT - 1; n++) {
        char *copy = malloc(n);
        assert_non_null(copy);
        memcpy(copy, TEXT, n);
        bool is_it = sheet_has_rounded((Str){copy, n}) || sheet_says_total((Str){copy, n});
        free(copy);
        assert_false(is_it);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_that_a_sheet_has_rounded_are_known),
        cmocka_unit_test(words_of_totals_are_known),
        cmocka_unit_test(nothing_is_read_behind_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
