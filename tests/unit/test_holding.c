#include "test.h"

#include "transform/holding.h"

/* ---- by hand ---- */

enum { NEVER = -1 };

/* `entry` 0: usable. */
static Holding holding(int64_t entry, int64_t ordered_at, const char *period, int64_t file_id, int64_t line) {
    return (Holding){.entry = entry, .ordered_at = ordered_at == NEVER ? VALUE_NULL : value_number(ordered_at),
                     .period = period ? str_of(period) : STR_NULL, .file_id = file_id, .line = line};
}

/* As a caller has it: what is usable in whatever order, then the entries from the last to the first. */
static int64_t counting(const Holding *holdings, size_t n) {
    HoldingFold fold = {.counting = {.entry = 0}};
    const Holding *before = NULL;
    for (size_t i = 0; i < n; i++)
        if (!holdings[i].entry)
            holding_add_usable(&fold, &holdings[i]);
    for (;;) {
        const Holding *next = NULL;
        for (size_t i = 0; i < n; i++) {
            bool is_to_come = holdings[i].entry && (!before || holding_compare(&holdings[i], before) < 0);
            if (is_to_come && (!next || holding_compare(&holdings[i], next) > 0))
                next = &holdings[i];
        }
        if (!next)
            return fold.counting.entry;
        holding_add_entry(&fold, next);
        before = next;
    }
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

enum { MOST = 8, SETS = 60000, PERMUTED = 5, SHUFFLES = 4 };

static uint64_t dice = 88172645463325252u;
static int throw(int n) {
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (int)(dice % (uint64_t)n);
}

/* By the header's words alone, from the whole set, without a sort. */
static bool later(const Holding *a, const Holding *b) {
    if (a->ordered_at.is_set && b->ordered_at.is_set && a->ordered_at.number != b->ordered_at.number)
        return a->ordered_at.number > b->ordered_at.number;
    if (a->ordered_at.is_set && b->ordered_at.is_set && a->stage != b->stage)
        return a->stage > b->stage;
    if (!str_is_null(a->period) && !str_is_null(b->period) && str_compare(a->period, b->period) != 0)
        return str_compare(a->period, b->period) > 0;
    return a->file_id != b->file_id ? a->file_id > b->file_id : a->line > b->line;
}

static bool is_ended(const Holding *all, size_t n, const Holding *entry) {
    for (size_t k = 0; k < n; k++)
        if (all[k].entry == 0 && (all[k].file_id != entry->file_id || all[k].line != entry->line) && later(&all[k], entry))
            return true;
    return false;
}

/* Those with a period go before the others, and otherwise by it and by arrival. */
static bool goes_before(const Holding *a, const Holding *b) {
    if (str_is_null(a->period) != str_is_null(b->period))
        return str_is_null(b->period);
    Holding unordered = *a;
    unordered.ordered_at = VALUE_NULL;
    return later(&unordered, b);
}

static int64_t from_the_whole_set(const Holding *all, size_t n) {
    bool is_seen[MOST] = {false};
    const Holding *counts = NULL;
    for (size_t step = 0; step < n; step++) {
        size_t next = n;
        for (size_t i = 0; i < n; i++)
            if (!is_seen[i] && all[i].entry && (next == n || goes_before(&all[i], &all[next])))
                next = i;
        if (next == n)
            break;
        is_seen[next] = true;
        if ((!counts || later(&all[next], counts)) && !is_ended(all, n, &all[next]))
            counts = &all[next];
    }
    return counts ? counts->entry : 0;
}

static void swap(Holding *all, size_t i, size_t k) {
    Holding held = all[i];
    all[i] = all[k];
    all[k] = held;
}

/* Heap's way through all permutations. */
static void assert_in_every_order(Holding *all, size_t n, size_t n_moving, int64_t expected) {
    if (n_moving <= 1)
        assert_int_equal(counting(all, n), expected);
    for (size_t i = 0; n_moving > 1 && i < n_moving; i++) {
        assert_in_every_order(all, n, n_moving - 1, expected);
        swap(all, n_moving % 2 ? 0 : i, n_moving - 1);
    }
}

static void assert_in_some_orders(Holding *all, size_t n, int64_t expected) {
    for (int again = 0; again < SHUFFLES; again++) {
        for (size_t i = n; i > 1; i--)
            swap(all, i - 1, (size_t)throw((int)i));
        assert_int_equal(counting(all, n), expected);
    }
}

/* A file has one period. One usable row at most stands at the place of an entry. */
static size_t draw(Holding *all) {
    static const char *const PERIODS[] = {NULL, "2024-01", "2024-02", "2024-03"};
    const char *period_of[MOST];
    size_t n = 1 + (size_t)throw(MOST);
    int usable = throw(4), unordered = throw(4);
    for (int i = 0; i < MOST; i++)
        period_of[i] = PERIODS[throw(4)];
    for (size_t i = 0; i < n; i++) {
        bool is_entry = throw(4) >= usable, is_in_place = i > 0 && !is_entry && all[i - 1].entry && throw(2) == 0;
        int file = is_in_place ? (int)all[i - 1].file_id : throw(3);
        int64_t line = is_in_place ? all[i - 1].line : 2 + (int64_t)i;
        all[i] = holding(is_entry ? (int64_t)i + 1 : 0, throw(4) < unordered ? NEVER : throw(3), period_of[file], file, line);
        all[i].stage = all[i].ordered_at.is_set && throw(4) == 0;
    }
    return n;
}

static void test_what_is_kept_of_them_decides_as_the_whole_set_does(void **state) {
    (void)state;
    int n_counting = 0;
    for (int set = 0; set < SETS; set++) {
        Holding all[MOST];
        size_t n = draw(all);
        int64_t expected = from_the_whole_set(all, n);
        n_counting += expected != 0;
        if (n <= PERMUTED)
            assert_in_every_order(all, n, n, expected);
        else
            assert_in_some_orders(all, n, expected);
    }
    assert_in_range(n_counting, SETS / 4, SETS - SETS / 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_counts),
        cmocka_unit_test(test_what_is_kept_of_them_decides_as_the_whole_set_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
