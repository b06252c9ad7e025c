/* pg_pool.h - connections to PostgreSQL, kept between the pieces of work that borrow them.
 *
 * pg_pool_take() gives one that answers, kept or new; pg_pool_give() takes it back, or closes it when it
 * no longer does. What was taken is given, not closed. Any thread. */
#pragma once
#include "storage/pg.h"

typedef struct PgPool PgPool;
/* The dsn must outlive the pool. */
PgPool *pg_pool_open(const char *dsn, const char *application_name);
void pg_pool_close(PgPool *pool);
Pg *pg_pool_take(PgPool *pool, Error *err);
void pg_pool_give(PgPool *pool, Pg *pg);
/* Ends every connection that is taken: whoever waits for an answer gets 08006. */
void pg_pool_sever(PgPool *pool);
