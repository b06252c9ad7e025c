/* holding.c - see holding.h. */
#include "transform/holding.h"

/* ---- what stands behind what ---- */

static int compare_numbers(int64_t a, int64_t b) { return (a > b) - (a < b); }

static int compare_arrivals(const Holding *a, const Holding *b) {
    int order = compare_numbers(a->file_id, b->file_id);
    return order ? order : compare_numbers(a->line, b->line);
}

static int compare_made(const Holding *a, const Holding *b) {
    int order = compare_numbers(a->ordered_at.number, b->ordered_at.number);
    return order ? order : compare_numbers(a->stage, b->stage);
}

/* By period or arrival: 0 for what stands at one place. */
static int compare_told(const Holding *a, const Holding *b) {
    int order = 0;
    if (!str_is_null(a->period) && !str_is_null(b->period))
        order = str_compare(a->period, b->period);
    return order ? order : compare_arrivals(a, b);
}

static bool is_behind(const Holding *a, const Holding *b) {
    int order = 0;
    if (a->ordered_at.is_set && b->ordered_at.is_set)
        order = compare_made(a, b);
    return (order ? order : compare_told(a, b)) > 0;
}

int holding_compare(const Holding *a, const Holding *b) {
    int order = compare_numbers(!str_is_null(a->period), !str_is_null(b->period));
    if (order == 0)
        order = compare_told(a, b);
    return order ? order : compare_numbers(a->entry, b->entry);
}

/* ---- usable deliveries ---- */

static bool has_any(const HoldingPeaks *peaks) { return peaks->has_period || peaks->has_none; }

/* Of those with a period the last by period is behind an entry with one if any is, of those without the last to arrive; behind an
 * entry without a period it is the last of all to arrive. */
static void add_peak(HoldingPeaks *peaks, const Holding *usable) {
    if (!has_any(peaks) || compare_arrivals(usable, &peaks->latest) > 0)
        peaks->latest = *usable;
    bool is_of_none = str_is_null(usable->period);
    Holding *peak = is_of_none ? &peaks->of_none : &peaks->of_period;
    bool *has_peak = is_of_none ? &peaks->has_none : &peaks->has_period;
    if (!*has_peak || compare_told(usable, peak) > 0)
        *peak = *usable;
    *has_peak = true;
}

static bool are_behind(const HoldingPeaks *peaks, const Holding *entry) {
    return (peaks->has_period && compare_told(&peaks->of_period, entry) > 0) ||
           (peaks->has_none && compare_told(&peaks->of_none, entry) > 0) ||
           (has_any(peaks) && compare_told(&peaks->latest, entry) > 0);
}

static void add_made(HoldingMade *made, const Holding *usable) {
    if (made->n++ == 0)
        made->first = *usable;
    add_peak(&made->peaks, usable);
}

static int compare_to_made(const Holding *holding, const HoldingMade *made) {
    return made->n == 0 ? 1 : compare_made(holding, &made->first);
}

static void add_ordered(HoldingFold *fold, const Holding *usable) {
    int order = compare_to_made(usable, &fold->last_made);
    if (order > 0) {
        fold->made_before = fold->last_made;
        fold->last_made = (HoldingMade){.n = 0};
    } else if (order < 0 && compare_to_made(usable, &fold->made_before) > 0) {
        fold->made_before = (HoldingMade){.n = 0};
    }
    if (order >= 0)
        add_made(&fold->last_made, usable);
    else if (compare_to_made(usable, &fold->made_before) == 0 || fold->made_before.n == 0)
        add_made(&fold->made_before, usable);
}

void holding_add_usable(HoldingFold *fold, const Holding *usable) {
    add_peak(&fold->usable, usable);
    if (usable->ordered_at.is_set)
        add_ordered(fold, usable);
    else
        add_peak(&fold->unordered, usable);
}

/* ---- entries ---- */

/* By what was made last, elsewhere: what was made before that is behind no entry that it is not behind of. */
static bool is_made_before_usable(const HoldingFold *fold, const Holding *entry) {
    const HoldingMade *last = &fold->last_made;
    if (last->n == 1 && compare_arrivals(&last->first, entry) == 0)
        last = &fold->made_before;
    if (last->n == 0)
        return false;
    int order = compare_made(&last->first, entry);
    return order > 0 || (order == 0 && are_behind(&last->peaks, entry));
}

static bool is_alive(const HoldingFold *fold, const Holding *entry) {
    if (!entry->ordered_at.is_set)
        return !are_behind(&fold->usable, entry);
    return !is_made_before_usable(fold, entry) && !are_behind(&fold->unordered, entry);
}

void holding_add_entry(HoldingFold *fold, const Holding *entry) {
    if ((!fold->counting.entry || is_behind(entry, &fold->counting)) && is_alive(fold, entry))
        fold->counting = *entry;
}
