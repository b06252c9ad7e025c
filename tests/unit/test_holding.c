#include "test.h"

#include "transform/holding.h"

#include <stdlib.h>

/* ---- by hand ---- */

enum { NEVER = -1 };

/* `entry` 0: usable. */
static Holding holding(int64_t entry, int64_t ordered_at, const char *period, int64_t file_id, int64_t line) {
    return (Holding){.entry = entry, .ordered_at = ordered_at == NEVER ? VALUE_NULL : value_number(ordered_at),
                     .period = period ? str_of(period) : STR_NULL, .file_id = file_id, .line = line};
}

static int64_t counting(Holding *holdings, size_t n) {
    int64_t found = 0;
    holdings_derive(holdings, n);
    for (size_t i = 0; i < n; i++) {
        if (!holdings[i].counts)
            continue;
        assert_int_equal(found, 0); /* one at most */
        found = holdings[i].entry;
        assert_int_not_equal(found, 0);
    }
    return found;
}

typedef struct Case {
    const char *says;
    Holding holdings[4];
    size_t n;
    int64_t expected;
} Case;

static void test_which_counts(void **state) {
    (void)state;
    Case cases[] = {
        {"nothing is held", {holding(0, NEVER, "2024-01", 1, 2)}, 1, 0},
        {"one alone", {holding(7, NEVER, NULL, 1, 2)}, 1, 7},
        {"a usable row of a later period ends it", {holding(7, NEVER, "2024-01", 1, 2), holding(0, NEVER, "2024-02", 2, 2)}, 2, 0},
        {"also when it came before", {holding(7, NEVER, "2024-01", 2, 2), holding(0, NEVER, "2024-02", 1, 2)}, 2, 0},
        {"one of an earlier period that comes late does not", {holding(7, NEVER, "2024-02", 1, 2), holding(0, NEVER, "2024-01", 2, 2)}, 2, 7},
        {"time goes before period", {holding(7, 20, "2024-01", 1, 2), holding(0, 10, "2024-02", 2, 2)}, 2, 7},
        {"and ends by itself", {holding(7, 10, "2024-02", 2, 2), holding(0, 20, "2024-01", 1, 2)}, 2, 0},
        {"equal times go by period", {holding(7, 10, "2024-02", 1, 2), holding(0, 10, "2024-01", 2, 2)}, 2, 7},
        {"an unknown time goes by period", {holding(7, NEVER, "2024-02", 1, 2), holding(0, 99, "2024-01", 2, 2)}, 2, 7},
        {"on either side", {holding(7, 99, "2024-01", 2, 2), holding(0, NEVER, "2024-02", 1, 2)}, 2, 0},
        {"of one period what came later", {holding(7, NEVER, "2024-01", 1, 9), holding(0, NEVER, "2024-01", 2, 2)}, 2, 0},
        {"whichever that is", {holding(7, NEVER, "2024-01", 2, 2), holding(0, NEVER, "2024-01", 1, 9)}, 2, 7},
        {"so it is without a period", {holding(7, NEVER, NULL, 1, 2), holding(0, NEVER, "2024-01", 2, 2)}, 2, 0},
        {"on either side", {holding(7, NEVER, "2024-02", 2, 2), holding(0, NEVER, NULL, 1, 2)}, 2, 7},
        {"of one file by the line", {holding(7, NEVER, "2024-01", 1, 2), holding(0, NEVER, "2024-01", 1, 3)}, 2, 0},
        {"before it", {holding(7, NEVER, "2024-01", 1, 4), holding(0, NEVER, "2024-01", 1, 3)}, 2, 7},
        {"the last of several", {holding(7, NEVER, "2024-01", 3, 2), holding(8, NEVER, "2024-03", 1, 2), holding(9, NEVER, "2024-02", 2, 2)}, 3, 8},
        {"one ended, one not", {holding(7, NEVER, "2024-01", 1, 2), holding(0, NEVER, "2024-02", 2, 2), holding(8, NEVER, "2024-03", 3, 2)}, 3, 8},
        {"the last is ended, the one before it is not", /* it says itself that it is newer */
         {holding(7, 50, "2024-01", 1, 2), holding(8, 10, "2024-02", 2, 2), holding(0, 20, "2024-01", 3, 2)}, 3, 7},
        {"at one instant what is adjudicated stands behind what was sent", /* whichever came first */
         {holding(7, 10, NULL, 2, 2),
          {.ordered_at = value_number(10), .period = STR_NULL, .stage = 2, .file_id = 1, .line = 2}}, 2, 0},
        {"what stands at its own place was made of it", {holding(7, NEVER, "2024-01", 1, 2), holding(0, 99, "2024-01", 1, 2)}, 2, 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t found = counting(cases[i].holdings, cases[i].n);
        if (found != cases[i].expected)
            fail_msg("%s: entry %lld counts, not %lld", cases[i].says, (long long)found, (long long)cases[i].expected);
    }
}

/* ---- whatever order they are found in ---- */

enum { MOST = 6, SETS = 20000 };

static uint64_t dice = 88172645463325252u;
static int throw(int n) {
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (int)(dice % (uint64_t)n);
}

/* By the header's words alone, of all entries, without a sort. */
static int later(const Holding *a, const Holding *b) {
    if (a->ordered_at.is_set && b->ordered_at.is_set && a->ordered_at.number != b->ordered_at.number)
        return a->ordered_at.number > b->ordered_at.number;
    if (!str_is_null(a->period) && !str_is_null(b->period) && str_compare(a->period, b->period) != 0)
        return str_compare(a->period, b->period) > 0;
    return a->file_id != b->file_id ? a->file_id > b->file_id : a->line > b->line;
}

static void check_meaning(const Holding *all, size_t n, int64_t counts) {
    size_t n_alive = 0;
    bool is_among = false;
    for (size_t i = 0; i < n; i++) {
        bool is_ended = all[i].entry == 0;
        for (size_t k = 0; k < n; k++)
            is_ended |= all[k].entry == 0 && (all[k].file_id != all[i].file_id || all[k].line != all[i].line) &&
                        later(&all[k], &all[i]);
        n_alive += !is_ended;
        is_among |= !is_ended && all[i].entry == counts;
    }
    assert_int_equal(n_alive > 0, counts != 0);
    assert_true(counts == 0 || is_among);
}

static void shuffle(Holding *all, size_t n) {
    for (size_t i = n; i > 1; i--) {
        size_t k = (size_t)throw((int)i);
        Holding held = all[i - 1];
        all[i - 1] = all[k];
        all[k] = held;
    }
}

static void test_it_is_a_function_of_the_set(void **state) {
    (void)state;
    static const char *const PERIODS[] = {NULL, "2024-01", "2024-02", "2024-03"};
    for (int set = 0; set < SETS; set++) {
        Holding all[MOST];
        size_t n = 1 + (size_t)throw(MOST);
        const char *period_of[MOST];
        for (int i = 0; i < MOST; i++)
            period_of[i] = PERIODS[throw(4)];
        for (size_t i = 0; i < n; i++) { /* a file has one period */
            int file = throw(3);
            all[i] = holding(throw(3) ? (int64_t)i + 1 : 0, throw(2) ? NEVER : throw(3), period_of[file], file, 2 + (int64_t)i);
        }
        int64_t expected = counting(all, n);
        check_meaning(all, n, expected);
        for (int again = 0; again < 4; again++) {
            shuffle(all, n);
            assert_int_equal(counting(all, n), expected);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_counts),
        cmocka_unit_test(test_it_is_a_function_of_the_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
