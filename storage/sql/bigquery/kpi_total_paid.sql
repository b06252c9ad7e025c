-- Paid amount by hospital and service month; payments dated after the default date do not count yet.
WITH published AS (
  SELECT as_of FROM `{dataset}._publications` ORDER BY publication_id DESC LIMIT 1
)
SELECT 'total_paid' AS kpi, 1 AS definition_version, p.as_of,
  CAST(DATE_TRUNC(t.service_date, MONTH) AS DATE) AS month, t.source_system,
  SUM(IF(t.paid_date IS NULL OR t.paid_date <= p.as_of, t.paid_amount, 0)) AS numerator,
  CAST(NULL AS NUMERIC) AS denominator,
  SUM(IF(t.paid_date IS NULL OR t.paid_date <= p.as_of, t.paid_amount, 0)) AS value,
  COUNTIF(ARRAY_LENGTH(t.dq_flags) > 0) AS flagged_rows, CAST(NULL AS STRING) AS missing
FROM `{dataset}.fact_transactions` t
CROSS JOIN published p
WHERE t.service_date IS NULL OR t.service_date <= p.as_of
GROUP BY p.as_of, month, t.source_system
