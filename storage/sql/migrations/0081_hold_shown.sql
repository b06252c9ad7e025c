-- A legal hold as it is told, alone or in a list.
CREATE VIEW ops.hold_shown AS
SELECT h.hold_id, h.released_at IS NULL AS is_in_force, json_build_object(
    'id', h.hold_id::text, 'kind', h.kind, 'source', CASE WHEN h.kind = 'source' THEN h.source_system END, 'feed', h.feed,
    'patient_key', (SELECT p.patient_key::text FROM silver.patients p WHERE p.source_patient_id = h.source_patient_id
                    AND p.source_system = h.source_system AND p.is_current),
    'person_id', h.person_id, 'members', (SELECT count(*) FROM ops.hold_member m WHERE m.hold_id = h.hold_id),
    'reason', h.reason, 'set_by', h.set_by, 'released_by', h.released_by,
    'set_at', to_char(h.set_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'released_at', to_char(h.released_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))::text AS shown
FROM ops.hold h;
