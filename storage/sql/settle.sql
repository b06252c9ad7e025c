-- Settle: everything that depends on other feeds' rows (rules, section 6). storage/settle.c runs these
-- in the order written here, in one transaction under the exclusive placement lock. Temporary tables
-- hold the scope: rows of unsettled batches and the rows those affect.

-- name: settle_is_due
SELECT EXISTS (SELECT FROM ops.batch WHERE settled_by IS NULL),
       NOT EXISTS (SELECT FROM ops.batch WHERE settled_by IS NOT NULL)

-- Plans are made for the scope as it is, never for an average one.
-- name: settle_session
SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('work_mem', '128MB', true),
       set_config('jit', 'off', true)

-- Without statistics on freshly loaded tables nested loops look cheap; over a large scope they never are.
-- name: settle_session_large
SELECT set_config('enable_nestloop', 'off', true), set_config('enable_mergejoin', 'off', true)

-- name: settle_session_small
SELECT set_config('enable_nestloop', 'on', true), set_config('enable_mergejoin', 'on', true)

-- name: settle_run
CREATE TEMP TABLE settle_run ON COMMIT DROP AS
SELECT $1::bigint AS batch_id, $2::bigint AS run_id, $3::int AS fiscal_month

-- name: settle_batches
CREATE TEMP TABLE settle_batch ON COMMIT DROP AS
SELECT batch_id FROM ops.batch WHERE settled_by IS NULL

-- Rows of those batches: `past` holds what they replaced.
-- name: settle_scope
CREATE TEMP TABLE settle_{table} ON COMMIT DROP AS
SELECT {key}, {id} AS id, source_system, true AS is_changed
FROM silver.{table}
WHERE batch_id >= (SELECT min(batch_id) FROM settle_batch)
  AND batch_id IN (SELECT batch_id FROM settle_batch)

-- name: settle_analyze
ANALYZE settle_{table}

-- ---- members that facts name ----

-- name: settle_named
CREATE TEMP TABLE settle_named ON COMMIT DROP AS
SELECT DISTINCT source_system, source_patient_id, source_provider_id, source_department_id,
       NULL::text COLLATE "C" AS source_payer_id
FROM settle_encounters JOIN silver.encounters USING (encounter_key, source_system)
UNION
SELECT source_system, source_patient_id, source_provider_id, source_department_id, source_payer_id
FROM settle_transactions JOIN silver.transactions USING (transaction_key, source_system)
UNION
SELECT source_system, source_patient_id, source_provider_id, source_department_id, source_payer_id
FROM settle_claims JOIN silver.claims USING (claim_key, source_system)
UNION
SELECT source_system, NULL, NULL, NULL, source_payer_id
FROM settle_patients JOIN silver.patients USING (patient_key, source_system)

-- name: settle_infer_patients
WITH missing AS MATERIALIZED (
    SELECT source_system, source_patient_id, row_number() OVER () AS place
    FROM (SELECT DISTINCT source_system, source_patient_id FROM settle_named
          WHERE source_patient_id IS NOT NULL) AS named
    WHERE NOT EXISTS (SELECT FROM silver.patients p WHERE p.source_patient_id = named.source_patient_id
                      AND p.source_system = named.source_system)
), made AS (
    INSERT INTO silver.patients (patient_key, source_system, source_patient_id, effective_date,
                                 expiry_date, is_current, version, is_inferred, batch_id)
    SELECT silver.patient_key(k.key), source_system, source_patient_id,
           timestamptz '0001-01-01 00:00:00+00', timestamptz '9999-12-31 00:00:00+00', true, 1, true,
           (SELECT batch_id FROM settle_run)
    FROM missing
    JOIN silver.take_keys('silver.patient_key_seq', (SELECT count(*) FROM missing)) AS k USING (place)
    RETURNING patient_key, source_patient_id, source_system
)
INSERT INTO settle_patients SELECT patient_key, source_patient_id, source_system, false FROM made

-- name: settle_infer_providers
WITH missing AS MATERIALIZED (
    SELECT source_system, source_provider_id, row_number() OVER () AS place
    FROM (SELECT DISTINCT source_system, source_provider_id FROM settle_named
          WHERE source_provider_id IS NOT NULL) AS named
    WHERE NOT EXISTS (SELECT FROM silver.providers p WHERE p.source_provider_id = named.source_provider_id
                      AND p.source_system = named.source_system)
)
INSERT INTO silver.providers (provider_key, source_system, source_provider_id, effective_date,
                              expiry_date, is_current, version, is_inferred, batch_id)
SELECT k.key, source_system, source_provider_id, timestamptz '0001-01-01 00:00:00+00',
       timestamptz '9999-12-31 00:00:00+00', true, 1, true, (SELECT batch_id FROM settle_run)
FROM missing
JOIN silver.take_keys('silver.provider_key_seq', (SELECT count(*) FROM missing)) AS k USING (place)

-- name: settle_infer_departments
WITH missing AS MATERIALIZED (
    SELECT source_system, source_department_id, row_number() OVER () AS place
    FROM (SELECT DISTINCT source_system, source_department_id FROM settle_named
          WHERE source_department_id IS NOT NULL) AS named
    WHERE NOT EXISTS (SELECT FROM silver.departments d
                      WHERE d.source_department_id = named.source_department_id
                        AND d.source_system = named.source_system)
)
INSERT INTO silver.departments (department_key, source_system, source_department_id, is_inferred, batch_id)
SELECT k.key, source_system, source_department_id, true, (SELECT batch_id FROM settle_run)
FROM missing
JOIN silver.take_keys('silver.department_key_seq', (SELECT count(*) FROM missing)) AS k USING (place)

-- Payers, procedures and diagnoses without a feed carry code and name only.
-- name: settle_make_payers
WITH missing AS MATERIALIZED (
    SELECT source_system, source_payer_id, row_number() OVER () AS place
    FROM (SELECT DISTINCT source_system, source_payer_id FROM settle_named
          WHERE source_payer_id IS NOT NULL) AS named
    WHERE NOT EXISTS (SELECT FROM silver.payers p WHERE p.source_payer_id = named.source_payer_id
                      AND p.source_system = named.source_system)
)
INSERT INTO silver.payers (payer_key, source_system, source_payer_id, name, payer_name, reference_status,
                           batch_id)
SELECT k.key, source_system, source_payer_id, source_payer_id, source_payer_id, 'unlisted',
       (SELECT batch_id FROM settle_run)
FROM missing
JOIN silver.take_keys('silver.payer_key_seq', (SELECT count(*) FROM missing)) AS k USING (place)

-- name: settle_make_procedures
WITH missing AS MATERIALIZED (
    SELECT code, silver.procedure_system(code) AS code_system, row_number() OVER () AS place
    FROM (SELECT procedure_code AS code FROM settle_encounters JOIN silver.encounters USING (encounter_key)
          UNION
          SELECT procedure_code FROM settle_transactions JOIN silver.transactions USING (transaction_key)
         ) AS named
    WHERE code IS NOT NULL
      AND NOT EXISTS (SELECT FROM silver.procedures p WHERE p.code = named.code
                      AND p.code_system = silver.procedure_system(named.code))
)
INSERT INTO silver.procedures (procedure_key, code, code_system, reference_status, batch_id)
SELECT k.key, code, code_system, 'unlisted', (SELECT batch_id FROM settle_run)
FROM missing
JOIN silver.take_keys('silver.procedure_key_seq', (SELECT count(*) FROM missing)) AS k USING (place)

-- name: settle_make_diagnoses
WITH missing AS MATERIALIZED (
    SELECT code, row_number() OVER () AS place
    FROM (SELECT DISTINCT diagnosis_code AS code
          FROM settle_transactions JOIN silver.transactions USING (transaction_key)) AS named
    WHERE code IS NOT NULL
      AND NOT EXISTS (SELECT FROM silver.diagnoses d WHERE d.code = named.code AND d.code_system = 'ICD10CM')
)
INSERT INTO silver.diagnoses (diagnosis_key, code, code_system, reference_status, batch_id)
SELECT k.key, code, 'ICD10CM', 'unlisted', (SELECT batch_id FROM settle_run)
FROM missing
JOIN silver.take_keys('silver.diagnosis_key_seq', (SELECT count(*) FROM missing)) AS k USING (place)

-- Every date in use; the fiscal year is named by the year it ends in.
-- name: settle_make_dates
WITH used AS (
    SELECT encounter_date AS day FROM settle_encounters JOIN silver.encounters USING (encounter_key)
    UNION SELECT birth_date FROM settle_patients JOIN silver.patients USING (patient_key)
    UNION SELECT d.day FROM settle_transactions JOIN silver.transactions USING (transaction_key),
                            LATERAL (VALUES (visit_date), (service_date), (paid_date)) AS d(day)
    UNION SELECT d.day FROM settle_claims JOIN silver.claims USING (claim_key),
                            LATERAL (VALUES (service_date), (claim_date), (decision_date)) AS d(day)
    UNION SELECT claim_date FROM settle_adjustments JOIN silver.adjustments USING (adjustment_key)
)
INSERT INTO silver.dates (date_key, date, year, quarter, month, month_name, iso_week, day_of_week,
                          day_name, is_weekend, is_holiday, is_business_day, fiscal_year,
                          fiscal_quarter, batch_id)
SELECT to_char(day, 'YYYYMMDD')::int, day, extract(year FROM day), extract(quarter FROM day),
       extract(month FROM day), to_char(day, 'FMMonth'), extract(week FROM day), extract(isodow FROM day),
       to_char(day, 'FMDay'), extract(isodow FROM day) > 5, silver.is_holiday(day),
       extract(isodow FROM day) <= 5 AND NOT silver.is_holiday(day), fiscal.year, fiscal.quarter,
       r.batch_id
FROM used CROSS JOIN settle_run r,
LATERAL (SELECT extract(year FROM day)::int
                    + (r.fiscal_month > 1 AND extract(month FROM day) >= r.fiscal_month)::int AS year,
                (extract(month FROM day)::int - r.fiscal_month + 12) % 12 / 3 + 1 AS quarter) AS fiscal
WHERE day IS NOT NULL
ON CONFLICT (date_key) DO NOTHING

-- Another start of the fiscal year in the configuration moves every date.
-- name: settle_move_fiscal_year
UPDATE silver.dates
SET fiscal_year = fiscal.new_year, fiscal_quarter = fiscal.new_quarter, batch_id = fiscal.batch_id
FROM (SELECT d.date_key AS key, r.batch_id,
             d.year + (r.fiscal_month > 1 AND d.month >= r.fiscal_month)::int AS new_year,
             (d.month - r.fiscal_month + 12) % 12 / 3 + 1 AS new_quarter
      FROM silver.dates d CROSS JOIN settle_run r) AS fiscal
WHERE date_key = fiscal.key
  AND (fiscal_year, fiscal_quarter) IS DISTINCT FROM (fiscal.new_year, fiscal.new_quarter)

-- ---- rows that others' rows affect; not needed when nothing was settled before ----

-- Facts of patients and providers that got versions or corrections, facts that waited for a department,
-- and facts of the other facts that came, changed or went.
-- name: settle_spread_encounters
INSERT INTO settle_encounters
SELECT encounter_key, source_encounter_id, source_system, false
FROM silver.encounters
WHERE encounter_key IN (
    SELECT f.encounter_key FROM (SELECT DISTINCT id, source_system FROM settle_patients) s
    JOIN silver.encounters f ON f.source_patient_id = s.id AND f.source_system = s.source_system
    UNION
    SELECT f.encounter_key FROM (SELECT DISTINCT id, source_system FROM settle_providers) s
    JOIN silver.encounters f ON f.source_provider_id = s.id AND f.source_system = s.source_system
    UNION
    SELECT f.encounter_key FROM settle_departments s
    JOIN silver.encounters f ON f.source_department_id = s.id AND f.source_system = s.source_system
        AND 'orphan_department' = ANY (f.dq_flags))
  AND encounter_key NOT IN (SELECT encounter_key FROM settle_encounters)

-- name: settle_spread_transactions
INSERT INTO settle_transactions
SELECT transaction_key, source_transaction_id, source_system, false
FROM silver.transactions
WHERE transaction_key IN (
    SELECT f.transaction_key FROM (SELECT DISTINCT id, source_system FROM settle_patients) s
    JOIN silver.transactions f ON f.source_patient_id = s.id AND f.source_system = s.source_system
    UNION
    SELECT f.transaction_key FROM (SELECT DISTINCT id, source_system FROM settle_providers) s
    JOIN silver.transactions f ON f.source_provider_id = s.id AND f.source_system = s.source_system
    UNION
    SELECT f.transaction_key FROM settle_departments s
    JOIN silver.transactions f ON f.source_department_id = s.id AND f.source_system = s.source_system
        AND 'orphan_department' = ANY (f.dq_flags)
    UNION
    SELECT f.transaction_key FROM settle_encounters s
    JOIN silver.transactions f ON f.source_encounter_id = s.id AND f.source_system = s.source_system
        AND 'orphan_encounter' = ANY (f.dq_flags)
    WHERE s.is_changed
    UNION
    SELECT f.transaction_key
    FROM (SELECT e.source_encounter_id AS id, e.source_system
          FROM settle_encounters JOIN silver.encounters e USING (encounter_key)
          WHERE e.is_deleted) s
    JOIN silver.transactions f ON f.source_encounter_id = s.id AND f.source_system = s.source_system
    UNION
    SELECT f.transaction_key
    FROM (SELECT c.source_transaction_id AS id, c.source_system
          FROM settle_claims s JOIN silver.claims c USING (claim_key) WHERE s.is_changed
          UNION
          SELECT source_transaction_id, source_system FROM silver.claims_past
          WHERE batch_to >= (SELECT min(batch_id) FROM settle_batch)
            AND batch_to IN (SELECT batch_id FROM settle_batch)) s
    JOIN silver.transactions f ON f.source_transaction_id = s.id AND f.source_system = s.source_system)
  AND transaction_key NOT IN (SELECT transaction_key FROM settle_transactions)

-- name: settle_spread_claims
INSERT INTO settle_claims
SELECT claim_key, source_claim_id, source_system, false
FROM silver.claims
WHERE claim_key IN (
    SELECT f.claim_key FROM (SELECT DISTINCT id, source_system FROM settle_patients) s
    JOIN silver.claims f ON f.source_patient_id = s.id AND f.source_system = s.source_system
    UNION
    SELECT f.claim_key FROM (SELECT DISTINCT id, source_system FROM settle_providers) s
    JOIN silver.claims f ON f.source_provider_id = s.id AND f.source_system = s.source_system
    UNION
    SELECT f.claim_key FROM settle_departments s
    JOIN silver.claims f ON f.source_department_id = s.id AND f.source_system = s.source_system
        AND 'orphan_department' = ANY (f.dq_flags)
    UNION
    SELECT f.claim_key FROM settle_encounters s
    JOIN silver.claims f ON f.source_encounter_id = s.id AND f.source_system = s.source_system
        AND 'orphan_encounter' = ANY (f.dq_flags)
    WHERE s.is_changed
    UNION
    SELECT f.claim_key
    FROM (SELECT e.source_encounter_id AS id, e.source_system
          FROM settle_encounters JOIN silver.encounters e USING (encounter_key)
          WHERE e.is_deleted) s
    JOIN silver.claims f ON f.source_encounter_id = s.id AND f.source_system = s.source_system
    UNION
    SELECT f.claim_key FROM settle_transactions s
    JOIN silver.claims f ON f.source_transaction_id = s.id AND f.source_system = s.source_system
    WHERE s.is_changed)
  AND claim_key NOT IN (SELECT claim_key FROM settle_claims)

-- name: settle_spread_adjustments
INSERT INTO settle_adjustments
SELECT adjustment_key, source_claim_id, source_system, false
FROM silver.adjustments
WHERE adjustment_key IN (
    SELECT f.adjustment_key FROM settle_claims s
    JOIN silver.adjustments f ON f.source_claim_id = s.id AND f.source_system = s.source_system
    WHERE s.is_changed)
  AND adjustment_key NOT IN (SELECT adjustment_key FROM settle_adjustments)

-- The same content under another id, within a source: possible_duplicate. Groups of the contents that
-- rows in scope have now or had before; `others` narrows what counts ({current} versions, not deleted).
-- name: settle_hashes
CREATE TEMP TABLE settle_hash_{table} ON COMMIT DROP AS
SELECT t.record_hash FROM settle_{table} JOIN silver.{table} t USING ({key})
WHERE t.record_hash IS NOT NULL AND {current}

-- name: settle_hashes_past
INSERT INTO settle_hash_{table}
SELECT record_hash FROM silver.{table}_past
WHERE batch_to >= (SELECT min(batch_id) FROM settle_batch)
  AND batch_to IN (SELECT batch_id FROM settle_batch) AND record_hash IS NOT NULL

-- A closed version's content is what the patient or provider had before.
-- name: settle_hashes_closed
INSERT INTO settle_hash_{table}
SELECT t.record_hash FROM settle_{table} JOIN silver.{table} t USING ({key})
WHERE t.record_hash IS NOT NULL AND NOT t.is_current

-- name: settle_twins
CREATE TEMP TABLE settle_twin_{table} ON COMMIT DROP AS
SELECT t.source_system, t.record_hash
FROM silver.{table} t
WHERE t.record_hash IN (SELECT record_hash FROM settle_hash_{table}) AND {current}
GROUP BY t.source_system, t.record_hash
HAVING min(t.{id}) <> max(t.{id})

-- name: settle_spread_twins
INSERT INTO settle_{table}
SELECT t.{key}, t.{id}, t.source_system, false
FROM silver.{table} t
WHERE (t.record_hash IN (SELECT record_hash FROM settle_twin_{table})
       OR ('possible_duplicate' = ANY (t.dq_flags)
           AND t.record_hash IN (SELECT record_hash FROM settle_hash_{table})))
  AND t.{key} NOT IN (SELECT {key} FROM settle_{table})
