-- Final claims by status, hospital and claim month; Other is a word nobody mapped.
WITH published AS (
  SELECT as_of FROM `{dataset}._publications` ORDER BY publication_id DESC LIMIT 1
), counts AS (
  SELECT p.as_of, CAST(DATE_TRUNC(c.claim_date, MONTH) AS DATE) AS month, c.source_system,
    IF(c.claim_status IN ('Paid', 'Approved', 'Pending', 'Denied', 'Rejected'), c.claim_status, 'Other')
      AS status,
    COUNT(*) AS n, COUNTIF(ARRAY_LENGTH(c.dq_flags) > 0) AS flagged_rows
  FROM `{dataset}.fact_claims` c
  CROSS JOIN published p
  WHERE c.is_final AND (c.claim_date IS NULL OR c.claim_date <= p.as_of)
  GROUP BY p.as_of, month, c.source_system, status
)
SELECT 'claim_status_mix' AS kpi, 1 AS definition_version, as_of, month, source_system,
  status AS claim_status, CAST(n AS NUMERIC) AS numerator,
  CAST(SUM(n) OVER (PARTITION BY month, source_system) AS NUMERIC) AS denominator,
  ROUND(SAFE_DIVIDE(CAST(n AS NUMERIC),
    CAST(SUM(n) OVER (PARTITION BY month, source_system) AS NUMERIC)), 6) AS value,
  flagged_rows, CAST(NULL AS STRING) AS missing
FROM counts
