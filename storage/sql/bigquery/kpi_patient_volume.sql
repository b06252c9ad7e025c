-- Distinct persons with a service, encounters, and persons new to or returning to the hospital, by month.
WITH published AS (
  SELECT as_of FROM `{dataset}._publications` ORDER BY publication_id DESC LIMIT 1
), services AS (
  SELECT p.as_of, t.source_system, d.person_id, CAST(DATE_TRUNC(t.service_date, MONTH) AS DATE) AS month,
    COUNTIF(ARRAY_LENGTH(t.dq_flags) > 0) AS flagged_rows
  FROM `{dataset}.fact_transactions` t
  CROSS JOIN published p
  JOIN `{dataset}.dim_patients` d ON d.patient_key = t.patient_key
  WHERE t.service_date <= p.as_of AND d.person_id IS NOT NULL
  GROUP BY p.as_of, t.source_system, d.person_id, month
), marked AS (
  SELECT *, MIN(month) OVER (PARTITION BY source_system, person_id) = month AS is_new FROM services
), measures AS (
  SELECT as_of, month, source_system, 'persons' AS measure, COUNT(*) AS n, SUM(flagged_rows) AS flagged_rows
  FROM marked GROUP BY as_of, month, source_system
  UNION ALL
  SELECT as_of, month, source_system, 'new', COUNTIF(is_new), SUM(IF(is_new, flagged_rows, 0))
  FROM marked GROUP BY as_of, month, source_system
  UNION ALL
  SELECT as_of, month, source_system, 'returning', COUNTIF(NOT is_new), SUM(IF(is_new, 0, flagged_rows))
  FROM marked GROUP BY as_of, month, source_system
  UNION ALL
  SELECT p.as_of, CAST(DATE_TRUNC(e.encounter_date, MONTH) AS DATE) AS month, e.source_system, 'encounters', COUNT(*),
    COUNTIF(ARRAY_LENGTH(e.dq_flags) > 0)
  FROM `{dataset}.fact_encounters` e
  CROSS JOIN published p
  WHERE e.encounter_date IS NULL OR e.encounter_date <= p.as_of
  GROUP BY p.as_of, month, e.source_system
)
SELECT 'patient_volume' AS kpi, 1 AS definition_version, as_of, month, source_system, measure,
  CAST(n AS NUMERIC) AS numerator, CAST(NULL AS NUMERIC) AS denominator, CAST(n AS NUMERIC) AS value,
  flagged_rows, CAST(NULL AS STRING) AS missing
FROM measures
