-- What is asked of a hospital's MySQL or MariaDB. Short LIMIT reads only; see storage/source.c.

-- name: source_columns
SELECT column_name, data_type, IFNULL(collation_name, ''), IFNULL(datetime_precision, 0), is_nullable
FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name = {table}
ORDER BY ordinal_position

-- name: source_load
SELECT {columns} FROM {table} WHERE {keyed} AND {after} ORDER BY {key} LIMIT {rows}

-- name: source_follow
SELECT {columns} FROM {table}
WHERE {keyed} AND {cursor} >= {position} AND ({cursor} > {position} OR {after})
ORDER BY {cursor}, {key} LIMIT {rows}

-- name: source_null_cursor
SELECT {columns} FROM {table} WHERE {keyed} AND {cursor} IS NULL AND ({after}) ORDER BY {key} LIMIT {rows}

-- Rows that no key orders are ordered by all they hold.
-- name: source_keyless
SELECT {columns} FROM {table} WHERE {keyless} ORDER BY SHA2(CONCAT_WS(X'00', {content}), 256)
LIMIT {rows} OFFSET {skipped}

-- Each spelling once.
-- name: source_find_texts
SELECT {column} FROM {table} WHERE {column} IN ({texts}) GROUP BY CAST({column} AS BINARY)

-- The writers' civil time can only be told in their zone: CONVERT_TZ needs zone tables that few servers
-- have, and answers NULL without them.
-- name: source_zone_of_writers
SET time_zone = @@global.time_zone

-- Where the list of transactions is asked: its times are the server's own.
-- name: source_zone_of_server
SET time_zone = 'SYSTEM'

-- name: source_zone_utc
SET time_zone = '+00:00'

-- name: source_clock
SELECT UTC_TIMESTAMP(6), NOW(6)

-- The start of the oldest thing that may still write a row with an earlier time: statements that run,
-- transactions that have written. Seconds before now, rounded up.
-- name: source_oldest_mariadb
SELECT GREATEST(
    IFNULL((SELECT MAX(CEIL(p.time_ms / 1000)) FROM information_schema.processlist p
            WHERE p.id <> CONNECTION_ID()
              AND p.command NOT IN ('Sleep', 'Daemon', 'Binlog Dump', 'Binlog Dump GTID')
              AND p.user NOT IN ('event_scheduler', SUBSTRING_INDEX(USER(), '@', 1))), 0),
    IFNULL((SELECT MAX(TIMESTAMPDIFF(SECOND, t.trx_started, NOW(6)) + 1)
            FROM information_schema.innodb_trx t
            WHERE t.trx_is_read_only = 0 AND t.trx_mysql_thread_id <> CONNECTION_ID()), 0))

-- name: source_oldest_mysql
SELECT GREATEST(
    IFNULL((SELECT MAX(p.time + 1) FROM performance_schema.processlist p
            WHERE p.id <> CONNECTION_ID()
              AND p.command NOT IN ('Sleep', 'Daemon', 'Binlog Dump', 'Binlog Dump GTID')
              AND p.user NOT IN ('event_scheduler', SUBSTRING_INDEX(USER(), '@', 1))), 0),
    IFNULL((SELECT MAX(TIMESTAMPDIFF(SECOND, t.trx_started, NOW(6)) + 1)
            FROM information_schema.innodb_trx t
            WHERE t.trx_is_read_only = 0 AND t.trx_mysql_thread_id <> CONNECTION_ID()), 0))
