/* lane.h - a page that is written before its turn, by a session of its own.
 *
 * PostgreSQL's one backend is the bottleneck of placing, and its pages of new rows do not depend on one another. So a thread
 * writes a page's rows (place_early) in a transaction that stands until the page before it is committed, and is then fenced
 * and committed by the run itself (place_in_turn): pages become visible in their order, the cursor says how far, and whoever
 * is killed leaves nothing of the later one. With lanes by turns pages are being written while another is committed.
 * What may go wrong is left to the page's turn: a page of which something is known, a lock, a connection.
 *
 * Why two transactions of one run never wait for each other in a circle: what stands waits for the run, the run may wait in
 * PostgreSQL for somebody else, and that one for what stands, which PostgreSQL cannot see. So what stands longer than
 * GIVE_WAY_MS gives way: it is rolled back, and its page is placed in its turn.
 * By turns: turns.h. Not for cursor pages, nor for pages of which something may be known. */
#pragma once
#include "steps/place.h"
#include "storage/pg_pool.h"

#include <semaphore.h>

typedef struct Lane Lane;

/* So many lanes write at a time; who has written stands without. */
typedef struct LaneGate {
    sem_t free;
} LaneGate;
void lane_gate_open(LaneGate *gate, unsigned n_writers);
/* When the lanes are freed. */
void lane_gate_close(LaneGate *gate);

/* For pages of `feed`, which is copied: its members, mapping and names must outlive the lane, as `gate` must. Its thread takes a
 * session, and while it has no page it reads patients ahead. NULL and an error where there is no thread to be had. */
Lane *lane_open(const PlaceFeed *feed, PgPool *pool, LaneGate *gate, Error *err);
/* Waits for the session. False and an error where there is none to be had: one can go on without. */
bool lane_await_session(Lane *lane, Error *err);
/* Whether it begins to write these rows. Not where the lane has a page already, where the page is not one that may be early,
 * or where it may have to do with `before`: the pages before it that are not committed yet. `rows` are described as for
 * placing, and stay where they are until lane_done(). */
bool lane_begin(Lane *lane, const RawRows *const *before, size_t n_before, const RawRows *rows);

typedef enum LaneAnswer {
    LANE_NOTHING, /* it was not asked for these rows */
    LANE_REFUSED, /* it tried: what was prepared of them is spent */
    LANE_STANDS   /* lane_page() is to be placed in turn */
} LaneAnswer;
/* Waits for the lane to be done with these rows, which are the run's again. False when the run is canceled meanwhile. */
bool lane_take(Lane *lane, const RawRows *rows, LaneAnswer *ret_answer, Error *err);
EarlyPage *lane_page(Lane *lane);
/* The page is committed, or given up. */
void lane_done(Lane *lane);
/* It has no page: it may be freed, and no page is the worse for it. */
bool lane_is_idle(Lane *lane);
/* A page was refused since its session is dead, and so would be every further one. Idle. */
bool lane_is_dead(Lane *lane);
/* Ends what they wait for, which may be each other. NULL among them is none, and so they are left. */
void lanes_free(Lane **lanes, size_t n);
