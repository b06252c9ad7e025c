-- Rows in force that break a rule, by table, hospital and rule, of how many.
WITH row_flags AS (
  SELECT 'patients' AS entity, source_system, dq_flags FROM `{dataset}.dim_patients`
  WHERE source_system <> '' AND is_current AND NOT is_deleted AND NOT is_inferred
  UNION ALL
  SELECT 'providers', source_system, dq_flags FROM `{dataset}.dim_providers`
  WHERE source_system <> '' AND is_current AND NOT is_deleted AND NOT is_inferred
  UNION ALL
  SELECT 'departments', source_system, dq_flags FROM `{dataset}.dim_departments`
  WHERE source_system <> '' AND NOT is_deleted AND NOT is_inferred
  UNION ALL
  SELECT 'encounters', source_system, dq_flags FROM `{dataset}.fact_encounters`
  UNION ALL
  SELECT 'transactions', source_system, dq_flags FROM `{dataset}.fact_transactions`
  UNION ALL
  SELECT 'claims', source_system, dq_flags FROM `{dataset}.fact_claims` WHERE is_final
  UNION ALL
  SELECT 'adjustments', source_system, dq_flags FROM `{dataset}.fact_adjustments`
), totals AS (
  SELECT entity, source_system, COUNT(*) AS row_count FROM row_flags GROUP BY entity, source_system
), broken AS (
  SELECT entity, source_system, rule, COUNT(*) AS failed
  FROM row_flags CROSS JOIN UNNEST(dq_flags) AS rule GROUP BY entity, source_system, rule
)
SELECT b.entity, b.source_system, b.rule, t.row_count, b.failed, ROUND(SAFE_DIVIDE(b.failed, t.row_count), 6) AS share
FROM broken b JOIN totals t ON t.entity = b.entity AND t.source_system = b.source_system
