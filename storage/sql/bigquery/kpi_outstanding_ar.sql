-- Open balances of services up to each month end and the default date; credit balances are not netted.
WITH published AS (
  SELECT as_of FROM `{dataset}._publications` ORDER BY publication_id DESC LIMIT 1
), span AS (
  SELECT DATE_TRUNC(MIN(t.service_date), MONTH) AS first_month FROM `{dataset}.fact_transactions` t
), dates AS (
  SELECT LAST_DAY(m, MONTH) AS as_of FROM published p CROSS JOIN span s
  CROSS JOIN UNNEST(GENERATE_DATE_ARRAY(s.first_month, p.as_of, INTERVAL 1 MONTH)) AS m
  WHERE LAST_DAY(m, MONTH) < p.as_of
  UNION ALL
  SELECT as_of FROM published
)
SELECT 'outstanding_ar' AS kpi, 1 AS definition_version, d.as_of, CAST(DATE_TRUNC(d.as_of, MONTH) AS DATE) AS month,
  t.source_system,
  SUM(GREATEST(COALESCE(t.amount, 0)
    - IF(t.paid_date IS NULL OR t.paid_date <= d.as_of, COALESCE(t.paid_amount, 0), 0), 0)) AS numerator,
  CAST(NULL AS NUMERIC) AS denominator,
  SUM(GREATEST(COALESCE(t.amount, 0)
    - IF(t.paid_date IS NULL OR t.paid_date <= d.as_of, COALESCE(t.paid_amount, 0), 0), 0)) AS value,
  COUNTIF(ARRAY_LENGTH(t.dq_flags) > 0) AS flagged_rows, CAST(NULL AS STRING) AS missing
FROM dates d
JOIN `{dataset}.fact_transactions` t ON t.service_date <= d.as_of
GROUP BY d.as_of, t.source_system
