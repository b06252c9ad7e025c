/* claim_files.c - see claim_work.h: files of which nothing shows any more, or something again. */
#include "storage/claim_work.h"
#include "storage/file.h"

#include <stdlib.h>

enum { FILES_FIRST = 64 };

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

/* Neighbours are mostly of one file. */
static void note(FileIds *files, int64_t file_id, Arena *arena) {
    if (files->n > 0 && files->ids[files->n - 1] == file_id)
        return;
    if (files->n == files->n_room) {
        int64_t *ids = ARENA_ARRAY(arena, int64_t, files->n_room = files->n_room ? 2 * files->n_room : FILES_FIRST);
        if (files->n > 0)
            memcpy(ids, files->ids, files->n * sizeof *ids);
        files->ids = ids;
    }
    files->ids[files->n++] = file_id;
}

/* Of one that was cleaned again it is not known here what it said before. */
void claim_touch_files(const SilverPage *page, const Delivery *claim, size_t n, Arena *scratch) {
    struct ClaimWork *work = page->claims;
    bool has_news = false, has_stored = false, is_cleaned = work->is_cleaned_again;
    for (size_t i = 0; i < n; i++) {
        has_news |= claim_is_news(&claim[i]);
        has_stored |= claim[i].origin != DELIVERY_NEW;
        is_cleaned |= claim[i].differs;
    }
    if (!has_news)
        return;
    const bool *has_turned = is_cleaned || !has_stored ? NULL : find_turned(claim, n, scratch);
    for (size_t i = 0; i < n; i++) {
        bool is_stored = claim[i].origin != DELIVERY_NEW;
        if (is_stored && (is_cleaned || has_turned[i]))
            note(&work->stored_files, claim[i].file_id, page->arena);
        else if (!is_stored && (is_cleaned || !claim_is_shown(&claim[i])))
            note(&work->new_files, claim[i].file_id, page->arena);
    }
}

/* The next page is of other claims, and mostly of the same files. */
static bool note_unsure(Pg *pg, const FileIds *files, Error *err) {
    return files->n == 0 || file_note_unsure(pg, files->ids, files->n, err);
}

static bool restate(Pg *pg, const FileIds *files, FileShows shows, Error *err) {
    return files->n == 0 || file_restate(pg, files->ids, files->n, shows, err);
}

bool claim_restate_files(Pg *pg, const SilverPage *page, Error *err) {
    const struct ClaimWork *work = page->claims;
    if (work->is_cleaned_again)
        return note_unsure(pg, &work->stored_files, err) && note_unsure(pg, &work->new_files, err);
    return restate(pg, &work->stored_files, FILE_MOSTLY_REPLACED, err) && restate(pg, &work->new_files, FILE_MOSTLY_SHOWS, err);
}
