/* pg_pool.c - see pg_pool.h. */
#include "storage/pg_pool.h"

#include <pthread.h>
#include <stdlib.h>

enum { KEPT_MAX = 32, TAKEN_MAX = 256 };

struct PgPool {
    pthread_mutex_t mutex;
    const char *dsn, *application_name;
    Pg *kept[KEPT_MAX];
    int n_kept;
    Pg *taken[TAKEN_MAX]; /* NULL: free; one that finds no place cannot be severed */
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

/* Puts `to` where `from` stands among those taken. */
static void exchange_taken(PgPool *pool, Pg *from, Pg *to) {
    pthread_mutex_lock(&pool->mutex);
    int i = 0;
    while (i < TAKEN_MAX && pool->taken[i] != from)
        i++;
    if (i < TAKEN_MAX)
        pool->taken[i] = to;
    pthread_mutex_unlock(&pool->mutex);
}

Pg *pg_pool_take(PgPool *pool, Error *err) {
    for (Pg *pg; (pg = take_kept(pool));) {
        exchange_taken(pool, NULL, pg); /* asking it may take as long as any statement */
        if (pg_is_alive(pg))
            return pg;
        exchange_taken(pool, pg, NULL);
        pg_close(pg);
    }
    Pg *pg = pg_open(pool->dsn, pool->application_name, 0, err);
    if (pg)
        exchange_taken(pool, NULL, pg);
    return pg;
}

void pg_pool_sever(PgPool *pool) {
    pthread_mutex_lock(&pool->mutex);
    for (int i = 0; i < TAKEN_MAX; i++)
        if (pool->taken[i])
            pg_sever(pool->taken[i]);
    pthread_mutex_unlock(&pool->mutex);
}

void pg_pool_give(PgPool *pool, Pg *pg) {
    if (!pg)
        return;
    exchange_taken(pool, pg, NULL);
    pthread_mutex_lock(&pool->mutex);
    bool fits = pool->n_kept < KEPT_MAX;
    if (fits)
        pool->kept[pool->n_kept++] = pg;
    pthread_mutex_unlock(&pool->mutex);
    if (!fits)
        pg_close(pg);
}
