#include "test.h"

#include "base/nearest.h"

static const char *const NAMES[] = {"first_name", "last_name", "cursor", "key", "PatientID", "every"};

static const char *nearest_of(const char *wanted) {
    Nearest nearest = nearest_start(str_of(wanted));
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        nearest_offer(&nearest, NAMES[i]);
    return nearest.name;
}

static void a_slip_of_a_key_finds_the_name(void **state) {
    (void)state;
    assert_string_equal(nearest_of("cursr"), "cursor");      /* missing */
    assert_string_equal(nearest_of("curssor"), "cursor");    /* added */
    assert_string_equal(nearest_of("cusror"), "cursor");     /* swapped */
    assert_string_equal(nearest_of("frist_name"), "first_name");
    assert_string_equal(nearest_of("patientid"), "PatientID"); /* case alone */
    assert_string_equal(nearest_of("ever"), "every");
}

static void a_name_unlike_all_others_gets_no_suggestion(void **state) {
    (void)state;
    assert_null(nearest_of("horse"));
    assert_null(nearest_of("xyz"));
    assert_null(nearest_of("a_name_that_is_so_long_that_it_cannot_be_a_slip_of_a_finger_at_all"));
}

static void a_swap_counts_once(void **state) {
    (void)state;
    Nearest nearest = nearest_start(STR("frist_name"));
    nearest_offer(&nearest, "first_name");
    assert_int_equal(nearest.distance, 1);
}

static void the_suggestion_is_the_end_of_a_sentence(void **state) {
    (void)state;
    char text[NEAREST_TEXT_BYTES];
    Nearest nearest = nearest_start(STR("kye"));
    nearest_offer(&nearest, "key");
    nearest_suggest(&nearest, text);
    assert_string_equal(text, ", did you mean `key`?");
    nearest = nearest_start(STR("horse"));
    nearest_suggest(&nearest, text);
    assert_string_equal(text, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slip_of_a_key_finds_the_name),
        cmocka_unit_test(a_name_unlike_all_others_gets_no_suggestion),
        cmocka_unit_test(a_swap_counts_once),
        cmocka_unit_test(the_suggestion_is_the_end_of_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
