-- Outstanding A/R over average daily billing of the last 90 days (HFMA MAP Key days in A/R, on gross amounts).
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
), sums AS (
  SELECT d.as_of, t.source_system,
    SUM(GREATEST(COALESCE(t.amount, 0)
      - IF(t.paid_date IS NULL OR t.paid_date <= d.as_of, COALESCE(t.paid_amount, 0), 0), 0)) AS open_balance,
    SUM(IF(t.service_date > DATE_SUB(d.as_of, INTERVAL 90 DAY), COALESCE(t.amount, 0), 0)) AS billed,
    COUNTIF(ARRAY_LENGTH(t.dq_flags) > 0) AS flagged_rows
  FROM dates d
  JOIN `{dataset}.fact_transactions` t ON t.service_date <= d.as_of
  GROUP BY d.as_of, t.source_system
)
SELECT 'days_in_ar' AS kpi, 1 AS definition_version, as_of, CAST(DATE_TRUNC(as_of, MONTH) AS DATE) AS month, source_system,
  open_balance AS numerator, ROUND(billed / 90, 6) AS denominator,
  ROUND(SAFE_DIVIDE(open_balance * 90, billed), 6) AS value, flagged_rows,
  IF(billed = 0, 'transactions.amount', NULL) AS missing
FROM sums
