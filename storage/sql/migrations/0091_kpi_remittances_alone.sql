-- Figures of hospitals of which only remittances and claims are received.

-- Where no transaction ever came the clock goes by the claims: without a date none of those that bear one would be counted.
CREATE OR REPLACE VIEW kpi.clock AS
WITH business AS (
    SELECT max((l.at AT TIME ZONE coalesce(s.timezone, 'UTC'))::date) AS day
    FROM (SELECT max(committed_at) AS at FROM ops.batch WHERE feed NOT IN ('settle', 'persons')
          UNION ALL
          SELECT max(last_success_at) FROM ops.job WHERE kind IN ('extract', 'receive')) AS l
    LEFT JOIN ops.source s ON true
)
SELECT coalesce((SELECT max(t.service_date) FROM silver.transactions t WHERE NOT t.is_deleted AND t.service_date <= business.day),
                (SELECT max(d.day) FROM silver.claims c CROSS JOIN LATERAL (VALUES (c.service_date), (c.claim_date)) AS d(day)
                 WHERE NOT c.is_deleted AND d.day <= business.day)) AS default_as_of
FROM business;

-- As BigQuery's kpi_write_off_amount: what is not the patient's to pay (X12 835 CAS01 PR), whatever its group and wherever it
-- comes from; and every source that bills and sends no adjustment at all.
CREATE OR REPLACE VIEW kpi.adjustment_rows AS
SELECT s.source_system, a.adjustment_key, a.claim_date, a.group_code, a.amount, cardinality(a.dq_flags) > 0 AS is_flagged
FROM ops.source s
LEFT JOIN silver.adjustments a ON a.source_system = s.source_system AND NOT a.is_deleted
WHERE CASE WHEN a.adjustment_key IS NOT NULL THEN a.group_code IS DISTINCT FROM 'PR'
           ELSE EXISTS (SELECT FROM silver.transactions t WHERE t.source_system = s.source_system AND NOT t.is_deleted) END;
