/* holding.c - see holding.h. */
#include "transform/holding.h"

#include <stdlib.h>

static int compare_numbers(int64_t a, int64_t b) { return (a > b) - (a < b); }

static int compare_arrivals(const Holding *a, const Holding *b) {
    int order = compare_numbers(a->file_id, b->file_id);
    return order ? order : compare_numbers(a->line, b->line);
}

static int compare_made(const Holding *a, const Holding *b) {
    int order = compare_numbers(a->ordered_at.number, b->ordered_at.number);
    return order ? order : compare_numbers(a->stage, b->stage);
}

static bool is_behind(const Holding *a, const Holding *b) {
    int order = 0;
    if (a->ordered_at.is_set && b->ordered_at.is_set)
        order = compare_made(a, b);
    if (order == 0 && !str_is_null(a->period) && !str_is_null(b->period))
        order = str_compare(a->period, b->period);
    return (order ? order : compare_arrivals(a, b)) > 0;
}

/* Entries first; those whose period is not known before the others. */
static int compare_holdings(const void *a, const void *b) {
    const Holding *x = a, *y = b;
    int order = compare_numbers(x->entry == 0, y->entry == 0);
    if (order == 0)
        order = compare_numbers(!str_is_null(x->period), !str_is_null(y->period));
    if (order == 0 && !str_is_null(x->period))
        order = str_compare(x->period, y->period);
    if (order == 0)
        order = compare_arrivals(x, y);
    return order ? order : compare_numbers(x->entry, y->entry);
}

/* The last deliveries first: one of them mostly ends the search. */
static bool is_alive(const Holding *entry, const Holding *usable, size_t n) {
    while (n-- > 0)
        if (compare_arrivals(&usable[n], entry) != 0 && is_behind(&usable[n], entry))
            return false;
    return true;
}

void holdings_derive(Holding *holdings, size_t n) {
    qsort(holdings, n, sizeof *holdings, compare_holdings);
    size_t n_entries = 0;
    while (n_entries < n && holdings[n_entries].entry)
        holdings[n_entries++].counts = false;
    Holding *last = NULL;
    for (Holding *entry = holdings + n_entries; entry-- > holdings;)
        if ((!last || is_behind(entry, last)) && is_alive(entry, holdings + n_entries, n - n_entries))
            last = entry;
    if (last)
        last->counts = true;
}
