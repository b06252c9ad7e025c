/* sums.c - see sums.h. */
#include "storage/sums.h"

#include "storage/pg.h"

int sums_names(const Entity *entity, const char *ret_names[SUMS_MAX]) {
    int n = 0;
    ret_names[n++] = "rows";
    ret_names[n++] = "keys";
    for (int i = 0; i < entity->n_columns && n < SUMS_MAX; i++)
        if (entity->columns[i].type == TYPE_MONEY)
            ret_names[n++] = entity->columns[i].name;
    return n;
}

const char *sums_pg_list(Arena *arena, const Entity *entity) {
    const char *names[SUMS_MAX];
    int n = sums_names(entity, names);
    const char *list = arena_printf(arena, "count(*), coalesce(sum(v.%s %% 1000000007), 0)::bigint",
                                    pg_quote_ident(arena, entity->key));
    for (int i = 2; i < n; i++)
        list = arena_printf(arena, "%s, coalesce(sum(v.%s) * 100, 0)::bigint", list,
                            pg_quote_ident(arena, names[i]));
    return list;
}

const char *sums_bigquery_list(Arena *arena, const Entity *entity) {
    const char *names[SUMS_MAX];
    int n = sums_names(entity, names);
    const char *list =
        arena_printf(arena, "COUNT(*), COALESCE(SUM(MOD(T.%s, 1000000007)), 0)", entity->key);
    for (int i = 2; i < n; i++)
        list = arena_printf(arena, "%s, CAST(COALESCE(SUM(T.%s), 0) * 100 AS INT64)", list, names[i]);
    return list;
}

bool sums_agree(const Entity *entity, const Sums *a, const Sums *b) {
    const char *names[SUMS_MAX];
    int n = sums_names(entity, names);
    return memcmp(a->values, b->values, (size_t)n * sizeof(int64_t)) == 0;
}

void sums_add(Sums *total, const Sums *part) {
    for (int i = 0; i < SUMS_MAX; i++)
        total->values[i] += part->values[i];
}

json_t *sums_json(const Entity *entity, const Sums *sums) {
    const char *names[SUMS_MAX];
    int n = sums_names(entity, names);
    json_t *object = json_object();
    for (int i = 0; i < n; i++)
        json_object_set_new(object, names[i], json_integer(sums->values[i]));
    return object;
}

bool sums_read(const json_t *object, const Entity *entity, Sums *ret_sums) {
    if (!json_is_object(object))
        return false;
    const char *names[SUMS_MAX];
    int n = sums_names(entity, names);
    for (int i = 0; i < n; i++)
        ret_sums->values[i] = json_integer_value(json_object_get(object, names[i]));
    return true;
}
