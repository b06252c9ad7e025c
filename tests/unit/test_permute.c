#include "test.h"

#include "storage/permute.h"

#include "permute_vectors.h"

#include <stdio.h>
#include <stdlib.h>

enum { N_VECTORS = sizeof VECTORS / sizeof *VECTORS };

static Str from_hex(const char *hex, char out[64]) {
    size_t size = strlen(hex) / 2;
    for (size_t i = 0; i < size; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (char)byte;
    }
    return (Str){out, size};
}

static void every_number_gets_the_one_that_the_sql_function_gives(void **state) {
    (void)state;
    for (size_t i = 0; i < N_VECTORS; i++) {
        char bytes[64];
        int64_t permuted;
        Error err = {0};
        assert_true(permute_number(from_hex(VECTORS[i].secret, bytes), VECTORS[i].number, &permuted, &err));
        assert_int_equal(permuted, VECTORS[i].permuted);
    }
}

static int compare(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void no_two_numbers_get_the_same_and_all_are_positive(void **state) {
    (void)state;
    static int64_t permuted[20000];
    Error err = {0};
    for (int i = 0; i < 20000; i++)
        assert_true(permute_number(STR("any secret"), i, &permuted[i], &err));
    qsort(permuted, 20000, sizeof *permuted, compare);
    assert_true(permuted[0] > 0);
    for (int i = 1; i < 20000; i++)
        assert_true(permuted[i - 1] < permuted[i]);
}

static void a_number_outside_is_refused(void **state) {
    (void)state;
    int64_t permuted = 7;
    Error err = {0};
    assert_false(permute_number(STR("s"), -1, &permuted, &err));
    assert_false(permute_number(STR("s"), INT64_C(1) << 62, &permuted, &err));
    assert_string_equal(err.state, STATE_BUG);
    assert_int_equal(permuted, 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_gets_the_one_that_the_sql_function_gives),
        cmocka_unit_test(no_two_numbers_get_the_same_and_all_are_positive),
        cmocka_unit_test(a_number_outside_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
