/* posted.c - see posted.h. */
#include "storage/posted.h"

#include "base/own.h"
#include "sql.h"

#include <stdio.h>

typedef struct Hex {
    char text[2 * POSTED_HASH_BYTES + 1];
} Hex;
static Hex hex_of(const uint8_t hash[POSTED_HASH_BYTES]) {
    Hex hex;
    for (int i = 0; i < POSTED_HASH_BYTES; i++)
        snprintf(hex.text + 2 * i, 3, "%02x", hash[i]);
    return hex;
}

bool posted_enter(Pg *pg, const FileSeen *seen, int64_t *ret_file_id, Error *err) {
    Hex hex = hex_of(seen->bytes->sha256);
    CLEANUP(pg_result_drop) PgResult *made =
        pg_query(pg, SQL_POSTED_ENTER, PG_PARAMS(seen->source_system, seen->feed, seen->name, seen->period, hex.text,
                                                 pg_number(seen->bytes->size_bytes).text), err);
    TRY(made);
    *ret_file_id = pg_int(made, 0, 0);
    return true;
}

bool posted_find(Pg *pg, const char *feed, const PostedKey *key, Arena *arena, PostedAnswer *ret_found,
                 int64_t *ret_file_id, Str *ret_answer, Error *err) {
    Hex hex = hex_of(key->key), request = hex_of(key->request);
    CLEANUP(pg_result_drop) PgResult *found =
        pg_query(pg, SQL_POSTED_FIND, PG_PARAMS(pg_number(key->token_id).text, hex.text, feed), err);
    TRY(found);
    bool is_found = pg_rows(found) == 1;
    bool is_same = is_found && strcmp(pg_text(found, 0, 0), request.text) == 0;
    *ret_found = !is_found ? POSTED_UNKNOWN : is_same ? POSTED_SAME : POSTED_OTHER;
    if (!is_same)
        return true;
    *ret_file_id = pg_int(found, 0, 1);
    *ret_answer = arena_copy(arena, pg_value(found, 0, 2));
    return true;
}

bool posted_keep(Pg *pg, const char *feed, const PostedKey *key, int64_t file_id, const char *answer, Error *err) {
    Hex hex = hex_of(key->key), request = hex_of(key->request);
    return pg_exec(pg, SQL_POSTED_FORGET, PG_NONE, NULL, err) &&
           pg_exec(pg, SQL_POSTED_KEEP, PG_PARAMS(pg_number(key->token_id).text, hex.text, feed, request.text,
                                                  pg_number(file_id).text, answer), NULL, err);
}
