/* pool.c - two lists under one mutex: what waits for a worker, what waits for the loop.
 *
 * Own threads and not uv_queue_work(): that pool also serves getaddrinfo, which a dozen blocked workers
 * would starve. */
#include "pool.h"

#include <stdlib.h>
#include <uv.h>

typedef struct Item {
    PoolWork work;
    struct Item *next;
} Item;

typedef struct List {
    Item *first, **end;
    size_t n;
} List;

struct Pool {
    uv_mutex_t mutex;
    uv_cond_t wake;
    uv_async_t finished;
    List waiting, done;
    size_t n_pending;
    bool stops;
    int n_threads;
    void (*thread_open)(void);
    void (*thread_close)(void);
    uv_thread_t threads[];
};

static void list_add(List *list, Item *item) {
    item->next = NULL;
    if (!list->first)
        list->end = &list->first;
    *list->end = item;
    list->end = &item->next;
    list->n++;
}

static Item *list_take(List *list) {
    Item *item = list->first;
    if (item) {
        list->first = item->next;
        list->n--;
    }
    return item;
}

static Item *await_item(Pool *pool) {
    uv_mutex_lock(&pool->mutex);
    while (!pool->waiting.first && !pool->stops)
        uv_cond_wait(&pool->wake, &pool->mutex);
    Item *item = list_take(&pool->waiting);
    uv_mutex_unlock(&pool->mutex);
    return item;
}

static void worker(void *context) {
    Pool *pool = context;
    pool->thread_open();
    for (Item *item; (item = await_item(pool));) {
        item->work.work(item->work.context);
        uv_mutex_lock(&pool->mutex);
        list_add(&pool->done, item);
        uv_mutex_unlock(&pool->mutex);
        uv_async_send(&pool->finished);
    }
    pool->thread_close();
}

/* One async wake may stand for several finished pieces. */
static void on_finished(uv_async_t *handle) {
    Pool *pool = handle->data;
    for (;;) {
        uv_mutex_lock(&pool->mutex);
        Item *item = list_take(&pool->done);
        if (item)
            pool->n_pending--;
        uv_mutex_unlock(&pool->mutex);
        if (!item)
            return;
        PoolWork work = item->work;
        free(item);
        work.done(work.context);
    }
}

Pool *pool_open(uv_loop_t *loop, int n_workers, void (*thread_open)(void), void (*thread_close)(void),
                Error *err) {
    Pool *pool = calloc(1, sizeof *pool + sizeof(uv_thread_t) * (size_t)n_workers);
    if (!pool)
        abort();
    pool->thread_open = thread_open;
    pool->thread_close = thread_close;
    pool->finished.data = pool;
    uv_mutex_init(&pool->mutex);
    uv_cond_init(&pool->wake);
    uv_async_init(loop, &pool->finished, on_finished);
    while (pool->n_threads < n_workers &&
           uv_thread_create(&pool->threads[pool->n_threads], worker, pool) == 0)
        pool->n_threads++;
    if (pool->n_threads == n_workers)
        return pool;
    pool_close(pool);
    error_set(err, STATE_RESOURCES, "cannot start %d worker threads", n_workers);
    return NULL;
}

void pool_submit(Pool *pool, PoolWork work) {
    Item *item = malloc(sizeof *item);
    if (!item)
        abort();
    item->work = work;
    uv_mutex_lock(&pool->mutex);
    list_add(&pool->waiting, item);
    pool->n_pending++;
    uv_cond_signal(&pool->wake);
    uv_mutex_unlock(&pool->mutex);
}

size_t pool_workers(const Pool *pool) { return (size_t)pool->n_threads; }

size_t pool_pending(const Pool *pool) {
    uv_mutex_t *mutex = (uv_mutex_t *)&pool->mutex;
    uv_mutex_lock(mutex);
    size_t n = pool->n_pending;
    uv_mutex_unlock(mutex);
    return n;
}

static void on_closed(uv_handle_t *handle) {
    Pool *pool = handle->data;
    uv_mutex_destroy(&pool->mutex);
    uv_cond_destroy(&pool->wake);
    free(pool);
}

void pool_close(Pool *pool) {
    uv_mutex_lock(&pool->mutex);
    pool->stops = true;
    uv_cond_broadcast(&pool->wake);
    uv_mutex_unlock(&pool->mutex);
    for (int i = 0; i < pool->n_threads; i++)
        uv_thread_join(&pool->threads[i]);
    on_finished(&pool->finished); /* every piece gets its `done` */
    uv_close((uv_handle_t *)&pool->finished, on_closed);
}
