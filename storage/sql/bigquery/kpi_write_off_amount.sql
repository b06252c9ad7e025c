-- Adjustments by X12 group code (PR, the patient's share, is none), hospital and claim month; not computable where no source sends any.
WITH published AS (
  SELECT as_of FROM `{dataset}._publications` ORDER BY publication_id DESC LIMIT 1
), sources AS (
  SELECT DISTINCT source_system FROM `{dataset}.fact_transactions`
)
SELECT 'write_off_amount' AS kpi, 1 AS definition_version, p.as_of,
  CAST(DATE_TRUNC(a.claim_date, MONTH) AS DATE) AS month, a.source_system, a.group_code,
  SUM(a.amount) AS numerator, CAST(NULL AS NUMERIC) AS denominator, SUM(a.amount) AS value,
  COUNTIF(ARRAY_LENGTH(a.dq_flags) > 0) AS flagged_rows, CAST(NULL AS STRING) AS missing
FROM `{dataset}.fact_adjustments` a
CROSS JOIN published p
WHERE (a.claim_date IS NULL OR a.claim_date <= p.as_of) AND COALESCE(a.group_code, '') <> 'PR'
GROUP BY p.as_of, month, a.source_system, a.group_code
UNION ALL
SELECT 'write_off_amount', 1, p.as_of, CAST(NULL AS DATE), s.source_system, CAST(NULL AS STRING),
  CAST(NULL AS NUMERIC), CAST(NULL AS NUMERIC), CAST(NULL AS NUMERIC), 0, 'adjustments.amount'
FROM sources s
CROSS JOIN published p
WHERE s.source_system NOT IN (SELECT source_system FROM `{dataset}.fact_adjustments`)
