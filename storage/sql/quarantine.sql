-- ORDER BY keeps it on the index: where most entries are another feed's, EXISTS reads the table.
-- name: quarantine_any
SELECT (SELECT true FROM dq.quarantine WHERE feed = $1 AND state IN ('open', 'dismissed')
        ORDER BY natural_key LIMIT 1) IS NOT NULL,
       (SELECT true FROM dq.quarantine WHERE feed = $1 AND state IN ('open', 'dismissed') AND natural_key IS NULL
        ORDER BY natural_key LIMIT 1) IS NOT NULL

-- name: quarantine_look_up
SELECT natural_key, source_hash, mapping_version, rule = $5, state = 'dismissed' FROM dq.quarantine
WHERE feed = $1 AND source_system = $4 AND state IN ('open', 'dismissed')
  AND (natural_key = ANY($2::text[]) OR (natural_key IS NULL AND source_hash = ANY($3::bigint[])))
ORDER BY quarantine_id

-- name: quarantine_supersede
UPDATE dq.quarantine SET state = 'superseded', replay_asked_at = NULL
WHERE feed = $1 AND source_system = $3 AND state IN ('open', 'dismissed')
  AND (natural_key = ANY($2::text[]) OR (natural_key IS NULL AND source_hash = ANY($4::bigint[])))

-- What earlier readings of a file held of these lines, and this one does not say there: never to be cleaned again; if a person
-- asked for it, whatever else is held of the claim is. What was replayed by now is none that this reading holds, either.
-- name: quarantine_withdraw
WITH ended AS (
    UPDATE dq.quarantine q
    SET state = CASE q.state WHEN 'replayed' THEN 'replayed' ELSE 'superseded' END, withdrawn_at = now()
    FROM ops.file f
    WHERE q.file_id = ANY($1::bigint[]) AND q.line >= $2::bigint AND q.line < $3::bigint AND f.file_id = q.file_id
      AND q.withdrawn_at IS NULL
      AND (q.state = 'replayed' OR (q.line, q.source_hash) NOT IN (SELECT * FROM unnest($4::bigint[], $5::bigint[]))
           OR CASE WHEN q.natural_key IS NULL THEN q.file_period IS DISTINCT FROM nullif($6, '')
                   ELSE f.period IS DISTINCT FROM $6 END
           OR q.feed <> $7)
    RETURNING q.feed, q.source_system, CASE WHEN q.natural_key IS NULL THEN q.source_hash END AS source_hash, q.state
)
SELECT feed, source_system, source_hash FROM ended WHERE state <> 'replayed'

-- The rows of these entries are usable now: by id, or by content where they had none.
-- name: quarantine_replayed
UPDATE dq.quarantine q SET state = 'replayed', replay_asked_at = NULL
FROM unnest($3::text[], $4::bigint[]) AS u(natural_key, source_hash)
WHERE q.feed = $1 AND q.source_system = $2 AND q.state IN ('open', 'dismissed')
  AND q.natural_key IS NOT DISTINCT FROM u.natural_key AND q.source_hash = u.source_hash

-- The same content, looked at once more and still unusable: the entry says why by today's mapping.
-- name: quarantine_confirm
UPDATE dq.quarantine q SET rule = u.rule, reason = u.reason, mapping_version = $7::int
FROM unnest($3::text[], $4::bigint[], $5::text[], $6::text[]) AS u(natural_key, source_hash, rule, reason)
WHERE q.feed = $1 AND q.source_system = $2 AND q.state IN ('open', 'dismissed')
  AND q.natural_key IS NOT DISTINCT FROM u.natural_key AND q.source_hash = u.source_hash

-- name: quarantine_end
UPDATE dq.quarantine SET state = 'replayed', replay_asked_at = NULL WHERE quarantine_id = ANY($1::bigint[])

-- name: quarantine_renew
UPDATE dq.quarantine q SET rule = u.rule, reason = u.reason, mapping_version = $4::int,
    source_modified_at = 'epoch'::timestamptz + u.modified_us * interval '1 microsecond'
FROM unnest($1::bigint[], $2::text[], $3::text[], $5::bigint[]) AS u(quarantine_id, rule, reason, modified_us)
WHERE q.quarantine_id = u.quarantine_id

-- Of rows that become entries of claims, those whose content a person dismissed, and when.
-- name: quarantine_dismissed
SELECT row, at::text FROM (
    SELECT n.row, dq.dismissed_at($1, $2, n.id, n.source_hash) AS at
    FROM unnest($3::int[], $4::text[], $5::bigint[]) AS n(row, id, source_hash) OFFSET 0
) AS d WHERE at IS NOT NULL

-- name: quarantine_insert
INSERT INTO dq.quarantine (feed, source_system, natural_key, raw, rule, reason, file_id, line,
                           source_hash, mapping_version, batch_id, source_modified_at, state, ended_at, dismissed_at, file_period,
                           further, further_lines)
SELECT $1, $2, $3, jsonb_object($4::text[], $5::text[]), $6, $7, $8, $9, $10, $11, $12,
       'epoch'::timestamptz + $13::bigint * interval '1 microsecond', $14, CASE $14 WHEN 'superseded' THEN now() END,
       CASE WHEN $14 = 'superseded' THEN CASE WHEN $18::boolean THEN $19::timestamptz
                                              ELSE dq.dismissed_at($1, $2, $3, $10::bigint) END END, $15, $16, $17
ON CONFLICT (file_id, source_hash, feed, source_system)
    WHERE natural_key IS NULL AND file_id IS NOT NULL AND state <> 'replayed' AND withdrawn_at IS NULL DO NOTHING

-- name: quarantine_ask
WITH asked AS (
    UPDATE dq.quarantine SET replay_asked_at = now()
    WHERE state = 'open' AND rule <> $5 AND rule <> ALL ($6::text[])
      AND ($1::text IS NULL OR feed = $1) AND ($2::text IS NULL OR rule = $2)
      AND ($3::bigint IS NULL OR file_id = $3::bigint) AND ($4::bigint[] IS NULL OR quarantine_id = ANY ($4::bigint[]))
    RETURNING feed
)
SELECT feed, count(*) FROM asked GROUP BY feed ORDER BY feed

-- Of claims its content, wherever else a file says it: see held_claims.h, held_contents.h.
-- name: quarantine_dismiss
WITH dismissed AS (
    UPDATE dq.quarantine SET state = 'dismissed', dismissed_at = now(), replay_asked_at = NULL
    WHERE quarantine_id = $1::bigint AND state = 'open'
    RETURNING *
), content AS (
    UPDATE dq.quarantine q SET dismissed_at = now(), replay_asked_at = NULL FROM dismissed d
    WHERE d.natural_key IS NULL AND q.natural_key IS NULL AND q.source_hash = d.source_hash AND q.feed = d.feed
      AND q.source_system = d.source_system AND q.file_id IS NOT NULL AND d.file_id IS NOT NULL AND q.state = 'superseded'
      AND q.withdrawn_at IS NULL AND NOT q.is_mended AND q.dismissed_at IS NULL
)
UPDATE dq.quarantine q SET dismissed_at = now(), replay_asked_at = NULL FROM dismissed d
WHERE q.feed = d.feed AND q.natural_key = d.natural_key AND q.source_system = d.source_system AND q.source_hash = d.source_hash
  AND q.file_id IS NOT NULL AND d.file_id IS NOT NULL AND q.state = 'superseded' AND q.withdrawn_at IS NULL
  AND q.dismissed_at IS NULL

-- name: quarantine_state
SELECT state FROM dq.quarantine WHERE quarantine_id = $1::bigint
