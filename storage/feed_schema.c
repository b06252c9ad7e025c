/* feed_schema.c - see feed_schema.h. */
#include "storage/feed_schema.h"

#include "base/own.h"
#include "sql.h"

#include <stdio.h>

enum { ARRAY_MAX_BYTES = 1 << 20 };

static bool read_standing(Pg *pg, const char *feed, Arena *arena, FeedAgreed *agreed, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_FEED_DRIFT_STANDING, PG_PARAMS(feed), err);
    TRY(rows);
    agreed->standing = ARENA_ARRAY(arena, DriftEvent, (size_t)pg_rows(rows) + 1);
    for (int r = 0; r < pg_rows(rows); r++) {
        DriftEvent event = {.column = arena_string(arena, pg_value(rows, r, 2)),
                            .was = arena_string(arena, pg_value(rows, r, 3)),
                            .now = arena_string(arena, pg_value(rows, r, 4))};
        while (strcmp(drift_kind_name(event.kind), pg_text(rows, r, 0)) != 0 && event.kind < DRIFT_TABLE)
            event.kind++;
        while (strcmp(drift_state_name(event.state), pg_text(rows, r, 1)) != 0 && event.state < DRIFT_FROZEN)
            event.state++;
        agreed->standing[agreed->n_standing++] = event;
    }
    return true;
}

bool feed_agreed_read(Pg *pg, const char *feed, Arena *arena, FeedAgreed *ret_agreed, Error *err) {
    FeedAgreed agreed = {0};
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_FEED_AGREED_READ, PG_PARAMS(feed), err);
    TRY(rows);
    size_t n = (size_t)pg_rows(rows);
    const char **names = ARENA_ARRAY(arena, const char *, n + 1), **types = ARENA_ARRAY(arena, const char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        names[i] = arena_string(arena, pg_value(rows, (int)i, 1));
        types[i] = arena_string(arena, pg_value(rows, (int)i, 2));
    }
    agreed.is_known = n > 0;
    agreed.shape = (TableShape){.names = names, .types = types, .n = n, .primary_key = ""};
    if (n > 0) {
        agreed.schema_id = pg_int(rows, 0, 0);
        agreed.shape.primary_key = arena_string(arena, pg_value(rows, 0, 3));
        agreed.full_due = pg_bool(rows, 0, 4);
        agreed.read_by = arena_string(arena, pg_value(rows, 0, 5));
    }
    TRY(read_standing(pg, feed, arena, &agreed, err));
    *ret_agreed = agreed;
    return true;
}

bool feed_agree(Pg *pg, const char *feed, int64_t schema_id, const char *const *primary_key, size_t n_key,
                const char *read_by, bool full_due, Error *err) {
    CLEANUP(buf_drop) Buf key = pg_array(ARRAY_MAX_BYTES);
    pg_array_names(&key, primary_key, n_key);
    const char *array = pg_array_end(&key, err);
    TRY(array);
    char id[24];
    snprintf(id, sizeof id, "%lld", (long long)schema_id);
    return pg_exec(pg, SQL_FEED_AGREE, PG_PARAMS(feed, id, array, full_due ? "true" : "false", read_by), NULL, err);
}

bool feed_full_done(Pg *pg, const char *feed, int64_t schema_id, Error *err) {
    char id[24];
    snprintf(id, sizeof id, "%lld", (long long)schema_id);
    return pg_exec(pg, SQL_FEED_FULL_DONE, PG_PARAMS(feed, id), NULL, err);
}

bool feed_drift_is_same(const DriftEvent *a, const DriftEvent *b) {
    return a->kind == b->kind && a->state == b->state && strcmp(a->column, b->column) == 0 &&
           strcmp(a->was, b->was) == 0 && strcmp(a->now, b->now) == 0;
}

bool feed_drift_add(Pg *pg, const char *feed, int64_t run_id, const DriftEvent *event, Error *err) {
    char run[24];
    snprintf(run, sizeof run, "%lld", (long long)run_id);
    return pg_exec(pg, SQL_FEED_DRIFT_ADD,
                   PG_PARAMS(feed, drift_kind_name(event->kind), event->column, event->was, event->now,
                             contract_name(event->contract), drift_state_name(event->state), event->sentence,
                             run_id ? run : NULL), NULL, err);
}

bool feed_drift_end(Pg *pg, const char *feed, const DriftEvent *event, Error *err) {
    return pg_exec(pg, SQL_FEED_DRIFT_END,
                   PG_PARAMS(feed, drift_kind_name(event->kind), drift_state_name(event->state), event->column,
                             event->was, event->now), NULL, err);
}
