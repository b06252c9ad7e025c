-- The star schema as views: what BigQuery holds. Columns are those of the entity table in
-- daemon/transform/entity.c, in its order, without the hashes; a test compares the two.
--
-- Facts hide what is deleted, dimensions show it marked. The keys of other facts (encounter_key,
-- transaction_key, claim_key) exist here only and are looked up by natural id: NULL until the parent
-- is there. Every dimension has the unknown member -1, which stands in no silver table, so that it is
-- in no count; it bears the first batch's id, so that the first publication carries it.

-- patient_key: a keyed permutation of the sequence's numbers (rules, section 9), so that keys are
-- unique and positive but tell nothing about the order of record numbers. A balanced Feistel network
-- over 2 x 31 bits with eight rounds of SHA-256; storage/permute.c is the same in C, a test compares.
CREATE FUNCTION silver.permute(secret bytea, number bigint) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    high bigint := number >> 31;
    low bigint := number & 2147483647;
    mixed bigint;
BEGIN
    IF number < 0 OR number >> 62 <> 0 THEN
        RAISE EXCEPTION 'number % is outside the permutation', number USING ERRCODE = '22003';
    END IF;
    FOR round IN 0..7 LOOP
        mixed := ('x' || encode(substr(sha256(secret || decode(lpad(to_hex(round), 2, '0'), 'hex')
            || int4send(low::int)), 1, 4), 'hex'))::bit(32)::bigint & 2147483647;
        mixed := high # mixed;
        high := low;
        low := mixed;
    END LOOP;
    RETURN (high << 31 | low) + 1;
END $$;

CREATE FUNCTION silver.patient_key(number bigint) RETURNS bigint
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $$
    SELECT silver.permute(value, number) FROM ops.secret WHERE name = 'patient_key'
$$;

-- Whole blocks of a key sequence, as place takes them; `place` numbers them from 1.
CREATE FUNCTION silver.take_keys(sequence regclass, n bigint, OUT place bigint, OUT key bigint)
RETURNS SETOF record LANGUAGE sql VOLATILE STRICT AS $$
    SELECT block.place * 10000 + i + 1, block.start + i
    FROM (SELECT b AS place, nextval(sequence) AS start
          FROM generate_series(0, (n + 9999) / 10000 - 1) AS b) AS block
    CROSS JOIN generate_series(0, 9999) AS i
    WHERE block.place * 10000 + i < take_keys.n
$$;

CREATE VIEW gold.dim_patients AS
SELECT
    patient_key, source_system, source_patient_id, person_id, first_name, middle_name, last_name,
    ssn, birth_date, gender, phone, phone_extension, email, address, city, state, zip,
    source_payer_id, payer_key, member_id, effective_date, expiry_date, is_current, version,
    is_inferred, dq_flags, is_deleted, source_inserted_at, source_modified_at, batch_id,
    mapping_version
FROM silver.patients
UNION ALL
SELECT
    -1, '', '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, timestamptz '0001-01-01 00:00:00+00', timestamptz '9999-12-31 00:00:00+00',
    true, 1, false, '{}'::text[], false, NULL, NULL, (SELECT min(batch_id) FROM ops.batch), 0;

CREATE VIEW gold.dim_providers AS
SELECT
    provider_key, source_system, source_provider_id, first_name, last_name, specialization,
    source_department_id, npi, npi_status, effective_date, expiry_date, is_current, version,
    is_inferred, dq_flags, is_deleted, source_inserted_at, source_modified_at, batch_id,
    mapping_version
FROM silver.providers
UNION ALL
SELECT
    -1, '', '', NULL, NULL, NULL, NULL, NULL, NULL, timestamptz '0001-01-01 00:00:00+00',
    timestamptz '9999-12-31 00:00:00+00', true, 1, false, '{}'::text[], false, NULL, NULL,
    (SELECT min(batch_id) FROM ops.batch), 0;

CREATE VIEW gold.dim_departments AS
SELECT
    department_key, source_system, source_department_id, name, is_inferred, dq_flags, is_deleted,
    source_inserted_at, source_modified_at, batch_id, mapping_version
FROM silver.departments
UNION ALL
SELECT
    -1, '', '', NULL, false, '{}'::text[], false, NULL, NULL,
    (SELECT min(batch_id) FROM ops.batch), 0;

CREATE VIEW gold.dim_payers AS
SELECT
    payer_key, source_system, source_payer_id, name, payer_name, payer_type, reference_status,
    dq_flags, is_deleted, source_inserted_at, source_modified_at, batch_id, mapping_version
FROM silver.payers
UNION ALL
SELECT
    -1, '', '', NULL, NULL, NULL, NULL, '{}'::text[], false, NULL, NULL,
    (SELECT min(batch_id) FROM ops.batch), 0;

CREATE VIEW gold.dim_procedures AS
SELECT
    procedure_key, code, code_system, description, category, reference_status, batch_id
FROM silver.procedures
UNION ALL
SELECT
    -1, '', NULL, NULL, NULL, NULL, (SELECT min(batch_id) FROM ops.batch);

CREATE VIEW gold.dim_diagnoses AS
SELECT
    diagnosis_key, code, code_system, description, chapter, reference_status, batch_id
FROM silver.diagnoses
UNION ALL
SELECT
    -1, '', NULL, NULL, NULL, NULL, (SELECT min(batch_id) FROM ops.batch);

CREATE VIEW gold.dim_date AS
SELECT
    date_key, date, year, quarter, month, month_name, iso_week, day_of_week, day_name, is_weekend,
    is_holiday, is_business_day, fiscal_year, fiscal_quarter, batch_id
FROM silver.dates
UNION ALL
SELECT
    -1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    (SELECT min(batch_id) FROM ops.batch);

CREATE VIEW gold.fact_encounters AS
SELECT
    e.encounter_key, e.source_system, e.source_encounter_id, e.source_patient_id,
    e.source_provider_id, e.source_department_id, e.patient_key, e.provider_key, e.department_key,
    e.procedure_key, e.encounter_date, e.encounter_type, e.procedure_code, e.dq_flags,
    e.is_deleted, e.source_inserted_at, e.source_modified_at, e.batch_id, e.mapping_version
FROM silver.encounters e
WHERE NOT e.is_deleted;

CREATE VIEW gold.fact_transactions AS
SELECT
    t.transaction_key, t.source_system, t.source_transaction_id, t.source_encounter_id,
    t.source_patient_id, t.source_provider_id, t.source_department_id, t.source_payer_id,
    t.source_claim_id, e.encounter_key, t.patient_key, t.provider_key, t.department_key,
    t.procedure_key, t.diagnosis_key, t.payer_key, t.visit_date, t.service_date, t.paid_date,
    t.visit_type, t.amount_type, t.amount, t.paid_amount, t.payment_status, t.procedure_code,
    t.diagnosis_code, t.line_of_business, t.medicaid_id, t.medicare_id, t.patient_age, t.dq_flags,
    t.is_deleted, t.source_inserted_at, t.source_modified_at, t.batch_id, t.mapping_version
FROM silver.transactions t
LEFT JOIN silver.encounters e ON e.source_encounter_id = t.source_encounter_id
    AND e.source_system = t.source_system AND NOT e.is_deleted
WHERE NOT t.is_deleted;

CREATE VIEW gold.fact_claims AS
SELECT
    c.claim_key, c.source_system, c.source_claim_id, c.iteration, c.is_final,
    c.source_transaction_id, c.source_encounter_id, c.source_patient_id, c.source_provider_id,
    c.source_department_id, c.source_payer_id, e.encounter_key, t.transaction_key, c.patient_key,
    c.provider_key, c.department_key, c.payer_key, c.service_date, c.claim_date, c.decision_date,
    c.claim_amount, c.paid_amount, c.deductible, c.coinsurance, c.copay, c.claim_status,
    c.payment_status, c.payer_type, c.coverage_percent, c.file_id, c.line, c.dq_flags,
    c.is_deleted, c.source_inserted_at, c.source_modified_at, c.batch_id, c.mapping_version
FROM silver.claims c
LEFT JOIN silver.encounters e ON e.source_encounter_id = c.source_encounter_id
    AND e.source_system = c.source_system AND NOT e.is_deleted
LEFT JOIN silver.transactions t ON t.source_transaction_id = c.source_transaction_id
    AND t.source_system = c.source_system AND NOT t.is_deleted
WHERE NOT c.is_deleted;

CREATE VIEW gold.fact_adjustments AS
SELECT
    a.adjustment_key, a.source_system, a.source_claim_id, a.iteration, a.service_line,
    a.group_code, a.reason_code, a.position, c.claim_key, a.claim_date, a.remark_codes, a.amount,
    a.quantity, a.file_id, a.line, a.dq_flags, a.is_deleted, a.source_inserted_at,
    a.source_modified_at, a.batch_id, a.mapping_version
FROM silver.adjustments a
LEFT JOIN silver.claims c ON c.source_claim_id = a.source_claim_id
    AND c.source_system = a.source_system AND c.iteration = a.iteration AND NOT c.is_deleted
WHERE NOT a.is_deleted;

GRANT EXECUTE ON FUNCTION silver.permute, silver.patient_key, silver.take_keys TO revcycle_daemon;
