/* check.c - see check.h. */
#include "storage/check.h"

#include "base/own.h"
#include "sql.h"
#include "storage/template.h"

enum { ANSWER_MAX_ROWS = 200, ANSWER_MAX_BYTES = 1 << 18,
       GRANTS_MAX_ROWS = 20000, GRANTS_MAX_BYTES = 8 << 20, LITERAL_MAX_BYTES = 4096 };

bool check_store(Pg *pg, StoreRights *ret_rights, Error *err) {
    CLEANUP(pg_result_drop) PgResult *row = pg_query(pg, SQL_CHECK_RIGHTS, PG_NONE, err);
    TRY(row);
    *ret_rights = (StoreRights){
        .may_create_bronze = pg_bool(row, 0, 0), .may_write_silver = pg_bool(row, 0, 1),
        .may_append_audit = pg_bool(row, 0, 2), .may_alter_audit = pg_bool(row, 0, 3),
        .may_alter_schemas = pg_bool(row, 0, 4), .is_superuser = pg_bool(row, 0, 5),
        .version = (int)pg_int(row, 0, 6),
    };
    return true;
}

/* "GRANT SELECT, INSERT (`a`) ON `x`.* TO …": what stands between GRANT and ON; a role's grant has no ON. */
static Str privileges_of(Str grant) {
    static const char START[] = "GRANT ";
    const char *on = memmem(grant.at, grant.size, " ON ", 4);
    size_t start = sizeof START - 1;
    if (!on || grant.size < start || memcmp(grant.at, START, start) != 0)
        return (Str){grant.at, 0};
    return (Str){grant.at + start, (size_t)(on - grant.at) - start};
}

static bool is_reading(Str privilege) {
    static const char *const READING[] = {"SELECT",         "USAGE",          "PROCESS",       "SHOW DATABASES",
                                          "SHOW VIEW",      "BINLOG MONITOR", "SLAVE MONITOR", "REPLICA MONITOR",
                                          "REPLICATION CLIENT"};
    for (size_t i = 0; i < sizeof READING / sizeof *READING; i++)
        if (str_equal(str_of(READING[i]), privilege))
            return true;
    return false;
}

/* Up to the next comma that is not in brackets; columns named in brackets are left out. */
static Str next_privilege(Str *rest) {
    size_t end = 0;
    for (int depth = 0; end < rest->size && (depth > 0 || rest->at[end] != ','); end++)
        depth += (rest->at[end] == '(') - (rest->at[end] == ')');
    const char *bracket = memchr(rest->at, '(', end);
    Str privilege = {rest->at, bracket ? (size_t)(bracket - rest->at) : end};
    size_t step = end < rest->size ? end + 1 : end;
    *rest = (Str){rest->at + step, rest->size - step};
    return str_trim(privilege);
}

static void add_excess(AccountRights *rights, Str privilege) {
    size_t used = strlen(rights->excess);
    if (memmem(rights->excess, used, privilege.at, privilege.size))
        return;
    snprintf(rights->excess + used, sizeof rights->excess - used, "%s%.*s", used ? ", " : "",
             (int)privilege.size, privilege.at);
}

static bool look_for_process(My *my, Arena *arena, bool *ret_has, Error *err) {
    MyPage page;
    Error refused = {0};
    *ret_has = my_read(my, SQL_CHECK_MYSQL_PROCESS, 1, ANSWER_MAX_BYTES, arena, &page, &refused);
    if (*ret_has || strncmp(refused.state, "42", 2) == 0)
        return true;
    *err = refused;
    return false;
}

bool check_account(My *my, AccountRights *ret_rights, Error *err) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    AccountRights rights = {.has_process = false};
    MyPage grants;
    TRY(look_for_process(my, arena, &rights.has_process, err));
    TRY(my_read(my, SQL_CHECK_MYSQL_GRANTS, GRANTS_MAX_ROWS, GRANTS_MAX_BYTES, arena, &grants, err));
    if (grants.is_cut) {
        error_set(err, STATE_RESOURCES, "the account has more than %d grants: whether it may write was not looked at", GRANTS_MAX_ROWS);
        return error_hint(err, "grant it SELECT on whole databases");
    }
    for (size_t i = 0; i < grants.n_rows; i++) {
        Str rest = privileges_of(grants.fields[i * grants.n_fields]);
        while (rest.size > 0) {
            Str privilege = next_privilege(&rest);
            if (privilege.size > 0 && !is_reading(privilege))
                add_excess(&rights, privilege);
        }
    }
    rights.is_read_only = rights.excess[0] == '\0';
    *ret_rights = rights;
    return true;
}

static int64_t number_at(const MyPage *page, size_t field) {
    int64_t number = 0;
    str_to_int64(page->fields[field], &number);
    return number;
}

/* FNV-1a; 0 stands for none. */
static int64_t identity_of(Str name) {
    uint64_t hash = 14695981039346656037U;
    for (size_t i = 0; i < name.size; i++)
        hash = (hash ^ (uint8_t)name.at[i]) * 1099511628211U;
    return hash ? (int64_t)hash : 1;
}

bool check_server(My *my, ServerFacts *ret_facts, Error *err) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    MyPage clock, threads, group;
    TRY(my_exec(my, SQL_SOURCE_ZONE_OF_WRITERS, err));
    TRY(my_read(my, SQL_CHECK_MYSQL_CLOCK, 1, ANSWER_MAX_BYTES, arena, &clock, err));
    TRY(my_exec(my, SQL_SOURCE_ZONE_UTC, err));
    const char *sql = my_is_mariadb(my) ? SQL_CHECK_MARIADB_REPLICATION : SQL_CHECK_MYSQL_REPLICATION;
    TRY(my_read(my, sql, 1, ANSWER_MAX_BYTES, arena, &threads, err));
    TRY(my_read(my, SQL_CHECK_MYSQL_GROUP, ANSWER_MAX_ROWS, ANSWER_MAX_BYTES, arena, &group, err));
    *ret_facts = (ServerFacts){
        .utc_us = number_at(&clock, 0), .civil_us = number_at(&clock, 1),
        .is_read_only = number_at(&clock, 2) != 0, .is_replica = number_at(&threads, 0) > 0,
        .packet_bytes = number_at(&clock, 4), .identity = identity_of(clock.fields[3]),
    };
    for (size_t i = 0; i < group.n_rows; i++)
        ret_facts->is_group_member |= group.fields[i * group.n_fields + 1].size > 0;
    return true;
}

static void put_literal(Buf *out, const char *text) {
    if (out->size > 0)
        buf_put(out, ", ", 2);
    my_put_text(out, str_of(text));
}

static const char *literal(Arena *arena, const char *text) {
    CLEANUP(buf_drop) Buf out;
    buf_init(&out, LITERAL_MAX_BYTES);
    put_literal(&out, text);
    return arena_string(arena, buf_str(&out));
}

static const char *key_list(Arena *arena, const SourceTable *table) {
    CLEANUP(buf_drop) Buf out;
    buf_init(&out, LITERAL_MAX_BYTES);
    for (size_t i = 0; i < table->n_key; i++)
        put_literal(&out, table->fields[table->key[i]].name);
    return arena_string(arena, buf_str(&out));
}

bool check_table(My *my, const SourceTable *table, TableFacts *ret_facts, Error *err) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    const char *cursor = table->cursor < 0 ? "" : table->fields[table->cursor].name;
    const char *sql = sql_fill(arena, SQL_CHECK_MYSQL_TABLE, {"table", literal(arena, table->name)},
                               {"cursor", literal(arena, cursor)}, {"key", key_list(arena, table)});
    MyPage page;
    TRY(my_read(my, sql, 1, ANSWER_MAX_BYTES, arena, &page, err));
    *ret_facts = (TableFacts){
        .is_innodb = str_equal_nocase(page.fields[0], STR("InnoDB")),
        .has_cursor_index = number_at(&page, 1) > 0,
        .is_key_unique = number_at(&page, 2) > 0,
        .is_cursor_kept = number_at(&page, 3) > 0,
    };
    return true;
}

bool check_bigquery_jobs(BigQuery *bq, Error *err) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    BigQueryRows rows;
    return bigquery_read(bq, SQL_CHECK_BIGQUERY_JOBS, arena, &rows, err);
}
