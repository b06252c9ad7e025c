/* pool.h - the only crossing between the loop thread and the workers.
 *
 * pool_submit() hands a piece of blocking work to a worker thread; when it returns, `done` is called on
 * the loop thread. Pieces start in the order they were submitted; at most `n_workers` run at once.
 * Everything but the work itself happens on the loop thread. */
#pragma once
#include "base/error.h"

#include <stddef.h>

typedef struct Pool Pool;
struct uv_loop_s;

typedef struct PoolWork {
    void (*work)(void *context); /* on a worker */
    void (*done)(void *context); /* on the loop thread, after `work` */
    void *context;               /* belongs to the caller, until `done` */
} PoolWork;

/* `thread_open` and `thread_close` run on each worker, first and last (mysql_thread_init/_end). */
Pool *pool_open(struct uv_loop_s *loop, int n_workers, void (*thread_open)(void),
                void (*thread_close)(void), Error *err);
void pool_submit(Pool *pool, PoolWork work);
size_t pool_workers(const Pool *pool);
size_t pool_pending(const Pool *pool); /* submitted, `done` not yet called */
/* Ends the workers once nothing is pending; the loop must turn once more before it closes. */
void pool_close(Pool *pool);
