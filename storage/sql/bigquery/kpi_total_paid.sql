-- Paid amount by hospital and service month (kpis: paid = transactions.paid_amount).
WITH published AS (
  SELECT as_of FROM `{dataset}._publications` ORDER BY publication_id DESC LIMIT 1
)
SELECT 'total_paid' AS kpi, 1 AS definition_version, p.as_of,
  CAST(DATE_TRUNC(t.service_date, MONTH) AS DATE) AS month, t.source_system,
  SUM(t.paid_amount) AS numerator,
  CAST(NULL AS NUMERIC) AS denominator,
  SUM(t.paid_amount) AS value,
  COUNTIF(ARRAY_LENGTH(t.dq_flags) > 0) AS flagged_rows,
  IF(SUM(t.paid_amount) IS NULL, 'transactions.paid_amount', NULL) AS missing
FROM `{dataset}.fact_transactions` t
CROSS JOIN published p
WHERE t.service_date IS NULL OR t.service_date <= p.as_of
GROUP BY p.as_of, month, t.source_system
