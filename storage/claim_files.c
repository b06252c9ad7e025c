/* claim_files.c - see claim_work.h: files of which nothing shows any more, or something again. */
#include "storage/claim_work.h"
#include "storage/file.h"

/* Such files as the page makes them, `n_stored` from the front, the others from the back. */
typedef struct Touched {
    int64_t *ids;
    size_t n_stored, n_new, n_most;
} Touched;

static bool is_said(const Delivery *d, const Delivery *claim, size_t n, bool (*shows)(const Delivery *d)) {
    for (size_t i = 0; i < n; i++)
        if (shows(&claim[i]) && memcmp(claim[i].record_hash, d->record_hash, sizeof d->record_hash) == 0)
            return true;
    return false;
}

/* Of one that was cleaned again it is not known here what it said before. */
static bool may_turn(const Delivery *d, const Delivery *claim, size_t n, bool is_cleaned) {
    return is_cleaned || is_said(d, claim, n, claim_was_shown) != is_said(d, claim, n, claim_is_shown);
}

static void touch_files(Touched *touched, const Delivery *claim, size_t n, bool is_cleaned) {
    bool has_news = false;
    for (size_t i = 0; i < n; i++) {
        has_news |= claim_is_news(&claim[i]);
        is_cleaned |= claim[i].differs;
    }
    for (size_t i = 0; has_news && i < n; i++) {
        int64_t id = claim[i].file_id;
        if (claim[i].origin != DELIVERY_NEW) {
            bool is_again = touched->n_stored > 0 && touched->ids[touched->n_stored - 1] == id;
            if (!is_again && may_turn(&claim[i], claim, n, is_cleaned))
                touched->ids[touched->n_stored++] = id;
        } else if ((is_cleaned || !claim_is_shown(&claim[i])) &&
                   (touched->n_new == 0 || touched->ids[touched->n_most - touched->n_new] != id)) {
            touched->ids[touched->n_most - ++touched->n_new] = id;
        }
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
        end = first + 1;
        while (end < work->n && claim_is_same(&work->deliveries[first], &work->deliveries[end]))
            end++;
        touch_files(&touched, work->deliveries + first, end - first, work->is_cleaned_again);
    }
    if (work->is_cleaned_again)
        return note_unsure(pg, &touched, err);
    TRY(touched.n_stored == 0 || file_restate(pg, touched.ids, touched.n_stored, FILE_MOSTLY_REPLACED, err));
    return touched.n_new == 0 ||
           file_restate(pg, touched.ids + touched.n_most - touched.n_new, touched.n_new, FILE_MOSTLY_SHOWS, err);
}
