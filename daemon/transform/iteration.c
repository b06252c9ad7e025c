/* iteration.c - see iteration.h. */
#include "transform/iteration.h"

#include <stdlib.h>

static int compare_numbers(int64_t a, int64_t b) { return (a > b) - (a < b); }

static int compare_instants(Value a, Value b) {
    if (!a.is_set || !b.is_set)
        return a.is_set - b.is_set; /* unknown is oldest */
    return compare_numbers(a.number, b.number);
}

static const DeliverySet NO_SET;
static const DeliverySet *set_of(const Delivery *d) { return d->set ? d->set : &NO_SET; }

static Value order_of(const Delivery *d) { return set_of(d)->ordered_at.is_set ? set_of(d)->ordered_at : d->modified_at; }

static int compare_places(const Delivery *a, const Delivery *b) {
    int order = compare_instants(order_of(a), order_of(b));
    if (order == 0)
        order = compare_numbers(set_of(a)->stage, set_of(b)->stage);
    if (order == 0)
        order = compare_instants(a->modified_at, b->modified_at);
    if (order == 0)
        order = str_compare(a->period, b->period);
    if (order == 0)
        order = str_compare(a->sha256, b->sha256);
    if (order == 0)
        order = compare_numbers(set_of(a)->begin, set_of(b)->begin);
    return order != 0 ? order : compare_numbers(a->line, b->line);
}

/* At the same place the one already stored comes first. */
static int compare_deliveries(const void *a, const void *b) {
    int order = compare_places(a, b);
    return order ? order
                 : compare_numbers(((const Delivery *)a)->origin, ((const Delivery *)b)->origin);
}

static bool is_same_number(Value a, Value b) {
    return a.is_set == b.is_set && (!a.is_set || a.number == b.number);
}

static bool is_same_iteration(const Delivery *a, const Delivery *b) {
    for (int i = 0; i < CLAIM_AMOUNTS; i++)
        if (!is_same_number(a->amounts[i], b->amounts[i]))
            return false;
    return a->status.is_set == b->status.is_set &&
           (!a->status.is_set || str_equal(value_str(a->status), value_str(b->status)));
}

static bool is_same_content(const Delivery *a, const Delivery *b) {
    return memcmp(a->record_hash, b->record_hash, sizeof a->record_hash) == 0;
}

/* The same delivery twice: the second goes behind the others and counts no more. Neither does one that is gone. */
static size_t set_repeats_aside(Delivery *deliveries, size_t n) {
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++) {
        bool is_repeat =
            n_kept > 0 && compare_places(&deliveries[n_kept - 1], &deliveries[i]) == 0;
        bool is_aside = is_repeat || deliveries[i].is_gone;
        deliveries[i].fate = is_aside ? DELIVERY_FORGOTTEN : DELIVERY_ABSORBED;
        deliveries[i].is_repeated = is_aside;
        if (is_aside)
            continue;
        if (i != n_kept) {
            Delivery moved = deliveries[i];
            deliveries[i] = deliveries[n_kept];
            deliveries[n_kept] = moved;
        }
        n_kept++;
    }
    return n_kept;
}

/* ---- remittances made again ---- */

static int compare_payments(const void *a, const void *b) {
    const Delivery *x = a, *y = b;
    int order = compare_numbers(!str_is_null(set_of(x)->payment), !str_is_null(set_of(y)->payment));
    if (order == 0 && !str_is_null(set_of(x)->payment))
        order = str_compare(set_of(x)->payment, set_of(y)->payment);
    if (order == 0)
        order = compare_numbers(x->seat, y->seat);
    return order ? order : compare_numbers(x->place, y->place);
}

static bool is_same_set(const Delivery *a, const Delivery *b) {
    return set_of(a)->begin == set_of(b)->begin && str_equal(a->sha256, b->sha256) && str_equal(a->period, b->period);
}

/* All deliveries of one payment, in their order: those of the last made take the first place, and the keys of the others. */
static void supersede(Delivery *deliveries, size_t n) {
    uint32_t first_seat = deliveries[0].seat;
    size_t n_last = 0, n_set = 0;
    const Delivery *last = &deliveries[n - 1];
    while (n_last < n && is_same_set(&deliveries[n - 1 - n_last], last))
        n_last++;
    for (size_t i = 0; i < n; i++) {
        deliveries[i].is_superseded = i < n - n_last;
        if (!deliveries[i].is_superseded) {
            deliveries[i].seat = first_seat;
            continue;
        }
        n_set = i > 0 && is_same_set(&deliveries[i - 1], &deliveries[i]) ? n_set + 1 : 0;
        if (deliveries[i].origin == DELIVERY_STORED_SHOWN && n_set < n_last)
            deliveries[n - n_last + n_set].heir_key = deliveries[i].claim_key;
    }
}

static int compare_seats(const void *a, const void *b) {
    const Delivery *x = a, *y = b;
    int order = compare_numbers(x->is_superseded, y->is_superseded);
    if (order == 0)
        order = compare_numbers(x->seat, y->seat);
    if (order == 0)
        order = compare_numbers(set_of(x)->stage, set_of(y)->stage);
    return order ? order : compare_numbers(x->place, y->place);
}

static int compare_references(const void *a, const void *b) {
    const Delivery *x = a, *y = b;
    int order = compare_numbers(!str_is_null(set_of(x)->reference), !str_is_null(set_of(y)->reference));
    if (order == 0 && !str_is_null(set_of(x)->reference))
        order = str_compare(set_of(x)->reference, set_of(y)->reference);
    return order ? order : compare_numbers(x->place, y->place);
}

/* All deliveries of sets of this name, in their order: an answer sits with the last claim sent before it, else with the first. */
static void seat_answers_of_name(Delivery *named, size_t n) {
    const Delivery *sent = NULL;
    for (size_t i = n; i > 0; i--)
        if (set_of(&named[i - 1])->stage == STAGE_SENT)
            sent = &named[i - 1];
    for (size_t i = 0; i < n && sent; i++)
        if (set_of(&named[i])->stage == STAGE_SENT)
            sent = &named[i];
        else if (set_of(&named[i])->stage == STAGE_ACKNOWLEDGED)
            named[i].seat = sent->place;
}

/* Sorts them by name: looked for one by one, 20,000 of one claim took 1.8 s. */
static void seat_answers(Delivery *deliveries, size_t n) {
    qsort(deliveries, n, sizeof *deliveries, compare_references);
    for (size_t first = 0, end; first < n; first = end) {
        Str name = set_of(&deliveries[first])->reference;
        for (end = first + 1; end < n && !str_is_null(name) && str_equal(name, set_of(&deliveries[end])->reference);)
            end++;
        if (!str_is_null(name))
            seat_answers_of_name(deliveries + first, end - first);
    }
}

/* ---- reversals ---- */

static bool has_status(const Delivery *d, Str word) { return d->status.is_set && str_equal(value_str(d->status), word); }

static bool is_reversal(const Delivery *d) { return has_status(d, STR("Reversed")); }

static bool is_decision(const Delivery *d) {
    return has_status(d, STR("Paid")) || has_status(d, STR("Denied")) || has_status(d, STR("Approved"));
}

static int compare_turns(const void *a, const void *b) {
    return compare_numbers(((const Delivery *)a)->turn, ((const Delivery *)b)->turn);
}

/* A remittance, in its order: a decision that would stand beside an earlier one lets the next reversal go first. `stands`: of
 * the claim before it. Returns how it stands behind it. */
static bool reverse_before_correcting(Delivery *of_set, size_t n, bool stands) {
    size_t n_looked = 0; /* no reversal in front of this one wants a place */
    uint32_t turn = 0;
    bool has_moved = false;
    for (size_t i = 0; i < n; i++) {
        if (is_reversal(&of_set[i])) {
            if (i >= n_looked)
                of_set[i].turn = turn++, stands = false;
            continue;
        }
        if (is_decision(&of_set[i]) && stands) {
            for (n_looked = n_looked > i ? n_looked : i; n_looked < n && !is_reversal(&of_set[n_looked]);)
                n_looked++;
            if (n_looked < n)
                of_set[n_looked++].turn = turn++, has_moved = true;
        }
        of_set[i].turn = turn++;
        stands |= is_decision(&of_set[i]);
    }
    if (has_moved)
        qsort(of_set, n, sizeof *of_set, compare_turns);
    return stands;
}

static void put_reversals_in_front(Delivery *deliveries, size_t n) {
    bool stands = false;
    for (size_t first = 0, end; first < n; first = end) {
        for (end = first + 1; end < n && set_of(&deliveries[first])->stage == STAGE_ADJUDICATED &&
                              is_same_set(&deliveries[first], &deliveries[end]);)
            end++;
        stands = reverse_before_correcting(deliveries + first, end - first, stands);
    }
}

/* Takes everyone's seat by the order; those that count no more go behind the others. */
static size_t set_superseded_aside(Delivery *deliveries, size_t n) {
    bool has_sets = false;
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++) {
        deliveries[i].place = deliveries[i].seat = (uint32_t)i;
        deliveries[i].is_superseded = false;
        deliveries[i].heir_key = 0;
        has_sets |= set_of(&deliveries[i])->stage == STAGE_ADJUDICATED || !str_is_null(set_of(&deliveries[i])->reference);
    }
    if (!has_sets)
        return n;
    seat_answers(deliveries, n);
    qsort(deliveries, n, sizeof *deliveries, compare_payments);
    for (size_t first = 0, end; first < n; first = end) {
        for (end = first + 1; end < n && !str_is_null(set_of(&deliveries[first])->payment) &&
                              str_equal(set_of(&deliveries[first])->payment, set_of(&deliveries[end])->payment);)
            end++;
        supersede(deliveries + first, end - first);
    }
    qsort(deliveries, n, sizeof *deliveries, compare_seats);
    while (n_kept < n && !deliveries[n_kept].is_superseded)
        n_kept++;
    put_reversals_in_front(deliveries, n_kept);
    return n_kept;
}

/* ---- runs ---- */

/* The delivery that shows: where the run's last content begins; of neighbours with the same text there, the
 * one that shows already, so that a copy that sorts before it changes nothing. */
static Delivery *choose_shown(Delivery *run, size_t n) {
    size_t first = n - 1;
    while (first > 0 && is_same_content(&run[first - 1], &run[n - 1]))
        first--;
    for (size_t i = first; i < n && run[i].source_hash == run[first].source_hash; i++)
        if (run[i].origin == DELIVERY_STORED_SHOWN)
            return &run[i];
    return &run[first];
}

/* Runs grow together when a mended mapping makes neighbours equal: then the one that shows keeps its own key. */
static int64_t key_of_run(const Delivery *run, size_t n, const Delivery *shown) {
    if (shown->origin == DELIVERY_STORED_SHOWN)
        return shown->claim_key;
    for (size_t i = 0; i < n; i++)
        if (run[i].origin == DELIVERY_STORED_SHOWN)
            return run[i].claim_key;
    for (size_t i = 0; i < n; i++)
        if (run[i].heir_key)
            return run[i].heir_key;
    return 0;
}

/* Neighbours with one text: each feed keeps it once, of one that is stored or shows, and where there is none, of the first. */
static void mark_kept_once(Delivery *alike, size_t n) {
    bool is_kept = false;
    for (size_t i = 0; i < n; i++)
        is_kept |= !alike[i].is_elsewhere && (alike[i].origin != DELIVERY_NEW || alike[i].fate == DELIVERY_SHOWN);
    for (size_t i = 0; i < n; i++) {
        alike[i].is_repeated = is_kept && n > 1;
        is_kept |= !alike[i].is_elsewhere;
    }
}

static void settle_run(Delivery *run, size_t n, int32_t iteration, bool is_final) {
    Delivery *shown = choose_shown(run, n);
    for (size_t i = 0; i < n; i++)
        run[i].fate = DELIVERY_ABSORBED;
    shown->fate = DELIVERY_SHOWN;
    for (size_t first = 0, end; first < n; first = end) {
        for (end = first + 1; end < n && run[first].source_hash == run[end].source_hash;)
            end++;
        mark_kept_once(run + first, end - first);
    }
    shown->iteration = iteration;
    shown->is_final = is_final;
    shown->key = key_of_run(run, n, shown);
}

void iterations_derive(Delivery *deliveries, size_t n) {
    if (n > 1) /* most claims have one, and qsort() first makes a copy */
        qsort(deliveries, n, sizeof *deliveries, compare_deliveries);
    size_t n_kept = set_superseded_aside(deliveries, set_repeats_aside(deliveries, n));
    int32_t iteration = 0;
    for (size_t first = 0, end; first < n_kept; first = end) {
        end = first + 1;
        while (end < n_kept && is_same_iteration(&deliveries[end - 1], &deliveries[end]))
            end++;
        settle_run(deliveries + first, end - first, ++iteration, end == n_kept);
    }
}
