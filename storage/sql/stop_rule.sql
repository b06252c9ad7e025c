-- Rules that hold publications (storage/stop_rule.c).

-- $1: the rule. {current}: rows in force, of t.
-- name: stop_rule_share
SELECT count(*) FILTER (WHERE $1 = ANY (t.dq_flags)), count(*) FROM silver.{table} t WHERE {current}

-- $1 subject, $2 rule, $3 what was found, $4 rows.
-- name: stop_rule_is_approved
SELECT EXISTS (SELECT FROM dq.stop_approved
               WHERE (subject, rule) = ($1, $2) AND CASE WHEN $4::bigint > 0 THEN failed >= $4::bigint ELSE found = $3 END)

-- $5: the run that was approved.
-- name: stop_rule_approve
INSERT INTO dq.stop_approved (subject, rule, found, failed, run_id) VALUES ($1, $2, $3, $4::bigint, $5::bigint)
ON CONFLICT (subject, rule) DO UPDATE
SET found = EXCLUDED.found, failed = EXCLUDED.failed, run_id = EXCLUDED.run_id, approved_at = now()

-- It holds again: what was approved of it is over.
-- name: stop_rule_forget
DELETE FROM dq.stop_approved WHERE (subject, rule) = ($1, $2)
