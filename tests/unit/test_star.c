/* The star schema: what leaves under which profile, its readable DDL, and the literals of partitions.
 * REVCYCLED_WRITE_DDL=<storage/sql/bigquery> writes the DDL files anew instead of comparing them. */
#include "test.h"

#include "base/own.h"
#include "sql.h"
#include "storage/star.h"
#include "storage/star_apply.h"

static const char *ddl_on_file(const char *name) {
    for (const SqlText *text = SQL_BIGQUERY; text->name; text++)
        if (strcmp(text->name, name) == 0)
            return text->text;
    return "";
}

static void write_ddl(const char *directory, const char *name, const char *ddl) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s.sql", directory, name);
    CLEANUP(file_drop) FILE *file = fopen(path, "we");
    assert_non_null(file);
    fprintf(file, "%s\n", ddl);
}

/* This lists every column that leaves under `limited`: a new one shows in the diff of its file. */
static void the_ddl_on_file_is_that_of_the_entities(void **state) {
    (void)state;
    CLEANUP(arena_drop) Arena *arena = arena_open();
    const char *directory = getenv("REVCYCLED_WRITE_DDL");
    for (int i = 0; i < N_ENTITIES; i++) {
        const char *ddl = star_ddl(arena, &ENTITIES[i], PROFILE_LIMITED);
        if (directory)
            write_ddl(directory, ENTITIES[i].gold, ddl);
        else
            assert_string_equal(ddl_on_file(ENTITIES[i].gold), arena_printf(arena, "%s\n", ddl));
    }
}

static bool leaves(const Entity *entity, PrivacyProfile profile, const char *name) {
    StarColumns columns = star_columns(entity, profile);
    for (int i = 0; i < columns.n; i++)
        if (strcmp(columns.at[i]->name, name) == 0)
            return true;
    return false;
}

static const struct {
    const char *entity, *columns[16];
} ONLY_FULL[] = {
    {"patients", {"source_patient_id", "first_name", "middle_name", "last_name", "phone", "phone_extension",
                  "email", "address", "member_id"}},
    {"encounters", {"source_encounter_id", "source_patient_id"}},
    {"transactions", {"source_transaction_id", "source_encounter_id", "source_patient_id", "source_claim_id",
                      "medicaid_id", "medicare_id"}},
    {"claims", {"source_claim_id", "source_transaction_id", "source_encounter_id", "source_patient_id", "payer_claim_id"}},
    {"adjustments", {"source_claim_id"}},
};

static void full_adds_the_direct_identifiers_and_nothing_else(void **state) {
    (void)state;
    for (int i = 0; i < N_ENTITIES; i++) {
        int expected = 0;
        for (size_t k = 0; k < sizeof ONLY_FULL / sizeof *ONLY_FULL; k++)
            for (int c = 0; strcmp(ONLY_FULL[k].entity, ENTITIES[i].name) == 0 && ONLY_FULL[k].columns[c]; c++) {
                assert_true(leaves(&ENTITIES[i], PROFILE_FULL, ONLY_FULL[k].columns[c]));
                assert_false(leaves(&ENTITIES[i], PROFILE_LIMITED, ONLY_FULL[k].columns[c]));
                expected++;
            }
        int more = star_columns(&ENTITIES[i], PROFILE_FULL).n - star_columns(&ENTITIES[i], PROFILE_LIMITED).n;
        assert_int_equal(more, expected);
    }
}

static void numbers_of_people_and_hashes_leave_under_no_profile(void **state) {
    (void)state;
    static const char *const NEVER[] = {"ssn", "source_hash", "record_hash"};
    for (int i = 0; i < N_ENTITIES; i++)
        for (size_t k = 0; k < sizeof NEVER / sizeof *NEVER; k++) {
            assert_false(leaves(&ENTITIES[i], PROFILE_LIMITED, NEVER[k]));
            assert_false(leaves(&ENTITIES[i], PROFILE_FULL, NEVER[k]));
        }
}

static void profiles_have_schemas_of_their_own(void **state) {
    (void)state;
    CLEANUP(arena_drop) Arena *arena = arena_open();
    assert_string_not_equal(star_schema_version(arena, PROFILE_LIMITED),
                            star_schema_version(arena, PROFILE_FULL));
}

static void touched_months_are_literals_on_the_bare_column(void **state) {
    (void)state;
    CLEANUP(arena_drop) Arena *arena = arena_open();
    static const char *MONTHS[] = {"2023-11-01", "2023-12-01", "2024-01-01", "2024-03-01"};
    PublishedTable table = {.entity = entity_find(STR("transactions")), .months = MONTHS, .n_months = 4};
    assert_string_equal(
        star_partitions(arena, &table),
        "(T.service_date IS NULL OR (T.service_date >= DATE '2023-11-01' AND T.service_date < DATE '2024-02-01')"
        " OR (T.service_date >= DATE '2024-03-01' AND T.service_date < DATE '2024-04-01'))");
    table.n_months = 0;
    assert_string_equal(star_partitions(arena, &table), "(T.service_date IS NULL)");
    table.entity = entity_find(STR("payers"));
    assert_string_equal(star_partitions(arena, &table), "TRUE");
}

static void names_that_could_be_sql_are_refused(void **state) {
    (void)state;
    CLEANUP(arena_drop) Arena *arena = arena_open();
    Error err = {0};
    assert_string_equal(star_dataset(arena, "my-project", "healthcare_rcm", &err), "my-project.healthcare_rcm");
    assert_null(star_dataset(arena, "p`; DROP", "d", &err));
    assert_null(star_dataset(arena, "p", "d.x", &err));
    assert_int_equal(error_class(&err), ERROR_CONFIGURATION);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ddl_on_file_is_that_of_the_entities),
        cmocka_unit_test(full_adds_the_direct_identifiers_and_nothing_else),
        cmocka_unit_test(numbers_of_people_and_hashes_leave_under_no_profile),
        cmocka_unit_test(profiles_have_schemas_of_their_own),
        cmocka_unit_test(touched_months_are_literals_on_the_bare_column),
        cmocka_unit_test(names_that_could_be_sql_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
