-- What quarantine holds of claims.

-- Of files that are read anew: what stands held of these lines. As of another period it is another delivery.
-- name: held_claims_places
SELECT q.line, q.quarantine_id, q.natural_key, q.source_hash, q.mapping_version, q.rule = $5
FROM dq.quarantine q JOIN ops.file f USING (file_id)
WHERE q.file_id = ANY ($1::bigint[]) AND q.line >= $2::bigint AND q.line < $3::bigint
  AND q.source_system = $4 AND q.state <> 'replayed' AND q.withdrawn_at IS NULL AND f.period IS NOT DISTINCT FROM $6
  AND q.feed = $7
ORDER BY q.quarantine_id

-- name: held_claims_withdraw
UPDATE dq.quarantine SET state = 'superseded', withdrawn_at = now()
WHERE quarantine_id = ANY ($1::bigint[])
RETURNING feed, source_system, CASE WHEN natural_key IS NULL THEN source_hash END

-- Of entries that were to be cleaned again those that are not any more.
-- name: held_claims_ceased
SELECT quarantine_id FROM dq.quarantine
WHERE quarantine_id = ANY ($1::bigint[]) AND (state = 'replayed' OR withdrawn_at IS NOT NULL OR dismissed_at IS NOT NULL)

-- The other feeds whose files these are.
-- name: held_claims_former_feeds
SELECT feed FROM ops.cursor WHERE feed <> $2 AND feed IN (SELECT feed FROM ops.file WHERE file_id = ANY ($1::bigint[]))
ORDER BY feed FOR UPDATE

-- ORDER BY keeps it on the index: where most entries are another feed's, EXISTS reads the table.
-- name: held_claims_any
SELECT (SELECT true FROM dq.quarantine
        WHERE feed = $1 AND natural_key IS NOT NULL AND file_id IS NOT NULL AND state <> 'replayed' AND withdrawn_at IS NULL
        ORDER BY natural_key LIMIT 1) IS NOT NULL

-- All entries of these claims and, of claims that have any, the feed's usable deliveries. (Rows of an X12 set that is in
-- quarantine as a whole have no id there.) Claim by claim, of each what is usable first, then the entries from the last to the
-- first, as holding_compare() has them.
-- name: held_claims
WITH entry AS MATERIALIZED (
    SELECT q.natural_key AS id, q.quarantine_id, q.state, q.source_modified_at, q.file_id, q.line
    FROM (SELECT DISTINCT u.id FROM unnest($3::text[]) AS u(id)) AS n
    CROSS JOIN LATERAL (
        SELECT * FROM dq.quarantine
        WHERE feed = $1 AND natural_key = n.id AND source_system = $2 AND file_id IS NOT NULL AND state <> 'replayed'
          AND withdrawn_at IS NULL
        OFFSET 0
    ) AS q
), one AS (
    SELECT * FROM entry
    UNION ALL
    SELECT n.id, 0, '', d.source_modified_at, d.file_id, d.line
    FROM (SELECT DISTINCT id FROM entry) AS n
    CROSS JOIN LATERAL (
        SELECT source_modified_at, file_id, line FROM silver.claims c
        WHERE c.source_claim_id = n.id AND c.source_system = $2 AND NOT c.is_deleted
        UNION ALL
        SELECT source_modified_at, file_id, line FROM silver.claims_absorbed a
        WHERE a.source_claim_id = n.id AND a.source_system = $2 AND NOT a.is_deleted
        OFFSET 0
    ) AS d
)
SELECT o.id, o.quarantine_id, o.state IN ('open', 'dismissed'),
       (extract(epoch FROM coalesce(s.ordered_at, o.source_modified_at)) * 1000000)::bigint,
       coalesce(ops.x12_stage(s.kind), 0), nullif(f.period, ''), o.file_id, o.line
FROM one o JOIN ops.file f ON f.file_id = o.file_id AND f.feed = $1
LEFT JOIN LATERAL ops.x12_set_of(o.file_id, o.line) AS s ON true
ORDER BY o.id, o.quarantine_id <> 0, nullif(f.period, '') COLLATE "C" DESC NULLS LAST, o.file_id DESC, o.line DESC,
         o.quarantine_id DESC

-- Those that count no more before those that do from now on: one of a claim is open. That a person asked for one stands: the
-- claim is cleaned again with all that is held of it.
-- name: held_claims_end
UPDATE dq.quarantine SET state = 'superseded' WHERE quarantine_id = ANY ($1::bigint[])

-- Asked once more whether a person dismissed the content: that may have been while this page was placed.
-- name: held_claims_open
UPDATE dq.quarantine q SET dismissed_at = d.at, state = CASE WHEN d.at IS NULL THEN 'open' ELSE 'dismissed' END
FROM (SELECT quarantine_id, dq.dismissed_at(feed, source_system, natural_key, source_hash) AS at
      FROM dq.quarantine WHERE quarantine_id = ANY ($1::bigint[])) AS d
WHERE q.quarantine_id = d.quarantine_id
