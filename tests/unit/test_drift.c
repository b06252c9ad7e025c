/* What the contract says to a table that is not what was agreed. */
#include "test.h"

#include "transform/drift.h"

#include <stdio.h>

#define NAMES(...) ((const char *const[]){__VA_ARGS__})
#define SHAPE(key, n_columns, names_, types_) \
    ((TableShape){.names = names_, .types = types_, .n = n_columns, .primary_key = key})

static Arena *arena;
static const DriftContract EVOLVE = {CONTRACT_EVOLVE, CONTRACT_EVOLVE, CONTRACT_EVOLVE};
static const DriftContract FREEZE = {CONTRACT_FREEZE, CONTRACT_FREEZE, CONTRACT_FREEZE};
static const DriftContract DISCARD = {CONTRACT_DISCARD, CONTRACT_DISCARD, CONTRACT_DISCARD};

static TableShape agreed(void) {
    static const char *const COLUMNS[] = {"id", "a", "b"}, *const TYPES[] = {"int", "varchar(9)", "date"};
    return SHAPE("id", 3, COLUMNS, TYPES);
}

/* `a` is mapped. */
static DriftAnswer judge(TableShape seen, DriftContract contract) {
    TableShape before = agreed();
    DriftAnswer answer;
    drift_judge(arena, &(DriftQuestion){.agreed = &before, .seen = &seen, .contract = contract,
                                        .needed = NAMES("id", "a"), .n_needed = 2, .key_is_unique = true}, &answer);
    return answer;
}

static void assert_read(const DriftAnswer *answer, const char *names) {
    char list[100] = "";
    for (size_t i = 0; i < answer->n_names; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? " " : "", answer->names[i]);
    assert_string_equal(list, names);
}

static void assert_one(const DriftAnswer *answer, DriftKind kind, DriftState state, const char *column) {
    assert_int_equal(answer->n_events, 1);
    assert_string_equal(drift_kind_name(answer->events[0].kind), drift_kind_name(kind));
    assert_string_equal(drift_state_name(answer->events[0].state), drift_state_name(state));
    assert_string_equal(answer->events[0].column, column);
    assert_int_equal(answer->is_frozen, state == DRIFT_FROZEN);
}

static void the_first_look_agrees_to_everything(void **state) {
    (void)state;
    TableShape seen = agreed();
    DriftAnswer answer;
    drift_judge(arena, &(DriftQuestion){.seen = &seen, .contract = FREEZE}, &answer);
    assert_int_equal(answer.n_events, 0);
    assert_read(&answer, "id a b");
}

static void a_column_that_only_moved_is_no_drift(void **state) {
    (void)state;
    DriftAnswer answer = judge(SHAPE("id", 3, NAMES("b", "ID", "a"), NAMES("date", "int", "varchar(9)")), FREEZE);
    assert_int_equal(answer.n_events, 0);
    assert_read(&answer, "id a b");
}

static void a_new_column_goes_by_its_contract(void **state) {
    (void)state;
    TableShape seen = SHAPE("id", 4, NAMES("id", "x", "a", "b"), NAMES("int", "int", "varchar(9)", "date"));
    DriftAnswer answer = judge(seen, EVOLVE);
    assert_one(&answer, DRIFT_ADDED, DRIFT_EVOLVED, "x");
    assert_read(&answer, "id a b x");
    assert_true(answer.has_evolved);
    answer = judge(seen, DISCARD);
    assert_one(&answer, DRIFT_ADDED, DRIFT_DISCARDED, "x");
    assert_read(&answer, "id a b");
    assert_false(answer.has_evolved);
    answer = judge(seen, FREEZE);
    assert_one(&answer, DRIFT_ADDED, DRIFT_FROZEN, "x");
}

static void a_column_that_is_mapped_never_goes_without_a_halt(void **state) {
    (void)state;
    TableShape without_a = SHAPE("id", 2, NAMES("id", "b"), NAMES("int", "date"));
    DriftContract contracts[] = {EVOLVE, FREEZE, DISCARD};
    for (int i = 0; i < 3; i++) {
        DriftAnswer answer = judge(without_a, contracts[i]);
        assert_one(&answer, DRIFT_DROPPED, DRIFT_FROZEN, "a");
    }
    TableShape without_b = SHAPE("id", 2, NAMES("id", "a"), NAMES("int", "varchar(9)"));
    DriftAnswer answer = judge(without_b, EVOLVE);
    assert_one(&answer, DRIFT_DROPPED, DRIFT_EVOLVED, "b");
    assert_read(&answer, "id a");
    answer = judge(without_b, FREEZE);
    assert_one(&answer, DRIFT_DROPPED, DRIFT_FROZEN, "b");
}

static void a_retyped_column_goes_by_its_contract(void **state) {
    (void)state;
    TableShape b_is_text = SHAPE("id", 3, NAMES("id", "a", "b"), NAMES("int", "varchar(9)", "text"));
    DriftAnswer answer = judge(b_is_text, EVOLVE);
    assert_one(&answer, DRIFT_RETYPED, DRIFT_EVOLVED, "b");
    assert_read(&answer, "id a b");
    answer = judge(b_is_text, DISCARD);
    assert_one(&answer, DRIFT_RETYPED, DRIFT_DISCARDED, "b");
    assert_read(&answer, "id a");
    TableShape a_is_short = SHAPE("id", 3, NAMES("id", "a", "b"), NAMES("int", "varchar(5)", "date"));
    answer = judge(a_is_short, DISCARD);
    assert_one(&answer, DRIFT_NARROWED, DRIFT_FROZEN, "a");
}

/* Else it would come back as a new one at the next look. */
static void a_column_left_out_when_it_was_retyped_stays_left_out(void **state) {
    (void)state;
    TableShape before = SHAPE("id", 2, NAMES("id", "a"), NAMES("int", "varchar(9)"));
    TableShape seen = SHAPE("id", 3, NAMES("id", "a", "b"), NAMES("int", "varchar(9)", "text"));
    DriftEvent standing = {.kind = DRIFT_RETYPED, .state = DRIFT_DISCARDED, .column = "b", .was = "date", .now = "text"};
    DriftQuestion question = {.agreed = &before, .seen = &seen, .standing = &standing, .n_standing = 1,
                              .contract = {CONTRACT_EVOLVE, CONTRACT_FREEZE, CONTRACT_DISCARD}, .key_is_unique = true};
    DriftAnswer answer;
    drift_judge(arena, &question, &answer);
    assert_one(&answer, DRIFT_RETYPED, DRIFT_DISCARDED, "b");
    assert_read(&answer, "id a");
    question.contract.on_retyped = CONTRACT_FREEZE; /* what was agreed to need not be agreed to again */
    drift_judge(arena, &question, &answer);
    assert_one(&answer, DRIFT_RETYPED, DRIFT_DISCARDED, "b");
    question.contract.on_retyped = CONTRACT_EVOLVE;
    drift_judge(arena, &question, &answer);
    assert_one(&answer, DRIFT_RETYPED, DRIFT_EVOLVED, "b");
    assert_read(&answer, "id a b");
}

static void another_name_is_told_as_one(void **state) {
    (void)state;
    TableShape b_is_c = SHAPE("id", 3, NAMES("id", "a", "c"), NAMES("int", "varchar(9)", "date"));
    DriftAnswer answer = judge(b_is_c, EVOLVE);
    assert_one(&answer, DRIFT_RENAMED, DRIFT_EVOLVED, "b");
    assert_read(&answer, "id a c");
    TableShape a_is_c = SHAPE("id", 3, NAMES("id", "c", "b"), NAMES("int", "varchar(9)", "date"));
    answer = judge(a_is_c, EVOLVE);
    assert_one(&answer, DRIFT_RENAMED, DRIFT_FROZEN, "a");
    /* the mapping was mended */
    TableShape before = agreed();
    drift_judge(arena, &(DriftQuestion){.agreed = &before, .seen = &a_is_c, .contract = FREEZE,
                                        .needed = NAMES("id", "c"), .n_needed = 2, .key_is_unique = true}, &answer);
    assert_one(&answer, DRIFT_RENAMED, DRIFT_EVOLVED, "a");
    assert_read(&answer, "id c b");
}

static void a_key_that_allows_doubles_halts_under_every_contract(void **state) {
    (void)state;
    TableShape before = agreed(), seen = SHAPE("a", 3, before.names, before.types);
    DriftQuestion question = {.agreed = &before, .seen = &seen, .contract = EVOLVE, .key_is_unique = true};
    DriftAnswer answer;
    drift_judge(arena, &question, &answer);
    assert_one(&answer, DRIFT_KEY, DRIFT_EVOLVED, "");
    question.key_is_unique = false;
    drift_judge(arena, &question, &answer);
    assert_one(&answer, DRIFT_KEY, DRIFT_FROZEN, "");
}

static void narrower_is_what_holds_less_of_the_same(void **state) {
    (void)state;
    static const struct {
        const char *was, *now;
        bool is_narrower;
    } CASES[] = {
        {"varchar(50) utf8mb4_general_ci", "varchar(20) utf8mb4_general_ci", true},
        {"varchar(20)", "varchar(50)", false}, {"bigint", "int", true}, {"int", "bigint unsigned", false},
        {"decimal(14,2)", "decimal(12,2)", true}, {"decimal(14,2)", "decimal(14,0)", true},
        {"decimal(14,2)", "decimal(14,4)", true}, {"decimal(14,2)", "decimal(16,4)", false},
        {"datetime(6)", "datetime", true}, {"datetime", "date", true}, {"date", "datetime(6)", false},
        {"text", "varchar(100)", true}, {"int", "varchar(20)", false}, {"json", "text", false},
        {"double", "float", true},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        if (drift_is_narrower(CASES[i].was, CASES[i].now) != CASES[i].is_narrower)
            fail_msg("%s to %s", CASES[i].was, CASES[i].now);
}

int main(void) {
    arena = arena_open();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_look_agrees_to_everything),
        cmocka_unit_test(a_column_that_only_moved_is_no_drift),
        cmocka_unit_test(a_new_column_goes_by_its_contract),
        cmocka_unit_test(a_column_that_is_mapped_never_goes_without_a_halt),
        cmocka_unit_test(a_retyped_column_goes_by_its_contract),
        cmocka_unit_test(a_column_left_out_when_it_was_retyped_stays_left_out),
        cmocka_unit_test(another_name_is_told_as_one),
        cmocka_unit_test(a_key_that_allows_doubles_halts_under_every_contract),
        cmocka_unit_test(narrower_is_what_holds_less_of_the_same),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(arena);
    return failed;
}
