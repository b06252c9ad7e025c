#include "test.h"

#include "transform/code.h"
#include "transform/code_group.h"
#include "transform/reference.h"

typedef struct Case {
    const char *code, *group; /* "" for none */
} Case;

/* Edges of the chapters: ICD-10-CM Tabular List, FY 2026. */
static const Case CHAPTERS[] = {
    {"A00.0", "Certain infectious and parasitic diseases"}, {"B99.9", "Certain infectious and parasitic diseases"},
    {"C4A.0", "Neoplasms"}, {"D49.9", "Neoplasms"},
    {"D50.0", "Diseases of the blood and blood-forming organs and certain disorders involving the immune mechanism"},
    {"E89.89", "Endocrine, nutritional and metabolic diseases"}, {"E90", ""}, {"F00", ""},
    {"F01.50", "Mental, Behavioral and Neurodevelopmental disorders"},
    {"H59.89", "Diseases of the eye and adnexa"}, {"H60.00", "Diseases of the ear and mastoid process"}, {"H96", ""},
    {"I10", "Diseases of the circulatory system"}, {"O9A.53", "Pregnancy, childbirth and the puerperium"},
    {"P97", ""}, {"R99", "Symptoms, signs and abnormal clinical and laboratory findings, not elsewhere classified"},
    {"T88.9XXA", "Injury, poisoning and certain other consequences of external causes"}, {"T89", ""},
    {"U07.1", "Codes for special purposes"}, {"V00.01XA", "External causes of morbidity"},
    {"Y99.9", "External causes of morbidity"},
    {"Z3A.40", "Factors influencing health status and contact with health services"}, {"Z", ""}, {"", ""},
};

/* Sections of CMS's alpha-numeric HCPCS file. */
static const Case SECTIONS[] = {
    {"A0428", "Transportation Services Including Ambulance"}, {"A4206", "Medical and Surgical Supplies"},
    {"A8004", "Medical and Surgical Supplies"}, {"A9999", "Administrative, Miscellaneous and Investigational"},
    {"A1000", ""}, {"E0470", "Durable Medical Equipment"}, {"J8499", "Drugs Administered Other Than Oral Method"},
    {"J8501", "Chemotherapy Drugs"}, {"L4631", "Orthotic Procedures"}, {"L5000", "Prosthetic Procedures"},
    {"V5364", "Vision and Hearing Services"}, {"99213", ""}, {"", ""},
};

static void check(const Case *cases, size_t n, Str (*group_of)(Str)) {
    for (size_t i = 0; i < n; i++)
        if (!str_equal(group_of(str_of(cases[i].code)), cases[i].group[0] ? str_of(cases[i].group) : STR_NULL))
            fail_msg("%s", cases[i].code);
}

static void a_diagnosis_stands_in_the_chapter_of_its_category(void **state) {
    (void)state;
    check(CHAPTERS, sizeof CHAPTERS / sizeof *CHAPTERS, icd10_chapter);
}

static void a_procedure_stands_in_the_section_of_its_first_characters(void **state) {
    (void)state;
    check(SECTIONS, sizeof SECTIONS / sizeof *SECTIONS, hcpcs_section);
}

static void what_has_not_the_form_of_a_code_is_none(void **state) {
    (void)state;
    static const char *const GOOD[] = {"I10", "E11.9", "S52.001A", "C4A.0", "O9A.111"};
    static const char *const BAD[] = {"", "I1", "I100", "E119", "E11.", "E11.90000", "e11.9", "11E.9", "E1 .9", "E11.9 ",
                                      "E11,9", "SEE NOTE", "E11.9&X"};
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++)
        assert_true(icd10_is_formed(str_of(GOOD[i])));
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        if (icd10_is_formed(str_of(BAD[i])))
            fail_msg("%s", BAD[i]);
    assert_true(hcpcs_is_formed(STR("A0428")));
    assert_false(hcpcs_is_formed(STR("99213")) || hcpcs_is_formed(STR("W0428")) || hcpcs_is_formed(STR("A042")) ||
                 hcpcs_is_formed(STR("A042X")));
}

static void every_kind_has_what_the_step_asks_of_it(void **state) {
    (void)state;
    for (size_t i = 0; i < REFERENCES; i++) {
        const ReferenceKind *kind = &REFERENCE_KINDS[i];
        assert_non_null(kind->name);
        assert_non_null(kind->subject);
        assert_int_equal(kind->code_system != NULL, kind->table && kind->key && kind->group);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_diagnosis_stands_in_the_chapter_of_its_category),
        cmocka_unit_test(a_procedure_stands_in_the_section_of_its_first_characters),
        cmocka_unit_test(what_has_not_the_form_of_a_code_is_none),
        cmocka_unit_test(every_kind_has_what_the_step_asks_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
