-- What is asked of a hospital's MySQL or MariaDB. Short LIMIT reads only; see storage/source.c.

-- name: source_columns
SELECT column_name, data_type, IFNULL(collation_name, ''), IFNULL(datetime_precision, 0), is_nullable, column_type
FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name = {table}
ORDER BY ordinal_position

-- name: source_unique_keys
SELECT index_name, column_name, nullable
FROM information_schema.statistics
WHERE table_schema = DATABASE() AND table_name = {table} AND non_unique = 0
ORDER BY index_name, seq_in_index

-- A source query as a table. The session never has more than one statement, and may only read.
-- name: source_derived
({query}) AS feed

-- name: source_query_columns
SELECT * FROM {table} LIMIT 0

-- The collation of each of its columns; of an empty table too.
-- name: source_query_collations
SELECT {collations} FROM (SELECT 1 AS one) AS one LEFT JOIN {table} ON FALSE

-- name: source_load
SELECT {columns} FROM {table} WHERE {keyed} AND {after} ORDER BY {key} LIMIT {rows}

-- name: source_follow
SELECT {columns} FROM {table}
WHERE {keyed} AND {cursor} >= {position} AND ({cursor} > {position} OR {after}) AND {until}
ORDER BY {cursor}, {key} LIMIT {rows}

-- name: source_range
SELECT {columns} FROM {table}
WHERE {keyed} AND {column} IS NOT NULL AND {from} AND {until} AND ({after})
ORDER BY {key} LIMIT {rows}

-- name: source_has_rows
SELECT EXISTS (SELECT 1 FROM {table} WHERE {cursor} >= {position})
    OR EXISTS (SELECT 1 FROM {table} WHERE {cursor} IS NULL)
    OR EXISTS (SELECT 1 FROM {table} WHERE {keyless})

-- name: source_every_column
SELECT * FROM {table} LIMIT 0

-- name: source_null_cursor
SELECT {columns} FROM {table} WHERE {keyed} AND {cursor} IS NULL AND ({after}) ORDER BY {key} LIMIT {rows}

-- hash_source() of a row (transform/hash.h).
-- name: source_hash
CAST(CONV(LEFT(SHA2(CONCAT({parts}), 256), 16), 16, -10) AS SIGNED)

-- Of a value, and of one whose size must be looked at: CONCAT and HEX are NULL beyond max_allowed_packet, as if the
-- value were, SHA2 is of any.
-- name: source_hash_short
IFNULL(CONCAT({size}, ':', {sent}), '-')

-- name: source_hash_long
IF({size} > {long}, CONCAT({size}, '#', SHA2({bytes}, 256)), IFNULL(CONCAT({size}, ':', {sent}), '-'))

-- name: source_size
LENGTH({value})

-- name: source_size_of_digits
LENGTH({value}) * 2

-- Rows that no key orders are ordered by all they hold.
-- name: source_keyless
SELECT {columns} FROM {table} WHERE {keyless} ORDER BY {hash} LIMIT {rows} OFFSET {skipped}

-- Each spelling once.
-- name: source_find_texts
SELECT {column} FROM {table} WHERE {column} IN ({texts}) GROUP BY CAST({column} AS BINARY)

-- The writers' civil time can only be told in their zone: CONVERT_TZ needs zone tables that few servers
-- have, and answers NULL without them.
-- name: source_zone_of_writers
SET time_zone = @@global.time_zone

-- name: source_zone_utc
SET time_zone = '+00:00'

-- name: source_clock
SELECT UTC_TIMESTAMP(6), NOW(6)

-- For one statement.
-- name: source_next_is_dirty
SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED
