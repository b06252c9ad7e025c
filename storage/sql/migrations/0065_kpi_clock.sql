-- The clock of the figures goes by what hospitals sent: neither settle nor a person's decision about persons is news of
-- theirs.
CREATE OR REPLACE VIEW kpi.clock AS
SELECT max(t.service_date) AS default_as_of
FROM silver.transactions t
WHERE NOT t.is_deleted AND t.service_date <= (
    SELECT max((l.at AT TIME ZONE coalesce(s.timezone, 'UTC'))::date)
    FROM (SELECT max(committed_at) AS at FROM ops.batch WHERE feed NOT IN ('settle', 'persons')
          UNION ALL
          SELECT max(last_success_at) FROM ops.job WHERE kind IN ('extract', 'receive')) AS l
    LEFT JOIN ops.source s ON true);
