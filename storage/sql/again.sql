-- Cleaning again from bronze. {raw} is a quoted name in schema bronze; {table}, {id} come from the entity table.

-- name: again_schemas
SELECT s.schema_id, c.name, c.type
FROM ops.feed_schema s, unnest(s.columns, s.types) WITH ORDINALITY AS c(name, type, position)
WHERE s.feed = $1 ORDER BY s.schema_id DESC, c.position

-- name: again_blocks
SELECT coalesce(pg_relation_size(to_regclass($1)), 0) / current_setting('block_size')::bigint

-- The raw rows of a stretch of bronze that a clean row was made of, as they lie there: behind $1, before $2. One
-- content stands once, whatever the number of its copies. LATERAL with LIMIT asks row by row: another plan
-- would read the whole table for every page.
-- name: again_stored
WITH found AS (
    SELECT r.ctid AS place, r.source_key, r.source_hash, r.schema_id, r.raw,
           sum(pg_column_size(r.raw)) OVER (ORDER BY r.ctid) - pg_column_size(r.raw) AS bytes_before
    FROM bronze.{raw} r
    CROSS JOIN LATERAL (SELECT FROM silver.{table} t
                        WHERE t.{id} = r.source_key AND t.source_system = $3 AND t.source_hash = r.source_hash
                        LIMIT 1) AS s
    WHERE r.ctid > $1::tid AND r.ctid < $2::tid AND r.op <> 'delete'
    ORDER BY r.ctid LIMIT $4::bigint
), page AS (
    SELECT * FROM found WHERE bytes_before < $5::bigint
)
SELECT DISTINCT ON (schema_id, source_key, source_hash) schema_id, 0, source_key, source_hash, raw,
       (SELECT max(place) FROM page)::text
FROM page ORDER BY schema_id, source_key, source_hash

-- Open entries behind $3, in their order, with the row as it was received; without it where bronze has it no more.
-- Which of two rows of one id counts was decided at the source.
-- name: again_held
SELECT q.quarantine_id, r.schema_id, r.source_key, r.source_hash, r.raw
FROM (
    SELECT * FROM dq.quarantine
    WHERE feed = $1 AND source_system = $2 AND state = 'open' AND quarantine_id > $3::bigint AND rule <> $5
    ORDER BY quarantine_id LIMIT $4::bigint
) AS q
LEFT JOIN LATERAL (
    SELECT * FROM bronze.{raw} b
    WHERE b.batch_id = q.batch_id AND b.source_hash = q.source_hash AND b.source_key IS NOT DISTINCT FROM q.natural_key
    LIMIT 1
) AS r ON true
ORDER BY q.quarantine_id

-- name: again_due
SELECT remapped_at IS NULL FROM ops.feed_mapping WHERE feed = $1 ORDER BY mapping_version DESC LIMIT 1

-- name: again_done
UPDATE ops.feed_mapping SET remapped_at = now() WHERE feed = $1 AND mapping_version <= $2 AND remapped_at IS NULL
