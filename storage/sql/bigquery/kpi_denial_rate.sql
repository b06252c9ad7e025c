-- Denied / adjudicated final claims, by count and by claim amount; Rejected was never accepted and is in neither.
WITH published AS (
  SELECT as_of FROM `{dataset}._publications` ORDER BY publication_id DESC LIMIT 1
), sums AS (
  SELECT p.as_of, CAST(DATE_TRUNC(c.claim_date, MONTH) AS DATE) AS month, c.source_system,
    CAST(COUNTIF(c.claim_status = 'Denied') AS NUMERIC) AS denied, CAST(COUNT(*) AS NUMERIC) AS adjudicated,
    SUM(IF(c.claim_status = 'Denied', COALESCE(c.claim_amount, 0), 0)) AS denied_amount,
    SUM(COALESCE(c.claim_amount, 0)) AS adjudicated_amount,
    COUNTIF(ARRAY_LENGTH(c.dq_flags) > 0) AS flagged_rows
  FROM `{dataset}.fact_claims` c
  CROSS JOIN published p
  WHERE c.is_final AND (c.claim_date IS NULL OR c.claim_date <= p.as_of)
    AND c.claim_status IN ('Paid', 'Approved', 'Denied')
  GROUP BY p.as_of, month, c.source_system
)
SELECT 'denial_rate' AS kpi, 1 AS definition_version, as_of, month, source_system, 'count' AS method,
  denied AS numerator, adjudicated AS denominator, ROUND(SAFE_DIVIDE(denied, adjudicated), 6) AS value,
  flagged_rows, CAST(NULL AS STRING) AS missing
FROM sums
UNION ALL
SELECT 'denial_rate', 1, as_of, month, source_system, 'amount', denied_amount, adjudicated_amount,
  ROUND(SAFE_DIVIDE(denied_amount, adjudicated_amount), 6), flagged_rows,
  IF(adjudicated_amount = 0, 'claims.claim_amount', NULL)
FROM sums
