-- Paid / (billed - contractual adjustments) by hospital and service month (HFMA: net collection rate). Contractual are CO-24, CO-45,
-- CO-131 and CO-253, by the service date of their claim; not computable where no source sends any adjustment.
WITH published AS (
  SELECT as_of FROM `{dataset}._publications` ORDER BY publication_id DESC LIMIT 1
), sums AS (
  SELECT p.as_of, CAST(DATE_TRUNC(t.service_date, MONTH) AS DATE) AS month, t.source_system,
    SUM(t.paid_amount) AS paid, SUM(t.amount) AS billed, COUNTIF(ARRAY_LENGTH(t.dq_flags) > 0) AS flagged_rows
  FROM `{dataset}.fact_transactions` t
  CROSS JOIN published p
  WHERE t.service_date IS NULL OR t.service_date <= p.as_of
  GROUP BY p.as_of, month, t.source_system
), contractual AS (
  SELECT a.source_system, COALESCE(c.service_date, a.claim_date) AS service_date, a.amount
  FROM `{dataset}.fact_adjustments` a
  LEFT JOIN `{dataset}.fact_claims` c ON c.claim_key = a.claim_key
  WHERE a.group_code = 'CO' AND a.reason_code IN ('24', '45', '131', '253')
), taken_off AS (
  SELECT CAST(DATE_TRUNC(o.service_date, MONTH) AS DATE) AS month, o.source_system, SUM(o.amount) AS amount
  FROM contractual o
  CROSS JOIN published p
  WHERE o.service_date IS NULL OR o.service_date <= p.as_of
  GROUP BY month, o.source_system
), adjusted AS (
  SELECT DISTINCT source_system FROM `{dataset}.fact_adjustments`
), due AS (
  SELECT s.as_of, s.month, s.source_system, s.paid, s.flagged_rows, j.source_system IS NOT NULL AS is_adjusted,
    IF(j.source_system IS NULL, NULL, s.billed - COALESCE(o.amount, 0)) AS denominator
  FROM sums s
  LEFT JOIN adjusted j ON j.source_system = s.source_system
  LEFT JOIN taken_off o ON o.source_system = s.source_system
    AND COALESCE(o.month, DATE '0001-01-01') = COALESCE(s.month, DATE '0001-01-01')
)
SELECT 'net_collection_rate' AS kpi, 1 AS definition_version, as_of, month, source_system, paid AS numerator, denominator,
  ROUND(SAFE_DIVIDE(paid, denominator), 6) AS value, flagged_rows,
  CASE WHEN NOT is_adjusted THEN 'adjustments.amount'
       WHEN COALESCE(denominator, 0) = 0 THEN 'transactions.amount'
       WHEN paid IS NULL THEN 'transactions.paid_amount' END AS missing
FROM due
