#include "test.h"

#include "loop.h"
#include "pool.h"

#include <stdatomic.h>

static _Thread_local int opened;
static atomic_int n_opened, n_closed;
static void thread_open(void) {
    opened = 1;
    atomic_fetch_add(&n_opened, 1);
}
static void thread_close(void) { atomic_fetch_add(&n_closed, 1); }

typedef struct Sum {
    Loop *loop;
    Pool *pool;
    int n_done;
    atomic_int total;
    int more;
} Sum;
typedef struct Piece {
    Sum *sum;
    int value;
} Piece;

static void add(void *context) {
    Piece *piece = context;
    assert_int_equal(opened, 1);
    atomic_fetch_add(&piece->sum->total, piece->value);
}

static void added(void *context) {
    Piece *piece = context;
    Sum *sum = piece->sum;
    sum->n_done++;
    if (sum->more-- > 0)
        pool_submit(sum->pool, (PoolWork){add, added, piece}); /* from the loop thread, inside done */
    else if (pool_pending(sum->pool) == 0)
        loop_stop(sum->loop);
}

static void every_piece_is_worked_once_and_done_on_the_loop(void **state) {
    (void)state;
    Error err = {0};
    Sum sum = {.more = 500};
    sum.loop = loop_open(&err);
    sum.pool = pool_open(loop_uv(sum.loop), 4, thread_open, thread_close, &err);
    Piece pieces[1000];
    for (int i = 0; i < 1000; i++) {
        pieces[i] = (Piece){&sum, 1};
        pool_submit(sum.pool, (PoolWork){add, added, &pieces[i]});
    }
    loop_run(sum.loop);
    assert_int_equal(sum.n_done, 1500);
    assert_int_equal(atomic_load(&sum.total), 1500);
    pool_close(sum.pool);
    loop_close(sum.loop); /* aborts when a handle is left */
    assert_int_equal(atomic_load(&n_opened), 4);
    assert_int_equal(atomic_load(&n_closed), 4);
}

static void ring(void *context) { ++*(int *)context; }
static void end(void *context) { loop_stop(context); }

static void timers_ring_once_or_again(void **state) {
    (void)state;
    Error err = {0};
    Loop *loop = loop_open(&err);
    int n_once = 0, n_often = 0;
    LoopTimer *once = loop_timer_open(loop, ring, &n_once);
    LoopTimer *often = loop_timer_open(loop, ring, &n_often);
    LoopTimer *last = loop_timer_open(loop, end, loop);
    loop_timer_start(once, 1, 0);
    loop_timer_start(often, 1, 1);
    loop_timer_start(last, 100, 0);
    loop_run(loop);
    assert_int_equal(n_once, 1);
    assert_true(n_often > 3);
    loop_timer_close(once);
    loop_timer_close(often);
    loop_timer_close(last);
    loop_close(loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_piece_is_worked_once_and_done_on_the_loop),
        cmocka_unit_test(timers_ring_once_or_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
