-- PostgreSQL and BigQuery held side by side, month by month (rules, section 8).

-- The first publication carried and compared everything: until the first comparison it counts as one.
-- name: comparison_is_due
SELECT coalesce(
    (SELECT finished_at < now() - $1::bigint * interval '1 millisecond' FROM ops.reconciliation
     WHERE subject = 'bigquery' ORDER BY reconciliation_id DESC LIMIT 1),
    EXISTS (SELECT FROM ops.publication
            WHERE state = 'succeeded' AND finished_at < now() - $1::bigint * interval '1 millisecond'))

-- What the last comparison found; a rebuild since then has replaced all of it.
-- name: comparison_difference
SELECT last.difference FROM (
    SELECT difference, finished_at FROM ops.reconciliation
    WHERE subject = 'bigquery' ORDER BY reconciliation_id DESC LIMIT 1) AS last
WHERE last.difference IS NOT NULL AND NOT EXISTS (SELECT FROM ops.publication
    WHERE is_rebuild AND state = 'succeeded' AND finished_at > last.finished_at)

-- name: comparison_months
SELECT coalesce(extract(year FROM v.{partition}) * 100 + extract(month FROM v.{partition}), 0)::bigint, {sums}
FROM gold.{view} v GROUP BY 1 ORDER BY 1

-- name: comparison_table
SELECT 0::bigint, {sums} FROM gold.{view} v

-- name: comparison_record
INSERT INTO ops.reconciliation (subject, started_at, differences, difference, details, bytes_billed)
VALUES ('bigquery', to_timestamp($1::float8 / 1000000), $2::bigint, $3, $4::jsonb, $5::bigint)
