#include "test.h"

#include "transform/evidence.h"

static void formats_that_read_all_dates_are_found(void **state) {
    (void)state;
    static const struct {
        const char *texts[4];
        size_t n_formats;
        const char *formats[2];
    } CASES[] = {
        {{"03/04/2025", "12/11/2025"}, 2, {"MM/DD/YYYY", "DD/MM/YYYY"}},
        {{"03/04/2025", "N/A", " ", "25/04/2025"}, 1, {"DD/MM/YYYY"}},
        {{"3/4/2025", "4/25/2025"}, 1, {"MM/DD/YYYY"}},
        {{"03.04.2025"}, 2, {"DD.MM.YYYY", "MM.DD.YYYY"}},
        {{"31-Mar-2024", "1-APR-2024"}, 1, {"DD-MON-YYYY"}},
        {{"20240131"}, 1, {"YYYYMMDD"}},
        {{"2024013"}, 0, {0}},
        {{"13/13/2025"}, 0, {0}},
        {{"2024-01-31", "03/04/2025"}, 0, {0}},
        {{"N/A"}, 0, {0}},
        {{"12/31/2024 11:59 PM"}, 1, {"MM/DD/YYYY hh:mm AM"}},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Str texts[4];
        const char *formats[EVIDENCE_FORMATS_MAX];
        for (int k = 0; k < 4; k++)
            texts[k] = str_of(CASES[i].texts[k]);
        assert_int_equal(evidence_date_formats(texts, 4, formats), CASES[i].n_formats);
        for (size_t k = 0; k < CASES[i].n_formats; k++)
            assert_string_equal(formats[k], CASES[i].formats[k]);
    }
}

static void the_decimal_sign_is_told_by_amounts_that_only_one_reads(void **state) {
    (void)state;
    Str texts[] = {STR("12,50"), STR("1.234,00"), STR("1,234"), STR("7"), STR("3.5"), STR("x"), STR(""), STR_NULL};
    DecimalEvidence evidence = evidence_decimal(texts, 8);
    assert_int_equal(evidence.n_comma, 2);
    assert_int_equal(evidence.n_point, 1);
    assert_int_equal(evidence.n_neither, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_that_read_all_dates_are_found),
        cmocka_unit_test(the_decimal_sign_is_told_by_amounts_that_only_one_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
