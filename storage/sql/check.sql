-- What doctor asks: the store's rights, and a hospital's preconditions for polling (rules, section 4).

-- name: check_rights
SELECT has_schema_privilege(current_user, 'bronze', 'CREATE'),
       has_table_privilege(current_user, 'silver.patients', 'INSERT'),
       has_table_privilege(current_user, 'ops.audit', 'INSERT')
           AND has_table_privilege(current_user, 'ops.audit_seal', 'INSERT'),
       has_table_privilege(current_user, 'ops.audit', 'UPDATE, DELETE, TRUNCATE')
           OR has_table_privilege(current_user, 'ops.audit_seal', 'UPDATE, DELETE, TRUNCATE'),
       has_schema_privilege(current_user, 'ops', 'CREATE') OR has_schema_privilege(current_user, 'silver', 'CREATE')
           OR pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = 'ops.audit'::regclass), 'MEMBER'),
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
       current_setting('server_version_num')::int

-- name: check_mysql_grants
SHOW GRANTS

-- Without PROCESS: error 1227.
-- name: check_mysql_process
SELECT COUNT(*) FROM information_schema.innodb_trx

-- The zone of the session is the writers': NOW() tells their civil time, UTC_TIMESTAMP() the instant.
-- name: check_mysql_clock
SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)),
       TIMESTAMPDIFF(MICROSECOND, '1970-01-01', NOW(6)), @@global.read_only,
       CONCAT_WS(':', @@hostname, @@port, @@server_id), @@max_allowed_packet

-- name: check_mariadb_replication
SELECT COUNT(*) FROM information_schema.processlist WHERE command LIKE 'Slave%'

-- MySQL's threads of replication are told from its events by what they wait for.
-- name: check_mysql_replication
SELECT COUNT(*) FROM performance_schema.processlist
WHERE user = 'system user' AND (state LIKE '% to send event%' OR state LIKE '%relay log%')

-- Members of a group: MySQL's group replication, Galera.
-- name: check_mysql_group
SHOW GLOBAL VARIABLES
WHERE variable_name = 'group_replication_group_name' OR (variable_name = 'wsrep_cluster_address' AND value <> '')

-- name: check_mysql_table
SELECT IFNULL((SELECT t.engine FROM information_schema.tables t
               WHERE t.table_schema = DATABASE() AND t.table_name = {table}), ''),
       (SELECT COUNT(*) FROM information_schema.statistics s
        WHERE s.table_schema = DATABASE() AND s.table_name = {table} AND s.column_name = {cursor}
          AND s.seq_in_index = 1),
       (SELECT COUNT(*) FROM (SELECT s.index_name FROM information_schema.statistics s
                              WHERE s.table_schema = DATABASE() AND s.table_name = {table} AND s.non_unique = 0
                              GROUP BY s.index_name
                              HAVING SUM(IFNULL(s.column_name IN ({key}), 0) = 0) = 0) AS u),
       (SELECT COUNT(*) FROM information_schema.columns c
        WHERE c.table_schema = DATABASE() AND c.table_name = {table} AND c.column_name = {cursor}
          AND c.extra LIKE '%on update current_timestamp%')

-- name: check_bigquery_jobs
SELECT 1
