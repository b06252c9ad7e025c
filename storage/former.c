/* former.c - see former.h. */
#include "storage/former.h"

#include "base/own.h"
#include "sql.h"

enum { IDS_MAX_BYTES = 1 << 20, IDS_MIN = 64 };

bool former_open(Pg *pg, const int64_t *file_ids, size_t n, const char *source_system, int64_t first_line,
                 FormerClaims *ret_claims, Error *err) {
    CLEANUP(buf_drop) Buf files = pg_array(IDS_MAX_BYTES);
    pg_array_ints(&files, file_ids, n);
    const char *array = pg_array_end(&files, err);
    TRY(array);
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    TRY(tx && pg_exec(tx, SQL_FORMER_FOR, PG_PARAMS(array, source_system, pg_number(first_line).text), NULL, err) &&
        pg_exec(tx, SQL_FORMER_CLAIMS, PG_NONE, NULL, err) && pg_commit(&tx, PG_RELAXED, err));
    *ret_claims = (FormerClaims){.pg = pg, .arena = arena_open()};
    return true;
}

void former_close(FormerClaims *claims) {
    Error ignored = {0};
    if (!claims->pg)
        return;
    pg_exec(claims->pg, SQL_FORMER_CLOSE, PG_NONE, NULL, &ignored);
    arena_free(claims->arena);
    *claims = (FormerClaims){.pg = NULL};
}

static bool fetch(FormerClaims *claims, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query_as(claims->pg, PG_BINARY, SQL_FORMER_FETCH, PG_NONE, err);
    TRY(rows);
    arena_empty(claims->arena);
    claims->n = (size_t)pg_rows(rows);
    claims->at = 0;
    claims->is_end = claims->n == 0;
    claims->lines = ARENA_ARRAY(claims->arena, int64_t, claims->n + 1);
    claims->ids = ARENA_ARRAY(claims->arena, Str, claims->n + 1);
    for (size_t i = 0; i < claims->n; i++) {
        claims->lines[i] = pg_int(rows, (int)i, 0);
        claims->ids[i] = arena_copy(claims->arena, pg_value(rows, (int)i, 1));
    }
    return true;
}

static Str *grow(Arena *arena, Str *ids, size_t n) {
    Str *more = ARENA_ARRAY(arena, Str, n ? 2 * n : IDS_MIN);
    if (n > 0)
        memcpy(more, ids, n * sizeof *more);
    return more;
}

/* A power of two that is full, or nothing. */
static bool is_full(size_t n) { return n == 0 || (n >= IDS_MIN && (n & (n - 1)) == 0); }

bool former_take(FormerClaims *claims, int64_t end_line, Arena *arena, Str **ret_ids, size_t *ret_n, Error *err) {
    Str *ids = NULL;
    size_t n = 0;
    while (!claims->is_end) {
        if (claims->at == claims->n) {
            TRY(fetch(claims, err));
            continue;
        }
        if (claims->lines[claims->at] >= end_line)
            break;
        if (is_full(n))
            ids = grow(arena, ids, n);
        ids[n++] = arena_copy(arena, claims->ids[claims->at++]);
    }
    *ret_ids = ids;
    *ret_n = n;
    return true;
}
