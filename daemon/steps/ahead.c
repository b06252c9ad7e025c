/* ahead.c - see ahead.h. Two slots between one writer (the thread) and one reader (the run): the thread fills
 * them in turn and waits while both are full; the last row's key in one slot is where the other goes on, so a
 * slot is emptied by the thread alone, when it fills it again. */
#include "steps/ahead.h"

#include <stdlib.h>

enum { SLOTS = 2 };

struct Ahead {
    AheadPlan plan;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    AheadPage slots[SLOTS];
    uint64_t n_filled, n_taken, n_given_back; /* pages since the start */
    bool stops; /* the reader wants no more */
    bool failed;
    Error error;
};

/* ---- on the thread ---- */

static Str *key_of_last_row(const SourceTable *table, AheadPage *page) {
    const Str *row = page->read.fields + (page->read.n_rows - 1) * page->read.n_fields;
    Str *key = ARENA_ARRAY(page->arena, Str, table->n_key);
    for (size_t i = 0; i < table->n_key; i++)
        key[i] = row[table->key[i]];
    return key;
}

static bool read_page(const AheadPlan *plan, const Str *after_key, AheadPage *page, Error *err) {
    pthread_mutex_lock(plan->my_mutex);
    bool ok = source_read_load(plan->my, plan->table, after_key, plan->limits, page->arena, &page->read, err);
    pthread_mutex_unlock(plan->my_mutex);
    return ok;
}

static bool fill(const AheadPlan *plan, const Str *after_key, AheadPage *page, Error *err) {
    arena_empty(page->arena);
    TRY(read_page(plan, after_key, page, err));
    page->is_last = !page->read.is_cut && page->read.n_rows < plan->limits.rows;
    page->last_key = page->read.n_rows > 0 ? key_of_last_row(plan->table, page) : NULL;
    page->rows = (RawRows){.fields = page->read.fields, .n_rows = page->read.n_rows,
                           .source_now_us = plan->source_now_us, .is_first_load = plan->is_first_load};
    page->rows.prepared = place_prepare(plan->place, &page->rows, page->arena);
    return true;
}

/* True when there is a slot to fill. */
static bool await_slot(Ahead *ahead) {
    pthread_mutex_lock(&ahead->mutex);
    while (!ahead->stops && ahead->n_filled - ahead->n_given_back == SLOTS)
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
    const Str *after_key = ahead->plan.after_key;
    bool goes_on = true;
    my_thread_open();
    for (uint64_t n = 0; goes_on && await_slot(ahead); n++) {
        AheadPage *page = &ahead->slots[n % SLOTS];
        Error err = {0};
        goes_on = fill(&ahead->plan, after_key, page, &err);
        hand_over(ahead, goes_on, &err);
        goes_on = goes_on && !page->is_last;
        after_key = page->last_key;
    }
    my_thread_close();
    return NULL;
}

/* ---- on the run's thread ---- */

static void give_back(Ahead *ahead) {
    for (int i = 0; i < SLOTS; i++)
        arena_free(ahead->slots[i].arena);
    pthread_cond_destroy(&ahead->changed);
    pthread_mutex_destroy(&ahead->mutex);
    free(ahead);
}

Ahead *ahead_open(const AheadPlan *plan, Error *err) {
    Ahead *ahead = calloc(1, sizeof *ahead);
    if (!ahead)
        abort();
    ahead->plan = *plan;
    for (int i = 0; i < SLOTS; i++)
        ahead->slots[i].arena = arena_open();
    pthread_mutex_init(&ahead->mutex, NULL);
    pthread_cond_init(&ahead->changed, NULL);
    if (pthread_create(&ahead->thread, NULL, read_pages, ahead) != 0) {
        give_back(ahead);
        error_set(err, STATE_RESOURCES, "the system gives no thread to read table %s ahead", plan->table->name);
        error_hint(err, "raise TasksMax of the unit, or lower `workers`");
        return NULL;
    }
    return ahead;
}

AheadPage *ahead_next(Ahead *ahead, Error *err) {
    AheadPage *page = NULL;
    pthread_mutex_lock(&ahead->mutex);
    ahead->n_given_back = ahead->n_taken;
    pthread_cond_broadcast(&ahead->changed);
    while (ahead->n_filled == ahead->n_taken && !ahead->failed)
        pthread_cond_wait(&ahead->changed, &ahead->mutex);
    if (ahead->n_filled > ahead->n_taken)
        page = &ahead->slots[ahead->n_taken++ % SLOTS];
    else
        *err = ahead->error;
    pthread_mutex_unlock(&ahead->mutex);
    return page;
}

void ahead_free(Ahead *ahead) {
    pthread_mutex_lock(&ahead->mutex);
    ahead->stops = true;
    pthread_cond_broadcast(&ahead->changed);
    pthread_mutex_unlock(&ahead->mutex);
    pthread_join(ahead->thread, NULL);
    give_back(ahead);
}
