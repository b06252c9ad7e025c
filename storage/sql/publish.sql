-- The ledger of publications and the rows they carry (rules, section 8). {names} come from the entity
-- table; the publication's number reaches cursors, which take no parameters, as a setting.

-- name: publish_unfinished
SELECT publication_id, state, attempt, is_rebuild, (extract(epoch FROM claimed_at) * 1000000)::bigint, tables
FROM ops.publication WHERE state IN ('claimed', 'staged', 'applied')
ORDER BY publication_id LIMIT 1

-- A payer may be called otherwise by a batch that changed no row of its feed (storage/member.h).
-- name: publish_pending
SELECT min(committed_at) IS NOT NULL OR EXISTS (SELECT FROM ops.moved WHERE publication_id IS NULL)
           OR EXISTS (SELECT FROM silver.payers JOIN ops.batch b USING (batch_id) WHERE b.publication_id IS NULL),
       coalesce(extract(epoch FROM now() - min(committed_at)), 0)::bigint,
       EXISTS (SELECT FROM ops.publication r
           WHERE r.is_rebuild AND r.state IN ('claimed', 'abandoned') AND NOT EXISTS (SELECT FROM ops.publication s
               WHERE s.publication_id > r.publication_id AND s.state = 'succeeded'))
FROM ops.batch WHERE publication_id IS NULL AND rows_changed > 0

-- name: publish_table_pending
SELECT EXISTS (SELECT FROM silver.{table} s
    WHERE s.batch_id BETWEEN (SELECT min(batch_id) FROM ops.batch WHERE publication_id IS NULL)
                         AND (SELECT max(batch_id) FROM ops.batch WHERE publication_id IS NULL)
      AND s.batch_id IN (SELECT batch_id FROM ops.batch WHERE publication_id IS NULL))

-- name: publish_moved_pending
SELECT EXISTS (SELECT FROM ops.moved WHERE publication_id IS NULL)

-- name: publish_usage
SELECT coalesce(sum(load_jobs), 0)::bigint, coalesce(sum(bytes_billed), 0)::bigint
FROM (SELECT load_jobs, bytes_billed FROM ops.publication WHERE claimed_at > now() - interval '1 day'
      UNION ALL
      SELECT 0, bytes_billed FROM ops.reconciliation WHERE finished_at > now() - interval '1 day'
      UNION ALL
      SELECT load_jobs, bytes_billed FROM ops.bigquery_cost WHERE hour > now() - interval '1 day') AS used

-- name: publish_add_cost
INSERT INTO ops.bigquery_cost AS c (hour, load_jobs, bytes_billed)
VALUES (date_trunc('hour', now()), $1::bigint, $2::bigint)
ON CONFLICT (hour) DO UPDATE
SET load_jobs = c.load_jobs + excluded.load_jobs, bytes_billed = c.bytes_billed + excluded.bytes_billed

-- name: publish_epoch
SELECT epoch::text FROM ops.database

-- name: publish_begin_epoch
SELECT ops.begin_epoch()::text

-- name: publish_is_known
SELECT EXISTS (SELECT FROM ops.publication
    WHERE publication_id = $1::bigint AND state IN ('staged', 'applied', 'succeeded'))

-- name: publish_has_published
SELECT EXISTS (SELECT FROM ops.publication WHERE state IN ('applied', 'succeeded'))

-- A restored database draws numbers that BigQuery has seen: it starts above them.
-- name: publish_start_above
SELECT setval(pg_get_serial_sequence('ops.publication', 'publication_id'), $1::bigint)
WHERE $1::bigint > (SELECT last_value FROM ops.publication_publication_id_seq)

-- name: publish_insert
INSERT INTO ops.publication (state, is_rebuild) VALUES ('claimed', $1::boolean)
RETURNING publication_id, (extract(epoch FROM claimed_at) * 1000000)::bigint

-- name: publish_claim_batches
UPDATE ops.batch SET publication_id = $1::bigint WHERE publication_id IS NULL

-- name: publish_claim_moved
UPDATE ops.moved SET publication_id = $1::bigint WHERE publication_id IS NULL

-- name: publish_return_batches
UPDATE ops.batch SET publication_id = NULL WHERE publication_id = $1::bigint

-- name: publish_return_moved
UPDATE ops.moved SET publication_id = NULL WHERE publication_id = $1::bigint

-- What has ended stays as it ended: a worker that slept over a take-over finds no row.
-- name: publish_save
UPDATE ops.publication
SET state = $2, attempt = $3::int, tables = $4::jsonb, error = $5,
    load_jobs = load_jobs + $6::bigint, bytes_sent = bytes_sent + $7::bigint,
    bytes_billed = bytes_billed + $8::bigint,
    finished_at = CASE WHEN $2 IN ('succeeded', 'abandoned') THEN now() END
WHERE publication_id = $1::bigint AND state NOT IN ('succeeded', 'abandoned')

-- name: publish_hold
INSERT INTO ops.publication (state, error)
SELECT 'held', $1 WHERE NOT EXISTS (SELECT FROM ops.publication WHERE state = 'held')

-- name: publish_release_held
UPDATE ops.publication SET state = 'abandoned', finished_at = now() WHERE state = 'held'

-- name: publish_raise_alert
INSERT INTO ops.alert (kind, subject, sentence) VALUES ('publication', 'publish', $1)
ON CONFLICT (kind, subject) WHERE cleared_at IS NULL DO UPDATE SET sentence = excluded.sentence

-- name: publish_clear_alert
UPDATE ops.alert SET cleared_at = now()
WHERE kind = 'publication' AND subject = 'publish' AND cleared_at IS NULL

-- name: publish_set_id
SELECT set_config('revcycled.publication', $1, true)

-- name: publish_sequences
SELECT sequencename, coalesce(last_value, 0) FROM pg_sequences
WHERE schemaname = 'silver' AND sequencename LIKE '%\_key\_seq' ORDER BY sequencename

-- How many numbers a sequence has to draw until it stands at a position or above it, $3 at the most.
-- Position 0: nothing was drawn.
-- name: publish_sequence_gap
SELECT CASE WHEN $2::bigint < start_value THEN 0 ELSE
    least(greatest(ceil(($2::numeric - coalesce(last_value, start_value - increment_by)) / increment_by), 0), $3::bigint)
    END::bigint
FROM pg_sequences
WHERE schemaname = 'silver' AND sequencename = $1 AND sequencename LIKE '%\_key\_seq'

-- Drawn, not set: whoever else draws meanwhile, the sequence only rises, and the daemon needs no right to set it.
-- name: publish_draw
SELECT count(nextval($1::regclass)) FROM (SELECT generate_series(1, $2::bigint)) AS draws

-- name: publish_as_of
SELECT kpi.default_as_of()::text

-- name: publish_months
SELECT DISTINCT date_trunc('month', t.day)::date::text FROM (
    SELECT s.{partition} FROM silver.{table} s
    WHERE s.batch_id BETWEEN (SELECT min(batch_id) FROM ops.batch WHERE publication_id = $1::bigint)
                         AND (SELECT max(batch_id) FROM ops.batch WHERE publication_id = $1::bigint)
      AND s.batch_id IN (SELECT batch_id FROM ops.batch WHERE publication_id = $1::bigint)
    UNION ALL
    SELECT m.old_date FROM ops.moved m WHERE m.publication_id = $1::bigint AND m.table_name = $2
) AS t(day) WHERE t.day IS NOT NULL ORDER BY 1

-- name: publish_all_months
SELECT DISTINCT date_trunc('month', s.{partition})::date::text FROM silver.{table} s
WHERE s.{partition} IS NOT NULL AND $1::bigint > 0 AND $2::text <> '' ORDER BY 1

-- name: publish_sums_of_months
SELECT {sums} FROM gold.{view} v
WHERE v.{partition} IS NULL OR date_trunc('month', v.{partition})::date = ANY($1::date[])

-- name: publish_sums_of_table
SELECT {sums} FROM gold.{view} v

-- name: publish_changed_rows
DECLARE {cursor} NO SCROLL CURSOR FOR
SELECT {columns} FROM gold.{view} v
WHERE v.batch_id BETWEEN
        (SELECT min(batch_id) FROM ops.batch
         WHERE publication_id = current_setting('revcycled.publication')::bigint)
    AND (SELECT max(batch_id) FROM ops.batch
         WHERE publication_id = current_setting('revcycled.publication')::bigint)
  AND v.batch_id IN (SELECT batch_id FROM ops.batch
         WHERE publication_id = current_setting('revcycled.publication')::bigint)

-- name: publish_all_rows
DECLARE {cursor} NO SCROLL CURSOR FOR SELECT {columns} FROM gold.{view} v

-- Rows that stood in BigQuery and stand in silver no more, and deleted facts; {is_fact}: deleted members stay, marked.
-- name: publish_gone_rows
DECLARE {cursor} NO SCROLL CURSOR FOR
SELECT gone.key FROM (
    SELECT m.key FROM ops.moved m
    WHERE m.publication_id = current_setting('revcycled.publication')::bigint
      AND m.table_name = current_setting('revcycled.table')
    UNION
    SELECT s.{key} FROM silver.{table} s
    WHERE {is_fact} AND s.is_deleted AND s.batch_id IN (SELECT batch_id FROM ops.batch
        WHERE publication_id = current_setting('revcycled.publication')::bigint)
) AS gone(key)
WHERE NOT EXISTS (SELECT FROM silver.{table} s WHERE s.{key} = gone.key AND NOT ({is_fact} AND s.is_deleted))

-- {is_gone}: a deleted fact leaves, a member never does.
-- name: publish_plan
SELECT (SELECT count(*) FROM gold.{view} v
        WHERE $1::boolean OR v.batch_id IN (SELECT batch_id FROM ops.batch WHERE publication_id IS NULL)) +
       (SELECT count(*) FROM (
            SELECT m.key FROM ops.moved m WHERE m.publication_id IS NULL AND m.table_name = $2
            UNION
            SELECT s.{key} FROM silver.{table} s
            WHERE {is_gone} AND s.batch_id IN (SELECT batch_id FROM ops.batch WHERE publication_id IS NULL)
        ) AS gone(key)
        WHERE NOT $1::boolean
          AND NOT EXISTS (SELECT FROM silver.{table} s WHERE s.{key} = gone.key AND NOT {is_gone}))

-- name: publish_set_table
SELECT set_config('revcycled.table', $1, true)

-- name: publish_fetch
FETCH FORWARD 1000 FROM {cursor}

-- name: publish_close
CLOSE {cursor}

-- name: publish_audit_profile
INSERT INTO ops.audit (actor, action, object, outcome, details)
VALUES ('pipeline', 'publication.disclose', $1, 'done', jsonb_build_object('profile', $2::text))
