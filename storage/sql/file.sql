-- The ledger of claims files.

-- Files that lie in the drop directory, each once while it waits.
-- name: file_see
INSERT INTO ops.file AS f (source_system, feed, name, state)
SELECT '', $1, n.name, 'seen' FROM (SELECT DISTINCT u.name FROM unnest($2::text[]) AS u(name) ORDER BY 1) AS n
ON CONFLICT (feed, name) WHERE state = 'seen' DO UPDATE SET name = f.name
RETURNING file_id, name

-- name: file_waiting
SELECT file_id, name FROM ops.file WHERE feed = $1 AND state = 'seen' AND name > $2 ORDER BY name LIMIT 1000

-- name: file_seen_id
SELECT file_id FROM ops.file WHERE feed = $1 AND name = $2 AND state = 'seen'

-- name: file_gone
UPDATE ops.file SET state = 'failed', finished_at = now(), error = 'it was taken away before it was received'
WHERE file_id = $1 AND state || '' = 'seen'

-- Its row is the one of when it was seen, unless that was another content to be read again.
-- name: file_begin
WITH known AS (
    SELECT file_id, state = 'receiving' AS goes_on, readings FROM ops.file
    WHERE sha256 = decode($5, 'hex') AND source_system = $1 AND state IN ('receiving', 'done', 'superseded')
), taken AS (
    UPDATE ops.file
    SET source_system = $1, period = $4, sha256 = decode($5, 'hex'), size_bytes = $6, state = 'receiving',
        detected = $8::jsonb
    WHERE file_id = $7 AND state || '' = 'seen' AND (sha256 IS NULL OR sha256 = decode($5, 'hex'))
      AND NOT EXISTS (SELECT FROM known)
    RETURNING file_id, readings
), made AS (
    INSERT INTO ops.file (source_system, feed, name, period, sha256, size_bytes, state, detected)
    SELECT $1, $2, $3, $4, decode($5, 'hex'), $6, 'receiving', $8::jsonb
    WHERE NOT EXISTS (SELECT FROM known) AND NOT EXISTS (SELECT FROM taken)
    ON CONFLICT (sha256, source_system) WHERE state IN ('receiving', 'done', 'superseded') DO NOTHING
    RETURNING file_id, readings
)
SELECT file_id, 'new', readings FROM taken UNION ALL SELECT file_id, 'new', readings FROM made
UNION ALL SELECT file_id, CASE WHEN goes_on THEN 'receiving' ELSE 'known' END, readings FROM known

-- Files that are placed together, each by the row of when it was seen. Less than all of them: the caller takes none. `|| ''`
-- keeps each a look-up by its id, here and elsewhere: an index of all that is seen, or received, would be read whole for every
-- one.
-- name: file_begin_all
UPDATE ops.file f
SET source_system = $1, period = u.period, sha256 = decode(u.sha256, 'hex'), size_bytes = u.size_bytes, state = 'receiving',
    detected = u.detected
FROM jsonb_to_recordset($2::jsonb) AS u(file_id bigint, period text, sha256 text, size_bytes bigint, detected jsonb)
WHERE f.file_id = u.file_id AND f.state || '' = 'seen' AND (f.sha256 IS NULL OR f.sha256 = decode(u.sha256, 'hex'))

-- The same bytes, done or on their way; and rows of what they, read before, may have placed: the one that is to be read
-- again (by its id alone, see above), and those that failed.
-- name: file_look
SELECT file_id, CASE WHEN state = 'receiving' THEN 'receiving' ELSE 'known' END, readings FROM ops.file
WHERE sha256 = decode($1, 'hex') AND source_system = $2 AND state IN ('receiving', 'done', 'superseded')
UNION ALL
SELECT file_id, 'former', 0 FROM ops.file
WHERE file_id = $3::bigint AND state || '' = 'seen' AND readings > 0 AND sha256 = decode($1, 'hex') AND source_system = $2
UNION ALL
SELECT file_id, 'former', 0 FROM ops.file
WHERE state = 'failed' AND sha256 = decode($1, 'hex') AND source_system = $2 AND (rows_read > 0 OR readings > 0)

-- Read from its start once more, as another reading: what was counted of it counts anew.
-- name: file_restart
UPDATE ops.file SET readings = readings + 1, rows_read = 0, rows_new = 0, rows_corrected = 0, rows_same = 0, rows_flagged = 0,
    rows_quarantined = 0, rows_withdrawn = 0
WHERE file_id = $1 AND rows_read > 0
RETURNING readings

-- name: file_is_open
SELECT 1 FROM ops.file WHERE file_id = $1::bigint AND state IN ('seen', 'receiving')

-- The same bytes, received or on their way in this feed.
-- name: file_same
SELECT file_id, state FROM ops.file
WHERE sha256 = decode($1, 'hex') AND source_system = $2 AND state IN ('receiving', 'done', 'superseded')
UNION ALL
SELECT file_id, state FROM ops.file
WHERE feed = $3 AND state = 'seen' AND sha256 = decode($1, 'hex') AND source_system = $2
LIMIT 1

-- name: file_upload
INSERT INTO ops.file (source_system, feed, name, period, sha256, size_bytes, state)
VALUES ($1, $2, $3, $4, decode($5, 'hex'), $6, 'seen')
ON CONFLICT (feed, name) WHERE state = 'seen' DO NOTHING
RETURNING file_id

-- name: file_replayable
SELECT state, detected ->> 'stored_as', feed, name FROM ops.file WHERE file_id = $1::bigint

-- name: file_ask_replay
UPDATE ops.file SET replay_asked_at = now()
WHERE file_id = $1::bigint AND state IN ('done', 'failed', 'superseded')

-- name: file_replays
SELECT file_id, name, state, coalesce(detected ->> 'stored_as', '') FROM ops.file
WHERE feed = $1 AND replay_asked_at IS NOT NULL ORDER BY file_id

-- It waits as it did when it was seen first.
-- name: file_see_again
UPDATE ops.file f
SET state = 'seen', readings = readings + 1, replay_asked_at = NULL, finished_at = NULL, error = NULL,
    rows_read = 0, rows_new = 0, rows_corrected = 0, rows_same = 0, rows_flagged = 0, rows_quarantined = 0, rows_withdrawn = 0,
    detected = detected - 'stored_as'
WHERE f.file_id = $1 AND f.state IN ('done', 'failed', 'superseded') AND f.replay_asked_at IS NOT NULL
  AND NOT EXISTS (SELECT FROM ops.file o WHERE o.feed = f.feed AND o.name = f.name AND o.state = 'seen')

-- name: file_has_bytes
SELECT FROM ops.file WHERE file_id = $1::bigint AND sha256 = decode($2, 'hex')

-- name: file_forget_replay
UPDATE ops.file SET replay_asked_at = NULL WHERE file_id = $1

-- name: file_count
UPDATE ops.file
SET rows_read = rows_read + $2, rows_new = rows_new + $3, rows_corrected = rows_corrected + $4,
    rows_same = rows_same + $5, rows_flagged = rows_flagged + $6, rows_quarantined = rows_quarantined + $7,
    rows_withdrawn = rows_withdrawn + $8
WHERE file_id = $1

-- name: file_done
UPDATE ops.file SET state = 'done', finished_at = now(), error = $2
WHERE file_id = $1 AND state || '' = 'receiving'

-- name: file_done_all
UPDATE ops.file f
SET state = 'done', finished_at = now(), error = NULL, rows_read = u.rows_read, rows_new = u.rows_new,
    rows_corrected = u.rows_corrected, rows_same = u.rows_same, rows_flagged = u.rows_flagged,
    rows_quarantined = u.rows_quarantined
FROM jsonb_to_recordset($1::jsonb) AS u(file_id bigint, rows_read bigint, rows_new bigint, rows_corrected bigint,
                                        rows_same bigint, rows_flagged bigint, rows_quarantined bigint)
WHERE f.file_id = u.file_id AND f.state || '' = 'receiving'

-- name: file_failed
UPDATE ops.file SET state = 'failed', finished_at = now(), error = $2
WHERE file_id = $1 AND state || '' = 'receiving'

-- name: file_end_unread
WITH taken AS (
    UPDATE ops.file
    SET source_system = $1, period = $4, sha256 = decode($5, 'hex'), size_bytes = $6, state = $7, error = $8,
        detected = $9::jsonb, finished_at = now()
    WHERE file_id = $10 AND state || '' = 'seen' AND (sha256 IS NULL OR sha256 = decode($5, 'hex'))
    RETURNING file_id
), made AS (
    INSERT INTO ops.file (source_system, feed, name, period, sha256, size_bytes, state, finished_at, error, detected)
    SELECT $1, $2, $3, $4, decode($5, 'hex'), $6, $7, now(), $8, $9::jsonb WHERE NOT EXISTS (SELECT FROM taken)
    RETURNING file_id
)
SELECT file_id FROM taken UNION ALL SELECT file_id FROM made

-- Where they go: before they are moved.
-- name: file_stored
UPDATE ops.file f SET detected = f.detected || jsonb_build_object('stored_as', u.name)
FROM unnest($1::bigint[], $2::text[]) AS u(file_id, name) WHERE f.file_id = u.file_id

-- Whoever is about to move them: another that would waits.
-- name: file_lock
SELECT FROM (SELECT id FROM unnest($1::bigint[]) AS u(id) ORDER BY id) AS wanted
CROSS JOIN LATERAL (SELECT FROM ops.file f WHERE f.file_id = wanted.id OFFSET 0 FOR UPDATE) AS locked

-- name: file_unfit
INSERT INTO ops.file (source_system, feed, name, state, finished_at, error)
SELECT $1, $2, $3, 'failed', now(), $4
WHERE NOT EXISTS (SELECT FROM ops.file
                  WHERE feed = $2 AND name = $3 AND sha256 IS NULL AND error = $4)

-- Of these files, those that say nothing which shows any more, and those that do again. What a delivery says shows when a
-- row of its claim has its content, be it another's: of two that say the same, the one that was read first may be the one
-- that shows. Looked for from the file's end, for corrections mostly come in the order of what they correct; `OFFSET 0`
-- keeps each a look-up, also where the tables were small when it was planned. $2: it is likely that one that does not show says
-- what does.
-- name: file_restate
WITH due AS MATERIALIZED (
    SELECT f.file_id, f.state FROM unnest($1::bigint[]) AS u(id)
    CROSS JOIN LATERAL (SELECT file_id, state FROM ops.file WHERE file_id = u.id OFFSET 0) AS f
    WHERE f.state IN ('done', 'superseded')
), told AS (
    SELECT d.file_id, d.state, CASE
        WHEN NOT EXISTS (SELECT FROM silver.claims_absorbed a WHERE a.file_id = d.file_id OFFSET 0) THEN 'done'
        WHEN NOT $2::boolean AND EXISTS (SELECT FROM silver.claims c WHERE c.file_id = d.file_id OFFSET 0) THEN 'done'
        WHEN (SELECT true FROM silver.claims_absorbed a
              WHERE a.file_id = d.file_id AND EXISTS (
                  SELECT FROM silver.claims c
                  WHERE c.source_claim_id = a.source_claim_id AND c.source_system = a.source_system
                    AND c.record_hash = a.record_hash OFFSET 0)
              ORDER BY a.line DESC LIMIT 1) THEN 'done'
        WHEN $2::boolean AND EXISTS (SELECT FROM silver.claims c WHERE c.file_id = d.file_id OFFSET 0) THEN 'done'
        ELSE 'superseded' END AS becomes
    FROM due d
)
UPDATE ops.file f SET state = t.becomes FROM told t WHERE f.file_id = t.file_id AND t.state <> t.becomes

-- name: file_note_unsure
INSERT INTO ops.file_unsure (file_id) SELECT DISTINCT u.id FROM unnest($1::bigint[]) AS u(id) ORDER BY u.id ON CONFLICT DO NOTHING

-- name: file_take_unsure
WITH taken AS (
    DELETE FROM ops.file_unsure u USING ops.file f WHERE f.file_id = u.file_id AND f.feed = $1 RETURNING u.file_id
)
SELECT array_agg(file_id)::text FROM taken

-- name: file_finished
SELECT file_id, state, detected ->> 'stored_as' FROM ops.file
WHERE feed = $1 AND name = $2 AND sha256 = decode($3, 'hex')
  AND state IN ('done', 'failed', 'duplicate', 'superseded')
ORDER BY file_id DESC LIMIT 1

-- An alert stands until somebody has looked: the file has to be sent again.
-- name: file_alert
INSERT INTO ops.alert (kind, subject, sentence)
SELECT 'file_cut', f.feed || ' file ' || f.file_id, $2 FROM ops.file f WHERE f.file_id = $1
ON CONFLICT (kind, subject) WHERE cleared_at IS NULL DO NOTHING

-- What quarantine holds of a file: dq.held_of_file().
-- name: file_reports
SELECT f.file_id,
       jsonb_pretty(jsonb_build_object(
           'file_id', f.file_id::text, 'name', f.name, 'feed', f.feed, 'source_system', f.source_system,
           'period', f.period, 'sha256', encode(f.sha256, 'hex'), 'size_bytes', f.size_bytes,
           'state', f.state, 'error', f.error, 'received_at', f.received_at, 'finished_at', f.finished_at,
           'rows_read', f.rows_read, 'rows_new', f.rows_new, 'rows_corrected', f.rows_corrected,
           'rows_same', f.rows_same, 'rows_flagged', f.rows_flagged,
           'rows_quarantined', f.rows_quarantined, 'rows_withdrawn', f.rows_withdrawn,
           'quarantined_by_rule', held.by_rule, 'quarantined', held.items, 'quarantined_unlisted', held.unlisted))
       || E'\n',
       -- No line begins as a formula would, whatever the file is called: reports are opened in spreadsheets.
       format(E'file %s: %s%s\n\nrows read %s, new %s, corrected %s, same %s, flagged %s, quarantined %s\n',
              regexp_replace(f.name, '[[:cntrl:]]', '?', 'g'), f.state, ': ' || f.error, f.rows_read, f.rows_new,
              f.rows_corrected, f.rows_same, f.rows_flagged, f.rows_quarantined)
       || CASE WHEN f.rows_withdrawn > 0 THEN format(E'withdrawn %s that an earlier reading of the file had made of it\n',
                                                     f.rows_withdrawn) ELSE '' END
       || coalesce(rules.lines, '') || coalesce(bad.lines, '')
       || CASE WHEN held.unlisted > 0 THEN format(E'… and %s further\n', held.unlisted) ELSE '' END
FROM unnest($1::bigint[]) WITH ORDINALITY AS wanted(file_id, place)
CROSS JOIN LATERAL (SELECT * FROM ops.file WHERE file_id = wanted.file_id OFFSET 0) AS f -- a look-up, however small it was
CROSS JOIN LATERAL dq.held_of_file(f.file_id) AS held
CROSS JOIN LATERAL (
    SELECT string_agg(format(E'rule %s: %s\n', rule, n), '' ORDER BY rule) AS lines
    FROM jsonb_each_text(held.by_rule) AS r(rule, n)
) AS rules
CROSS JOIN LATERAL (
    SELECT string_agg(format(E'%s %s: %s (%s)%s%s\n', CASE f.detected ->> 'format' WHEN 'x12' THEN 'segment' ELSE 'line' END,
                             i.line, i.reason, i.rule, '; the same: ' || i.lines,
                             CASE WHEN i.further > i.n THEN format(' … and %s further', i.further - i.n) END),
                      '' ORDER BY i.place) AS lines
    FROM (SELECT item ->> 'line' AS line, item ->> 'rule' AS rule, item ->> 'reason' AS reason, place,
                 coalesce((item ->> 'further')::bigint, 0) AS further,
                 coalesce(jsonb_array_length(item -> 'further_lines'), 0) AS n,
                 (SELECT string_agg(l, ', ' ORDER BY nth)
                  FROM jsonb_array_elements_text(item -> 'further_lines') WITH ORDINALITY AS t(l, nth)) AS lines
          FROM jsonb_array_elements(held.items) WITH ORDINALITY AS e(item, place)) AS i
) AS bad
ORDER BY wanted.place
