-- Jobs, their leases, and runs.

-- name: instance_lock
SELECT pg_advisory_lock(7302, hashtext($1))

-- A row that somebody holds is left for the next look: who waited for it would keep everybody waiting, and himself hold the
-- rows before it. Another's is taken only where its sessions were ended ($7).
-- name: job_claim
WITH wanted AS (
    SELECT u.* FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS u(name, kind, feed, schedule)
), free AS (
    SELECT j.name FROM ops.job j
    WHERE j.name = ANY ($1::text[])
      AND (j.owner IS NULL OR j.owner = $5 OR (j.lease_until < now() AND j.owner = ANY ($7::text[])))
    FOR NO KEY UPDATE SKIP LOCKED
), taken AS (
    UPDATE ops.job j SET kind = w.kind, feed = w.feed, schedule = w.schedule, owner = $5, epoch = j.epoch + 1,
        lease_until = now() + $6::interval
    FROM free f JOIN wanted w USING (name) WHERE j.name = f.name
    RETURNING j.name, j.epoch, j.paused, j.paused_by
), made AS (
    INSERT INTO ops.job AS j (name, kind, feed, schedule, owner, epoch, lease_until)
    SELECT w.name, w.kind, w.feed, w.schedule, $5, 1, now() + $6::interval
    FROM wanted w WHERE NOT EXISTS (SELECT FROM ops.job j WHERE j.name = w.name)
    ON CONFLICT (name) DO NOTHING
    RETURNING j.name, j.epoch, j.paused, j.paused_by
)
SELECT t.name, t.epoch, t.paused, coalesce(t.paused_by, '') FROM (SELECT * FROM taken UNION ALL SELECT * FROM made) AS t

-- Who has not been heard of since all that it had ran out, and since when. What ran out alone is its owner's to renew.
-- name: job_overdue
SELECT j.owner, max(j.lease_until) FROM ops.job j WHERE j.owner <> $1 GROUP BY j.owner HAVING max(j.lease_until) < now()

-- A daemon that was stopped in a transaction, or cut off, keeps its locks; what it had not committed is read again. Not the
-- sessions of one that is being started again.
-- name: job_end_sessions
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND starts_with(application_name, $1)
  AND backend_start < $2::timestamptz

-- name: job_owners
SELECT name, coalesce(owner, ''), owner IS NULL OR owner = $2 OR (lease_until < now() AND owner = ANY ($3::text[]))
FROM ops.job WHERE name = ANY ($1::text[])

-- Those that are ours still, and whether they could be renewed: a row that somebody holds keeps no other waiting.
-- name: job_renew
WITH ours AS (
    SELECT j.name FROM ops.job j JOIN unnest($1::text[], $2::bigint[]) AS u(name, epoch) USING (name, epoch) WHERE j.owner = $4
), free AS (
    SELECT j.name FROM ops.job j JOIN unnest($1::text[], $2::bigint[]) AS u(name, epoch) USING (name, epoch) WHERE j.owner = $4
    FOR NO KEY UPDATE OF j SKIP LOCKED
), renewed AS (
    UPDATE ops.job j SET lease_until = now() + $3::interval FROM free f WHERE j.name = f.name RETURNING j.name
)
SELECT o.name, r.name IS NOT NULL FROM ours o LEFT JOIN renewed r USING (name)

-- What is not released, because somebody holds its row, runs out.
-- name: job_release
UPDATE ops.job SET lease_until = now()
WHERE name IN (SELECT j.name FROM ops.job j WHERE j.owner = $1 FOR NO KEY UPDATE SKIP LOCKED)

-- The lease under which a run began, if it is still that one.
-- name: job_epoch
SELECT 1 FROM ops.job WHERE name = $1 AND epoch = $2::bigint

-- name: job_pause
UPDATE ops.job SET paused = $2::boolean, paused_by = $3, paused_at = now() WHERE name = $1

-- name: run_reserve
SELECT nextval('ops.run_run_id_seq') FROM generate_series(1, $1::int)

-- name: run_orphans
UPDATE ops.run r SET state = 'failed', finished_at = now(), error_code = '57P01', error_class = 'transient',
    error = 'the daemon stopped while this ran', is_untold = $3::boolean
FROM ops.job j
WHERE r.job = j.name AND j.owner = $1 AND ($2::text[] IS NULL OR j.name = ANY ($2::text[]))
  AND r.state IN ('queued', 'running', 'waiting')

-- A run that was begun by itself commits something for the first time: from here on it is known, however it ends.
-- name: run_begun
INSERT INTO ops.run (run_id, job, mode, trigger, state) OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, 'running')
ON CONFLICT DO NOTHING

-- As they ended; those of jobs that are somebody else's now are that one's to tell.
-- name: run_untold
SELECT r.run_id, r.job, r.state, r.rows_changed, (extract(epoch FROM r.queued_at) * 1000000)::bigint,
    (extract(epoch FROM coalesce(r.started_at, r.queued_at)) * 1000000)::bigint,
    (extract(epoch FROM r.finished_at) * 1000000)::bigint, coalesce(r.error_code, ''), coalesce(r.error, '')
FROM ops.run r JOIN ops.job j ON j.name = r.job
WHERE r.is_untold AND j.owner = $1 AND r.finished_at IS NOT NULL ORDER BY r.finished_at, r.run_id LIMIT $2::int

-- name: run_told
UPDATE ops.run SET is_untold = false WHERE run_id = $1 AND is_untold

-- name: run_write
INSERT INTO ops.run AS r (run_id, job, mode, trigger, state, attempt, queued_at, started_at, finished_at,
    rows_read, rows_changed, rows_quarantined, steps, range_from, range_to, error_code, error_class, error, hint,
    dry_run, is_untold)
OVERRIDING SYSTEM VALUE
VALUES ($1, $2, $3, $4, $5, $6, to_timestamp($7::float8 / 1000000), to_timestamp($8::float8 / 1000000),
    to_timestamp($9::float8 / 1000000), $10, $11, $12, $13::jsonb, $14, $15, $16, $17, $18, $19,
    $20::boolean, $21::boolean)
ON CONFLICT (run_id) DO UPDATE
SET state = EXCLUDED.state, attempt = EXCLUDED.attempt, queued_at = EXCLUDED.queued_at, is_untold = EXCLUDED.is_untold,
    started_at = EXCLUDED.started_at,
    finished_at = EXCLUDED.finished_at, rows_read = EXCLUDED.rows_read, rows_changed = EXCLUDED.rows_changed,
    rows_quarantined = EXCLUDED.rows_quarantined, steps = EXCLUDED.steps, error_code = EXCLUDED.error_code,
    error_class = EXCLUDED.error_class, error = EXCLUDED.error, hint = EXCLUDED.hint

-- name: run_find
SELECT job, mode, trigger, state, attempt, (range_from AT TIME ZONE 'UTC')::date, (range_to AT TIME ZONE 'UTC')::date, dry_run
FROM ops.run WHERE run_id = $1

-- name: run_find_held
SELECT r.run_id, r.job, r.mode, r.trigger, r.attempt, (extract(epoch FROM r.queued_at) * 1000000)::bigint,
    (extract(epoch FROM r.started_at) * 1000000)::bigint, (extract(epoch FROM r.finished_at) * 1000000)::bigint,
    r.error_code, r.error, coalesce(r.hint, '')
FROM ops.run r JOIN ops.job j ON j.name = r.job
WHERE r.state = 'held' AND j.owner = $1 ORDER BY r.run_id
