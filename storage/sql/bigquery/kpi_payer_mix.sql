-- Final claims, billed and paid amounts by payer, hospital and month, and each payer's share.
WITH published AS (
  SELECT as_of FROM `{dataset}._publications` ORDER BY publication_id DESC LIMIT 1
), services AS (
  SELECT p.as_of, CAST(DATE_TRUNC(t.service_date, MONTH) AS DATE) AS month, t.source_system, t.payer_key,
    SUM(t.amount) AS billed,
    SUM(t.paid_amount) AS paid,
    COUNTIF(ARRAY_LENGTH(t.dq_flags) > 0) AS flagged_rows
  FROM `{dataset}.fact_transactions` t
  CROSS JOIN published p
  WHERE t.service_date IS NULL OR t.service_date <= p.as_of
  GROUP BY p.as_of, month, t.source_system, t.payer_key
), measures AS (
  SELECT as_of, month, source_system, payer_key, 'billed' AS measure, billed AS amount, flagged_rows
  FROM services
  UNION ALL
  SELECT as_of, month, source_system, payer_key, 'paid', paid, flagged_rows FROM services
  UNION ALL
  SELECT p.as_of, CAST(DATE_TRUNC(c.claim_date, MONTH) AS DATE) AS month, c.source_system, c.payer_key, 'claims',
    CAST(COUNT(*) AS NUMERIC), COUNTIF(ARRAY_LENGTH(c.dq_flags) > 0)
  FROM `{dataset}.fact_claims` c
  CROSS JOIN published p
  WHERE c.is_final AND (c.claim_date IS NULL OR c.claim_date <= p.as_of)
  GROUP BY p.as_of, month, c.source_system, c.payer_key
), named AS (
  SELECT m.as_of, m.month, m.source_system, m.measure,
    COALESCE(d.payer_name, d.name, d.source_payer_id, 'Unknown') AS payer, d.payer_type,
    SUM(m.amount) AS amount, SUM(m.flagged_rows) AS flagged_rows
  FROM measures m
  LEFT JOIN `{dataset}.dim_payers` d ON d.payer_key = m.payer_key
  GROUP BY m.as_of, m.month, m.source_system, m.measure, payer, d.payer_type
)
SELECT 'payer_mix' AS kpi, 1 AS definition_version, as_of, month, source_system, payer AS payer_name, payer_type,
  measure, amount AS numerator,
  SUM(amount) OVER (PARTITION BY month, source_system, measure) AS denominator,
  ROUND(SAFE_DIVIDE(amount, SUM(amount) OVER (PARTITION BY month, source_system, measure)), 6) AS value,
  flagged_rows, CAST(NULL AS STRING) AS missing
FROM named
