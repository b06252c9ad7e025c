-- Insurance paid / claim amount of final claims by hospital and claim month: weighted, and mean per claim.
WITH published AS (
  SELECT as_of FROM `{dataset}._publications` ORDER BY publication_id DESC LIMIT 1
), sums AS (
  SELECT p.as_of, CAST(DATE_TRUNC(c.claim_date, MONTH) AS DATE) AS month, c.source_system,
    SUM(c.paid_amount) AS paid, COUNT(c.paid_amount) AS n_paid, SUM(c.claim_amount) AS claimed,
    SUM(c.coverage_percent) / 100 AS shares, COUNT(c.coverage_percent) AS n,
    COUNTIF(ARRAY_LENGTH(c.dq_flags) > 0) AS flagged_rows
  FROM `{dataset}.fact_claims` c
  CROSS JOIN published p
  WHERE c.is_final AND (c.claim_date IS NULL OR c.claim_date <= p.as_of)
  GROUP BY p.as_of, month, c.source_system
)
SELECT 'coverage_rate' AS kpi, 1 AS definition_version, as_of, month, source_system, 'weighted' AS method,
  paid AS numerator, claimed AS denominator, ROUND(SAFE_DIVIDE(paid, claimed), 6) AS value, flagged_rows,
  IF(n_paid = 0, 'claims.paid_amount', IF(COALESCE(claimed, 0) = 0, 'claims.claim_amount', NULL))
    AS missing
FROM sums
UNION ALL
SELECT 'coverage_rate', 1, as_of, month, source_system, 'per_claim', shares, CAST(n AS NUMERIC),
  ROUND(SAFE_DIVIDE(shares, CAST(n AS NUMERIC)), 6), flagged_rows,
  IF(n_paid = 0, 'claims.paid_amount', IF(n = 0, 'claims.claim_amount', NULL))
FROM sums
