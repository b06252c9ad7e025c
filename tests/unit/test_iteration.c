#include "test.h"

#include "transform/iteration.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST = 64 };

/* ---- a store in memory, which applies what iterations_derive() decides ---- */

typedef struct Store {
    Delivery shown[MOST], absorbed[MOST];
    size_t n_shown, n_absorbed;
    int64_t last_key;
    int64_t texts[8 * MOST]; /* what bronze holds, by its hash */
    size_t n_texts;
} Store;

static bool has_text(const Store *store, int64_t hash) {
    for (size_t i = 0; i < store->n_texts; i++)
        if (store->texts[i] == hash)
            return true;
    return false;
}

/* Whatever is remembered can be cleaned again. */
static void keep_texts(Store *store, const Delivery *all, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (all[i].origin == DELIVERY_NEW && all[i].fate != DELIVERY_FORGOTTEN &&
            (all[i].fate == DELIVERY_SHOWN || !all[i].is_repeated) && !has_text(store, all[i].source_hash)) {
            assert_true(store->n_texts < sizeof store->texts / sizeof *store->texts);
            store->texts[store->n_texts++] = all[i].source_hash;
        }
    for (size_t i = 0; i < n; i++)
        assert_true(all[i].fate == DELIVERY_FORGOTTEN || has_text(store, all[i].source_hash));
}

static void store_page(Store *store, const Delivery *page, size_t n_page) {
    Delivery all[3 * MOST];
    size_t n = 0;
    for (size_t i = 0; i < store->n_shown; i++) {
        all[n] = store->shown[i];
        all[n].origin = DELIVERY_STORED_SHOWN;
        all[n].claim_key = store->shown[i].key;
        all[n].was_iteration = store->shown[i].iteration;
        all[n++].was_final = store->shown[i].is_final;
    }
    for (size_t i = 0; i < store->n_absorbed; i++) {
        all[n] = store->absorbed[i];
        all[n++].origin = DELIVERY_STORED_ABSORBED;
    }
    for (size_t i = 0; i < n_page; i++) {
        all[n] = page[i];
        all[n++].origin = DELIVERY_NEW;
    }
    iterations_derive(all, n);
    keep_texts(store, all, n);
    store->n_shown = store->n_absorbed = 0;
    for (size_t i = 0; i < n; i++) {
        if (all[i].fate == DELIVERY_ABSORBED)
            store->absorbed[store->n_absorbed++] = all[i];
        if (all[i].fate != DELIVERY_SHOWN)
            continue;
        if (all[i].key == 0)
            all[i].key = ++store->last_key;
        store->shown[store->n_shown++] = all[i];
    }
}

/* ---- deliveries by hand ---- */

/* status, amount and other content; the hashes follow from them as transform's would. */
static Delivery delivery(int64_t modified_at, const char *period, const char *sha256, int64_t line,
                         const char *status, int64_t paid, int other) {
    Delivery d = {.modified_at = modified_at < 0 ? VALUE_NULL : value_number(modified_at),
                  .period = str_of(period), .sha256 = str_of(sha256), .line = line,
                  .status = value_text(str_of(status)),
                  .amounts = {value_number(100), value_number(paid), VALUE_NULL},
                  .origin = DELIVERY_NEW};
    snprintf((char *)d.record_hash, sizeof d.record_hash, "%s/%lld/%d", status, (long long)paid, other);
    d.source_hash = modified_at;
    for (const uint8_t *c = d.record_hash; *c; c++)
        d.source_hash = (int64_t)((uint64_t)d.source_hash * 31 + *c);
    return d;
}

static void assert_shown(const Store *store, size_t i, int64_t key, const char *status, bool is_final) {
    assert_true(i < store->n_shown);
    assert_int_equal(store->shown[i].iteration, i + 1);
    assert_int_equal(store->shown[i].key, key);
    assert_str(value_str(store->shown[i].status), status);
    assert_int_equal(store->shown[i].is_final, is_final);
}

static void a_change_of_status_or_amount_is_the_next_iteration(void **state) {
    (void)state;
    Store store = {0};
    store_page(&store, (Delivery[]){delivery(1, "01", "a", 2, "Pending", 0, 0)}, 1);
    store_page(&store, (Delivery[]){delivery(2, "02", "b", 2, "Paid", 0, 0)}, 1);
    store_page(&store, (Delivery[]){delivery(3, "03", "c", 2, "Paid", 7, 0)}, 1);
    assert_int_equal(store.n_shown, 3);
    assert_shown(&store, 0, 1, "Pending", false);
    assert_shown(&store, 1, 2, "Paid", false);
    assert_shown(&store, 2, 3, "Paid", true);
    assert_int_equal(store.n_absorbed, 0);
}

static void other_differences_correct_the_iteration_unless_they_are_older(void **state) {
    (void)state;
    Store store = {0};
    store_page(&store, (Delivery[]){delivery(5, "01", "a", 2, "Paid", 7, 1)}, 1);
    store_page(&store, (Delivery[]){delivery(6, "02", "b", 2, "Paid", 7, 2)}, 1);
    store_page(&store, (Delivery[]){delivery(4, "03", "c", 2, "Paid", 7, 3)}, 1);
    assert_int_equal(store.n_shown, 1);
    assert_shown(&store, 0, 1, "Paid", true);
    assert_int_equal(store.shown[0].modified_at.number, 6);
    assert_int_equal(store.n_absorbed, 2);
}

static void of_neighbours_with_one_text_it_is_kept_once(void **state) {
    (void)state;
    Store store = {0};
    Delivery page[] = {delivery(1, "01", "a", 2, "Paid", 7, 1), delivery(1, "01", "a", 3, "Paid", 7, 1),
                       delivery(2, "01", "a", 4, "Paid", 7, 2)};
    store_page(&store, page, 3);
    assert_int_equal(store.n_shown, 1);
    assert_int_equal(store.n_absorbed, 2);
    assert_int_equal(store.n_texts, 2);
    assert_int_equal(store.absorbed[0].is_repeated + store.absorbed[1].is_repeated, 1);
}

/* Each feed cleans again what it read itself. */
static void of_neighbours_with_one_text_each_feed_keeps_it(void **state) {
    (void)state;
    Delivery all[] = {delivery(1, "01", "a", 2, "Paid", 7, 1), delivery(1, "02", "b", 2, "Paid", 7, 1),
                      delivery(1, "02", "b", 3, "Paid", 7, 1)};
    all[0].origin = DELIVERY_STORED_SHOWN;
    all[0].is_elsewhere = true;
    all[1].origin = all[2].origin = DELIVERY_NEW;
    iterations_derive(all, 3);
    assert_int_equal(all[0].fate, DELIVERY_SHOWN);
    assert_int_equal(all[1].fate, DELIVERY_ABSORBED);
    assert_false(all[1].is_repeated);
    assert_true(all[2].is_repeated);
}

static void a_late_delivery_slots_in_and_splits_a_run_of_equal_ones(void **state) {
    (void)state;
    Store store = {0};
    store_page(&store, (Delivery[]){delivery(1, "01", "a", 2, "Pending", 0, 0),
                                    delivery(3, "03", "c", 2, "Pending", 0, 0)}, 2);
    assert_int_equal(store.n_shown, 1);
    store_page(&store, (Delivery[]){delivery(2, "02", "b", 2, "Denied", 0, 0)}, 1);
    assert_int_equal(store.n_shown, 3);
    assert_shown(&store, 0, 1, "Pending", false);
    assert_shown(&store, 1, 2, "Denied", false);
    assert_shown(&store, 2, 3, "Pending", true);
}

static void the_same_delivery_again_changes_nothing(void **state) {
    (void)state;
    Store store = {0};
    Delivery page[] = {delivery(1, "01", "a", 2, "Pending", 0, 0), delivery(2, "01", "a", 3, "Paid", 5, 0)};
    store_page(&store, page, 2);
    Store before = store;
    store_page(&store, page, 2);
    assert_int_equal(store.n_shown, before.n_shown);
    assert_int_equal(store.n_absorbed, before.n_absorbed);
    assert_int_equal(store.last_key, before.last_key);
}

static void an_equal_row_in_a_file_that_sorts_before_changes_nothing_that_shows(void **state) {
    (void)state;
    Store store = {0};
    store_page(&store, (Delivery[]){delivery(1, "01", "b", 2, "Paid", 5, 0)}, 1);
    store_page(&store, (Delivery[]){delivery(1, "01", "a", 2, "Paid", 5, 0)}, 1);
    assert_int_equal(store.n_shown, 1);
    assert_str(store.shown[0].sha256, "b");
    assert_int_equal(store.n_absorbed, 1);
}

/* ---- any order, any paging: the state of the set ---- */

static uint64_t random_state = 0xD1B54A32D192ED03u;
static size_t random_below(size_t n) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state >> 11) % n;
}

/* What shows, worked out plainly from the whole set: an insertion sort and one pass per question. */
static bool comes_before(const Delivery *a, const Delivery *b) {
    int64_t at = a->modified_at.is_set ? a->modified_at.number : -1;
    int64_t bt = b->modified_at.is_set ? b->modified_at.number : -1;
    if (at != bt)
        return at < bt;
    if (!str_equal(a->period, b->period))
        return strncmp(a->period.at, b->period.at, 2) < 0;
    if (!str_equal(a->sha256, b->sha256))
        return a->sha256.at[0] < b->sha256.at[0];
    return a->line < b->line;
}

static bool makes_iteration(const Delivery *before, const Delivery *d) {
    return !str_equal(value_str(before->status), value_str(d->status)) ||
           before->amounts[1].number != d->amounts[1].number;
}

static size_t brute_force(const Delivery *set, size_t n, Delivery *shown) {
    Delivery sorted[MOST];
    for (size_t i = 0; i < n; i++) {
        size_t at = i;
        for (; at > 0 && comes_before(&set[i], &sorted[at - 1]); at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = set[i];
    }
    size_t n_shown = 0;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || makes_iteration(&sorted[i - 1], &sorted[i]))
            shown[n_shown++] = sorted[i];
        else if (memcmp(sorted[i].record_hash, shown[n_shown - 1].record_hash, 16) != 0)
            shown[n_shown - 1] = sorted[i];
    }
    return n_shown;
}

static size_t random_set(Delivery *set) {
    static const char *const PERIODS[] = {"01", "02", "03"}, *const FILES[] = {"a", "b", "c", "d"};
    static const char *const STATUSES[] = {"Paid", "Denied"};
    size_t n = 1 + random_below(14), n_contents = 1 + random_below(6);
    for (size_t i = 0; i < n; i++) {
        size_t content = random_below(n_contents);
        set[i] = delivery((int64_t)random_below(4) - 1, PERIODS[random_below(3)], FILES[random_below(4)],
                          (int64_t)i + 2, STATUSES[content & 1], (content >> 1 & 1) ? 5 : 0,
                          content > 3 ? (int)content : 0);
    }
    return n;
}

static void deliver_shuffled(Store *store, const Delivery *set, size_t n) {
    Delivery queue[2 * MOST];
    size_t n_queue = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t times = random_below(5) == 0 ? 2 : 1; times > 0; times--)
            queue[n_queue++] = set[i];
    for (size_t i = n_queue; i > 1; i--) {
        size_t other = random_below(i);
        Delivery moved = queue[i - 1];
        queue[i - 1] = queue[other];
        queue[other] = moved;
    }
    for (size_t at = 0; at < n_queue;) {
        size_t size = 1 + random_below(4);
        size = size < n_queue - at ? size : n_queue - at;
        store_page(store, queue + at, size);
        at += size;
    }
}

static void assert_equal_state(const Store *store, const Delivery *expected, size_t n_expected) {
    assert_int_equal(store->n_shown, n_expected);
    for (size_t i = 0; i < n_expected; i++) {
        const Delivery *got = &store->shown[i];
        assert_int_equal(got->iteration, i + 1);
        assert_int_equal(got->is_final, i + 1 == n_expected);
        assert_memory_equal(got->record_hash, expected[i].record_hash, 16);
        assert_int_equal(got->source_hash, expected[i].source_hash);
        assert_int_equal(got->modified_at.is_set, expected[i].modified_at.is_set);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(got->key, store->shown[j].key);
    }
}

static void any_order_and_paging_of_deliveries_gives_the_same_iterations(void **state) {
    (void)state;
    for (int round = 0; round < 5000; round++) {
        Delivery set[MOST], expected[MOST];
        size_t n = random_set(set);
        size_t n_expected = brute_force(set, n, expected);
        for (int order = 0; order < 2; order++) {
            Store store = {0};
            deliver_shuffled(&store, set, n);
            assert_equal_state(&store, expected, n_expected);
        }
    }
}

/* A key, once given, never passes to an iteration of another status or amount. */
static void keys_stay_with_their_content(void **state) {
    (void)state;
    for (int round = 0; round < 2000; round++) {
        Delivery set[MOST];
        Delivery of_key[4 * MOST] = {0};
        size_t n = random_set(set);
        Store store = {0};
        for (size_t i = 0; i < n; i++) {
            store_page(&store, &set[i], 1);
            for (size_t s = 0; s < store.n_shown; s++) {
                Delivery *first = &of_key[store.shown[s].key];
                if (first->iteration)
                    assert_false(makes_iteration(first, &store.shown[s]));
                *first = store.shown[s];
            }
        }
    }
}

/* ---- X12: stages of a claim's life, and remittances made again ---- */

static DeliverySet *new_set(void) {
    static DeliverySet sets[8 * MOST];
    static size_t n;
    assert_true(n < sizeof sets / sizeof *sets);
    return &sets[n++];
}

static Delivery of_set(Delivery d, int64_t ordered_at, int stage, int64_t begin, const char *payment) {
    DeliverySet *set = new_set();
    *set = (DeliverySet){.ordered_at = ordered_at ? value_number(ordered_at) : VALUE_NULL, .stage = stage, .begin = begin,
                         .payment = payment ? str_of(payment) : STR_NULL};
    d.set = set;
    return d;
}

static void shuffle(Delivery *deliveries, size_t n, unsigned seed) {
    for (size_t i = n; i > 1; i--) {
        size_t k = (seed = seed * 1103515245 + 12345) / 65536 % i;
        Delivery moved = deliveries[i - 1];
        deliveries[i - 1] = deliveries[k];
        deliveries[k] = moved;
    }
}

/* One by one in many orders: the iterations are those written here by hand. */
static void assert_life(const Delivery *deliveries, size_t n, const char *const *words, size_t n_words) {
    for (unsigned seed = 1; seed <= 200; seed++) {
        Delivery order[MOST];
        Store store = {.n_shown = 0};
        memcpy(order, deliveries, n * sizeof *order);
        shuffle(order, n, seed);
        for (size_t i = 0; i < n; i++)
            store_page(&store, &order[i], 1);
        assert_int_equal(store.n_shown, n_words);
        for (size_t i = 0; i < n_words; i++) {
            assert_int_equal(store.shown[i].iteration, i + 1);
            assert_str(value_str(store.shown[i].status), words[i]);
            assert_int_equal(store.shown[i].is_final, i + 1 == n_words);
            for (size_t k = 0; k < i; k++)
                assert_int_not_equal(store.shown[k].key, store.shown[i].key);
        }
        assert_int_equal(store.n_shown + store.n_absorbed, n);
    }
}

static void an_answer_follows_what_it_answers(void **state) {
    (void)state;
    const Delivery life[] = {
        of_set(delivery(1000, NULL, "a", 5, "Sent", 0, 0), 0, 0, 3, NULL),
        of_set(delivery(900, NULL, "b", 5, "Refused", 0, 0), 2000, 1, 3, NULL),
        of_set(delivery(2000, NULL, "0", 5, "Sent again", 0, 0), 0, 0, 3, NULL),
        of_set(delivery(2100, NULL, "c", 5, "Accepted", 0, 0), 4000, 1, 3, NULL),
        of_set(delivery(1500, NULL, "d", 5, "Paid", 70, 0), 4000, 2, 3, NULL),
    };
    const char *const words[] = {"Sent", "Sent again", "Refused", "Accepted", "Paid"};
    assert_life(life, 5, words, 5);
}

static Delivery referring(Delivery d, const char *reference) {
    DeliverySet *set = new_set();
    *set = *d.set;
    set->reference = str_of(reference);
    d.set = set;
    return d;
}

/* Both refusals were made last of all; one names the first set, the other a set that bears the name of two. What names a set
 * that nobody sent stays where the clock puts it. */
static void an_answer_that_names_a_set_follows_its_claim(void **state) {
    (void)state;
    const Delivery life[] = {
        referring(of_set(delivery(1000, NULL, "a", 5, "Sent", 0, 0), 0, 0, 3, NULL), "S1"),
        referring(of_set(delivery(2000, NULL, "0", 5, "Sent again", 0, 0), 0, 0, 3, NULL), "S2"),
        referring(of_set(delivery(3000, NULL, "1", 5, "Sent once more", 0, 0), 0, 0, 3, NULL), "S2"),
        of_set(delivery(4000, NULL, "d", 5, "Paid", 70, 0), 4500, 2, 3, NULL),
        referring(of_set(delivery(5000, NULL, "b", 5, "Refused", 0, 0), 5500, 1, 3, NULL), "S1"),
        referring(of_set(delivery(6000, NULL, "c", 5, "Accepted", 0, 0), 6500, 1, 3, NULL), "S2"),
        referring(of_set(delivery(6000, NULL, "e", 5, "Unknown", 0, 0), 6500, 1, 3, NULL), "S3"),
    };
    const char *const words[] = {"Sent", "Refused", "Sent again", "Sent once more", "Accepted", "Paid", "Unknown"};
    assert_life(life, 7, words, 7);
}

/* By the payer's clock, which is wrong, it came first: it answers the first that bears the name. */
static void an_answer_never_goes_before_what_it_names(void **state) {
    (void)state;
    const Delivery life[] = {
        referring(of_set(delivery(100, NULL, "b", 5, "Refused", 0, 0), 200, 1, 3, NULL), "S1"),
        referring(of_set(delivery(1000, NULL, "a", 5, "Sent", 0, 0), 0, 0, 3, NULL), "S1"),
        referring(of_set(delivery(1500, NULL, "e", 5, "Sent again", 0, 0), 0, 0, 3, NULL), "S1"),
        of_set(delivery(2000, NULL, "c", 5, "Paid", 70, 0), 0, 2, 3, "P1"),
        of_set(delivery(3000, NULL, "d", 5, "Paid", 70, 0), 0, 2, 3, "P1"),
    };
    const char *const words[] = {"Sent", "Refused", "Sent again", "Paid"};
    assert_life(life, 5, words, 4);
}

static const Delivery *answered_by_plain_search(const Delivery *sorted, size_t n, const Delivery *answer) {
    const Delivery *found = NULL;
    for (const Delivery *d = sorted; d < sorted + n; d++)
        if (d->set->stage == 0 && !str_is_null(d->set->reference) && str_equal(d->set->reference, answer->set->reference) &&
            (!found || d < answer))
            found = d;
    return found;
}

static int compare_by_place(const void *a, const void *b) {
    return (int)((const Delivery *)a)->place - (int)((const Delivery *)b)->place;
}

static void an_answer_sits_where_a_plain_search_finds_its_claim(void **state) {
    (void)state;
    static const char *const NAMES[] = {"S1", "S2", "S3", "", NULL};
    for (int round = 0; round < 5000; round++) {
        Delivery all[40];
        DeliverySet sets[40];
        size_t n = 1 + random_below(40);
        for (size_t i = 0; i < n; i++) {
            const char *name = NAMES[random_below(5)];
            sets[i] = (DeliverySet){.stage = (int)random_below(3), .payment = STR_NULL,
                                    .reference = name ? str_of(name) : STR_NULL};
            all[i] = delivery((int64_t)random_below(6), NULL, "a", (int64_t)i + 2, random_below(2) ? "Sent" : "Refused", 0, 0);
            all[i].set = &sets[i];
        }
        iterations_derive(all, n);
        qsort(all, n, sizeof *all, compare_by_place);
        for (size_t i = 0; i < n; i++) {
            bool is_answer = all[i].set->stage == 1 && !str_is_null(all[i].set->reference);
            const Delivery *answered = is_answer ? answered_by_plain_search(all, n, &all[i]) : NULL;
            assert_int_equal(all[i].place, i);
            assert_int_equal(all[i].seat, answered ? answered->place : i);
        }
    }
}

/* The third tells what the first told, another refused it meanwhile, and a reversal stands in the same set. */
static void a_remittance_made_again_takes_the_first_ones_place(void **state) {
    (void)state;
    const Delivery life[] = {
        of_set(delivery(1000, NULL, "a", 5, "Paid", 70, 0), 0, 2, 3, "P1"),
        of_set(delivery(1500, NULL, "b", 5, "Reversed", 0, 0), 0, 2, 3, "P2"),
        of_set(delivery(1500, NULL, "b", 9, "Paid more", 90, 0), 0, 2, 3, "P2"),
        of_set(delivery(3000, NULL, "c", 50, "Paid", 70, 1), 0, 2, 40, "P1"),
        of_set(delivery(3500, NULL, "d", 5, "Reversed", 0, 1), 0, 2, 3, "P2"),
        of_set(delivery(3500, NULL, "d", 9, "Paid more", 90, 1), 0, 2, 3, "P2"),
        delivery(2000, NULL, "e", 1, "Closed", 90, 0),
    };
    const char *const words[] = {"Paid", "Reversed", "Paid more", "Closed"};
    assert_life(life, 7, words, 4);
}

/* ---- reversals ---- */

enum { LIFE_MOST = 8 };

/* The claim before the set (of `b`; NULL: nothing), the set in its order, and how it is read. `a` took back what it had paid. */
static const struct {
    const char *name, *before[3], *set[LIFE_MOST], *words[LIFE_MOST];
} REVERSALS[] = {
    {"as it is recommended", {"Paid"}, {"Reversed", "Paid more"}, {"Paid", "Reversed", "Paid more"}},
    {"a correction first", {"Paid"}, {"Paid more", "Reversed"}, {"Paid", "Reversed", "Paid more"}},
    {"of a denial", {"Denied"}, {"Paid", "Reversed"}, {"Denied", "Reversed", "Paid"}},
    {"into a denial", {"Paid"}, {"Denied", "Reversed"}, {"Paid", "Reversed", "Denied"}},
    {"of what nothing was due of", {"Approved"}, {"Paid", "Reversed"}, {"Approved", "Reversed", "Paid"}},
    {"what was paid just now", {NULL}, {"Paid", "Reversed"}, {"Paid", "Reversed"}},
    {"what was paid just now, and corrected", {NULL}, {"Paid", "Reversed", "Denied"}, {"Paid", "Reversed", "Denied"}},
    {"a claim that is still open", {"Pending"}, {"Paid", "Reversed"}, {"Pending", "Paid", "Reversed"}},
    {"what had been taken back before", {"Paid", "Reversed"}, {"Denied", "Reversed"}, {"Paid", "Reversed", "Denied", "Reversed"}},
    {"twice in turn", {"Paid"}, {"Reversed", "Denied", "Reversed", "Paid more"},
     {"Paid", "Reversed", "Denied", "Reversed", "Paid more"}},
    {"twice, corrections first", {"Paid"}, {"Denied", "Paid more", "Reversed", "Reversed"},
     {"Paid", "Reversed", "Denied", "Reversed", "Paid more"}},
    {"in two parts", {"Paid"}, {"Denied", "Paid more", "Reversed"}, {"Paid", "Reversed", "Denied", "Paid more"}},
    {"something pending before", {"Paid"}, {"Pending", "Paid more", "Reversed"}, {"Paid", "Pending", "Reversed", "Paid more"}},
    {"without a correction", {"Paid"}, {"Reversed"}, {"Paid", "Reversed"}},
};

static size_t count_words(const char *const *words, size_t most) {
    size_t n = 0;
    while (n < most && words[n])
        n++;
    return n;
}

/* "Paid more" is Paid, too, of another amount. */
static Delivery adjudicated(int64_t made, const char *file, int64_t line, const char *word, int stage) {
    bool is_more = strcmp(word, "Paid more") == 0;
    Delivery d = delivery(made, NULL, file, line, is_more ? "Paid" : word, is_more ? 90 : 70, 0);
    return of_set(d, 0, stage, 3, NULL);
}

static void assert_reversal(size_t i, int stage_before) {
    Delivery life[2 * LIFE_MOST];
    size_t n_before = count_words(REVERSALS[i].before, 3), n_set = count_words(REVERSALS[i].set, LIFE_MOST), n = 0;
    const char *words[LIFE_MOST];
    for (size_t k = 0; k < n_before; k++, n++)
        life[n] = adjudicated(1000 + (int64_t)k, "a", 5, REVERSALS[i].before[k], stage_before);
    for (size_t k = 0; k < n_set; k++, n++)
        life[n] = adjudicated(2000, "b", 5 + (int64_t)k, REVERSALS[i].set[k], STAGE_ADJUDICATED);
    size_t n_words = count_words(REVERSALS[i].words, LIFE_MOST);
    for (size_t k = 0; k < n_words; k++)
        words[k] = strcmp(REVERSALS[i].words[k], "Paid more") == 0 ? "Paid" : REVERSALS[i].words[k];
    assert_life(life, n, words, n_words);
}

static void a_reversal_is_read_before_the_correction(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof REVERSALS / sizeof *REVERSALS; i++) {
        assert_reversal(i, STAGE_ADJUDICATED);
        assert_reversal(i, STAGE_SENT); /* the hospital's own file told it before */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_of_status_or_amount_is_the_next_iteration),
        cmocka_unit_test(other_differences_correct_the_iteration_unless_they_are_older),
        cmocka_unit_test(of_neighbours_with_one_text_it_is_kept_once),
        cmocka_unit_test(of_neighbours_with_one_text_each_feed_keeps_it),
        cmocka_unit_test(a_late_delivery_slots_in_and_splits_a_run_of_equal_ones),
        cmocka_unit_test(the_same_delivery_again_changes_nothing),
        cmocka_unit_test(an_equal_row_in_a_file_that_sorts_before_changes_nothing_that_shows),
        cmocka_unit_test(any_order_and_paging_of_deliveries_gives_the_same_iterations),
        cmocka_unit_test(keys_stay_with_their_content),
        cmocka_unit_test(an_answer_follows_what_it_answers),
        cmocka_unit_test(an_answer_that_names_a_set_follows_its_claim),
        cmocka_unit_test(an_answer_never_goes_before_what_it_names),
        cmocka_unit_test(an_answer_sits_where_a_plain_search_finds_its_claim),
        cmocka_unit_test(a_remittance_made_again_takes_the_first_ones_place),
        cmocka_unit_test(a_reversal_is_read_before_the_correction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
