-- Which sources there are, were, and what they are called (storage/hospitals.h).

-- name: hospital_rename
SELECT ops.rename_source($1, $2, $3)

-- name: hospital_take
INSERT INTO ops.source AS s (source_system, timezone, owner) VALUES ($1, $2, $3)
ON CONFLICT (source_system) DO UPDATE SET timezone = EXCLUDED.timezone, owner = EXCLUDED.owner, retired_at = NULL
WHERE s.renamed_to IS NULL
RETURNING source_system

-- name: hospital_renamed_to
SELECT renamed_to FROM ops.source WHERE source_system = $1

-- Of this daemon's alone: another one may have what is not here.
-- name: hospital_retire
UPDATE ops.source SET retired_at = now()
WHERE owner = $1 AND retired_at IS NULL AND source_system <> ALL ($2::text[])
RETURNING source_system

-- name: hospital_retired
SELECT source_system, (extract(epoch FROM retired_at) * 1000000)::bigint FROM ops.source
WHERE retired_at IS NOT NULL AND renamed_to IS NULL ORDER BY source_system COLLATE "C"

-- name: hospital_audit_retired
INSERT INTO ops.audit (actor, action, object, outcome) VALUES ('pipeline', 'source.retire', $1, 'done')

-- Jobs that no configuration of this daemon's has any more: whoever wants them may have them.
-- name: hospital_free_jobs
UPDATE ops.job SET owner = NULL, lease_until = NULL WHERE owner = $1 AND name <> ALL ($2::text[])
