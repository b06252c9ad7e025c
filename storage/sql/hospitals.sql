-- Which sources there are, were, and what they are called (storage/hospitals.h).

-- It waits for pages under way: not where there is nothing to rename any more.
-- name: hospital_rename
SELECT ops.rename_source($1, $2, $3)
WHERE EXISTS (SELECT FROM ops.source s WHERE s.source_system = $1 AND s.renamed_to IS NULL)

-- A row that is as it should be is not locked: others may hold it.
-- name: hospital_take
WITH found AS (
    SELECT s.source_system FROM ops.source s
    WHERE s.source_system = $1 AND s.timezone = $2 AND s.retired_at IS NULL AND s.renamed_to IS NULL
), kept AS (
    INSERT INTO ops.source AS s (source_system, timezone, owner)
    SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT FROM found)
    ON CONFLICT (source_system) DO UPDATE SET timezone = EXCLUDED.timezone, owner = EXCLUDED.owner, retired_at = NULL
    WHERE s.renamed_to IS NULL
    RETURNING s.source_system
)
SELECT source_system FROM found UNION ALL SELECT source_system FROM kept

-- Whose configuration named it last; where somebody holds the row, the next start says so.
-- name: hospital_own
UPDATE ops.source SET owner = $1
WHERE source_system IN (SELECT s.source_system FROM ops.source s
    WHERE s.source_system = ANY ($2::text[]) AND s.owner IS DISTINCT FROM $1 FOR NO KEY UPDATE SKIP LOCKED)

-- name: hospital_renamed_to
SELECT renamed_to FROM ops.source WHERE source_system = $1

-- Of this daemon's alone: another one may have what is not here.
-- name: hospital_retire
UPDATE ops.source SET retired_at = now()
WHERE source_system IN (SELECT s.source_system FROM ops.source s
    WHERE s.owner = $1 AND s.retired_at IS NULL AND s.source_system <> ALL ($2::text[]) FOR NO KEY UPDATE SKIP LOCKED)
RETURNING source_system

-- name: hospital_retired
SELECT source_system, (extract(epoch FROM retired_at) * 1000000)::bigint FROM ops.source
WHERE retired_at IS NOT NULL AND renamed_to IS NULL ORDER BY source_system COLLATE "C"

-- name: hospital_audit_retired
INSERT INTO ops.audit (actor, action, object, outcome) VALUES ('pipeline', 'source.retire', $1, 'done')

-- Jobs that no configuration of this daemon's has any more: whoever wants them may have them. Asked again with every renewal,
-- for a row that somebody holds is left, and while its owner is there nobody else takes it.
-- name: hospital_free_jobs
UPDATE ops.job SET owner = NULL, lease_until = NULL
WHERE name IN (SELECT j.name FROM ops.job j
    WHERE j.owner = $1 AND j.name <> ALL ($2::text[]) FOR NO KEY UPDATE SKIP LOCKED)
