/* claim_files.c - see claim_work.h: files of which nothing shows any more, or something again. */
#include "storage/claim_work.h"
#include "storage/file.h"

#include <stdlib.h>

/* Such files as the page makes them, `n_stored` from the front, the others from the back. */
typedef struct Touched {
    int64_t *ids;
    size_t n_stored, n_new, n_most;
} Touched;

static int compare_contents(const void *a, const void *b) {
    const Delivery *x = *(const Delivery *const *)a, *y = *(const Delivery *const *)b;
    return memcmp(x->record_hash, y->record_hash, sizeof x->record_hash);
}

/* Of each delivery of a claim, whether its content shows now and did not before, or the other way round. Sorted: a claim has as
 * many as there are rows where a mapping takes another column for the id. */
static const bool *find_turned(const Delivery *claim, size_t n, Arena *arena) {
    const Delivery **sorted = ARENA_ARRAY(arena, const Delivery *, n);
    bool *has_turned = ARENA_ARRAY(arena, bool, n);
    for (size_t i = 0; i < n; i++)
        sorted[i] = &claim[i];
    qsort(sorted, n, sizeof *sorted, compare_contents);
    for (size_t first = 0, end; first < n; first = end) {
        bool was_shown = false, is_shown = false;
        for (end = first; end < n && compare_contents(&sorted[first], &sorted[end]) == 0; end++) {
            was_shown |= claim_was_shown(sorted[end]);
            is_shown |= claim_is_shown(sorted[end]);
        }
        for (size_t i = first; i < end; i++)
            has_turned[sorted[i] - claim] = was_shown != is_shown;
    }
    return has_turned;
}

static void touch_stored(Touched *touched, int64_t file_id) {
    if (touched->n_stored == 0 || touched->ids[touched->n_stored - 1] != file_id)
        touched->ids[touched->n_stored++] = file_id;
}

static void touch_new(Touched *touched, int64_t file_id) {
    if (touched->n_new == 0 || touched->ids[touched->n_most - touched->n_new] != file_id)
        touched->ids[touched->n_most - ++touched->n_new] = file_id;
}

/* Of one that was cleaned again it is not known here what it said before. */
static void touch_files(Touched *touched, const Delivery *claim, size_t n, bool is_cleaned, Arena *arena) {
    bool has_news = false, has_stored = false;
    for (size_t i = 0; i < n; i++) {
        has_news |= claim_is_news(&claim[i]);
        has_stored |= claim[i].origin != DELIVERY_NEW;
        is_cleaned |= claim[i].differs;
    }
    if (!has_news)
        return;
    const bool *has_turned = is_cleaned || !has_stored ? NULL : find_turned(claim, n, arena);
    for (size_t i = 0; i < n; i++) {
        bool is_stored = claim[i].origin != DELIVERY_NEW;
        if (is_stored && (is_cleaned || has_turned[i]))
            touch_stored(touched, claim[i].file_id);
        else if (!is_stored && (is_cleaned || !claim_is_shown(&claim[i])))
            touch_new(touched, claim[i].file_id);
    }
}

/* The next page is of other claims, and mostly of the same files. */
static bool note_unsure(Pg *pg, const Touched *touched, Error *err) {
    return (touched->n_stored == 0 || file_note_unsure(pg, touched->ids, touched->n_stored, err)) &&
           (touched->n_new == 0 || file_note_unsure(pg, touched->ids + touched->n_most - touched->n_new, touched->n_new, err));
}

bool claim_restate_files(Pg *pg, const SilverPage *page, Error *err) {
    const struct ClaimWork *work = page->claims;
    Touched touched = {.ids = ARENA_ARRAY(page->arena, int64_t, work->n + 1), .n_most = work->n};
    for (size_t first = 0, end; first < work->n; first = end) {
        end = claim_end(work, first);
        touch_files(&touched, work->deliveries + first, end - first, work->is_cleaned_again, page->arena);
    }
    if (work->is_cleaned_again)
        return note_unsure(pg, &touched, err);
    TRY(touched.n_stored == 0 || file_restate(pg, touched.ids, touched.n_stored, FILE_MOSTLY_REPLACED, err));
    return touched.n_new == 0 ||
           file_restate(pg, touched.ids + touched.n_most - touched.n_new, touched.n_new, FILE_MOSTLY_SHOWS, err);
}
