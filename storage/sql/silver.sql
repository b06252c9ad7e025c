-- Facts and members: one current row per id. {table}, {key}, {id} come from the entity table.

-- One id after the other, here and wherever a page looks its ids up: for `= ANY` a plan that was made while the table was
-- empty walks the source's whole index.
-- name: silver_look_up
SELECT t.* FROM unnest($1::text[]) AS n(id) CROSS JOIN LATERAL (
    SELECT {id}, {key}, source_hash, record_hash, is_deleted, {inferred}
    FROM silver.{table} WHERE {id} = n.id AND source_system = $2 OFFSET 0
) AS t

-- The old rows go to _past, from the batch that placed them (ops.placed) to this one; their flags come back, for those
-- that settle alone can tell. A changed partition date is remembered for the next publication.
-- name: silver_replace
WITH gone AS (
    DELETE FROM silver.{table} WHERE {key} = ANY($1::bigint[]) RETURNING *
), placed AS (
    DELETE FROM ops.placed WHERE key = ANY($1::bigint[]) AND entity = '{table}' RETURNING key, batch_id
), past AS (
    INSERT INTO silver.{table}_past
    SELECT gone.*, coalesce(p.batch_id, gone.batch_id), $2::bigint FROM gone LEFT JOIN placed p ON p.key = gone.{key}
)
SELECT {key}, array_to_string(dq_flags, ','), {partition} FROM gone

-- Rows that are no longer at the source stay, marked; as they were they go to _past.
-- name: silver_gone
WITH gone AS (
    UPDATE silver.{table} t SET is_deleted = true, batch_id = $2::bigint
    FROM silver.{table} old
    WHERE old.{key} = t.{key} AND t.{key} = ANY($1::bigint[]) AND NOT t.is_deleted
    RETURNING old.*
), placed AS (
    DELETE FROM ops.placed p USING gone WHERE p.key = gone.{key} AND p.entity = '{table}' RETURNING p.key, p.batch_id
), past AS (
    INSERT INTO silver.{table}_past
    SELECT gone.*, coalesce(p.batch_id, gone.batch_id), $2::bigint FROM gone LEFT JOIN placed p ON p.key = gone.{key}
)
SELECT count(*) FROM gone

-- name: silver_touch
UPDATE silver.{table} t SET source_hash = u.source_hash
FROM unnest($1::bigint[], $2::bigint[]) AS u(key, source_hash)
WHERE t.{key} = u.key

-- name: silver_take_keys
SELECT nextval($1::regclass) FROM generate_series(1, $2::int)

-- name: silver_secret
SELECT value FROM ops.secret WHERE name = 'patient_key'

-- name: silver_moved
INSERT INTO ops.moved (table_name, key, old_date, batch_id)
SELECT $1, u.key, u.old_date, $2::bigint
FROM unnest($3::bigint[], $4::date[]) AS u(key, old_date)
