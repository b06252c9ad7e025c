-- Versions (SCD2). {table}, {key}, {id} come from the entity table.

-- name: history_look_up
SELECT {id}, {key}, source_hash, record_hash, is_deleted, is_inferred, version, effective_date
FROM silver.{table}
WHERE {id} = ANY($1::text[]) AND source_system = $2 AND is_current

-- name: history_current
SELECT {columns}, array_to_string(dq_flags, ',') FROM silver.{table} WHERE {key} = ANY($1::bigint[])

-- name: history_older
SELECT {columns}, array_to_string(dq_flags, ',') FROM silver.{table}
WHERE {id} = ANY($1::text[]) AND source_system = $2 AND NOT is_current

-- name: history_remove
DELETE FROM silver.{table} WHERE {key} = ANY($1::bigint[])
