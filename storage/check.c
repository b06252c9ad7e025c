/* check.c - see check.h. */
#include "storage/check.h"

#include "base/own.h"
#include "sql.h"
#include "storage/template.h"

enum { ANSWER_MAX_ROWS = 200, ANSWER_MAX_BYTES = 1 << 18, LITERAL_MAX_BYTES = 4096 };

bool check_store(Pg *pg, StoreRights *ret_rights, Error *err) {
    CLEANUP(pg_result_drop) PgResult *row = pg_query(pg, SQL_CHECK_RIGHTS, PG_NONE, err);
    TRY(row);
    *ret_rights = (StoreRights){
        .may_create_bronze = pg_bool(row, 0, 0), .may_write_silver = pg_bool(row, 0, 1),
        .may_append_audit = pg_bool(row, 0, 2), .may_alter_audit = pg_bool(row, 0, 3),
        .is_superuser = pg_bool(row, 0, 4), .version = (int)pg_int(row, 0, 5),
    };
    return true;
}

static bool contains(Str text, const char *word) { return memmem(text.at, text.size, word, strlen(word)) != NULL; }

static void look_at_grant(Str grant, AccountRights *rights) {
    static const char *const WRITING[] = {"INSERT", "UPDATE", "DELETE", "ALL PRIVILEGES"};
    const char *on = memmem(grant.at, grant.size, " ON ", 4);
    Str what = {grant.at, on ? (size_t)(on - grant.at) : grant.size};
    bool is_global = on && contains((Str){on, grant.size - what.size}, "ON *.*");
    if (is_global && (contains(what, "PROCESS") || contains(what, "ALL PRIVILEGES")))
        rights->has_process = true;
    for (size_t i = 0; i < sizeof WRITING / sizeof *WRITING; i++)
        rights->may_write |= contains(what, WRITING[i]);
}

bool check_account(My *my, AccountRights *ret_rights, Error *err) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    MyPage grants;
    TRY(my_read(my, SQL_CHECK_MYSQL_GRANTS, ANSWER_MAX_ROWS, ANSWER_MAX_BYTES, arena, &grants, err));
    *ret_rights = (AccountRights){.has_process = false};
    for (size_t i = 0; i < grants.n_rows; i++)
        look_at_grant(grants.fields[i * grants.n_fields], ret_rights);
    return true;
}

static const char *literal(Arena *arena, const char *text) {
    CLEANUP(buf_drop) Buf out;
    buf_init(&out, LITERAL_MAX_BYTES);
    my_put_text(&out, str_of(text));
    return arena_string(arena, buf_str(&out));
}

bool check_table(My *my, const char *table, const char *cursor, TableFacts *ret_facts, Error *err) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    const char *sql = sql_fill(arena, SQL_CHECK_MYSQL_TABLE, {"table", literal(arena, table)},
                               {"cursor", literal(arena, cursor ? cursor : "")});
    MyPage page;
    TRY(my_read(my, sql, 1, ANSWER_MAX_BYTES, arena, &page, err));
    int64_t n_indexes = 0;
    str_to_int64(page.fields[1], &n_indexes);
    *ret_facts = (TableFacts){str_equal_nocase(page.fields[0], STR("InnoDB")), n_indexes > 0};
    return true;
}
