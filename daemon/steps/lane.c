/* lane.c - see lane.h. One page at a time goes through the states in their order, under one mutex. */
#include "steps/lane.h"

#include "base/clock.h"
#include "base/failpoint.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { GIVE_WAY_MS = 2000, LOOK_MS = 100 };

typedef enum LaneState {
    LANE_OPENS,
    LANE_IDLE,
    LANE_ASKED,  /* `rows` are the thread's */
    LANE_WRITES,
    LANE_STANDING,
    LANE_TAKEN,  /* `ahead` is the run's */
    LANE_GAVE_UP /* nothing of it is left */
} LaneState;

struct Lane {
    PlaceFeed feed; /* with a session of its own; none: `why` */
    Error why;
    PgPool *pool;
    LaneGate *gate;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    LaneState state;
    bool stops;
    bool is_dead; /* the session */
    const RawRows *rows;
    EarlyPage ahead;
};

void lane_gate_open(LaneGate *gate, unsigned n_writers) { sem_init(&gate->free, 0, n_writers); }

void lane_gate_close(LaneGate *gate) { sem_destroy(&gate->free); }

static void change(Lane *lane, LaneState state) {
    lane->state = state;
    pthread_cond_broadcast(&lane->changed);
}

/* ---- on the thread ---- */

static bool read_ahead(Lane *lane) {
    pthread_mutex_unlock(&lane->mutex);
    bool goes_on = place_read_ahead(&lane->feed);
    pthread_mutex_lock(&lane->mutex);
    return goes_on;
}

static bool has_to_wait(const Lane *lane) { return !lane->stops && lane->state != LANE_ASKED; }

/* True when there is a page to write. A session whose page was taken is the run's until that is done. */
static bool await_page(Lane *lane) {
    bool reads_ahead = true;
    while (has_to_wait(lane)) {
        if (reads_ahead && lane->state == LANE_IDLE)
            reads_ahead = read_ahead(lane);
        else
            pthread_cond_wait(&lane->changed, &lane->mutex);
    }
    return !lane->stops;
}

static void give_up(Lane *lane) {
    pthread_mutex_unlock(&lane->mutex); /* a rollback waits for PostgreSQL; nobody else uses the page meanwhile */
    early_page_drop(&lane->ahead);
    pthread_mutex_lock(&lane->mutex);
    change(lane, LANE_GAVE_UP);
}

/* Until the run takes it; not without an end. */
static void stand(Lane *lane) {
    struct timespec until = clock_in_ms(GIVE_WAY_MS);
    int rc = 0;
    change(lane, LANE_STANDING);
    while (lane->state == LANE_STANDING && !lane->stops && rc == 0)
        rc = pthread_cond_timedwait(&lane->changed, &lane->mutex, &until);
    if (lane->state == LANE_STANDING) {
        change(lane, LANE_WRITES);
        give_up(lane);
    }
}

/* Who waits for the others to write is as good as writing: to stop them ends it. */
static bool write_in_gate(Lane *lane) {
    while (sem_wait(&lane->gate->free) != 0) /* a signal */
        ;
    bool stands = place_early(&lane->feed, lane->rows, &lane->ahead);
    sem_post(&lane->gate->free);
    return stands;
}

static void write_page(Lane *lane) {
    change(lane, LANE_WRITES);
    pthread_mutex_unlock(&lane->mutex);
    bool stands = write_in_gate(lane);
    bool is_dead = !stands && !pg_is_alive(lane->feed.pg);
    pthread_mutex_lock(&lane->mutex);
    lane->is_dead = is_dead;
    if (stands)
        stand(lane);
    else
        change(lane, LANE_GAVE_UP);
}

static void *write_pages(void *context) {
    Lane *lane = context;
    Error why = {0};
    Pg *pg = pg_pool_take(lane->pool, &why);
    pthread_mutex_lock(&lane->mutex);
    lane->feed.pg = pg;
    lane->why = why;
    change(lane, LANE_IDLE);
    while (pg && await_page(lane))
        write_page(lane);
    pthread_mutex_unlock(&lane->mutex);
    return NULL;
}

/* ---- on the run's thread ---- */

static void give_back(Lane *lane) {
    pg_pool_give(lane->pool, lane->feed.pg);
    pthread_cond_destroy(&lane->changed);
    pthread_mutex_destroy(&lane->mutex);
    free(lane);
}

Lane *lane_open(const PlaceFeed *feed, PgPool *pool, LaneGate *gate, Error *err) {
    Lane *lane = calloc(1, sizeof *lane);
    if (!lane)
        abort();
    lane->feed = *feed;
    lane->feed.pg = NULL;
    lane->pool = pool;
    lane->gate = gate;
    pthread_mutex_init(&lane->mutex, NULL);
    clock_condition_init(&lane->changed);
    if (pthread_create(&lane->thread, NULL, write_pages, lane) != 0) {
        give_back(lane);
        error_set(err, STATE_RESOURCES, "the system gives no thread to write pages ahead");
        return NULL;
    }
    return lane;
}

bool lane_await_session(Lane *lane, Error *err) {
    pthread_mutex_lock(&lane->mutex);
    while (lane->state == LANE_OPENS)
        pthread_cond_wait(&lane->changed, &lane->mutex);
    bool has_session = lane->feed.pg != NULL;
    if (!has_session)
        *err = lane->why;
    pthread_mutex_unlock(&lane->mutex);
    return has_session;
}

/* Of a page before only the ids are looked at: its rows are another lane's meanwhile. */
static bool has_an_id(const RowIndex *index, const SilverPage *before) {
    for (size_t i = 0; i < before->n_rows; i++)
        if (!str_is_null(before->rows[i].id) && row_index_find(index, before->rows[i].id))
            return true;
    return false;
}

/* A line that could not be read is held by its content, which a line of a page behind it may have, too. */
static bool has_to_do_with(const RawRows *const *before, size_t n_before, const RawRows *rows) {
    for (size_t i = 0; i < n_before; i++)
        if (!place_may_be_early(before[i]))
            return true;
    const RowIndex *index = n_before > 0 ? row_index_make(rows->prepared->arena, rows->prepared) : NULL;
    for (size_t i = 0; i < n_before; i++)
        if (has_an_id(index, before[i]->prepared))
            return true;
    return false;
}

bool lane_begin(Lane *lane, const RawRows *const *before, size_t n_before, const RawRows *rows) {
    pthread_mutex_lock(&lane->mutex);
    bool begins = lane->state == LANE_IDLE && place_may_be_early(rows) && !has_to_do_with(before, n_before, rows);
    if (begins) {
        lane->rows = rows;
        change(lane, LANE_ASKED);
    }
    pthread_mutex_unlock(&lane->mutex);
    return begins;
}

static bool is_over(LaneState state) { return state == LANE_STANDING || state == LANE_GAVE_UP; }

static void await_end(Lane *lane) {
    while (!is_over(lane->state) && !atomic_load(lane->feed.run->canceled)) {
        struct timespec until = clock_in_ms(LOOK_MS);
        pthread_cond_timedwait(&lane->changed, &lane->mutex, &until);
    }
}

bool lane_take(Lane *lane, const RawRows *rows, LaneAnswer *ret_answer, Error *err) {
    *ret_answer = LANE_NOTHING;
    pthread_mutex_lock(&lane->mutex);
    bool is_asked = lane->state != LANE_IDLE && lane->rows == rows;
    if (is_asked)
        await_end(lane);
    bool ok = !is_asked || is_over(lane->state);
    if (is_asked && ok) {
        *ret_answer = lane->state == LANE_STANDING ? LANE_STANDS : LANE_REFUSED;
        change(lane, lane->state == LANE_STANDING ? LANE_TAKEN : LANE_IDLE);
    }
    pthread_mutex_unlock(&lane->mutex);
    return ok || error_set(err, STATE_CANCELED, "the run was canceled");
}

EarlyPage *lane_page(Lane *lane) { return &lane->ahead; }

void lane_done(Lane *lane) {
    early_page_drop(&lane->ahead);
    pthread_mutex_lock(&lane->mutex);
    change(lane, LANE_IDLE);
    pthread_mutex_unlock(&lane->mutex);
}

bool lane_is_idle(Lane *lane) {
    pthread_mutex_lock(&lane->mutex);
    bool is_idle = lane->state == LANE_IDLE;
    pthread_mutex_unlock(&lane->mutex);
    return is_idle;
}

bool lane_is_dead(Lane *lane) {
    pthread_mutex_lock(&lane->mutex);
    bool is_dead = lane->state == LANE_IDLE && lane->is_dead;
    pthread_mutex_unlock(&lane->mutex);
    return is_dead;
}

static void stop(Lane *lane) {
    pthread_mutex_lock(&lane->mutex);
    bool is_writing = lane->state == LANE_WRITES;
    lane->stops = true;
    pthread_cond_broadcast(&lane->changed);
    pthread_mutex_unlock(&lane->mutex);
    if (is_writing) { /* what it waits for ends, in PostgreSQL too; the session is nobody's any more */
        pg_cancel(lane->feed.pg);
        pg_sever(lane->feed.pg);
    }
}

static void free_stopped(Lane **lane) {
    pthread_join((*lane)->thread, NULL);
    early_page_drop(&(*lane)->ahead);
    give_back(*lane);
    *lane = NULL;
}

void lanes_free(Lane **lanes, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (lanes[i])
            stop(lanes[i]);
    for (size_t i = 0; i < n; i++)
        if (lanes[i])
            free_stopped(&lanes[i]);
}
