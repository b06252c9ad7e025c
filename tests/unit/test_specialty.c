#include "test.h"

#include "transform/specialty.h"

/* Display names as the NUCC Health Care Provider Taxonomy has them. */
static const struct {
    const char *ours, *theirs;
    bool agrees;
} CASES[] = {
    {"Cardiology", "Internal Medicine, Cardiovascular Disease", true},
    {"Orthopedics", "Orthopaedic Surgery", true},
    {"pediatric cardiology", "Pediatrics", true},
    {"OB/GYN", "Obstetrics & Gynecology", true},
    {"General Surgery", "Surgery", true},
    {"Surgery", "Orthopaedic Surgery", true},
    {"Family Medicine", "Family Medicine\nInternal Medicine", true},
    {"Neurology", "Internal Medicine\nPsychiatry & Neurology, Neurology", true},
    {"Cardiology", "Dentist", false},
    {"Cardiology", "Internal Medicine", false},
    {"General Surgery", "Internal Medicine", false},
    {"Pediatric Surgery", "Plastic Surgery", false},
    {"Radiology", "Radiation Oncology", false},
    {"", "Dentist", true},
    {"-", "Dentist", true},
    {"X", "Dentist", false},
};

static void words_that_begin_alike_agree_and_those_that_say_nothing_do_not_count(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        if (specialty_agrees(str_of(CASES[i].ours), str_of(CASES[i].theirs)) != CASES[i].agrees)
            fail_msg("%s, %s", CASES[i].ours, CASES[i].theirs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_that_begin_alike_agree_and_those_that_say_nothing_do_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
