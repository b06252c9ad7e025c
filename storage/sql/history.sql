-- Versions (SCD2). {table}, {key}, {id} come from the entity table.

-- Pages of one entity ($1) and source ($2) wait for each other.
-- name: history_lock
SELECT pg_advisory_xact_lock(7303, hashtext($1 || '|' || $2))

-- name: history_look_up
SELECT t.* FROM unnest($1::text[]) AS n(id) CROSS JOIN LATERAL (
    SELECT {id}, {key}, source_hash, record_hash, is_deleted, is_inferred, version, effective_date
    FROM silver.{table} WHERE {id} = n.id AND source_system = $2 AND is_current OFFSET 0
) AS t

-- name: history_versions
SELECT array_to_string(dq_flags, ','), {key}, effective_date, expiry_date, version, is_deleted, {columns}, {id}
FROM unnest($1::text[]) AS n(id) CROSS JOIN LATERAL (
    SELECT * FROM silver.{table} WHERE {id} = n.id AND source_system = $2 OFFSET 0
) AS t
ORDER BY {id}, version

-- name: history_remove
DELETE FROM silver.{table} WHERE {key} = ANY($1::bigint[])

-- Versions that are shown by another from now on. A dimension has no partitions: no day.
-- name: history_vanished
INSERT INTO ops.moved (table_name, key, old_date, batch_id)
SELECT $1, u.key, NULL, $2::bigint FROM unnest($3::bigint[]) AS u(key)

-- name: history_seen
SELECT t.* FROM unnest($1::text[]) AS n(id) CROSS JOIN LATERAL (
    SELECT source_id, seen_at, is_inferred FROM silver.member_seen
    WHERE source_id = n.id AND source_system = $2 AND entity = $3 OFFSET 0
) AS t
ORDER BY source_id, seen_at

-- $2: microseconds since 1970; a float's 53 bits would round them.
-- name: history_seen_add
INSERT INTO silver.member_seen (source_id, source_system, entity, seen_at, is_inferred)
SELECT u.id, $3, $4, timestamptz '1970-01-01 00:00:00+00' + u.at * interval '1 microsecond', u.is_inferred = 1
FROM unnest($1::text[], $2::bigint[], $5::bigint[]) AS u(id, at, is_inferred)
ON CONFLICT DO NOTHING

-- name: history_seen_forget
DELETE FROM silver.member_seen s
USING unnest($1::text[], $2::bigint[]) AS u(id, at)
WHERE s.source_id = u.id AND s.source_system = $3 AND s.entity = $4
  AND s.seen_at >= timestamptz '1970-01-01 00:00:00+00' + u.at * interval '1 microsecond'
