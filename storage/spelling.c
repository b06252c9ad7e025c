/* spelling.c - see spelling.h. */
#include "storage/spelling.h"

#include "base/own.h"
#include "sql.h"

enum { PAGE_MAX_BYTES = 256 << 20 };

bool spelling_any(Pg *pg, const char *feed, bool *ret_any, Error *err) {
    CLEANUP(pg_result_drop) PgResult *any = pg_query(pg, SQL_SPELLING_ANY, PG_PARAMS(feed), err);
    TRY(any);
    *ret_any = pg_bool(any, 0, 0);
    return true;
}

bool spelling_find(Pg *pg, const char *feed, const Str *ids, size_t n, Arena *arena, Spelling **ret_found,
                   size_t *ret_n, Error *err) {
    CLEANUP(buf_drop) Buf list = pg_array(PAGE_MAX_BYTES);
    pg_array_texts(&list, ids, n);
    const char *array = pg_array_end(&list, err);
    TRY(array);
    CLEANUP(pg_result_drop) PgResult *found = pg_query(pg, SQL_SPELLING_FIND, PG_PARAMS(feed, array), err);
    TRY(found);
    *ret_n = (size_t)pg_rows(found);
    *ret_found = ARENA_ARRAY(arena, Spelling, *ret_n + 1);
    for (size_t r = 0; r < *ret_n; r++)
        (*ret_found)[r] = (Spelling){.id = arena_copy(arena, pg_value(found, (int)r, 0)),
                                     .text = arena_copy(arena, pg_value(found, (int)r, 1))};
    return true;
}

bool spelling_take(Pg *pg, const char *feed, const SpellingTake *takes, size_t n, Error *err) {
    if (n == 0)
        return true;
    CLEANUP(buf_drop) Buf ids = pg_array(PAGE_MAX_BYTES);
    CLEANUP(buf_drop) Buf spellings = pg_array(PAGE_MAX_BYTES);
    CLEANUP(buf_drop) Buf entries = pg_array(PAGE_MAX_BYTES);
    for (size_t i = 0; i < n; i++) {
        pg_array_text(&ids, takes[i].id);
        pg_array_text(&spellings, takes[i].spelling);
        pg_array_text(&entries, takes[i].entry);
    }
    const char *id_array = pg_array_end(&ids, err), *spelling_array = pg_array_end(&spellings, err),
               *entry_array = pg_array_end(&entries, err);
    TRY(id_array && spelling_array && entry_array);
    return pg_exec(pg, SQL_SPELLING_TAKE, PG_PARAMS(feed, id_array, spelling_array, entry_array,
                                                    RULE_KEY_COLLISION), NULL, err);
}
