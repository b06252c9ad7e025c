-- Adjustments that deny, by X12 group, CARC and RARC, hospital and claim month: how many, less those that reversals took back, and their
-- amount, with the share of the month's denials and what the codes mean where a list says it. PR-1, PR-2, PR-3 (the patient's share) and CO-45 (the contract's fee) are none.
WITH published AS (
  SELECT as_of FROM `{dataset}._publications` ORDER BY publication_id DESC LIMIT 1
), sources AS (
  SELECT DISTINCT source_system FROM `{dataset}.fact_transactions`
), sums AS (
  SELECT p.as_of, CAST(DATE_TRUNC(a.claim_date, MONTH) AS DATE) AS month, a.source_system, a.group_code, a.reason_code,
    a.remark_codes, CAST(SUM(SIGN(a.amount)) AS NUMERIC) AS n, SUM(a.amount) AS amount,
    COUNTIF(ARRAY_LENGTH(a.dq_flags) > 0) AS flagged_rows
  FROM `{dataset}.fact_adjustments` a
  CROSS JOIN published p
  WHERE (a.claim_date IS NULL OR a.claim_date <= p.as_of)
    AND NOT (a.group_code = 'PR' AND a.reason_code IN ('1', '2', '3'))
    AND NOT (a.group_code = 'CO' AND a.reason_code = '45')
  GROUP BY p.as_of, month, a.source_system, a.group_code, a.reason_code, a.remark_codes
), methods AS (
  SELECT as_of, month, source_system, 'count' AS method, group_code, reason_code, remark_codes, n AS numerator, flagged_rows
  FROM sums WHERE n <> 0
  UNION ALL
  SELECT as_of, month, source_system, 'amount', group_code, reason_code, remark_codes, amount, flagged_rows
  FROM sums WHERE amount <> 0
), totals AS (
  SELECT as_of, month, source_system, method, SUM(numerator) AS denominator
  FROM methods GROUP BY as_of, month, source_system, method
), figures AS (
  SELECT 'denial_reasons' AS kpi, 1 AS definition_version, m.as_of, m.month, m.source_system, m.method, m.group_code,
    m.reason_code, m.remark_codes, m.numerator, t.denominator,
    ROUND(SAFE_DIVIDE(m.numerator, t.denominator), 6) AS value, m.flagged_rows, CAST(NULL AS STRING) AS missing
  FROM methods m
  JOIN totals t ON t.as_of = m.as_of AND t.method = m.method AND t.source_system = m.source_system
    AND COALESCE(t.month, DATE '0001-01-01') = COALESCE(m.month, DATE '0001-01-01')
  UNION ALL
  SELECT 'denial_reasons', 1, p.as_of, CAST(NULL AS DATE), s.source_system, method, CAST(NULL AS STRING),
    CAST(NULL AS STRING), CAST(NULL AS STRING), CAST(NULL AS NUMERIC), CAST(NULL AS NUMERIC), CAST(NULL AS NUMERIC), 0,
    'adjustments.reason_code'
  FROM sources s
  CROSS JOIN published p
  CROSS JOIN UNNEST(['count', 'amount']) AS method
  WHERE s.source_system NOT IN (SELECT source_system FROM `{dataset}.fact_adjustments`)
), texts AS (
  SELECT code_system, code, description FROM `{dataset}.dim_adjustment_codes` WHERE description IS NOT NULL
), remarks AS (
  SELECT r.remark_codes, STRING_AGG(CONCAT(r.code, ': ', r.description), '; ' ORDER BY r.place) AS remark_texts
  FROM (
    SELECT f.remark_codes, t.code, t.description, STRPOS(CONCAT(',', f.remark_codes, ','), CONCAT(',', t.code, ',')) AS place
    FROM (SELECT DISTINCT remark_codes FROM figures WHERE remark_codes IS NOT NULL) AS f
    CROSS JOIN texts t
    WHERE t.code_system = 'RARC'
  ) AS r
  WHERE r.place > 0
  GROUP BY r.remark_codes
)
SELECT f.*, g.description AS group_text, c.description AS reason_text, k.remark_texts
FROM figures f
LEFT JOIN texts g ON g.code_system = 'CAGC' AND g.code = f.group_code
LEFT JOIN texts c ON c.code_system = 'CARC' AND c.code = f.reason_code
LEFT JOIN remarks k ON k.remark_codes = f.remark_codes
