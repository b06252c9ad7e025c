#include "in_arena.h"

#include "base/own.h"
#include "transform/fingerprint.h"
#include "transform/hash.h"
#include "transform/mapping.h"

/* "first_name=FirstName" per column; cleaners, if any, behind: "birth_date=DOB|trim|date MM/DD/YYYY". */
static MapSpec map_of(const char *text) {
    char *parts = arena_string(arena, str_of(text));
    char *rest = parts, *head = strsep(&rest, "|");
    char *equals = strchr(head, '=');
    *equals = '\0';
    const char **from = ARENA_ARRAY(arena, const char *, 4);
    MapSpec map = {.column = head, .from = from, .line = 7, .column_number = 3};
    from[map.n_from++] = equals + 1;
    CleanerSpec *clean = ARENA_ARRAY(arena, CleanerSpec, 8);
    for (char *word; rest && (word = strsep(&rest, "|"));) {
        char *space = strchr(word, ' ');
        CleanerSpec *spec = &clean[map.n_clean++];
        *spec = (CleanerSpec){.name = word, .line = 8, .column = 5};
        if (!space)
            continue;
        *space = '\0';
        CleanerArg *arg = ARENA_NEW(arena, CleanerArg);
        arg->value = space + 1;
        spec->args = arg;
        spec->n_args = 1;
    }
    map.clean = clean;
    return map;
}

static MappingSpec spec_of(const char *entity, const char *const *columns) {
    MappingSpec spec = {.entity = entity_find(str_of(entity))};
    MapSpec *maps = ARENA_ARRAY(arena, MapSpec, 40);
    for (; columns[spec.n_columns]; spec.n_columns++)
        maps[spec.n_columns] = map_of(columns[spec.n_columns]);
    spec.columns = maps;
    return spec;
}

/* Fields in the order of the columns: every map's source column is one. */
static size_t fields_of(const MappingSpec *spec, Field *ret_fields) {
    size_t n = 0;
    for (size_t i = 0; i < spec->n_columns; i++) {
        bool is_new = true;
        for (size_t k = 0; k < n; k++)
            is_new &= strcmp(ret_fields[k].name, spec->columns[i].from[0]) != 0;
        if (is_new)
            ret_fields[n++] = (Field){.name = spec->columns[i].from[0], .folds_case = true};
    }
    return n;
}

static Mapping *compile(const MappingSpec *spec) {
    Field fields[40];
    size_t n = fields_of(spec, fields);
    Error err = {0};
    Mapping *mapping = mapping_compile(arena, spec, fields, n, zone_utc(), &err);
    if (!mapping)
        fail_msg("%s", err.text);
    return mapping;
}

static Record clean(const Mapping *mapping, const MappingSpec *spec, const char *const *texts) {
    Str fields[40];
    size_t n = 0;
    for (; n < 40 && texts[n]; n++)
        fields[n] = strcmp(texts[n], "\\N") == 0 ? STR_NULL : str_of(texts[n]);
    Record record = {.values = ARENA_ARRAY(arena, Value, (size_t)spec->entity->n_columns)};
    mapping_clean(mapping, fields, 0, arena, &record);
    return record;
}

static Value value_of(const Record *record, const char *column) {
    int index = entity_column(record->entity, str_of(column));
    assert_int_not_equal(index, COLUMN_NONE);
    return record->values[index];
}

#define assert_text(record, column, expected)                              \
    do {                                                                   \
        Value value_ = value_of(&(record), column);                        \
        assert_str(value_str(value_), expected);      \
    } while (0)
#define assert_number(record, column, expected)                            \
    do {                                                                   \
        assert_true(value_of(&(record), column).is_set);                   \
        assert_int_equal(value_of(&(record), column).number, expected);    \
    } while (0)
#define assert_null_value(record, column) assert_false(value_of(&(record), column).is_set)

static void assert_flags(const Mapping *mapping, const Record *record, const char *expected) {
    char text[400] = "";
    for (int flag = 0; flag < FLAGS_MAX; flag++)
        if (record->flags >> flag & 1) {
            if (text[0])
                strcat(text, " ");
            strcat(text, mapping_flag_name(mapping, flag));
        }
    assert_string_equal(text, expected);
}

static const char *const PATIENTS[] = {
    "source_patient_id=ID", "first_name=First", "middle_name=Middle", "last_name=Last", "ssn=SSN",
    "birth_date=DOB", "gender=Sex", "phone=Tel", "phone_extension=Tel", "email=Mail",
    "address=Addr", "city=Addr", "state=Addr", "zip=Addr", "source_modified_at=Changed", NULL};

static void a_patient_is_cleaned_by_the_defaults_of_its_columns(void **state) {
    (void)state;
    MappingSpec spec = spec_of("patients", PATIENTS);
    Mapping *mapping = compile(&spec);
    const char *row[] = {" hosp1-000001 ", "RICK", "u", "o'brien", "188-23-9828", "1937-06-04", "F",
                         "+1-630-829-7585x0769", "Rick.OBrien@Example.ORG",
                         "9864 Gibson Islands, Danielside, KY 99809", "2020-05-25", NULL};
    Record record = clean(mapping, &spec, row);
    assert_text(record, "source_patient_id", "HOSP1-000001");
    assert_text(record, "first_name", "Rick");
    assert_text(record, "middle_name", "U");
    assert_text(record, "last_name", "O'Brien");
    assert_text(record, "ssn", "188239828");
    assert_number(record, "birth_date", -11899);
    assert_text(record, "gender", "Female");
    assert_text(record, "phone", "+16308297585");
    assert_text(record, "phone_extension", "0769");
    assert_text(record, "email", "rick.obrien@example.org");
    assert_text(record, "address", "9864 Gibson Islands");
    assert_text(record, "city", "Danielside");
    assert_text(record, "state", "KY");
    assert_text(record, "zip", "99809");
    assert_number(record, "source_modified_at", INT64_C(1590364800000000));
    assert_flags(mapping, &record, "");
    assert_null(record.reject_rule);
}

static void what_cannot_be_read_is_null_and_flagged(void **state) {
    (void)state;
    MappingSpec spec = spec_of("patients", PATIENTS);
    Mapping *mapping = compile(&spec);
    const char *row[] = {"7", "NULL", "-", "M\xFCller", "12", "0000-00-00", "\\N", "12345", "nobody",
                         "Unit 0915 Box 7064, DPO AA 82777", "2020-02-30", NULL};
    Record record = clean(mapping, &spec, row);
    assert_null_value(record, "first_name");
    assert_null_value(record, "middle_name");
    assert_text(record, "last_name", "Müller");
    assert_null_value(record, "ssn");
    assert_null_value(record, "birth_date");
    assert_text(record, "gender", "Unknown");
    assert_null_value(record, "phone");
    assert_null_value(record, "phone_extension");
    assert_null_value(record, "email");
    assert_text(record, "address", "Unit 0915 Box 7064, DPO AA 82777");
    assert_null_value(record, "city");
    assert_text(record, "state", "AA");
    assert_text(record, "zip", "82777");
    assert_null_value(record, "source_modified_at");
    assert_flags(mapping, &record,
                 "name_unknown phone_invalid email_invalid date_invalid address_unparsed text_repaired");
    assert_null(record.reject_rule);
}

static void what_is_simply_missing_is_not_flagged(void **state) {
    (void)state;
    MappingSpec spec = spec_of("patients", PATIENTS);
    Mapping *mapping = compile(&spec);
    const char *row[] = {"7", "Ann", "\\N", "Lee", "\\N", "N/A", "", "none", " - ", "unknown", "NULL", NULL};
    Record record = clean(mapping, &spec, row);
    assert_null_value(record, "phone");
    assert_null_value(record, "email");
    assert_null_value(record, "address");
    assert_null_value(record, "source_modified_at");
    assert_flags(mapping, &record, "");
}

static void a_row_without_an_id_is_rejected(void **state) {
    (void)state;
    MappingSpec spec = spec_of("departments", (const char *[]){"source_department_id=ID", "name=Name", NULL});
    Mapping *mapping = compile(&spec);
    static const char *const IDS[] = {"", "  ", "\\N", "NULL"};
    for (size_t i = 0; i < 4; i++) {
        const char *row[] = {IDS[i], "Cardiology", NULL};
        Record record = clean(mapping, &spec, row);
        assert_string_equal(record.reject_rule, "key_missing");
        assert_string_equal(record.reject_reason, "the row has no id");
        Str field = strcmp(IDS[i], "\\N") == 0 ? STR_NULL : str_of(IDS[i]);
        assert_true(str_is_null(mapping_id(mapping, &field, arena)));
    }
}

static const char *const CLAIMS[] = {
    "source_claim_id=ClaimID", "service_date=Service", "claim_date=Day", "claim_amount=Amount",
    "paid_amount=Paid", "claim_status=Status", "deductible=Deductible", "source_inserted_at=Made",
    "source_modified_at=Changed", NULL};

static void a_claim_gets_its_status_coverage_and_flags(void **state) {
    (void)state;
    MappingSpec spec = spec_of("claims", CLAIMS);
    Mapping *mapping = compile(&spec);
    const char *row[] = {"C1", "2024-07-22", "2024-03-26", "680.31", "538.5", "PENDING", "279.32",
                         "2022-06-15", "2022-03-03", NULL};
    Record record = clean(mapping, &spec, row);
    assert_text(record, "claim_status", "Pending");
    assert_text(record, "payment_status", "Pending");
    assert_number(record, "coverage_percent", 7916); /* 79.155… */
    assert_flags(mapping, &record, "claim_before_service modified_before_inserted");
    row[5] = "In Limbo";
    record = clean(mapping, &spec, row);
    assert_text(record, "claim_status", "In Limbo");
    assert_text(record, "payment_status", "Paid"); /* 538.50 covers 680.31 - 279.32 */
    assert_flags(mapping, &record, "claim_before_service modified_before_inserted status_unknown");
}

static void an_unreadable_amount_goes_to_quarantine_unless_a_rule_says_otherwise(void **state) {
    (void)state;
    MappingSpec spec = spec_of("claims", CLAIMS);
    Mapping *mapping = compile(&spec);
    const char *row[] = {"C1", "2024-07-22", "2024-07-26", "680.31", "12..5", "Paid", "1", "\\N", "\\N", NULL};
    Record record = clean(mapping, &spec, row);
    assert_string_equal(record.reject_rule, "amount_unreadable");
    assert_string_equal(record.reject_reason, "`paid_amount` cannot be read as an amount of money");
    RuleSpec lenient = {.name = "amount_unreadable", .entity = "claims", .severity = SEVERITY_FLAG};
    spec.rules = &lenient;
    spec.n_rules = 1;
    mapping = compile(&spec);
    record = clean(mapping, &spec, row);
    assert_null(record.reject_rule);
    assert_null_value(record, "paid_amount");
    assert_flags(mapping, &record, "amount_unreadable");
}

static void a_configured_rule_changes_the_severity_of_a_built_in_one(void **state) {
    (void)state;
    MappingSpec spec = spec_of("claims", CLAIMS);
    RuleSpec rules[] = {
        {.name = "claim_before_service", .entity = "claims", .severity = SEVERITY_QUARANTINE},
        {.name = "status_unknown", .severity = SEVERITY_STOP, .stop_percent = 5},
        {.name = "paid_above_billed", .entity = "claims", .check = "paid_amount <= claim_amount"},
        {.name = "claim_before_service", .entity = "transactions", .check = "nonsense"},
    };
    spec.rules = rules;
    spec.n_rules = 4;
    Mapping *mapping = compile(&spec);
    const char *row[] = {"C1", "2024-07-22", "2024-07-21", "10", "11", "Zzz", "0", "\\N", "\\N", NULL};
    Record record = clean(mapping, &spec, row);
    assert_string_equal(record.reject_rule, "claim_before_service");
    assert_string_equal(record.reject_reason,
                        "the row breaks the rule claim_before_service: claim_date >= service_date");
    assert_flags(mapping, &record, "claim_before_service paid_above_billed status_unknown");
    assert_ptr_equal(mapping_stop_rule(mapping, FLAG_STATUS_UNKNOWN), &rules[1]);
    assert_null(mapping_stop_rule(mapping, FLAG_CLAIM_BEFORE_SERVICE));
}

static void kinds_of_rules_over_one_row_are_checks_and_others_are_passed_over(void **state) {
    (void)state;
    MappingSpec spec = spec_of("claims", CLAIMS);
    RuleSpec rules[] = {
        {.name = "r_null", .entity = "claims", .kind = RULE_NOT_NULL, .attribute = "claim_status"},
        {.name = "r_type", .entity = "claims", .kind = RULE_TYPE, .attribute = "source_claim_id", .form = "whole_number"},
        {.name = "r_range", .entity = "claims", .kind = RULE_RANGE, .attribute = "claim_amount", .min = "0.01", .max = "999.99"},
        {.name = "r_dates", .entity = "claims", .kind = RULE_RANGE, .attribute = "claim_date", .max = "2024-12-31"},
        {.name = "r_pattern", .entity = "claims", .kind = RULE_PATTERN, .attribute = "source_claim_id", .pattern = "(C|D'?)\\d+"},
        {.name = "r_list", .entity = "claims", .kind = RULE_LIST, .attribute = "claim_status",
         .values = (const char *const[]){"Paid", "Won't"}, .n_values = 2, .severity = SEVERITY_QUARANTINE,
         .says = "a claim is paid, or will not be"},
        {.name = "r_unique", .entity = "claims", .kind = RULE_UNIQUE, .columns = (const char *const[]){"claim_date"}, .n_columns = 1},
        {.name = "r_fresh", .entity = "", .kind = RULE_FRESHNESS, .feed = "claims.monthly", .within_ms = 1},
    };
    spec.rules = rules;
    spec.n_rules = sizeof rules / sizeof *rules;
    Mapping *mapping = compile(&spec);
    const char *good[] = {"D'7", "2024-07-22", "2024-12-31", "999.99", "0", "Won't", "1", "\\N", "\\N", NULL};
    Record record = clean(mapping, &spec, good);
    assert_flags(mapping, &record, "status_unknown r_type");
    assert_null(record.reject_rule);
    const char *bad[] = {"x1", "2025-01-01", "2025-01-01", "1000", "0", "Odd", "1", "\\N", "\\N", NULL};
    record = clean(mapping, &spec, bad);
    assert_flags(mapping, &record, "status_unknown r_type r_range r_dates r_pattern r_list");
    assert_string_equal(record.reject_rule, "r_list");
    assert_string_equal(record.reject_reason, "the row breaks the rule r_list: a claim is paid, or will not be");
    const char *least[] = {"C7", "2024-07-22", "2024-12-31", "0.01", "0", "Paid", "1", "\\N", "\\N", NULL};
    record = clean(mapping, &spec, least);
    assert_flags(mapping, &record, "r_type");
    const char *bare[] = {"1", "2024-07-22", "2024-07-22", "0", "0", "\\N", "1", "\\N", "\\N", NULL};
    record = clean(mapping, &spec, bare);
    assert_flags(mapping, &record, "amount_not_positive status_unknown r_null r_range r_pattern");
}

static void a_rule_that_looks_at_no_single_row_leaves_the_mapping_as_it_is(void **state) {
    (void)state;
    MappingSpec spec = spec_of("claims", CLAIMS);
    uint8_t plain[16], other[16];
    mapping_fingerprint(&spec, plain);
    RuleSpec rule = {.name = "r", .entity = "claims", .kind = RULE_UNIQUE, .columns = (const char *const[]){"claim_date"}, .n_columns = 1};
    spec.rules = &rule;
    spec.n_rules = 1;
    mapping_fingerprint(&spec, other);
    assert_memory_equal(plain, other, 16);
    rule = (RuleSpec){.name = "r", .entity = "claims", .kind = RULE_NOT_NULL, .attribute = "claim_date"};
    mapping_fingerprint(&spec, plain);
    assert_memory_not_equal(plain, other, 16);
    rule.says = "a claim has a date";
    mapping_fingerprint(&spec, other);
    assert_memory_equal(plain, other, 16);
    rule.attribute = "service_date";
    mapping_fingerprint(&spec, other);
    assert_memory_not_equal(plain, other, 16);
}

static void a_sites_own_rules_get_names_of_their_own(void **state) {
    (void)state;
    MappingSpec spec = spec_of("claims", CLAIMS);
    RuleSpec rules[] = {
        {.name = "small_claim", .entity = "claims", .check = "claim_amount >= 25"},
        {.name = "late_claim", .entity = "claims", .check = "claim_date <= service_date + 90"},
        {.name = "elsewhere", .entity = "patients", .check = "last_name is not null"},
    };
    spec.rules = rules;
    spec.n_rules = 3;
    Mapping *mapping = compile(&spec);
    const char *row[] = {"C1", "2024-01-01", "2024-07-21", "24.99", "11", "Paid", "0", "\\N", "\\N", NULL};
    Record record = clean(mapping, &spec, row);
    assert_flags(mapping, &record, "small_claim late_claim");
    assert_int_equal(record.flags, UINT64_C(3) << FLAG_SITE);
    assert_null(mapping_flag_name(mapping, FLAG_SITE + 2));
}

static void a_check_on_columns_that_are_not_mapped_flags_nothing(void **state) {
    (void)state;
    MappingSpec spec = spec_of("patients", (const char *[]){"source_patient_id=ID", "last_name=Last", NULL});
    Mapping *mapping = compile(&spec);
    Record record = clean(mapping, &spec, (const char *[]){"1", "Lee", NULL});
    assert_flags(mapping, &record, ""); /* first names are unknown to this source altogether */
}

static void a_provider_is_unchecked_until_the_registry_was_asked(void **state) {
    (void)state;
    MappingSpec spec = spec_of("providers", (const char *[]){"source_provider_id=ID", "npi=NPI", NULL});
    Mapping *mapping = compile(&spec);
    Record good = clean(mapping, &spec, (const char *[]){"1", "1234567893", NULL});
    assert_text(good, "npi_status", "unchecked");
    assert_flags(mapping, &good, "");
    Record bad = clean(mapping, &spec, (const char *[]){"1", "1234567890", NULL});
    assert_text(bad, "npi", "1234567890");
    assert_text(bad, "npi_status", "bad_check_digit");
    assert_flags(mapping, &bad, "npi_check_digit");
    Record cut = clean(mapping, &spec, (const char *[]){"1", "12345", NULL});
    assert_null_value(cut, "npi");
    assert_text(cut, "npi_status", "bad_check_digit");
}

typedef struct Heard {
    int n, line, column;
    char text[2000];
} Heard;

static void hear(void *context, int line, int column, const char *sentence) {
    Heard *heard = context;
    heard->n++;
    heard->line = line;
    heard->column = column;
    strcat(heard->text, sentence);
    strcat(heard->text, "\n");
}

static void every_mistake_is_named_with_its_mend(void **state) {
    (void)state;
    static const struct {
        const char *column, *sentence;
        int line;
    } CASES[] = {
        {"frist_name=F", "unknown column `frist_name` of entity patients, did you mean `first_name`?\n", 7},
        {"patient_key=K", "column `patient_key` of entity patients is kept by the daemon and cannot be mapped\n", 7},
        {"first_name=F|propper_case", "unknown cleaner `propper_case`, did you mean `proper_case`?\n", 8},
        {"first_name=F|upper now", "cleaner `upper` takes no argument: capital letters\n", 8},
        {"birth_date=F|date MM/DD/YY",
         "`MM/DD/YY` is no date format: it needs YYYY, MM or MON, and DD, each once, as in \"MM/DD/YYYY\"\n", 8},
        {"birth_date=F|date|trim",
         "cleaner `trim` works on text and must stand before the one that reads the value\n", 8},
        {"first_name=F|date", "the last cleaner of `first_name` does not make what the column holds, use `text`\n", 7},
        {"first_name=F|us_address", "`us_address` fills address, city, state and zip, not `first_name`\n", 8},
        {"phone=F|phone UK", "`phone` takes US, CA or a calling code such as \"+44\", not `UK`\n", 8},
        {"source_patient_id=ID2", "column `source_patient_id` is mapped twice\n", 7},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        MappingSpec spec = spec_of("patients", (const char *[]){"source_patient_id=ID", CASES[i].column, NULL});
        Heard heard = {0};
        assert_false(mapping_check(&spec, hear, &heard));
        assert_string_equal(heard.text, CASES[i].sentence);
        assert_int_equal(heard.line, CASES[i].line);
    }
    MappingSpec spec = spec_of("patients", (const char *[]){"frist_name=F", "birth_date=B|dat", NULL});
    spec.rules = (RuleSpec[]){{.name = "mine", .check = "first_nam is null", .line = 9}, {.name = "other"}};
    spec.n_rules = 2;
    Heard heard = {0};
    assert_false(mapping_check(&spec, hear, &heard));
    assert_int_equal(heard.n, 5); /* two columns, the missing id, two rules: all at once */
    assert_non_null(strstr(heard.text, "rule `mine`: check \"first_nam is null\": unknown column `first_nam` "
                                       "of entity patients, did you mean `first_name`?"));
    assert_non_null(strstr(heard.text, "rule `other` is not built in and needs a `check:`"));
    assert_non_null(strstr(heard.text, "needs `source_patient_id`, the row's own id"));
}

static void a_column_the_source_lacks_is_named(void **state) {
    (void)state;
    MappingSpec spec = spec_of("departments", (const char *[]){"source_department_id=DeptID", "name=Nmae", NULL});
    Field fields[] = {{.name = "DeptID"}, {.name = "Name"}};
    Error err = {0};
    assert_null(mapping_compile(arena, &spec, fields, 2, zone_utc(), &err));
    assert_string_equal(err.state, STATE_CONFIG);
    assert_string_equal(err.text,
                        "the source has no column `Nmae`, from which `name` is mapped, did you mean `Name`?");
}

static void ids_are_folded_only_where_the_collation_folds(void **state) {
    (void)state;
    MappingSpec spec = spec_of("departments", (const char *[]){"source_department_id=ID", "name=Name", NULL});
    Field fields[] = {{.name = "ID"}, {.name = "Name"}};
    Error err = {0};
    Mapping *exact = mapping_compile(arena, &spec, fields, 2, zone_utc(), &err);
    Str row[] = {STR(" abc "), STR("x")};
    assert_str(mapping_id(exact, row, arena), "abc");
    fields[0].folds_case = true;
    Mapping *folded = mapping_compile(arena, &spec, fields, 2, zone_utc(), &err);
    assert_str(mapping_id(folded, row, arena), "ABC");
    assert_str(mapping_fold_id(exact, STR("abc"), arena), "abc");
    assert_str(mapping_fold_id(folded, STR("abc"), arena), "ABC");
}

static void an_id_of_several_columns_comes_from_no_one_field(void **state) {
    (void)state;
    MappingSpec spec = spec_of("departments", (const char *[]){"name=Name", "source_department_id=Site", NULL});
    assert_int_equal(mapping_id_field(compile(&spec)), 1);
    const char *from[] = {"Site", "Name"};
    MapSpec maps[] = {spec.columns[0], {.column = "source_department_id", .from = from, .n_from = 2}};
    spec.columns = maps;
    assert_int_equal(mapping_id_field(compile(&spec)), -1);
}

static void a_folded_reference_keeps_its_spelling(void **state) {
    (void)state;
    MappingSpec spec =
        spec_of("transactions", (const char *[]){"source_transaction_id=ID", "source_payer_id=Payer", NULL});
    int payer = entity_column(spec.entity, STR("source_payer_id"));
    Field fields[] = {{.name = "ID"}, {.name = "Payer", .folds_case = true}};
    Error err = {0};
    Mapping *folded = mapping_compile(arena, &spec, fields, 2, zone_utc(), &err);
    assert_int_equal(mapping_folded_field(folded, payer), 1);
    assert_str(mapping_spelling(folded, payer, (Str[]){STR("T1"), STR(" Zenith Health ")}, arena), "Zenith Health");
    assert_str(mapping_spelling(folded, payer, (Str[]){STR("T1"), STR_NULL}, arena), NULL);
    assert_int_equal(mapping_folded_field(folded, entity_column(spec.entity, STR("source_encounter_id"))), -1);
    fields[1].folds_case = false;
    assert_int_equal(mapping_folded_field(mapping_compile(arena, &spec, fields, 2, zone_utc(), &err), payer), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_patient_is_cleaned_by_the_defaults_of_its_columns),
        cmocka_unit_test(what_cannot_be_read_is_null_and_flagged),
        cmocka_unit_test(what_is_simply_missing_is_not_flagged),
        cmocka_unit_test(a_row_without_an_id_is_rejected),
        cmocka_unit_test(a_claim_gets_its_status_coverage_and_flags),
        cmocka_unit_test(an_unreadable_amount_goes_to_quarantine_unless_a_rule_says_otherwise),
        cmocka_unit_test(a_configured_rule_changes_the_severity_of_a_built_in_one),
        cmocka_unit_test(kinds_of_rules_over_one_row_are_checks_and_others_are_passed_over),
        cmocka_unit_test(a_rule_that_looks_at_no_single_row_leaves_the_mapping_as_it_is),
        cmocka_unit_test(a_sites_own_rules_get_names_of_their_own),
        cmocka_unit_test(a_check_on_columns_that_are_not_mapped_flags_nothing),
        cmocka_unit_test(a_provider_is_unchecked_until_the_registry_was_asked),
        cmocka_unit_test(every_mistake_is_named_with_its_mend),
        cmocka_unit_test(a_column_the_source_lacks_is_named),
        cmocka_unit_test(ids_are_folded_only_where_the_collation_folds),
        cmocka_unit_test(an_id_of_several_columns_comes_from_no_one_field),
        cmocka_unit_test(a_folded_reference_keeps_its_spelling),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
