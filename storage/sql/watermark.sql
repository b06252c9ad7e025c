-- Up to where a hospital's table is known whole; see storage/watermark.h and rules, section 4.

-- The clock, told before the list is looked at, and the statements of all other sessions, with the age of each in
-- microseconds, rounded up. Our own session stands there without an id: a list that lacks it shows nobody (MySQL without
-- its performance schema). Nothing is left out by text, table, 'Connect' or 'system user': events and procedures hide there.
-- name: watermark_statements_mariadb
SELECT UTC_TIMESTAMP(6), NOW(6), NULLIF(p.id, CONNECTION_ID()), FLOOR(p.time_ms * 1000) + 1
FROM information_schema.processlist p
WHERE p.id = CONNECTION_ID()
   OR (IFNULL(p.command, '') NOT IN ('Sleep', 'Daemon', 'Binlog Dump', 'Binlog Dump GTID')
       AND IFNULL(p.user, '') NOT IN ('event_scheduler', SUBSTRING_INDEX(USER(), '@', 1)))

-- MySQL tells whole seconds, so the start is a whole second, and one before it.
-- name: watermark_statements_mysql
SELECT UTC_TIMESTAMP(6), NOW(6), NULLIF(p.id, CONNECTION_ID()), (p.time + 1) * 1000000 + MICROSECOND(NOW(6))
FROM performance_schema.processlist p
WHERE p.id = CONNECTION_ID()
   OR (IFNULL(p.command, '') NOT IN ('Sleep', 'Daemon', 'Binlog Dump', 'Binlog Dump GTID')
       AND IFNULL(p.user, '') NOT IN ('event_scheduler', SUBSTRING_INDEX(USER(), '@', 1)))

-- Without PROCESS, by GRANT SELECT ON performance_schema.threads.
-- name: watermark_statements_mysql_threads
SELECT UTC_TIMESTAMP(6), NOW(6), NULLIF(t.processlist_id, CONNECTION_ID()),
       (t.processlist_time + 1) * 1000000 + MICROSECOND(NOW(6))
FROM performance_schema.threads t
WHERE t.processlist_id = CONNECTION_ID()
   OR (t.processlist_id IS NOT NULL
       AND IFNULL(t.processlist_command, '') NOT IN ('Sleep', 'Daemon', 'Binlog Dump', 'Binlog Dump GTID')
       AND IFNULL(t.processlist_user, '') NOT IN ('event_scheduler', SUBSTRING_INDEX(USER(), '@', 1)))

-- Whose statements only read: a report does not hold the cursor. Asked behind the list, for a session that
-- has begun a report since then has ended what the list shows.
-- name: watermark_readers
SELECT t.trx_mysql_thread_id FROM information_schema.innodb_trx t WHERE t.trx_is_read_only = 1

-- How long a statement may wait for a lock.
-- name: watermark_lock_wait
SELECT @@innodb_lock_wait_timeout

-- Of a counter.
-- name: watermark_greatest
SELECT MAX({cursor}) FROM {table}

-- Transactions tell their start in the server's own zone.
-- name: watermark_zone_of_server
SET time_zone = 'SYSTEM'

-- name: watermark_oldest_writer
SELECT IFNULL(MAX(TIMESTAMPDIFF(SECOND, t.trx_started, NOW(6)) + 1), 0)
FROM information_schema.innodb_trx t
WHERE t.trx_is_read_only = 0 AND t.trx_mysql_thread_id <> CONNECTION_ID()
