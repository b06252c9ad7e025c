/* receive_small.c - see receiving.h: small files, several as one page (together.h). */
#include "base/failpoint.h"
#include "base/log.h"
#include "base/own.h"
#include "steps/receiving.h"

static bool end_together(Receiving *r, Error *err) {
    const Together *together = &r->together;
    r->run->counts.bytes_read += (int64_t)together->size_bytes;
    for (size_t i = 0; i < together->n; i++) {
        const SmallFile *file = &together->files[i];
        EndedFile ended = {.file_id = file->seen.seen_id, .end = DROP_DONE, .name = file->name, .stamp = file->stamp,
                           .known_as = file->seen.name, .outcome = "done"};
        TRY(ended_add(&r->ended, &ended, err));
    }
    return true;
}

/* As if they had come so, with memory of their own: another file may be in hand. One that somebody took away is gone. */
static bool receive_each(Receiving *r, Error *err) {
    CLEANUP(arena_drop) Arena *arena = arena_open(), *pages = arena_open();
    Arena *in_hand = r->arena, *in_hand_pages = r->pages;
    bool ok = true;
    r->arena = arena;
    r->pages = pages;
    r->is_each_alone = true;
    for (size_t i = 0; ok && i < r->together.n; i++)
        ok = !drop_has_claimed(&r->drop, r->together.files[i].name) ||
             (!step_is_canceled(r->run, err) &&
              receive_file(r, r->together.files[i].name, FOUND_WAITING, r->together.files[i].seen.seen_id, err));
    r->arena = in_hand;
    r->pages = in_hand_pages;
    r->is_each_alone = false;
    return ok;
}

/* A fault that may be one file's alone. */
static bool is_one_of_theirs(const Error *why) {
    return receiving_is_files_fault(why) || refused_is_likely(why) || error_class(why) == ERROR_CONFLICT;
}

static bool place_them(Receiving *r, Error *err) {
    CLEANUP(arena_drop) Arena *page = arena_open();
    Error why = {0};
    r->together.feed->cursor.page = r->page;
    if (!together_place(&r->together, &r->drop, page, &why)) {
        if (!is_one_of_theirs(&why)) {
            *err = why;
            return false;
        }
        LOG_FAILURE(LOG_LEVEL_INFO, "small files are placed each by itself", &why, LOG_TEXT("feed", r->claims->name));
        return receiving_is_ours(r, err) && receive_each(r, err); /* and not those of whoever took over */
    }
    FAILPOINT("receive.after_page");
    r->page = r->together.feed->cursor.page;
    r->position = NULL;
    return end_together(r, err);
}

bool small_place(Receiving *r, Error *err) {
    if (r->together.n == 0 || r->is_each_alone)
        return true;
    bool ok = !step_is_canceled(r->run, err) && place_them(r, err);
    open_feeds_give(r->together.feed);
    together_empty(&r->together);
    return ok;
}

/* Nothing is to be said of it but that it was received. */
bool small_may_wait(const Receiving *r, const Reading *reading, const DeliveryPage *page) {
    const Incoming *file = reading->file;
    size_t n = page->rows.n_rows;
    return !r->run->plan && !r->is_each_alone && !delivery_survey(reading->delivery) && reading->former.n == 0 &&
           file->entry.file_id == 0 && file->seen.seen_id > 0 && page->is_last && !page->was_cut && n > 0 &&
           n <= TOGETHER_ROWS_A_FILE && n <= together_most_rows(reading->feed);
}

bool small_place_before(Receiving *r, Reading *reading, Error *err) {
    TRY(small_place(r, err));
    reading->feed->cursor.page = r->page;
    return true;
}

bool small_wait(Receiving *r, Reading *reading, const DeliveryPage *page, Error *err) {
    const Incoming *file = reading->file;
    SmallFile small = {.name = file->name, .stamp = file->stamp, .bytes = file->bytes, .seen = file->seen,
                       .detected = *file->detected};
    if (!together_fits(&r->together, reading->feed, page, r->pages))
        TRY(small_place_before(r, reading, err));
    if (r->together.n == 0)
        open_feeds_hold(reading->feed);
    together_add(&r->together, reading->feed, &small, page, r->pages);
    return true;
}
