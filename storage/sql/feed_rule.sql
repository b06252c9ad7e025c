-- Rules over feeds (storage/feed_rule.c): one row each, whether it is broken and what was found, in a sentence that is the
-- same for as long as nothing happens.

-- $1 the feed, $2 how old its newest change may be, in milliseconds, $3 the rule. A feed that never brought a row is as old
-- as the rule.
-- name: feed_rule_freshness
SELECT coalesce(coalesce(newest, (SELECT since FROM dq.rule WHERE (subject, name) = ($1, $3)))
                    < now() - make_interval(secs => $2::bigint / 1000.0), false),
       coalesce(format('the newest change came at %s', to_char(newest AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')),
                'no row has come yet')
FROM (SELECT max(committed_at) AS newest FROM ops.batch
      WHERE feed = $1 AND rows_changed + rows_quarantined > 0) AS known

-- $1 the feed, $2 percent, $3 how many before the last. A delivery is a file, of feeds that have files; else a run with news.
-- The middle one of those before tells what is usual, so that a first load or one that was cut short is not.
-- name: feed_rule_volume
WITH delivery AS (
    SELECT rows, row_number() OVER (ORDER BY place DESC) AS back
    FROM (SELECT file_id AS place, rows_read AS rows FROM ops.file WHERE feed = $1 AND state = 'done'
          UNION ALL
          SELECT b.run_id, sum(b.rows_changed + b.rows_quarantined)
          FROM ops.batch b JOIN ops.run r USING (run_id)
          WHERE b.feed = $1 AND r.state = 'succeeded' AND NOT EXISTS (SELECT FROM ops.file WHERE feed = $1)
          GROUP BY b.run_id) AS d
), usual AS (
    SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY rows) AS rows, count(*) AS n
    FROM delivery WHERE back BETWEEN 2 AND $3::int + 1
)
SELECT coalesce(u.n >= 3 AND abs(d.rows - u.rows) * 100 > u.rows * $2::int, false),
       CASE WHEN d.rows IS NULL OR u.n < 3 THEN 'too few deliveries to tell what is usual'
            ELSE format('the last delivery had %s rows, the middle one of the %s before it %s', d.rows, u.n, u.rows) END
FROM usual u LEFT JOIN delivery d ON d.back = 1

-- $1 feed, $2 rule, $3 is it broken, $4 what was found. No row when it is as it was; else whether it came to be broken.
-- name: feed_rule_keep
INSERT INTO dq.feed_rule AS f (feed, rule, is_broken, found) VALUES ($1, $2, $3::boolean, $4)
ON CONFLICT (feed, rule) DO UPDATE
SET is_broken = EXCLUDED.is_broken, found = EXCLUDED.found,
    since = CASE WHEN f.is_broken = EXCLUDED.is_broken THEN f.since ELSE now() END
WHERE (f.is_broken, f.found) IS DISTINCT FROM (EXCLUDED.is_broken, EXCLUDED.found)
RETURNING f.is_broken AND f.since = now()
