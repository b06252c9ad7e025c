/* Checks over rows, and the columns that are derived from others. */
#include "in_arena.h"

#include "base/own.h"
#include "transform/date.h"
#include "transform/derive.h"
#include "transform/rule.h"
#include "transform/rule_spec.h"

static const Entity *claims;
static Value row[ENTITY_COLUMNS_MAX];

static int open_claims(void **state) {
    claims = entity_find(STR("claims"));
    return open_arena(state);
}

static void set(const char *column, Value value) { row[entity_column(claims, str_of(column))] = value; }

/* 100.00 claimed, 40.00 paid, deductible unknown; served on 2024-01-10, claimed on 2024-01-12. */
static void set_row(void) {
    memset(row, 0, sizeof row);
    set("claim_amount", value_number(10000));
    set("paid_amount", value_number(4000));
    set("coverage_percent", value_number(4000));
    set("service_date", value_number(19732));
    set("claim_date", value_number(19734));
    set("claim_status", value_text(STR("Paid")));
    set("payer_type", value_text(STR("")));
    set("source_modified_at", value_number(INT64_C(1704067200000000))); /* 2024-01-01T00:00:00Z */
    set("line", value_number(7));
    set("source_claim_id", value_text(STR("007")));
    set("source_encounter_id", value_text(STR("2024-02-29")));
    set("source_provider_id", value_text(STR("1234567893"))); /* the example of CMS's own requirements */
    set("source_transaction_id", value_text(STR("1234567890"))); /* the same with another check digit */
    set("source_department_id", value_text(STR("O'Hare's")));
}

static const Check *check_of(const char *text) {
    Error err = {0};
    const Check *check = check_compile(arena, claims, text, &err);
    if (!check)
        fail_msg("%s", err.text);
    return check;
}

static void a_row_breaks_a_check_that_is_false(void **state) {
    (void)state;
    static const struct {
        const char *check;
        bool is_broken;
    } CASES[] = {
        {"claim_date >= service_date", false}, {"claim_date < service_date", true},
        {"claim_date = service_date", true}, {"claim_date <> service_date", false},
        {"claim_date <= service_date + 1", true}, {"claim_date <= service_date + 2", false},
        {"claim_date - service_date = 2", false}, {"claim_date - 2 = service_date", false},
        {"paid_amount <= claim_amount", false}, {"paid_amount + 60 = claim_amount", false},
        {"paid_amount + 60.01 = claim_amount", true}, {"claim_amount - paid_amount = 60", false},
        {"claim_amount > 100", true}, {"claim_amount > 99.99", false}, {"100 >= claim_amount", false},
        {"claim_amount >= -5", false}, {"coverage_percent = 40", false}, {"coverage_percent < 39.5", true},
        {"line = 7", false}, {"line + 1 <= 7", true}, {"1 < 2", false}, {"2 < 1", true}, {"1 + 1 = 2", false},
        {"'a' < 'b'", false}, {"claim_status = 'Paid'", false}, {"claim_status != 'Paid'", true},
        {"claim_status = 'paid'", true}, {"claim_status < 'Pb'", false},
        {"claim_status in ('Denied', 'Paid')", false}, {"claim_status in ('Denied')", true},
        {"claim_status not in ('Denied', 'Rejected')", false}, {"claim_status not in ('Paid')", true},
        {"line in (1, 7)", false}, {"claim_date in ('2024-01-12')", false},
        {"claim_date > '2024-01-11'", false}, {"claim_date > '2024-01-12'", true},
        {"source_modified_at >= '2024-01-01'", false}, {"source_modified_at > '2024-01-01 00:00:00'", true},
        {"source_modified_at < '2024-01-01T01:00:00+02:00'", true},
        {"payer_type = ''", false},
        {"deductible is null", false}, {"deductible is not null", true}, {"claim_amount is null", true},
        {"deductible > 5", false}, {"not deductible > 5", false}, /* unknown both ways */
        {"deductible in (1, 2)", false}, {"deductible not in (1, 2)", false},
        {"deductible + 1 > claim_amount", false},
        {"deductible > 5 and claim_amount > 5", false}, {"deductible > 5 and claim_amount < 5", true},
        {"deductible > 5 or claim_amount < 5", false}, {"claim_amount < 5 or paid_amount < 5", true},
        {"claim_amount < 5 or paid_amount > 5", false}, {"not claim_amount > 5", true},
        {"claim_amount < 5 and paid_amount < 5 or line = 7", false},
        {"claim_amount < 5 and (paid_amount < 5 or line = 7)", true},
        {"not (claim_amount > 5 and deductible > 5)", false}, {"not (deductible > 5 and claim_amount > 5)", false},
        {"not (claim_amount < 5 or deductible > 5)", false}, {"not (deductible > 5 or claim_amount < 5)", false},
        {"claim_amount < 5 or deductible > 5", false}, {"deductible > 5 or false", false},
        {"line in (1, 2)", true}, {"line not in (1, 7)", true}, {"claim_amount in (100.00, 5)", false},
        {"NOT (claim_amount > 5 AND line = 7)", true}, {"true", false}, {"false", true},
        {"not not line = 7", false}, {"(((line)))=7", false}, {"line=7", false},
        {"claim_status matches 'P[a-z]+'", false}, {"claim_status matches 'P'", true},
        {"claim_status not matches '^.{4}$'", true}, {"claim_status not matches 'x'", false},
        {"payer_type matches ''", false}, {"source_patient_id matches 'x'", false}, /* unknown */
        {"source_patient_id not matches 'x'", false}, {"source_patient_id is npi", false},
        {"source_claim_id is whole_number", false}, {"source_claim_id is not whole_number", true},
        {"source_claim_id is decimal", false}, {"claim_status is decimal", true}, {"source_claim_id is date", true},
        {"source_encounter_id is date", false}, {"source_encounter_id is decimal", true},
        {"source_provider_id is npi", false}, {"source_department_id is npi", true}, {"source_transaction_id is npi", true},
        {"source_transaction_id is whole_number", false}, {"source_transaction_id is date", true},
        {"source_department_id = 'O''Hare''s'", false}, {"source_department_id <> 'O''Hare''s'", true},
        {"source_department_id in ('', 'O''Hare''s')", false}, {"source_department_id <> ''''", false},
    };
    set_row();
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        if (check_is_broken(check_of(CASES[i].check), row) != CASES[i].is_broken)
            fail_msg("%s", CASES[i].check);
}

/* In place, and on the stack because of a sum; with a column and with a literal on the right. */
static void every_comparison_of_numbers_is_what_it_says(void **state) {
    (void)state;
    static const char *const SIGNS[] = {"=", "<>", "!=", "<", "<=", ">", ">="};
    static const struct {
        const char *left, *right;
    } FORMS[] = {{"paid_amount", "claim_amount"}, {"paid_amount", "claim_amount + 0"}, {"paid_amount + 0", "claim_amount"},
                 {"paid_amount", "0.02"}, {"paid_amount + 0", "0.02"}};
    for (int i = 0; i < 7 * 5 * 16; i++) {
        int left = i % 4, right = i / 4 % 4, form = i / 16 % 5, sign = i / 80;
        set_row();
        set("paid_amount", left ? value_number(left) : VALUE_NULL);
        set("claim_amount", right ? value_number(right) : VALUE_NULL);
        int to = form >= 3 ? 2 : right;
        bool holds[] = {left == to, left != to, left != to, left < to, left <= to, left > to, left >= to};
        const char *check = arena_printf(arena, "%s %s %s", FORMS[form].left, SIGNS[sign], FORMS[form].right);
        if (check_is_broken(check_of(check), row) != (left && to && !holds[sign]))
            fail_msg("%s, of %d and %d", check, left, right);
    }
}

static void a_sum_beyond_64_bits_is_unknown(void **state) {
    (void)state;
    set_row();
    set("line", value_number(INT64_MAX));
    assert_false(check_is_broken(check_of("line + 1 < 0"), row));
    assert_false(check_is_broken(check_of("line + 1 > 0"), row));
}

static void a_mistake_is_a_sentence(void **state) {
    (void)state;
    static const char *const CASES[][2] = {
        {"claim_dat >= service_date", "check \"claim_dat >= service_date\": unknown column `claim_dat` of entity claims, did you mean `claim_date`?"},
        {"claim_date >= claim_amount", "check \"claim_date >= claim_amount\" compares date and money, which do not go together"},
        {"claim_status + 1 = 2", "check \"claim_status + 1 = 2\": `1` is no text"},
        {"claim_date + claim_date = 1", "check \"claim_date + claim_date = 1\" adds date and date, which do not go together"},
        {"claim_date >", "check \"claim_date >\" ends where a column or a value is expected"},
        {"claim_date", "check \"claim_date\": a condition is expected, not date"},
        {"claim_amount > 1 claim_date", "check \"claim_amount > 1 claim_date\": its end is expected at `claim_date`"},
        {"(claim_amount > 1", "check \"(claim_amount > 1\" ends where ) is expected"},
        {"claim_amount > 1.x", "check \"claim_amount > 1.x\": its end is expected at `x`"},
        {"claim_amount > 'much'", "check \"claim_amount > 'much'\": `much` is no money"},
        {"claim_date > '2024-02-30'", "check \"claim_date > '2024-02-30'\": `2024-02-30` is no date"},
        {"line > 1.5", "check \"line > 1.5\": `1.5` is no whole number"},
        {"payment_status = 'Paid' and patient_key > 1", "check \"payment_status = 'Paid' and patient_key > 1\": `patient_key` is not known from one row alone"},
        {"claim_status is paid", "check \"claim_status is paid\": `null` or a form is expected at `paid`"},
        {"claim_status not 'x'", "check \"claim_status not 'x'\": `in` or `matches` is expected at `'x'`"},
        {"claim_date matches '2024'", "check \"claim_date matches '2024'\": only a column of text matches a pattern"},
        {"claim_date is date", "check \"claim_date is date\": only a column of text has a form; the others have their type already"},
        {"claim_status matches", "check \"claim_status matches\" ends where a 'pattern' is expected"},
        {"claim_status matches '(a'", "check \"claim_status matches '(a'\": '(a' is no pattern: a ( is not closed"},
        {"line + 1 in (2)", "check \"line + 1 in (2)\": only a column can be `in` a list"},
        {"claim_status = 'x", "check \"claim_status = 'x\": a column or a value is expected at `'`"},
        {"claim_amount ? 1", "check \"claim_amount ? 1\": its end is expected at `?`"},
        {"", "check \"\" ends where a column or a value is expected"},
        {"1 = 'a'", "check \"1 = 'a'\": `a` is no whole number"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Error err = {0};
        assert_null(check_compile(arena, claims, CASES[i][0], &err));
        assert_string_equal(err.state, STATE_CONFIG);
        assert_string_equal(err.text, CASES[i][1]);
    }
}

static void a_check_without_end_is_refused_not_overrun(void **state) {
    (void)state;
    char text[4000];
    static const char *const PIECES[] = {"(", "not ", "1 = 1 and ", "1 + ", "line = 1 or (", "line in (1,"};
    for (size_t i = 0; i < sizeof PIECES / sizeof *PIECES; i++) {
        text[0] = '\0';
        while (strlen(text) + 20 < sizeof text)
            strcat(text, PIECES[i]);
        strcat(text, "1 = 1");
        Error err = {0};
        assert_null(check_compile(arena, claims, text, &err));
        assert_string_equal(err.state, STATE_CONFIG);
    }
}

/* What people read of a rule whose configuration says nothing. */
static void every_kind_of_rule_has_a_sentence(void **state) {
    (void)state;
    static const char *const COLUMNS[] = {"first_name", "last_name"}, *const VALUES[] = {"Paid", "O'Hare"};
    enum { SECOND_MS = 1000, MINUTE_MS = 60000, HOUR_MS = 3600000 };
    static const struct {
        RuleSpec rule;
        const char *sentence;
    } CASES[] = {
        {{.kind = RULE_CHECK, .check = "claim_date >= service_date"}, "claim_date >= service_date"},
        {{.kind = RULE_CHECK, .name = "as_built_in"}, "as_built_in"},
        {{.kind = RULE_NOT_NULL, .attribute = "zip"}, "zip is not null"},
        {{.kind = RULE_TYPE, .attribute = "zip", .form = "whole_number"}, "zip is whole_number"},
        {{.kind = RULE_RANGE, .entity = "claims", .attribute = "paid_amount", .min = "0", .max = "9.5"},
         "paid_amount >= 0 and paid_amount <= 9.5"},
        {{.kind = RULE_RANGE, .entity = "claims", .attribute = "claim_date", .max = "2020-12-31"}, "claim_date <= '2020-12-31'"},
        {{.kind = RULE_PATTERN, .attribute = "zip", .pattern = "[0-9]{5}"}, "zip matches '[0-9]{5}'"},
        {{.kind = RULE_LIST, .entity = "claims", .attribute = "claim_status", .values = VALUES, .n_values = 2},
         "claim_status in ('Paid', 'O''Hare')"},
        {{.kind = RULE_UNIQUE, .columns = COLUMNS, .n_columns = 2}, "no two rows of a source have the same first_name, last_name"},
        {{.kind = RULE_REFERENCE, .attribute = "source_patient_id", .references = "patients"},
         "source_patient_id names a row of patients that is there"},
        {{.kind = RULE_CROSS_ROW, .columns = COLUMNS, .n_columns = 1, .total = "count", .compare = "<=", .limit = "2"},
         "of the rows with the same first_name, count(*) <= 2"},
        {{.kind = RULE_CROSS_ROW, .columns = COLUMNS, .n_columns = 2, .total = "sum", .attribute = "paid_amount", .compare = "<",
          .other = "transactions.amount"}, "of the rows with the same first_name, last_name, sum(paid_amount) < transactions.amount"},
        {{.kind = RULE_CROSS_TABLE, .attribute = "service_date", .compare = ">=", .other = "patients.birth_date"},
         "service_date >= patients.birth_date"},
        {{.kind = RULE_FRESHNESS, .feed = "a.b", .within_ms = SECOND_MS}, "the newest change of a.b is not older than 1 s"},
        {{.kind = RULE_FRESHNESS, .feed = "a.b", .within_ms = 90 * SECOND_MS}, "the newest change of a.b is not older than 90 s"},
        {{.kind = RULE_FRESHNESS, .feed = "a.b", .within_ms = 90 * MINUTE_MS}, "the newest change of a.b is not older than 90 min"},
        {{.kind = RULE_FRESHNESS, .feed = "a.b", .within_ms = 26 * HOUR_MS}, "the newest change of a.b is not older than 26 h"},
        {{.kind = RULE_FRESHNESS, .feed = "a.b", .within_ms = 48 * HOUR_MS}, "the newest change of a.b is not older than 2 d"},
        {{.kind = RULE_FRESHNESS, .feed = "a.b", .within_ms = 1500}, "the newest change of a.b is not older than 1500 ms"},
        {{.kind = RULE_VOLUME, .feed = "a.b", .percent = 50, .runs = 3},
         "a run of a.b brings between 50 % less and 50 % more rows than the median of its last 3"},
        {{.kind = RULE_UNIQUE, .says = "one of each"}, "one of each"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_string_equal(rule_spec_sentence(arena, &CASES[i].rule), CASES[i].sentence);
}

/* Any text is a check or a sentence, and any check runs on any row. */
static void random_checks_do_no_harm(void **state) {
    (void)state;
    static const char *const WORDS[] = {
        "claim_amount", "claim_date", "claim_status", "deductible", "line", "1", "2.5", "'x'", "'2024-01-01'",
        "=", "<", ">=", "+", "-", "(", ")", "and", "or", "not", "is", "null", "in", ",", "true", "@", "'",
    };
    uint32_t seed = 3;
    int n_compiled = 0;
    set_row();
    ArenaMark mark = arena_mark(arena);
    for (int round = 0; round < 100000; round++) {
        char text[300] = "";
        seed = seed * 1664525 + 1013904223;
        for (uint32_t n = (seed >> 16) % 12; n > 0; n--) {
            seed = seed * 1664525 + 1013904223;
            strcat(text, WORDS[(seed >> 8) % (sizeof WORDS / sizeof *WORDS)]);
            strcat(text, " ");
        }
        Error err = {0};
        const Check *check = check_compile(arena, claims, text, &err);
        assert_true(check || err.text[0]);
        if (check)
            n_compiled += 1 + check_is_broken(check, row);
        arena_rewind(arena, mark);
    }
    assert_true(n_compiled > 100);
}

/* ---- derived columns ---- */

#define NONE INT64_MIN
static Value money(int64_t cents) { return cents == NONE ? VALUE_NULL : value_number(cents); }

static void a_claims_payment_status_follows_the_model(void **state) {
    (void)state;
    static const struct {
        const char *status;
        int64_t claimed, paid, deductible, coinsurance, copay;
        const char *expected;
    } CASES[] = {
        {"Denied", 100, 100, 0, 0, 0, "Denied"}, {"Rejected", 100, 100, 0, 0, 0, "Denied"},
        {"Pending", 100, 100, 0, 0, 0, "Pending"}, {"Paid", 100, 100, 0, 0, 0, "Paid"},
        {"Paid", 100, 99, 0, 0, 0, "Partial"}, {"Paid", 100, 94, 1, 2, 3, "Paid"},
        {"Paid", 100, 93, 1, 2, 3, "Partial"}, {"Approved", 100, 93, NONE, NONE, 7, "Paid"},
        {"Paid", 100, 0, 0, 0, 0, "Pending"}, {"Paid", 100, -5, 0, 0, 0, "Pending"},
        {"Paid", 100, 0, 100, 0, 0, "Paid"}, {"In Limbo", 100, 50, 0, 0, 0, "Partial"},
        {NULL, 100, 50, 0, 0, 0, "Partial"}, {"Paid", NONE, 50, 0, 0, 0, "Pending"},
        {"Paid", 100, NONE, 0, 0, 0, "Pending"}, {"Denied", NONE, NONE, NONE, NONE, NONE, "Denied"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        ClaimAmounts claim = {value_text(str_of(CASES[i].status)), money(CASES[i].claimed), money(CASES[i].paid),
                              money(CASES[i].deductible), money(CASES[i].coinsurance), money(CASES[i].copay)};
        assert_str(derive_claim_status(&claim), CASES[i].expected);
    }
}

static void a_transactions_payment_status_follows_the_model(void **state) {
    (void)state;
    static const struct {
        int64_t amount, paid;
        bool is_denied;
        const char *status;
    } CASES[] = {
        {100, 100, false, "Paid"},    {100, 101, true, "Paid"},     {100, 1, false, "Partial"},
        {100, 1, true, "Partial"},    {100, 0, false, "Pending"},   {100, 0, true, "Denied"},
        {100, -5, true, "Denied"},    {0, 0, true, "Pending"},      {-1, 5, true, "Pending"},
        {NONE, 5, true, "Pending"},   {5, NONE, true, "Pending"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_str(derive_transaction_status(money(CASES[i].amount), money(CASES[i].paid), CASES[i].is_denied),
                   CASES[i].status);
}

static Value day(int year, int month, int day_of_month) {
    return value_number(date_to_days((CivilDate){year, month, day_of_month}));
}

static void an_age_is_in_whole_years_and_null_beyond_a_life(void **state) {
    (void)state;
    bool is_out = true;
    assert_int_equal(derive_age(day(1980, 2, 29), day(2024, 2, 28), &is_out).number, 43);
    assert_int_equal(derive_age(day(1980, 2, 29), day(2023, 2, 28), &is_out).number, 42);
    assert_int_equal(derive_age(day(1980, 2, 29), day(2023, 3, 1), &is_out).number, 43);
    assert_int_equal(derive_age(day(2000, 5, 5), day(2000, 5, 5), &is_out).number, 0);
    assert_int_equal(derive_age(day(1900, 12, 31), day(2021, 12, 30), &is_out).number, 120);
    assert_false(is_out);
    assert_false(derive_age(day(1900, 12, 31), day(2021, 12, 31), &is_out).is_set);
    assert_true(is_out);
    assert_false(derive_age(day(2000, 5, 5), day(2000, 5, 4), &is_out).is_set);
    assert_true(is_out);
    assert_false(derive_age(VALUE_NULL, day(2000, 5, 4), &is_out).is_set);
    assert_false(derive_age(day(2000, 5, 4), VALUE_NULL, &is_out).is_set);
    assert_false(is_out);
}

static void coverage_is_rounded_half_away_and_null_without_a_claim(void **state) {
    (void)state;
    assert_int_equal(derive_coverage(money(68031), money(53850)).number, 7916);
    assert_int_equal(derive_coverage(money(10000), money(10000)).number, 10000);
    assert_int_equal(derive_coverage(money(800), money(1)).number, 13);    /* 0.125 */
    assert_int_equal(derive_coverage(money(800), money(-1)).number, -13);
    assert_int_equal(derive_coverage(money(-800), money(1)).number, -13);
    assert_int_equal(derive_coverage(money(INT64_C(99999999999999)), money(INT64_C(99999999999999))).number, 10000);
    assert_int_equal(derive_coverage(money(1), money(999)).number, 9990000);
    assert_false(derive_coverage(money(1), money(1000)).is_set); /* beyond numeric(7,2) */
    assert_false(derive_coverage(money(0), money(1)).is_set);
    assert_false(derive_coverage(money(NONE), money(1)).is_set);
    assert_false(derive_coverage(money(1), money(NONE)).is_set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_breaks_a_check_that_is_false),
        cmocka_unit_test(every_comparison_of_numbers_is_what_it_says),
        cmocka_unit_test(a_sum_beyond_64_bits_is_unknown),
        cmocka_unit_test(a_mistake_is_a_sentence),
        cmocka_unit_test(a_check_without_end_is_refused_not_overrun),
        cmocka_unit_test(every_kind_of_rule_has_a_sentence),
        cmocka_unit_test(random_checks_do_no_harm),
        cmocka_unit_test(a_claims_payment_status_follows_the_model),
        cmocka_unit_test(a_transactions_payment_status_follows_the_model),
        cmocka_unit_test(an_age_is_in_whole_years_and_null_beyond_a_life),
        cmocka_unit_test(coverage_is_rounded_half_away_and_null_without_a_claim),
    };
    return cmocka_run_group_tests(tests, open_claims, close_arena);
}
