#include "test.h"

#include "transform/formats/sniff.h"

static const char *const WANTED[] = {"ClaimID", "Amount"};

static void the_delimiter_is_what_finds_the_columns_or_parts_all_rows(void **state) {
    (void)state;
    static const struct {
        const char *head;
        SniffAnswer answer;
        char delimiter;
        size_t n_columns;
    } CASES[] = {
        {"ClaimID,Amount\n1,2\n", SNIFF_FOUND, ',', 0},
        {"ClaimID;Amount\n1;2,50\n2;3,50\n", SNIFF_FOUND, ';', 0},
        {"claimid|Note,a;b\n1|x\n", SNIFF_FOUND, '|', 0},
        {"ClaimID\tAmount\n1\t2\n", SNIFF_FOUND, '\t', 0},
        {"ClaimID,Amount\n1,2\n1;2\n", SNIFF_FOUND, ',', 0},         /* a bad row is no reason */
        {"\"Claim,ID\";\"x,y\"\n\"1,5\";2\n", SNIFF_FOUND, ';', 0}, /* quotes hide the other one */
        {"ClaimID\n1\n", SNIFF_ONE_COLUMN, ',', 0},
        {"", SNIFF_ONE_COLUMN, ',', 0},
        {"x;y,z\n1;2,3\n", SNIFF_SEVERAL, 0, 0},
        {"ClaimID;y,z\n1;2,3\n", SNIFF_FOUND, ';', 0},
        {"1;2,3,4\n2;3,4,5\n", SNIFF_FOUND, ',', 3}, /* three columns are named */
        {"1;2,3\n2;3,4\n", SNIFF_ONE_COLUMN, ',', 3},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        SniffText text = {.head = str_of(CASES[i].head), .is_whole = true, .wanted = WANTED, .n_wanted = 2,
                          .n_columns = CASES[i].n_columns};
        char delimiter = 0;
        assert_int_equal(sniff_delimiter(&text, &delimiter), CASES[i].answer);
        if (CASES[i].delimiter)
            assert_int_equal(delimiter, CASES[i].delimiter);
    }
}

static void a_header_may_stand_below_other_lines(void **state) {
    (void)state;
    static const struct {
        const char *head;
        int64_t line;
        char delimiter;
    } CASES[] = {
        {"ClaimID,Amount\n1,2\n", 1, ','},
        {"sep=;\nclaimid; Amount\n", 2, 0},
        {"Report of 2024\n\n,,\nx,ClaimID,Amount\n", 4, ','},
        {"ClaimID of 2024\nClaimID,x\n", 0, ','}, /* one name may stand anywhere */
        {"ClaimID;Amount\n", 0, ','},
        {"", 0, 0},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        SniffText text = {.head = str_of(CASES[i].head), .is_whole = true, .wanted = WANTED, .n_wanted = 2};
        assert_int_equal(sniff_header(&text, CASES[i].delimiter), CASES[i].line);
    }
}

static void the_line_end_is_that_of_the_first_line(void **state) {
    (void)state;
    assert_string_equal(sniff_line_end(STR("a\nb\r\n")), "lf");
    assert_string_equal(sniff_line_end(STR("a\r\nb\n")), "crlf");
    assert_string_equal(sniff_line_end(STR("a\rb\n")), "cr");
    assert_null(sniff_line_end(STR("a")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_delimiter_is_what_finds_the_columns_or_parts_all_rows),
        cmocka_unit_test(a_header_may_stand_below_other_lines),
        cmocka_unit_test(the_line_end_is_that_of_the_first_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
