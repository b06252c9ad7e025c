-- Where feeds stand, and what was committed.

-- ON CONFLICT locks the row even where its WHERE says no: it is come to only when there is something to write.
-- name: state_source
INSERT INTO ops.source AS s (source_system, timezone)
SELECT $1, $2 WHERE NOT EXISTS (
    SELECT FROM ops.source s
    WHERE s.source_system = $1 AND (s.renamed_to IS NOT NULL OR (s.timezone = $2 AND s.retired_at IS NULL)))
ON CONFLICT (source_system) DO UPDATE SET timezone = EXCLUDED.timezone, retired_at = NULL
WHERE s.renamed_to IS NULL

-- Under a name that was given up nothing is read (storage/hospitals.h): the new one comes back. Until the transaction ends
-- nobody renames it; whoever starts meanwhile waits for nothing.
-- name: state_source_hold
SELECT renamed_to FROM ops.source WHERE source_system = $1 FOR KEY SHARE

-- What a feed once told stands in its raw rows for ever: `past` and `mixed` stay.
-- name: state_feed
INSERT INTO ops.feed_entity AS f (feed, entity, tells) VALUES ($1, $2, $3)
ON CONFLICT (feed) DO UPDATE SET entity = EXCLUDED.entity,
    tells = CASE WHEN f.entity <> EXCLUDED.entity THEN 'mixed' ELSE EXCLUDED.tells END
WHERE f.entity <> EXCLUDED.entity OR (f.tells <> EXCLUDED.tells AND f.tells IN ('unknown', 'now'))

-- name: state_cursor_begin
INSERT INTO ops.cursor (feed, epoch) VALUES ($1, $2)
ON CONFLICT (feed) DO UPDATE SET epoch = EXCLUDED.epoch WHERE ops.cursor.epoch < EXCLUDED.epoch

-- name: state_cursor_read
SELECT page, phase, load_key, position, coalesce(server, 0), coalesce(clock_ahead_us, 0)
FROM ops.cursor WHERE feed = $1

-- name: state_cursor_lock
SELECT 1 FROM ops.cursor WHERE feed = $1 AND epoch = $2::bigint AND page = $3::bigint FOR UPDATE

-- For a transaction that others may wait for: whoever has the cursor may be one of them.
-- name: state_cursor_lock_now
SELECT 1 FROM ops.cursor WHERE feed = $1 AND epoch = $2::bigint AND page = $3::bigint FOR UPDATE NOWAIT

-- The same of other locks: the transaction waits for no lock longer than this.
-- name: state_patience
SELECT set_config('lock_timeout', $1, true)

-- name: state_haste
SELECT set_config('statement_timeout', $1, true)

-- name: state_cursor_lock_beside
SELECT 1 FROM ops.cursor WHERE feed = $1 AND epoch = $2::bigint FOR UPDATE

-- A position that is to be found anew, of another column perhaps: what its counter was is forgotten.
-- name: state_cursor_write
UPDATE ops.cursor
SET page = page + 1, phase = $2, load_key = $3::text[], position = $4, server = nullif($5::bigint, 0),
    clock_ahead_us = nullif($6::bigint, 0),
    counter_values = CASE WHEN $4::text IS NOT NULL THEN counter_values END, updated_at = now()
WHERE feed = $1

-- Ages by this clock alone, which is the only one that all daemons share.
-- name: state_counter_read
SELECT u.value, greatest(0, extract(epoch FROM clock_timestamp() - u.seen) * 1000000)::bigint
FROM ops.cursor, unnest(counter_values, counter_seen) WITH ORDINALITY AS u(value, seen, place)
WHERE feed = $1 ORDER BY u.place

-- A value that was not seen yet is empty.
-- name: state_counter_write
UPDATE ops.cursor
SET counter_values = ARRAY[$3::text, $4::text],
    counter_seen = ARRAY[clock_timestamp() - $5::bigint * interval '1 microsecond',
                         clock_timestamp() - $6::bigint * interval '1 microsecond']
WHERE feed = $1 AND epoch <= $2::bigint

-- name: state_schema_insert
INSERT INTO ops.feed_schema (feed, columns, types) VALUES ($1, $2::text[], $3::text[])
ON CONFLICT (feed, ops.schema_hash(columns, types)) DO NOTHING RETURNING schema_id

-- name: state_schema_find
SELECT schema_id FROM ops.feed_schema
WHERE feed = $1 AND ops.schema_hash(columns, types) = ops.schema_hash($2::text[], $3::text[])

-- name: state_mapping_latest
SELECT mapping_version, fingerprint = decode($2, 'hex') FROM ops.feed_mapping
WHERE feed = $1 ORDER BY mapping_version DESC LIMIT 1

-- name: state_mapping_add
INSERT INTO ops.feed_mapping (feed, mapping_version, fingerprint, remapped_at)
VALUES ($1, $2, decode($3, 'hex'), CASE WHEN $2 = 1 THEN now() END)
ON CONFLICT DO NOTHING

-- name: state_batch_id
SELECT nextval('ops.batch_id_seq')

-- name: state_batch_write
INSERT INTO ops.batch (batch_id, run_id, feed, rows_read, rows_changed, rows_new, rows_flagged, rows_quarantined)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- Nothing of it is left for a settle.
-- name: state_batch_settled
UPDATE ops.batch SET settled_by = batch_id WHERE batch_id = $1::bigint

-- name: state_result_write
INSERT INTO dq.result (batch_id, feed, rule, checked, failed)
SELECT $1, $2, u.rule, $3, u.failed FROM unnest($4::text[], $5::bigint[]) AS u(rule, failed)

-- name: state_attributes_write
INSERT INTO ops.batch_attribute (batch_id, attribute, versions, corrected)
SELECT $1, u.attribute, u.versions, u.corrected
FROM unnest($2::text[], $3::bigint[], $4::bigint[]) AS u(attribute, versions, corrected)
