/* pg_pool.c - see pg_pool.h. */
#include "storage/pg_pool.h"

#include <pthread.h>
#include <stdlib.h>

enum { KEPT_MAX = 32 };

struct PgPool {
    pthread_mutex_t mutex;
    const char *dsn, *application_name;
    Pg *kept[KEPT_MAX];
    int n_kept;
};

PgPool *pg_pool_open(const char *dsn, const char *application_name) {
    PgPool *pool = calloc(1, sizeof *pool);
    if (!pool)
        abort();
    pthread_mutex_init(&pool->mutex, NULL);
    pool->dsn = dsn;
    pool->application_name = application_name;
    return pool;
}

void pg_pool_close(PgPool *pool) {
    for (int i = 0; i < pool->n_kept; i++)
        pg_close(pool->kept[i]);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

static Pg *take_kept(PgPool *pool) {
    pthread_mutex_lock(&pool->mutex);
    Pg *pg = pool->n_kept > 0 ? pool->kept[--pool->n_kept] : NULL;
    pthread_mutex_unlock(&pool->mutex);
    return pg;
}

Pg *pg_pool_take(PgPool *pool, Error *err) {
    for (Pg *pg; (pg = take_kept(pool));) {
        if (pg_is_alive(pg))
            return pg;
        pg_close(pg);
    }
    return pg_open(pool->dsn, pool->application_name, 0, err);
}

void pg_pool_give(PgPool *pool, Pg *pg) {
    if (!pg)
        return;
    pthread_mutex_lock(&pool->mutex);
    bool fits = pool->n_kept < KEPT_MAX;
    if (fits)
        pool->kept[pool->n_kept++] = pg;
    pthread_mutex_unlock(&pool->mutex);
    if (!fits)
        pg_close(pg);
}
