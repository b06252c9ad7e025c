-- The audit trail: writing lines, sealing them, looking whether they are still what was sealed.

-- name: audit_write
INSERT INTO ops.audit (actor, action, object, request_id, outcome, details)
VALUES ($1, $2, $3, $4, $5, $6::jsonb)

-- name: audit_make_months
SELECT ops.audit_make_months()

-- ---- sealing ----

-- Where the chain ends, and the last id that was drawn: a row in any case.
-- name: audit_seal_newest
SELECT q.drawn, s.seal_id, encode(s.hmac, 'hex'), s.top, s.open::text
FROM (SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END AS drawn FROM ops.audit_audit_id_seq) AS q
LEFT JOIN (SELECT * FROM ops.audit_seal ORDER BY seal_id DESC LIMIT 1) AS s ON true

-- Every statement must see what was committed before it, whatever the database's default is.
-- name: audit_seal_begin
SET TRANSACTION ISOLATION LEVEL READ COMMITTED

-- One sealer at a time, whatever daemon it belongs to.
-- name: audit_seal_lock
SELECT pg_try_advisory_xact_lock(7303)

-- Whoever draws an id holds this lock from before the draw until its transaction has ended.
-- name: audit_writers
SELECT coalesce(string_agg(DISTINCT virtualtransaction, ' '), '')
FROM pg_locks
WHERE locktype = 'relation' AND relation = 'ops.audit'::regclass AND mode = 'RowExclusiveLock' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())

-- $1: top, $2: open, $3: how many.
-- name: audit_unsealed
WITH lines AS (
    (SELECT * FROM ops.audit WHERE audit_id > $1::bigint ORDER BY audit_id LIMIT $3::int)
    UNION ALL
    (SELECT a.* FROM unnest($2::int8multirange) AS r CROSS JOIN LATERAL (
        SELECT * FROM ops.audit WHERE audit_id >= lower(r) AND audit_id < upper(r) ORDER BY audit_id LIMIT $3::int) AS a)
)
SELECT audit_id, (extract(epoch FROM at) * 1000000)::bigint, actor, action, object, request_id, outcome, details::text
FROM lines ORDER BY audit_id LIMIT $3::int

-- $1: the ids that are sealed now, $2 and $3: top and open so far, $4: top from now on, $5: ids up to this that
-- nobody committed are nobody's for good.
-- name: audit_seal_sets
SELECT ids::text,
       ($3::int8multirange + int8multirange(int8range($2::bigint, $4::bigint, '(]')) - ids
        - int8multirange(int8range(NULL, $5::bigint, '[]')))::text
FROM (SELECT coalesce(range_agg(int8range(id, id, '[]')), '{}') AS ids FROM unnest($1::bigint[]) AS u(id)) AS sealed

-- name: audit_seal_write
INSERT INTO ops.audit_seal (seal_id, sealed_at, key_id, ids, n_lines, top, open, digests, lines_hmac, hmac)
VALUES ($1, timestamptz 'epoch' + $2::bigint * interval '1 microsecond', $3, $4::int8multirange, $5, $6,
        $7::int8multirange, decode($8, 'hex'), decode($9, 'hex'), decode($10, 'hex'))

-- ---- verifying ----

-- name: audit_verify_begin
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY

-- name: audit_seal_hmac
SELECT encode(hmac, 'hex') FROM ops.audit_seal WHERE seal_id = $1::bigint

-- name: audit_seals
SELECT seal_id, (extract(epoch FROM sealed_at) * 1000000)::bigint, key_id, ids::text, n_lines, top, open::text,
       encode(digests, 'hex'), encode(lines_hmac, 'hex'), encode(hmac, 'hex')
FROM ops.audit_seal WHERE seal_id >= $1::bigint ORDER BY seal_id LIMIT $2::int

-- name: audit_sealed_lines
SELECT audit_id, (extract(epoch FROM at) * 1000000)::bigint, actor, action, object, request_id, outcome, details::text
FROM ops.audit WHERE audit_id = ANY ($1::bigint[]) ORDER BY audit_id

-- name: audit_retired
SELECT (coalesce(range_agg((details ->> 'ids')::int8multirange), '{}') * $1::int8multirange)::text
FROM ops.audit WHERE action = 'audit.retire'

-- Lines with ids in ($1, $2] that no seal names and nobody may still commit ($3).
-- name: audit_inserted
SELECT min(a.audit_id)
FROM ops.audit a
WHERE a.audit_id > $1::bigint AND a.audit_id <= $2::bigint AND NOT a.audit_id <@ $3::int8multirange
  AND NOT a.audit_id <@ (
      SELECT coalesce(range_agg(s.ids), '{}') FROM ops.audit_seal s
      WHERE s.ids && int8multirange(int8range($1::bigint, $2::bigint, '(]')))

-- name: audit_count_unsealed
SELECT (SELECT count(*) FROM ops.audit WHERE audit_id > $1::bigint)
     + (SELECT count(*) FROM unnest($2::int8multirange) AS r CROSS JOIN LATERAL (
            SELECT FROM ops.audit WHERE audit_id >= lower(r) AND audit_id < upper(r) OFFSET 0) AS a)

-- name: audit_least_id
SELECT min(audit_id) FROM ops.audit WHERE audit_id > $1::bigint AND audit_id <= $2::bigint
