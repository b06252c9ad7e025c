/* check.h - what doctor asks of PostgreSQL and of a hospital's server. Reads only. */
#pragma once
#include "storage/mysql.h"
#include "storage/pg.h"

typedef struct StoreRights {
    bool may_create_bronze, may_write_silver, may_append_audit;
    bool may_alter_audit, is_superuser; /* more than the daemon should have */
    int version;                        /* 150004 */
} StoreRights;
bool check_store(Pg *pg, StoreRights *ret_rights, Error *err);

typedef struct AccountRights {
    bool has_process; /* sees other sessions' statements */
    bool may_write;   /* more than SELECT: not needed */
} AccountRights;
bool check_account(My *my, AccountRights *ret_rights, Error *err);

typedef struct TableFacts {
    bool is_innodb, has_cursor_index;
} TableFacts;
/* `cursor` may be NULL. */
bool check_table(My *my, const char *table, const char *cursor, TableFacts *ret_facts, Error *err);
