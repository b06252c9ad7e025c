/* What both sides must agree on: one list of names, in either side's SQL and in the ledger. */
#include "test.h"

#include "base/own.h"
#include "storage/sums.h"

static const Entity *transactions(void) { return entity_find(STR("transactions")); }

static void rows_and_keys_come_first_then_every_amount(void **state) {
    (void)state;
    for (int i = 0; i < N_ENTITIES; i++) {
        const char *names[SUMS_MAX];
        int n = sums_names(&ENTITIES[i], names), n_amounts = 0;
        assert_string_equal(names[0], "rows");
        assert_string_equal(names[1], "keys");
        for (int c = 0; c < ENTITIES[i].n_columns; c++)
            n_amounts += ENTITIES[i].columns[c].type == TYPE_MONEY;
        assert_int_equal(n, 2 + n_amounts); /* none is cut off by SUMS_MAX */
    }
}

static void both_sides_are_asked_for_the_same_in_the_same_order(void **state) {
    (void)state;
    CLEANUP(arena_drop) Arena *arena = arena_open();
    assert_string_equal(sums_pg_list(arena, transactions()),
                        "count(*), coalesce(sum(v.\"transaction_key\" % 1000000007), 0)::bigint, "
                        "coalesce(sum(v.\"amount\") * 100, 0)::bigint, "
                        "coalesce(sum(v.\"paid_amount\") * 100, 0)::bigint");
    assert_string_equal(sums_bigquery_list(arena, transactions()),
                        "COUNT(*), COALESCE(SUM(MOD(T.transaction_key, 1000000007)), 0), "
                        "CAST(COALESCE(SUM(T.amount), 0) * 100 AS INT64), "
                        "CAST(COALESCE(SUM(T.paid_amount), 0) * 100 AS INT64)");
}

static void one_cent_is_a_difference_and_what_follows_the_last_sum_is_none(void **state) {
    (void)state;
    Sums a = {{3, 60, 125, 25}}, b = a;
    b.values[SUMS_MAX - 1] = 1;
    assert_true(sums_agree(transactions(), &a, &b));
    b.values[3]++;
    assert_false(sums_agree(transactions(), &a, &b));
}

static void parts_add_up(void **state) {
    (void)state;
    Sums total = {{1, 10, 100}}, part = {{2, 20, -1}};
    sums_add(&total, &part);
    assert_int_equal(total.values[0], 3);
    assert_int_equal(total.values[1], 30);
    assert_int_equal(total.values[2], 99);
}

static void what_the_ledger_keeps_is_read_back(void **state) {
    (void)state;
    Sums sums = {{3, 1000000006, -125, INT64_C(1) << 53}}, found = {{0}};
    json_t *object = sums_json(transactions(), &sums);
    assert_true(sums_read(object, transactions(), &found));
    assert_memory_equal(&found, &sums, sizeof sums);
    json_decref(object);
    json_t *none = json_null();
    assert_false(sums_read(none, transactions(), &found));
    assert_memory_equal(&found, &sums, sizeof sums);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_and_keys_come_first_then_every_amount),
        cmocka_unit_test(both_sides_are_asked_for_the_same_in_the_same_order),
        cmocka_unit_test(one_cent_is_a_difference_and_what_follows_the_last_sum_is_none),
        cmocka_unit_test(parts_add_up),
        cmocka_unit_test(what_the_ledger_keeps_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
