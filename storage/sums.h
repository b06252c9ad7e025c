/* sums.h - what PostgreSQL and BigQuery must agree on: rows, keys, and each amount in cents.
 *
 * Sums of one table or of a part of it, asked for in either side's SQL and compared number by number.
 * Keys are summed modulo 1000000007, so that no sum overflows. Pure. */
#pragma once
#include "base/arena.h"
#include "transform/entity.h"

#include <jansson.h>

enum { SUMS_MAX = 12 };

typedef struct Sums {
    int64_t values[SUMS_MAX];
} Sums;

/* The names, in the order of Sums.values: "rows", "keys", then the entity's amounts. Returns how many. */
int sums_names(const Entity *entity, const char *ret_names[SUMS_MAX]);
/* The select list over gold's view as v, and over BigQuery's table as T. */
const char *sums_pg_list(Arena *arena, const Entity *entity);
const char *sums_bigquery_list(Arena *arena, const Entity *entity);

bool sums_agree(const Entity *entity, const Sums *a, const Sums *b);
void sums_add(Sums *total, const Sums *part);

/* As an object of the ledgers, and back; false when it is none. */
json_t *sums_json(const Entity *entity, const Sums *sums);
bool sums_read(const json_t *object, const Entity *entity, Sums *ret_sums);
