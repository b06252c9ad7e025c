-- Place gives a new patient an id of its own at once; whose it is, settle says. Until it has, nobody is shown one: the id
-- might be gone a moment later.
CREATE OR REPLACE VIEW gold.dim_patients AS
SELECT
    p.patient_key, p.source_system, p.source_patient_id, CASE WHEN l.person_id IS NOT NULL THEN p.person_id END AS person_id,
    p.first_name, p.middle_name, p.last_name, p.ssn, p.birth_date, p.gender, p.phone, p.phone_extension, p.email, p.address,
    p.city, p.state, p.zip, p.source_payer_id, p.payer_key, p.member_id, p.effective_date, p.expiry_date, p.is_current,
    p.version, p.is_inferred, p.dq_flags, p.is_deleted, p.source_inserted_at, p.source_modified_at, p.batch_id,
    p.mapping_version
FROM silver.patients p
LEFT JOIN silver.person_link l ON l.source_patient_id = p.source_patient_id AND l.source_system = p.source_system
UNION ALL
SELECT
    -1, '', '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, timestamptz '0001-01-01 00:00:00+00', timestamptz '9999-12-31 00:00:00+00',
    true, 1, false, '{}'::text[], false, NULL, NULL, (SELECT min(batch_id) FROM ops.batch), 0;
