-- Open balance by age of service at each date, and each band's share of the whole.
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
), balances AS (
  SELECT d.as_of, t.source_system,
    CASE WHEN DATE_DIFF(d.as_of, t.service_date, DAY) <= 30 THEN '0-30'
         WHEN DATE_DIFF(d.as_of, t.service_date, DAY) <= 60 THEN '31-60'
         WHEN DATE_DIFF(d.as_of, t.service_date, DAY) <= 90 THEN '61-90'
         WHEN DATE_DIFF(d.as_of, t.service_date, DAY) <= 120 THEN '91-120'
         ELSE '120+' END AS age_band,
    SUM(GREATEST(COALESCE(t.amount, 0)
      - IF(t.paid_date IS NULL OR t.paid_date <= d.as_of, COALESCE(t.paid_amount, 0), 0), 0)) AS open_balance,
    COUNTIF(ARRAY_LENGTH(t.dq_flags) > 0) AS flagged_rows
  FROM dates d
  JOIN `{dataset}.fact_transactions` t ON t.service_date <= d.as_of
  GROUP BY d.as_of, t.source_system, age_band
)
SELECT 'ar_aging' AS kpi, 1 AS definition_version, as_of, CAST(DATE_TRUNC(as_of, MONTH) AS DATE) AS month, source_system,
  age_band, open_balance AS numerator,
  SUM(open_balance) OVER (PARTITION BY as_of, source_system) AS denominator,
  ROUND(SAFE_DIVIDE(open_balance, SUM(open_balance) OVER (PARTITION BY as_of, source_system)), 6) AS value,
  flagged_rows, CAST(NULL AS STRING) AS missing
FROM balances
