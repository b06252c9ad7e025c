-- What doctor asks: the store's rights, and a hospital's preconditions for polling (rules, section 4).

-- name: check_rights
SELECT has_schema_privilege(current_user, 'bronze', 'CREATE'),
       has_table_privilege(current_user, 'silver.patients', 'INSERT'),
       has_table_privilege(current_user, 'ops.audit', 'INSERT'),
       has_table_privilege(current_user, 'ops.audit', 'UPDATE')
           OR has_table_privilege(current_user, 'ops.audit', 'DELETE'),
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
       current_setting('server_version_num')::int

-- name: check_mysql_grants
SHOW GRANTS

-- name: check_mysql_table
SELECT IFNULL((SELECT t.engine FROM information_schema.tables t
               WHERE t.table_schema = DATABASE() AND t.table_name = {table}), ''),
       (SELECT COUNT(*) FROM information_schema.statistics s
        WHERE s.table_schema = DATABASE() AND s.table_name = {table} AND s.column_name = {cursor}
          AND s.seq_in_index = 1)
