-- (Paid + Approved) / adjudicated final claims; adjudicated = Paid, Approved or Denied.
WITH published AS (
  SELECT as_of FROM `{dataset}._publications` ORDER BY publication_id DESC LIMIT 1
), counts AS (
  SELECT p.as_of, CAST(DATE_TRUNC(c.claim_date, MONTH) AS DATE) AS month, c.source_system,
    CAST(COUNTIF(c.claim_status IN ('Paid', 'Approved')) AS NUMERIC) AS approved,
    CAST(COUNTIF(c.claim_status IN ('Paid', 'Approved', 'Denied')) AS NUMERIC) AS adjudicated,
    COUNTIF(ARRAY_LENGTH(c.dq_flags) > 0 AND c.claim_status IN ('Paid', 'Approved', 'Denied'))
      AS flagged_rows
  FROM `{dataset}.fact_claims` c
  CROSS JOIN published p
  WHERE c.is_final AND (c.claim_date IS NULL OR c.claim_date <= p.as_of)
  GROUP BY p.as_of, month, c.source_system
)
SELECT 'approval_rate' AS kpi, 1 AS definition_version, as_of, month, source_system,
  approved AS numerator, adjudicated AS denominator,
  ROUND(SAFE_DIVIDE(approved, adjudicated), 6) AS value, flagged_rows,
  IF(adjudicated = 0, 'claims.claim_status', NULL) AS missing
FROM counts
