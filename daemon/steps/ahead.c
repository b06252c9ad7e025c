/* ahead.c - see ahead.h. A few slots between one writer (the thread) and one reader (the run): the thread fills
 * them in turn and waits while all are full; where one slot goes on may stand in the other, so a
 * slot is emptied by the thread alone, when it fills it again. */
#include "steps/ahead.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdlib.h>

struct Ahead {
    AheadReader reader;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    AheadPage slots[AHEAD_IN_HAND_MAX + 1];
    uint64_t n_slots; /* of them */
    uint64_t n_filled, n_taken, n_given_back; /* pages since the start */
    bool stops; /* the reader wants no more */
    bool failed;
    Error error;
};

/* ---- on the thread ---- */

static bool fill(const AheadReader *reader, AheadPage *page, Error *err) {
    arena_empty(page->arena);
    TRY(reader->read(reader->ctx, page, err));
    page->rows->prepared = place_prepare(reader->place, page->rows, page->arena);
    return true;
}

/* True when there is a slot to fill. */
static bool await_slot(Ahead *ahead) {
    pthread_mutex_lock(&ahead->mutex);
    while (!ahead->stops && ahead->n_filled - ahead->n_given_back == ahead->n_slots)
        pthread_cond_wait(&ahead->changed, &ahead->mutex);
    bool goes_on = !ahead->stops;
    pthread_mutex_unlock(&ahead->mutex);
    return goes_on;
}

static void hand_over(Ahead *ahead, bool ok, const Error *err) {
    pthread_mutex_lock(&ahead->mutex);
    ahead->failed = !ok;
    if (ok)
        ahead->n_filled++;
    else
        ahead->error = *err;
    pthread_cond_broadcast(&ahead->changed);
    pthread_mutex_unlock(&ahead->mutex);
}

static void *read_pages(void *context) {
    Ahead *ahead = context;
    const AheadReader *reader = &ahead->reader;
    bool goes_on = true;
    if (reader->thread_open)
        reader->thread_open();
    for (uint64_t n = 0; goes_on && await_slot(ahead); n++) {
        AheadPage *page = &ahead->slots[n % ahead->n_slots];
        Error err = {0};
        goes_on = fill(reader, page, &err);
        hand_over(ahead, goes_on, &err);
        goes_on = goes_on && !page->is_last;
    }
    if (reader->thread_close)
        reader->thread_close();
    return NULL;
}

/* ---- on the run's thread ---- */

static void give_back(Ahead *ahead) {
    for (uint64_t i = 0; i < ahead->n_slots; i++)
        arena_free(ahead->slots[i].arena);
    pthread_cond_destroy(&ahead->changed);
    pthread_mutex_destroy(&ahead->mutex);
    free(ahead);
}

Ahead *ahead_open(const AheadReader *reader, Error *err) {
    Ahead *ahead = calloc(1, sizeof *ahead);
    if (!ahead)
        abort();
    ahead->reader = *reader;
    ahead->n_slots = reader->n_in_hand + 1;
    for (uint64_t i = 0; i < ahead->n_slots; i++)
        ahead->slots[i].arena = arena_open();
    pthread_mutex_init(&ahead->mutex, NULL);
    clock_condition_init(&ahead->changed);
    if (pthread_create(&ahead->thread, NULL, read_pages, ahead) != 0) {
        give_back(ahead);
        error_set(err, STATE_RESOURCES, "the system gives no thread to read %s ahead", reader->what);
        error_hint(err, "raise TasksMax of the unit, or lower `workers`");
        return NULL;
    }
    return ahead;
}

static bool has_answer(const Ahead *ahead) { return ahead->n_filled > ahead->n_taken || ahead->failed; }

AheadPage *ahead_next(Ahead *ahead, Error *err) {
    AheadPage *page = NULL;
    pthread_mutex_lock(&ahead->mutex);
    while (!has_answer(ahead))
        pthread_cond_wait(&ahead->changed, &ahead->mutex);
    if (ahead->n_filled > ahead->n_taken)
        page = &ahead->slots[ahead->n_taken++ % ahead->n_slots];
    else
        *err = ahead->error;
    pthread_mutex_unlock(&ahead->mutex);
    return page;
}

void ahead_done(Ahead *ahead) {
    pthread_mutex_lock(&ahead->mutex);
    ahead->n_given_back++;
    pthread_cond_broadcast(&ahead->changed);
    pthread_mutex_unlock(&ahead->mutex);
}

bool ahead_await(Ahead *ahead, int ms) {
    struct timespec until = clock_in_ms(ms);
    pthread_mutex_lock(&ahead->mutex);
    for (int rc = 0; rc == 0 && !has_answer(ahead);)
        rc = pthread_cond_timedwait(&ahead->changed, &ahead->mutex, &until);
    bool is_ready = has_answer(ahead);
    pthread_mutex_unlock(&ahead->mutex);
    return is_ready;
}

void ahead_free(Ahead *ahead) {
    pthread_mutex_lock(&ahead->mutex);
    ahead->stops = true;
    pthread_cond_broadcast(&ahead->changed);
    pthread_mutex_unlock(&ahead->mutex);
    pthread_join(ahead->thread, NULL);
    give_back(ahead);
}
