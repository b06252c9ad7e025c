/* place_count.c - see place_count.h; and place_count() of place.h. */
#include "steps/place_count.h"

#include "base/metrics.h"

#include <string.h>

/* ---- rows ---- */

static void count_row(const SilverRow *row, PlaceOutcome *outcome) {
    bool is_passed = row->fate == ROW_SAME || row->fate == ROW_REPEATED;
    outcome->rows_new += row->fate == ROW_NEW;
    outcome->rows_changed += row->fate == ROW_CHANGED;
    outcome->rows_same += is_passed || row->fate == ROW_TOUCHED || row->fate == ROW_ABSORBED;
    outcome->rows_quarantined += row->fate == ROW_REJECTED;
    outcome->rows_deleted += row->fate == ROW_GONE;
    outcome->rows_flagged += !is_passed && row->fate != ROW_REJECTED && row->record.flags != 0;
}

void place_count(const SilverRow *rows, size_t n, PlaceOutcome *outcome) {
    for (size_t i = 0; i < n; i++)
        count_row(&rows[i], outcome);
}

int64_t place_rows_written(const PlaceOutcome *outcome) {
    return outcome->rows_new + outcome->rows_changed + outcome->rows_deleted;
}

/* ---- flags ---- */

static void count_bits(uint64_t bits, int64_t *counts) {
    for (; bits; bits &= bits - 1)
        counts[__builtin_ctzll(bits)]++;
}

static const char *counted_name(const PlaceFeed *feed, int flag) {
    return flag < FLAGS_MAX ? mapping_flag_name(feed->mapping, flag)
                            : settle_flag_name((SettleFlag)(flag - FLAGS_MAX));
}

void place_count_flags(const PlaceFeed *feed, const SilverPage *page, FlagCounts *ret) {
    int64_t counts[FLAGS_COUNTED] = {0};
    for (size_t i = 0; i < page->n_rows; i++) {
        const SilverRow *row = &page->rows[i];
        if (row->fate != ROW_NEW && row->fate != ROW_CHANGED)
            continue;
        count_bits(row->record.flags, counts);
        count_bits(row->record.settle_flags, counts + FLAGS_MAX);
    }
    ret->n = 0;
    for (int flag = 0; flag < FLAGS_COUNTED; flag++)
        if (counts[flag])
            ret->rules[ret->n++] = (RuleCount){counted_name(feed, flag), counts[flag]};
}

static bool check_rows(const PlaceFeed *feed, const SilverRow *rows, size_t n, Error *err) {
    for (int flag = 0; flag < FLAGS_MAX; flag++) {
        const RuleSpec *rule = mapping_stop_rule(feed->mapping, flag);
        if (!rule)
            continue;
        size_t n_broken = 0;
        for (size_t i = 0; i < n; i++)
            n_broken += rows[i].record.flags >> flag & 1;
        if (n_broken * 100 <= (size_t)rule->stop_percent * n)
            continue;
        error_set(err, STATE_DATA, "feed %s: %zu of %zu rows of a page break rule %s, above its share of %d %%",
                  feed->feed, n_broken, n, rule->name, rule->stop_percent);
        return error_hint(err, "look at the source; mend the data, the mapping or the rule");
    }
    return true;
}

static bool check_files(const PlaceFeed *feed, const SilverPage *page, Error *err) {
    for (size_t first = 0, end; first < page->n_rows; first = end) {
        end = first + 1;
        while (end < page->n_rows && page->files[end].file_id == page->files[first].file_id)
            end++;
        TRY(check_rows(feed, &page->rows[first], end - first, err));
    }
    return true;
}

/* A share is one of a whole page: of a part of it, one row may be all. */
bool placing_check_stops(Placing *p, Error *err) {
    if (p->rows->is_trial || (p->work && p->work->is_part))
        return true;
    return p->rows->files ? check_files(p->feed, p->page, err) : check_rows(p->feed, p->page->rows, p->page->n_rows, err);
}

/* ---- a page that is placed ---- */

static void count_metrics(const PlaceFeed *feed, const SilverPage *page, const PlaceOutcome *outcome) {
    METRIC_ADD(METRIC_FEED_ROWS_READ, page->n_rows, feed->feed);
    METRIC_ADD(METRIC_FEED_ROWS_CHANGED, outcome->rows_new, feed->feed, "insert");
    METRIC_ADD(METRIC_FEED_ROWS_CHANGED, outcome->rows_changed, feed->feed, "update");
    METRIC_ADD(METRIC_FEED_ROWS_CHANGED, outcome->rows_deleted, feed->feed, "delete");
    FlagCounts flags;
    place_count_flags(feed, page, &flags);
    for (size_t i = 0; i < flags.n; i++)
        METRIC_ADD(METRIC_FEED_ROWS_FLAGGED, flags.rules[i].failed, feed->feed, flags.rules[i].rule);
    for (size_t i = 0; i < page->n_rows; i++)
        if (page->rows[i].fate == ROW_REJECTED)
            METRIC_ADD(METRIC_FEED_ROWS_QUARANTINED, 1, feed->feed, page->rows[i].record.reject_rule);
}

static void count_attribute(RunCounts *counts, const char *name, const AttributeCount *found) {
    int i = 0;
    while (i < counts->n_attributes && strcmp(counts->attributes[i].name, name) != 0)
        i++;
    if (i == RUN_ATTRIBUTES_MAX)
        return;
    if (i == counts->n_attributes)
        counts->attributes[counts->n_attributes++] = (RunAttribute){.name = name};
    counts->attributes[i].versions += found->versions;
    counts->attributes[i].corrected += found->corrected;
}

static void count_attributes(RunCounts *counts, const SilverPage *page) {
    for (int i = 0; page->attributes && i < page->entity->n_columns; i++)
        if (page->attributes[i].versions + page->attributes[i].corrected > 0)
            count_attribute(counts, page->entity->columns[i].name, &page->attributes[i]);
}

static void count_run(RunCounts *counts, const SilverPage *page, const PlaceOutcome *outcome) {
    counts->rows_read += (int64_t)page->n_rows;
    counts->rows_new += outcome->rows_new;
    counts->rows_changed += place_rows_written(outcome);
    count_attributes(counts, page);
    counts->rows_flagged += outcome->rows_flagged;
    counts->rows_quarantined += outcome->rows_quarantined;
    counts->pages++;
}

bool placing_count(Placing *p, Error *err) {
    (void)err;
    count_run(&p->feed->run->counts, p->page, &p->outcome);
    if (!p->feed->run->plan)
        count_metrics(p->feed, p->page, &p->outcome);
    return true;
}
