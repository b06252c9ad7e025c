-- What a feed's table is agreed to be, and its drift.

-- name: feed_agreed_read
SELECT f.schema_id, c.name, c.type, array_to_string(f.primary_key, ', '), f.full_due, f.read_by
FROM ops.feed_agreed f JOIN ops.feed_schema s USING (schema_id),
    unnest(s.columns, s.types) WITH ORDINALITY AS c(name, type, position)
WHERE f.feed = $1 ORDER BY c.position

-- name: feed_drift_standing
SELECT kind, state, column_name, was, is_now FROM ops.feed_drift
WHERE feed = $1 AND ended_at IS NULL ORDER BY drift_id

-- A full that is due stays due.
-- name: feed_agree
INSERT INTO ops.feed_agreed (feed, schema_id, primary_key, full_due, read_by) VALUES ($1, $2, $3::text[], $4, $5)
ON CONFLICT (feed) DO UPDATE SET schema_id = EXCLUDED.schema_id, primary_key = EXCLUDED.primary_key,
    read_by = EXCLUDED.read_by,
    full_due = ops.feed_agreed.full_due OR EXCLUDED.full_due, agreed_at = now()

-- name: feed_full_done
UPDATE ops.feed_agreed SET full_due = false WHERE feed = $1 AND schema_id = $2 AND full_due

-- What evolved has ended as soon as it is told.
-- name: feed_drift_add
INSERT INTO ops.feed_drift (feed, kind, column_name, was, is_now, contract, state, sentence, run_id, ended_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, CASE WHEN $7 = 'evolved' THEN now() END)
ON CONFLICT (feed, kind, column_name, was, is_now, state) WHERE ended_at IS NULL DO NOTHING

-- name: feed_drift_end
UPDATE ops.feed_drift SET ended_at = now(), state = 'mended'
WHERE feed = $1 AND kind = $2 AND state = $3 AND column_name = $4 AND was = $5 AND is_now = $6 AND ended_at IS NULL
