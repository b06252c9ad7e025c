-- Scores (storage/score.c): what share of the rows in force passes the rules, by feed and dimension. Temporary tables hold the
-- counts: score_total has a feed's rows, score_rule a rule's. {current}: rows in force, of t. {owner}: whose a row is, its
-- source, or of claims and their adjustments the feed of their file; {belongs} says that of a line e of ops.feed_entity.

-- Has anything come, been settled, or become another rule since the newest look?
-- name: score_is_due
SELECT coalesce(
    (SELECT l.batch_id IS DISTINCT FROM (SELECT max(batch_id) FROM ops.batch)
         OR EXISTS (SELECT FROM dq.rule WHERE since > l.taken_at)
         OR EXISTS (SELECT FROM dq.feed_rule WHERE since > l.taken_at)
     FROM dq.score_taken l ORDER BY taken_id DESC LIMIT 1), true)

-- name: score_session
SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('jit', 'off', true)

-- name: score_begin
CREATE TEMP TABLE score_total (feed text COLLATE "C", subject text COLLATE "C", n bigint) ON COMMIT DROP

-- name: score_begin_rules
CREATE TEMP TABLE score_rule (feed text COLLATE "C", subject text COLLATE "C", rule text COLLATE "C",
                              dimension text, checked bigint, failed bigint) ON COMMIT DROP

-- name: score_begin_fills
CREATE TEMP TABLE score_fill (feed text COLLATE "C", subject text COLLATE "C", column_name text COLLATE "C", rows bigint,
                              filled bigint) ON COMMIT DROP

-- name: score_flags
CREATE TEMP TABLE score_flags ON COMMIT DROP AS
WITH counted AS MATERIALIZED (
    SELECT {owner} AS owner, t.dq_flags, count(*) AS n FROM silver.{table} t {files} WHERE {current} GROUP BY 1, 2
)
SELECT e.feed, c.dq_flags, sum(c.n)::bigint AS n
FROM counted c JOIN ops.feed_entity e ON {belongs} GROUP BY e.feed, c.dq_flags

-- name: score_totals
INSERT INTO score_total SELECT feed, '{table}', sum(n) FROM score_flags GROUP BY feed

-- name: score_rules
INSERT INTO score_rule
SELECT t.feed, r.subject, r.name, r.dimension, t.n, coalesce(f.n, 0)
FROM score_total t
JOIN dq.rule r ON r.subject = t.subject AND r.scope IN ('row', 'set')
LEFT JOIN (SELECT feed, flag, sum(n) AS n FROM score_flags, unnest(dq_flags) AS flag GROUP BY feed, flag) AS f
    ON f.feed = t.feed AND f.flag = r.name
WHERE t.subject = '{table}'

-- name: score_flags_drop
DROP TABLE score_flags

-- {names}: the columns as a list of texts, {counts}: what of them is filled.
-- name: score_fills
INSERT INTO score_fill
SELECT e.feed, '{table}', u.name, sum(c.n), sum(u.filled)
FROM (SELECT {owner} AS owner, count(*) AS n, ARRAY[{names}] AS names, ARRAY[{counts}] AS filled
      FROM silver.{table} t {files} WHERE {current} GROUP BY 1) AS c
JOIN ops.feed_entity e ON {belongs}
CROSS JOIN LATERAL unnest(c.names, c.filled) AS u(name, filled)
GROUP BY e.feed, u.name

-- Rows that are kept out were asked, and failed.
-- name: score_held
WITH held AS (
    SELECT q.feed, e.entity AS subject, q.rule, count(*) AS n
    FROM dq.quarantine q JOIN ops.feed_entity e USING (feed) WHERE q.state = 'open' GROUP BY 1, 2, 3
), known AS (
    UPDATE score_rule s SET checked = s.checked + h.n, failed = s.failed + h.n
    FROM held h WHERE (h.feed, h.subject, h.rule) = (s.feed, s.subject, s.rule)
    RETURNING h.feed, h.subject, h.rule
)
INSERT INTO score_rule
SELECT h.feed, h.subject, h.rule, coalesce(r.dimension, 'validity'), h.n + coalesce(t.n, 0), h.n
FROM held h
LEFT JOIN score_total t USING (feed, subject)
LEFT JOIN dq.rule r ON (r.subject, r.name) = (h.subject, h.rule)
WHERE NOT EXISTS (SELECT FROM known k WHERE (k.feed, k.subject, k.rule) = (h.feed, h.subject, h.rule))

-- name: score_of_feeds
INSERT INTO score_rule
SELECT f.feed, f.feed, f.rule, r.dimension, 1, f.is_broken::int
FROM dq.feed_rule f JOIN dq.rule r ON r.scope = 'feed' AND (r.subject, r.name) = (f.feed, f.rule)

-- A column that the feed fills nowhere is one that its source does not have: no row is to blame.
-- name: score_of_columns
INSERT INTO score_rule
SELECT feed, subject, 'columns_filled', 'completeness', sum(rows), sum(rows - filled)
FROM score_fill WHERE filled > 0 AND dq.is_expected(subject, column_name) GROUP BY feed, subject

-- name: score_keep_counts
WITH gone AS (
    DELETE FROM dq.rule_count c
    WHERE NOT EXISTS (SELECT FROM score_rule s WHERE (s.feed, s.subject, s.rule) = (c.feed, c.subject, c.rule))
)
INSERT INTO dq.rule_count AS c (feed, subject, rule, dimension, checked, failed)
SELECT feed, subject, rule, dimension, checked, failed FROM score_rule
ON CONFLICT (feed, subject, rule) DO UPDATE
SET dimension = EXCLUDED.dimension, checked = EXCLUDED.checked, failed = EXCLUDED.failed
WHERE (c.dimension, c.checked, c.failed) IS DISTINCT FROM (EXCLUDED.dimension, EXCLUDED.checked, EXCLUDED.failed)

-- name: score_keep_fills
WITH gone AS (
    DELETE FROM dq.column_fill c
    WHERE NOT EXISTS (SELECT FROM score_fill s WHERE (s.feed, s.subject, s.column_name) = (c.feed, c.subject, c.column_name))
)
INSERT INTO dq.column_fill AS c (feed, subject, column_name, rows, filled, is_expected)
SELECT feed, subject, column_name, rows, filled, dq.is_expected(subject, column_name) FROM score_fill
ON CONFLICT (feed, subject, column_name) DO UPDATE
SET rows = EXCLUDED.rows, filled = EXCLUDED.filled, is_expected = EXCLUDED.is_expected
WHERE (c.rows, c.filled, c.is_expected) IS DISTINCT FROM (EXCLUDED.rows, EXCLUDED.filled, EXCLUDED.is_expected)

-- $1: the run. What looks before this one kept no score of, is nobody's any more.
-- name: score_take
WITH old AS (
    DELETE FROM dq.score_taken t WHERE NOT EXISTS (SELECT FROM dq.score s WHERE s.taken_id = t.taken_id)
)
INSERT INTO dq.score_taken (run_id, batch_id) SELECT $1::bigint, max(batch_id) FROM ops.batch RETURNING taken_id

-- $1: the look. A rule that nobody was asked of says nothing.
-- name: score_write
WITH dimension AS (
    SELECT feed, dimension, count(*) AS n_rules, sum(checked) AS checked, sum(failed) AS failed,
           avg(1 - failed::numeric / checked) AS score
    FROM score_rule WHERE checked > 0 GROUP BY feed, dimension
), all_of AS (
    SELECT feed, dimension, n_rules, checked, failed, round(score, 6) AS score FROM dimension
    UNION ALL
    SELECT feed, 'overall', sum(n_rules), sum(checked), sum(failed), round(avg(score), 6) FROM dimension GROUP BY feed
    UNION ALL -- gone: nothing is asked of the feed any more
    SELECT feed, dimension, 0, 0, 0, NULL FROM dq.score_now n
    WHERE score IS NOT NULL
      AND NOT EXISTS (SELECT FROM dimension d WHERE d.feed = n.feed AND n.dimension IN (d.dimension, 'overall'))
)
INSERT INTO dq.score (feed, dimension, taken_id, n_rules, checked, failed, score)
SELECT a.feed, a.dimension, $1::bigint, a.n_rules, a.checked, a.failed, a.score
FROM all_of a LEFT JOIN dq.score_now n USING (feed, dimension)
WHERE (a.n_rules, a.checked, a.failed, a.score) IS DISTINCT FROM (n.n_rules, n.checked, n.failed, n.score)

-- name: score_now
SELECT feed, dimension, score::float8 FROM dq.score_now WHERE score IS NOT NULL ORDER BY feed, dimension
