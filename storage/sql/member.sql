-- The members that a page's rows name: $1 names, $2 the days as of which (patients and providers have
-- versions), $3 the source. `place` says which name is answered; `is_only`: the answer does not depend on the
-- day. Which version counts on a day is said in settle.sql in the same words.

-- name: member_patients
SELECT u.place, p.patient_key, p.version = 1 AND p.is_current, p.is_inferred, p.birth_date
FROM (SELECT id, place, (day + 1)::timestamp
             AT TIME ZONE coalesce((SELECT timezone FROM ops.source WHERE source_system = $3), 'UTC') AS day_end
      FROM unnest($1::text[], $2::date[]) WITH ORDINALITY AS n(id, day, place)) AS u
CROSS JOIN LATERAL (
    SELECT p.patient_key, p.version, p.is_current, p.is_inferred, p.birth_date
    FROM silver.patients p
    WHERE p.source_patient_id = u.id AND p.source_system = $3
      AND ((p.effective_date < u.day_end AND p.expiry_date >= u.day_end)
           OR (p.version = 1 AND (u.day_end <= p.effective_date) IS NOT FALSE))
    LIMIT 1) AS p

-- All patients with one version, page by page: $1 the source, $2 the last id of the page before.
-- name: member_warm
SELECT source_patient_id, patient_key, true, is_inferred, birth_date
FROM silver.patients
WHERE source_patient_id > $2 AND source_system = $1 AND is_current AND version = 1
ORDER BY source_patient_id LIMIT 5000

-- name: member_providers
SELECT u.place, p.provider_key, p.version = 1 AND p.is_current, p.is_inferred, NULL::date
FROM (SELECT id, place, (day + 1)::timestamp
             AT TIME ZONE coalesce((SELECT timezone FROM ops.source WHERE source_system = $3), 'UTC') AS day_end
      FROM unnest($1::text[], $2::date[]) WITH ORDINALITY AS n(id, day, place)) AS u
CROSS JOIN LATERAL (
    SELECT p.provider_key, p.version, p.is_current, p.is_inferred
    FROM silver.providers p
    WHERE p.source_provider_id = u.id AND p.source_system = $3
      AND ((p.effective_date < u.day_end AND p.expiry_date >= u.day_end)
           OR (p.version = 1 AND (u.day_end <= p.effective_date) IS NOT FALSE))
    LIMIT 1) AS p

-- name: member_departments
SELECT n.place, d.department_key, true, d.is_inferred, NULL::date
FROM unnest($1::text[], $2::date[]) WITH ORDINALITY AS n(id, day, place)
JOIN silver.departments d ON d.source_department_id = n.id AND d.source_system = $3

-- name: member_payers
SELECT n.place, p.payer_key, true, false, NULL::date
FROM unnest($1::text[], $2::date[]) WITH ORDINALITY AS n(id, day, place)
JOIN silver.payers p ON p.source_payer_id = n.id AND p.source_system = $3

-- Codes belong to nobody's source.
-- name: member_procedures
SELECT n.place, p.procedure_key, true, false, NULL::date
FROM unnest($1::text[], $2::date[]) WITH ORDINALITY AS n(id, day, place)
JOIN silver.procedures p ON p.code = n.id AND p.code_system = silver.procedure_system(n.id)
WHERE $3::text IS NOT NULL

-- name: member_diagnoses
SELECT n.place, d.diagnosis_key, true, false, NULL::date
FROM unnest($1::text[], $2::date[]) WITH ORDINALITY AS n(id, day, place)
JOIN silver.diagnoses d ON d.code = n.id AND d.code_system = 'ICD10CM'
WHERE $3::text IS NOT NULL

-- Those that a fact alone makes: $1 names, $2 the source, $3 the batch.
-- name: member_make_payers
SELECT silver.make_payers(array_fill($2::text, ARRAY[cardinality($1::text[])]), $1::text[], $3::bigint)

-- name: member_make_procedures
SELECT silver.make_procedures($1::text[], $3::bigint) WHERE $2::text IS NOT NULL

-- name: member_make_diagnoses
SELECT silver.make_diagnoses($1::text[], $3::bigint) WHERE $2::text IS NOT NULL

-- A payer without a feed is called as its facts spell it; of all spellings they ever had the greatest, whoever
-- came first.
-- Which of $1 (ids), spelled $2, of the source $3 have nothing to learn.
-- name: member_spelled
SELECT n.place
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS n(id, name, place)
JOIN silver.payers p ON p.source_payer_id = n.id AND p.source_system = $3
WHERE p.source_hash IS NOT NULL OR p.name COLLATE "C" >= n.name COLLATE "C"

-- In the order of ids, as every page locks them.
-- name: member_spell
WITH learnt AS MATERIALIZED (
    SELECT p.payer_key, n.name
    FROM (SELECT id, max(name COLLATE "C") AS name FROM unnest($1::text[], $2::text[]) AS u(id, name) GROUP BY id) AS n
    JOIN silver.payers p ON p.source_payer_id = n.id AND p.source_system = $3
    WHERE p.source_hash IS NULL AND p.name COLLATE "C" < n.name COLLATE "C"
    ORDER BY p.source_payer_id FOR UPDATE OF p
)
UPDATE silver.payers p SET name = learnt.name, batch_id = $4::bigint
FROM learnt WHERE p.payer_key = learnt.payer_key AND p.name COLLATE "C" < learnt.name COLLATE "C"

-- name: member_dates
SELECT n.place FROM unnest($1::date[]) WITH ORDINALITY AS n(day, place) JOIN silver.dates d ON d.date = n.day

-- name: member_make_dates
SELECT silver.make_dates($1::date[], $2::int, $3::bigint)

-- Final claims that name these transactions, as of the last settle: of those placed since it tells their transactions.
-- name: member_claims
SELECT t.* FROM unnest($1::text[]) AS n(id) CROSS JOIN LATERAL (
    SELECT claim_key FROM ops.claim_transaction WHERE source_transaction_id = n.id AND source_system = $2 OFFSET 0
) AS m CROSS JOIN LATERAL (
    SELECT source_transaction_id, source_claim_id, claim_status = 'Denied' FROM silver.claims
    WHERE claim_key = m.claim_key AND source_transaction_id = n.id AND is_final AND NOT is_deleted OFFSET 0
) AS t

-- name: member_encounters
SELECT t.* FROM unnest($1::text[]) AS n(id) CROSS JOIN LATERAL (
    SELECT source_encounter_id FROM silver.encounters
    WHERE source_encounter_id = n.id AND source_system = $2 AND NOT is_deleted OFFSET 0
) AS t

-- name: member_change
SELECT batch_id FROM ops.member_change
