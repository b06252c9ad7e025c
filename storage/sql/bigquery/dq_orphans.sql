-- Facts whose parent is missing, found anew from the tables: orphans (of a member that facts alone tell of, or of a fact that is not there), dangling (a key that points nowhere: must be 0), flagged (what the row says of itself: must equal orphans).
WITH named AS (
  SELECT 'encounters' AS entity, source_system, 'orphan_patient' AS orphan, 'patients' AS parent, patient_key AS parent_key,
    'orphan_patient' IN UNNEST(dq_flags) AS is_flagged FROM `{dataset}.fact_encounters`
  UNION ALL SELECT 'encounters', source_system, 'orphan_provider', 'providers', provider_key,
    'orphan_provider' IN UNNEST(dq_flags) FROM `{dataset}.fact_encounters`
  UNION ALL SELECT 'encounters', source_system, 'orphan_department', 'departments', department_key,
    'orphan_department' IN UNNEST(dq_flags) FROM `{dataset}.fact_encounters`
  UNION ALL SELECT 'transactions', source_system, 'orphan_patient', 'patients', patient_key,
    'orphan_patient' IN UNNEST(dq_flags) FROM `{dataset}.fact_transactions`
  UNION ALL SELECT 'transactions', source_system, 'orphan_provider', 'providers', provider_key,
    'orphan_provider' IN UNNEST(dq_flags) FROM `{dataset}.fact_transactions`
  UNION ALL SELECT 'transactions', source_system, 'orphan_department', 'departments', department_key,
    'orphan_department' IN UNNEST(dq_flags) FROM `{dataset}.fact_transactions`
  UNION ALL SELECT 'transactions', source_system, 'orphan_encounter', 'encounters', encounter_key,
    'orphan_encounter' IN UNNEST(dq_flags) FROM `{dataset}.fact_transactions`
  UNION ALL SELECT 'claims', source_system, 'orphan_patient', 'patients', patient_key,
    'orphan_patient' IN UNNEST(dq_flags) FROM `{dataset}.fact_claims` WHERE is_final
  UNION ALL SELECT 'claims', source_system, 'orphan_provider', 'providers', provider_key,
    'orphan_provider' IN UNNEST(dq_flags) FROM `{dataset}.fact_claims` WHERE is_final
  UNION ALL SELECT 'claims', source_system, 'orphan_department', 'departments', department_key,
    'orphan_department' IN UNNEST(dq_flags) FROM `{dataset}.fact_claims` WHERE is_final
  UNION ALL SELECT 'claims', source_system, 'orphan_encounter', 'encounters', encounter_key,
    'orphan_encounter' IN UNNEST(dq_flags) FROM `{dataset}.fact_claims` WHERE is_final
  UNION ALL SELECT 'claims', source_system, 'orphan_transaction', 'transactions', transaction_key,
    'orphan_transaction' IN UNNEST(dq_flags) FROM `{dataset}.fact_claims` WHERE is_final
  UNION ALL SELECT 'adjustments', source_system, 'orphan_claim', 'claims', claim_key,
    'orphan_claim' IN UNNEST(dq_flags) FROM `{dataset}.fact_adjustments`
), there AS (
  SELECT 'patients' AS parent, patient_key AS parent_key, COALESCE(is_inferred, FALSE) AS is_inferred
  FROM `{dataset}.dim_patients`
  UNION ALL SELECT 'providers', provider_key, COALESCE(is_inferred, FALSE) FROM `{dataset}.dim_providers`
  UNION ALL SELECT 'departments', department_key, COALESCE(is_inferred, FALSE) FROM `{dataset}.dim_departments`
  UNION ALL SELECT 'encounters', encounter_key, FALSE FROM `{dataset}.fact_encounters`
  UNION ALL SELECT 'transactions', transaction_key, FALSE FROM `{dataset}.fact_transactions`
  UNION ALL SELECT 'claims', claim_key, FALSE FROM `{dataset}.fact_claims`
), found AS (
  SELECT n.entity, n.orphan, n.source_system,
    COUNTIF(COALESCE(t.is_inferred, FALSE) OR (n.parent_key IS NULL AND n.is_flagged)) AS orphans,
    COUNTIF(n.parent_key IS NOT NULL AND t.parent_key IS NULL) AS dangling, COUNTIF(n.is_flagged) AS flagged
  FROM named n LEFT JOIN there t ON t.parent = n.parent AND t.parent_key = n.parent_key
  GROUP BY n.entity, n.orphan, n.source_system
)
SELECT entity, orphan, source_system, orphans, dangling, flagged FROM found WHERE orphans > 0 OR dangling > 0 OR flagged > 0
