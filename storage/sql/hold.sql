-- Legal holds: what retention may not delete while they are in force.

-- One row, or none when there is nothing of that name.
-- name: hold_set
INSERT INTO ops.hold (kind, source_system, feed, source_patient_id, person_id, reason, set_by)
SELECT $1, t.source_system, t.feed, t.source_patient_id, t.person_id, $3, $4
FROM (
    SELECT s.source_system, NULL::text AS feed, NULL::text AS source_patient_id, NULL::uuid AS person_id
    FROM ops.source s WHERE $1 = 'source' AND s.source_system = $2
    UNION ALL
    SELECT NULL, f.feed, NULL, NULL FROM ops.feed_entity f WHERE $1 = 'feed' AND f.feed = $2
    UNION ALL
    SELECT p.source_system, NULL, p.source_patient_id, NULL FROM silver.patients p
    WHERE p.patient_key = CASE WHEN $1 = 'patient' THEN $2::bigint END AND p.source_system <> ''
    UNION ALL
    SELECT NULL, NULL, NULL, i.id FROM (SELECT CASE WHEN $1 = 'person' THEN $2::uuid END AS id) AS i
    WHERE EXISTS (SELECT FROM silver.person_link l WHERE l.person_id = i.id)
       OR EXISTS (SELECT FROM silver.person_alias a WHERE a.old_id = i.id)
) AS t
RETURNING hold_id

-- Who the person is now stays held, whatever becomes of the links.
-- name: hold_members
INSERT INTO ops.hold_member (hold_id, source_system, source_patient_id)
SELECT $1::bigint, l.source_system, l.source_patient_id FROM silver.person_link l
WHERE l.person_id = coalesce((SELECT person_id FROM silver.person_alias WHERE old_id = $2::uuid), $2::uuid)

-- name: hold_release
UPDATE ops.hold SET released_at = now(), released_by = $2 WHERE hold_id = $1::bigint AND released_at IS NULL

-- name: hold_exists
SELECT EXISTS (SELECT FROM ops.hold WHERE hold_id = $1::bigint)
