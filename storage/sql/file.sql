-- The ledger of claims files.

-- name: file_begin
INSERT INTO ops.file (source_system, feed, name, period, sha256, size_bytes, state)
VALUES ($1, $2, $3, $4, decode($5, 'hex'), $6, 'receiving')
ON CONFLICT (sha256, source_system) WHERE state IN ('receiving', 'done', 'superseded') DO NOTHING
RETURNING file_id

-- name: file_known
SELECT file_id, state = 'receiving' FROM ops.file
WHERE sha256 = decode($1, 'hex') AND source_system = $2 AND state IN ('receiving', 'done', 'superseded')

-- name: file_detected
UPDATE ops.file
SET detected = detected || jsonb_strip_nulls(jsonb_build_object(
    'packing', $2::text, 'unpacked_bytes', $3::bigint, 'encoding', $4::text, 'byte_order_mark', $5::bool,
    'columns', to_jsonb($6::text[]), 'format', $7::text, 'delimiter', $8::text, 'line_end', $9::text,
    'header', $10::bool, 'decimal', $11::text))
WHERE file_id = $1

-- name: file_count
UPDATE ops.file
SET rows_read = rows_read + $2, rows_new = rows_new + $3, rows_corrected = rows_corrected + $4,
    rows_same = rows_same + $5, rows_flagged = rows_flagged + $6, rows_quarantined = rows_quarantined + $7
WHERE file_id = $1

-- name: file_done
UPDATE ops.file
SET state = 'done', finished_at = now(), error = $3,
    detected = detected || jsonb_build_object('stored_as', $2::text)
WHERE file_id = $1 AND state = 'receiving'

-- name: file_failed
UPDATE ops.file
SET state = 'failed', finished_at = now(), error = $3,
    detected = detected || jsonb_build_object('stored_as', $2::text)
WHERE file_id = $1 AND state = 'receiving'

-- name: file_insert_finished
INSERT INTO ops.file (source_system, feed, name, period, sha256, size_bytes, state, finished_at, error, detected)
VALUES ($1, $2, $3, $4, decode($5, 'hex'), $6, $7, now(), $8,
        jsonb_strip_nulls(jsonb_build_object('stored_as', $9::text)))
RETURNING file_id

-- name: file_unfit
INSERT INTO ops.file (source_system, feed, name, state, finished_at, error)
SELECT $1, $2, $3, 'failed', now(), $4
WHERE NOT EXISTS (SELECT FROM ops.file
                  WHERE feed = $2 AND name = $3 AND sha256 IS NULL AND error = $4)

-- Of these files, those of which no row shows any more.
-- name: file_supersede
UPDATE ops.file f SET state = 'superseded'
WHERE f.file_id = ANY($1::bigint[]) AND f.state = 'done'
  AND NOT EXISTS (SELECT FROM silver.claims c WHERE c.file_id = f.file_id)

-- Of these files rows show again.
-- name: file_show_again
UPDATE ops.file SET state = 'done' WHERE file_id = ANY($1::bigint[]) AND state = 'superseded'

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

-- name: file_report
WITH bad AS (
    SELECT line, rule, reason FROM dq.quarantine WHERE file_id = $1 ORDER BY line LIMIT 1000
)
SELECT jsonb_pretty(jsonb_build_object(
           'file_id', f.file_id::text, 'name', f.name, 'feed', f.feed, 'source_system', f.source_system,
           'period', f.period, 'sha256', encode(f.sha256, 'hex'), 'size_bytes', f.size_bytes,
           'state', f.state, 'error', f.error, 'received_at', f.received_at, 'finished_at', f.finished_at,
           'rows_read', f.rows_read, 'rows_new', f.rows_new, 'rows_corrected', f.rows_corrected,
           'rows_same', f.rows_same, 'rows_flagged', f.rows_flagged,
           'rows_quarantined', f.rows_quarantined,
           'quarantined', coalesce((SELECT jsonb_agg(to_jsonb(q) ORDER BY q.line) FROM bad q), '[]')))
       || E'\n',
       -- No line begins as a formula would, whatever the file is called: reports are opened in spreadsheets.
       format(E'file %s: %s%s\n\nrows read %s, new %s, corrected %s, same %s, flagged %s, quarantined %s\n',
              regexp_replace(f.name, '[[:cntrl:]]', '?', 'g'), f.state, ': ' || f.error, f.rows_read, f.rows_new, f.rows_corrected, f.rows_same,
              f.rows_flagged, f.rows_quarantined)
       || coalesce((SELECT string_agg(format(E'line %s: %s (%s)\n', q.line, q.reason, q.rule), ''
                                      ORDER BY q.line) FROM bad q), '')
FROM ops.file f
WHERE f.file_id = $1
