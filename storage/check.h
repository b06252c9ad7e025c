/* check.h - what doctor asks of PostgreSQL and of a hospital's server. Reads only.
 *
 * The preconditions of rules, section 4, one verb a subject; whoever judges a cursor asks them here too. */
#pragma once
#include "storage/bigquery.h"
#include "storage/mysql.h"
#include "storage/pg.h"
#include "storage/source.h"

typedef struct StoreRights {
    bool may_create_bronze, may_write_silver, may_append_audit;
    /* more than the daemon should have */
    bool may_alter_audit, may_alter_schemas, is_superuser;
    int version; /* 150004 */
} StoreRights;
bool check_store(Pg *pg, StoreRights *ret_rights, Error *err);

typedef struct AccountRights {
    bool has_process; /* sees other sessions' statements and transactions */
    bool is_read_only;
    char excess[160]; /* what it may besides reading, "INSERT, UPDATE"; "" when nothing */
} AccountRights;
/* PROCESS is tried, not read from the grants: it may come by a role. Without it the list of statements
 * shows our own alone and says nothing, but innodb_trx answers 1227. */
bool check_account(My *my, AccountRights *ret_rights, Error *err);

typedef struct ServerFacts {
    int64_t utc_us;   /* its clock, microseconds since the epoch */
    int64_t civil_us; /* the same instant as its writers' sessions tell it (@@global.time_zone) */
    bool is_read_only;
    bool is_replica, is_group_member;
    int64_t packet_bytes; /* max_allowed_packet */
    int64_t identity; /* of its host, port and server_id: another one behind the same address has another; never 0 */
} ServerFacts;
/* Leaves the session in UTC. Replication shows in the list of threads, which needs PROCESS. */
bool check_server(My *my, ServerFacts *ret_facts, Error *err);

typedef struct TableFacts {
    bool is_innodb;
    bool is_key_unique;    /* some unique index has no column but those of the key */
    bool has_cursor_index; /* an index begins with the cursor */
    bool is_cursor_kept;   /* ON UPDATE CURRENT_TIMESTAMP */
} TableFacts;
bool check_table(My *my, const SourceTable *table, TableFacts *ret_facts, Error *err);

/* Runs a query that reads nothing: whether the account may start jobs in the project. */
bool check_bigquery_jobs(BigQuery *bq, Error *err);
