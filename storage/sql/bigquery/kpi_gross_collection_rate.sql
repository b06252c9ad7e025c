-- Paid / billed by hospital and service month (HFMA: gross collection rate; no adjustments are taken off).
WITH published AS (
  SELECT as_of FROM `{dataset}._publications` ORDER BY publication_id DESC LIMIT 1
), sums AS (
  SELECT p.as_of, CAST(DATE_TRUNC(t.service_date, MONTH) AS DATE) AS month, t.source_system,
    SUM(t.paid_amount) AS paid,
    SUM(t.amount) AS billed, COUNTIF(ARRAY_LENGTH(t.dq_flags) > 0) AS flagged_rows
  FROM `{dataset}.fact_transactions` t
  CROSS JOIN published p
  WHERE t.service_date IS NULL OR t.service_date <= p.as_of
  GROUP BY p.as_of, month, t.source_system
)
SELECT 'gross_collection_rate' AS kpi, 1 AS definition_version, as_of, month, source_system,
  paid AS numerator, billed AS denominator, ROUND(SAFE_DIVIDE(paid, billed), 6) AS value, flagged_rows,
  IF(COALESCE(billed, 0) = 0, 'transactions.amount', NULL) AS missing
FROM sums
