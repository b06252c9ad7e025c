-- Of every column that each row should fill, by hospital: rows in force, and how many of them say something. Columns that do not leave under the profile are not here.
WITH patients AS (
  SELECT source_system, COUNT(*) AS n, COUNT(birth_date) AS birth_date, COUNT(gender) AS gender, COUNT(city) AS city,
    COUNT(state) AS state, COUNT(zip) AS zip
  FROM `{dataset}.dim_patients` WHERE source_system <> '' AND is_current AND NOT is_deleted AND NOT is_inferred
  GROUP BY source_system
), providers AS (
  SELECT source_system, COUNT(*) AS n, COUNT(first_name) AS first_name, COUNT(last_name) AS last_name,
    COUNT(specialization) AS specialization, COUNT(npi) AS npi
  FROM `{dataset}.dim_providers` WHERE source_system <> '' AND is_current AND NOT is_deleted AND NOT is_inferred
  GROUP BY source_system
), departments AS (
  SELECT source_system, COUNT(*) AS n, COUNT(name) AS name
  FROM `{dataset}.dim_departments` WHERE source_system <> '' AND NOT is_deleted AND NOT is_inferred GROUP BY source_system
), encounters AS (
  SELECT source_system, COUNT(*) AS n, COUNT(encounter_date) AS encounter_date, COUNT(encounter_type) AS encounter_type,
    COUNT(procedure_code) AS procedure_code
  FROM `{dataset}.fact_encounters` GROUP BY source_system
), transactions AS (
  SELECT source_system, COUNT(*) AS n, COUNT(service_date) AS service_date, COUNT(amount) AS amount,
    COUNT(paid_amount) AS paid_amount, COUNT(procedure_code) AS procedure_code, COUNT(diagnosis_code) AS diagnosis_code
  FROM `{dataset}.fact_transactions` GROUP BY source_system
), claims AS (
  SELECT source_system, COUNT(*) AS n, COUNT(service_date) AS service_date, COUNT(claim_date) AS claim_date,
    COUNT(claim_amount) AS claim_amount, COUNT(paid_amount) AS paid_amount, COUNT(claim_status) AS claim_status
  FROM `{dataset}.fact_claims` WHERE is_final GROUP BY source_system
)
SELECT 'patients' AS entity, source_system, c.column_name, n AS row_count, c.filled, ROUND(SAFE_DIVIDE(c.filled, n), 6) AS share
FROM patients CROSS JOIN UNNEST([STRUCT('birth_date' AS column_name, birth_date AS filled), STRUCT('gender', gender),
  STRUCT('city', city), STRUCT('state', state), STRUCT('zip', zip)]) AS c
UNION ALL
SELECT 'providers', source_system, c.column_name, n, c.filled, ROUND(SAFE_DIVIDE(c.filled, n), 6)
FROM providers CROSS JOIN UNNEST([STRUCT('first_name' AS column_name, first_name AS filled), STRUCT('last_name', last_name),
  STRUCT('specialization', specialization), STRUCT('npi', npi)]) AS c
UNION ALL
SELECT 'departments', source_system, c.column_name, n, c.filled, ROUND(SAFE_DIVIDE(c.filled, n), 6)
FROM departments CROSS JOIN UNNEST([STRUCT('name' AS column_name, name AS filled)]) AS c
UNION ALL
SELECT 'encounters', source_system, c.column_name, n, c.filled, ROUND(SAFE_DIVIDE(c.filled, n), 6)
FROM encounters CROSS JOIN UNNEST([STRUCT('encounter_date' AS column_name, encounter_date AS filled),
  STRUCT('encounter_type', encounter_type), STRUCT('procedure_code', procedure_code)]) AS c
UNION ALL
SELECT 'transactions', source_system, c.column_name, n, c.filled, ROUND(SAFE_DIVIDE(c.filled, n), 6)
FROM transactions CROSS JOIN UNNEST([STRUCT('service_date' AS column_name, service_date AS filled), STRUCT('amount', amount),
  STRUCT('paid_amount', paid_amount), STRUCT('procedure_code', procedure_code), STRUCT('diagnosis_code', diagnosis_code)]) AS c
UNION ALL
SELECT 'claims', source_system, c.column_name, n, c.filled, ROUND(SAFE_DIVIDE(c.filled, n), 6)
FROM claims CROSS JOIN UNNEST([STRUCT('service_date' AS column_name, service_date AS filled), STRUCT('claim_date', claim_date),
  STRUCT('claim_amount', claim_amount), STRUCT('paid_amount', paid_amount), STRUCT('claim_status', claim_status)]) AS c
