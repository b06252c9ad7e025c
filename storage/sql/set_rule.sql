-- Rules over several rows (storage/set_rule.c), within settle: each is asked anew of its whole table when rows of it, or of
-- the other table that it looks at, came or changed; a flag is a function of the rows that are in force. {current} and
-- {other_current} say which those are, of t and of p; {columns} are quoted columns of t. A temporary table each, for no
-- statement that writes has a parallel plan.

-- name: set_rule_touched
SELECT EXISTS (SELECT FROM silver.{table} WHERE batch_id >= $1::bigint)

-- name: set_rule_touched_past
SELECT EXISTS (SELECT FROM silver.{table} WHERE batch_id >= $1::bigint)
    OR EXISTS (SELECT FROM silver.{table}_past WHERE batch_to >= $1::bigint)

-- name: set_rule_unique
CREATE TEMP TABLE settle_broken ON COMMIT DROP AS
SELECT t.{key} AS key
FROM silver.{table} t
JOIN (SELECT t.source_system, {columns} FROM silver.{table} t
      WHERE {current} AND num_nulls({columns}) = 0
      GROUP BY t.source_system, {columns} HAVING count(*) > 1) AS g
    ON (g.source_system, {group_columns}) = (t.source_system, {columns})
WHERE {current}

-- Members that facts alone tell of are not there.
-- name: set_rule_reference
CREATE TEMP TABLE settle_broken ON COMMIT DROP AS
SELECT t.{key} AS key
FROM silver.{table} t
WHERE {current} AND t.{column} IS NOT NULL AND NOT EXISTS (
    SELECT FROM silver.{other} p
    WHERE p.{other_id} = t.{column} AND p.source_system = t.source_system AND {other_current})

-- name: set_rule_cross_table
CREATE TEMP TABLE settle_broken ON COMMIT DROP AS
SELECT DISTINCT t.{key} AS key
FROM silver.{table} t
JOIN silver.{other} p ON p.{other_id} = t.{other_id} AND p.source_system = t.source_system AND {other_current}
WHERE {current} AND NOT (t.{column} {compare} p.{other_column})

-- {bound}: a number, or a column of the row.
-- name: set_rule_cross_row
CREATE TEMP TABLE settle_broken ON COMMIT DROP AS
SELECT t.{key} AS key
FROM silver.{table} t
JOIN (SELECT t.source_system, {columns}, {total} AS total FROM silver.{table} t
      WHERE {current} AND num_nulls({columns}) = 0
      GROUP BY t.source_system, {columns}) AS g
    ON (g.source_system, {group_columns}) = (t.source_system, {columns})
WHERE {current} AND NOT (g.total {compare} {bound})

-- The bound is a column of the row that this one names.
-- name: set_rule_cross_row_other
CREATE TEMP TABLE settle_broken ON COMMIT DROP AS
SELECT DISTINCT t.{key} AS key
FROM silver.{table} t
JOIN (SELECT t.source_system, {columns}, {total} AS total FROM silver.{table} t
      WHERE {current} AND num_nulls({columns}) = 0
      GROUP BY t.source_system, {columns}) AS g
    ON (g.source_system, {group_columns}) = (t.source_system, {columns})
JOIN silver.{other} p ON p.{other_id} = t.{other_id} AND p.source_system = t.source_system AND {other_current}
WHERE {current} AND NOT (g.total {compare} p.{other_column})

-- Of a rule that went.
-- name: set_rule_none
CREATE TEMP TABLE settle_broken ON COMMIT DROP AS SELECT t.{key} AS key FROM silver.{table} t WHERE false

-- $1: the flag. Rows that bear it and should not, or the other way round.
-- name: set_rule_differing
CREATE TEMP TABLE settle_differing ON COMMIT DROP AS
SELECT t.{key} AS key, t.batch_id AS was_batch_id, b.key IS NOT NULL AS bears
FROM silver.{table} t LEFT JOIN settle_broken b ON b.key = t.{key}
WHERE ($1 = ANY (t.dq_flags)) <> (b.key IS NOT NULL)

-- name: set_rule_write
UPDATE silver.{table} t
SET dq_flags = silver.set_flag(t.dq_flags, $1, d.bears), batch_id = (SELECT batch_id FROM settle_run)
FROM settle_differing d WHERE t.{key} = d.key

-- Who placed a fact is kept.
-- name: set_rule_placed
INSERT INTO ops.placed (key, entity, batch_id)
SELECT key, $1, was_batch_id FROM settle_differing ON CONFLICT DO NOTHING

-- name: set_rule_result
INSERT INTO dq.result (batch_id, feed, rule, checked, failed)
SELECT r.batch_id, 'settle', $1, (SELECT count(*) FROM silver.{table} t WHERE {current}), (SELECT count(*) FROM settle_broken)
FROM settle_run r

-- name: set_rule_drop
DROP TABLE settle_broken, settle_differing
