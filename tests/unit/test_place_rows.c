#include "in_arena.h"

#include "base/own.h"
#include "steps/place_rows.h"
#include "steps/plan.h"
#include "transform/entity.h"

/* Were it told on the thread that prepares, both it and the run's would find that there is nothing yet, and make it: the first
 * page of a file remembered its claims where the others did not look. */
static void what_a_plan_remembers_is_told_when_a_page_is_placed_and_not_while_it_is_prepared(void **state) {
    (void)state;
    CLEANUP(plan_drop) Plan *plan = plan_open();
    RunContext run = {.plan = plan};
    PlaceFeed feed = {.run = &run, .entity = entity_find(STR("claims"))};
    RawRows first = {.n_rows = 0}, second = {.n_rows = 0};
    second.prepared = place_prepare(&feed, &second, arena);
    assert_null(second.prepared->memory);
    const SilverPage *placed = place_rows_page(&feed, &first, arena);
    assert_non_null(placed->memory);
    assert_ptr_equal(place_rows_page(&feed, &second, arena)->memory, placed->memory);
    assert_ptr_equal(place_new_page(&feed, 1, arena)->memory, placed->memory);
}

static void nothing_is_remembered_but_claims_and_by_a_plan(void **state) {
    (void)state;
    CLEANUP(plan_drop) Plan *plan = plan_open();
    RunContext plans = {.plan = plan}, places = {.plan = NULL};
    RawRows rows = {.n_rows = 0};
    PlaceFeed others = {.run = &plans, .entity = entity_find(STR("patients"))};
    PlaceFeed claims = {.run = &places, .entity = entity_find(STR("claims"))};
    assert_null(place_rows_page(&others, &rows, arena)->memory);
    assert_null(place_rows_page(&claims, &rows, arena)->memory);
    assert_null(place_new_page(&claims, 1, arena)->memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_plan_remembers_is_told_when_a_page_is_placed_and_not_while_it_is_prepared),
        cmocka_unit_test(nothing_is_remembered_but_claims_and_by_a_plan),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
