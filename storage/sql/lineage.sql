-- The way back from a clean row to what was received, and forward. Times are RFC 3339 in UTC, keys texts.
-- {received}: the raw rows of one key in all feeds of its table, of lineage_received; {source_row}, {batch} and
-- {instant} are the pieces of that name below.

-- name: lineage_instant
to_char({value} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')

-- Who committed it: the page, the run, and who asked for that.
-- name: lineage_batch
(SELECT json_build_object('id', b.batch_id::text, 'feed', b.feed, 'committed_at', {committed_at},
     'run', (SELECT json_build_object('id', r.run_id::text, 'job', r.job, 'mode', r.mode, 'trigger', r.trigger,
                                      'queued_at', {queued_at})
             FROM ops.run r WHERE r.run_id = b.run_id))
 FROM ops.batch b WHERE b.batch_id = {batch_id})

-- `columns`: the texts as they were received, by the source's names; NULL of a row that was found to be gone.
-- name: lineage_source_row
jsonb_build_object('feed', s.feed, 'op', s.op, 'source_key', s.source_key, 'received_at', {received_at},
    'schema_id', s.schema_id::text, 'line', s.line,
    'file', (SELECT jsonb_build_object('id', f.file_id::text, 'name', f.name, 'sha256', encode(f.sha256, 'hex'),
                                       'period', f.period) FROM ops.file f WHERE f.file_id = s.file_id),
    'columns', CASE WHEN s.op <> 'delete' THEN
        (SELECT jsonb_object_agg(c.name, ops.bronze_field(s.raw, c.place::int))
         FROM ops.feed_schema x, unnest(x.columns) WITH ORDINALITY AS c(name, place) WHERE x.schema_id = s.schema_id) END)

-- A feed of a database belongs to the source that its name begins with; of a file's rows the file says whose they are.
-- name: lineage_feeds
SELECT e.feed FROM ops.feed_entity e
WHERE e.entity = $1 AND (split_part(e.feed, '.', 1) = $2 OR split_part(e.feed, '.', 1) = 'claims')
ORDER BY e.feed

-- name: lineage_received
SELECT {feed} AS feed, r.batch_id, r.op, r.source_key, r.source_hash, r.received_at, r.schema_id, r.file_id, r.line, r.raw
FROM bronze.{raw} r
WHERE r.source_key = $1
  AND (r.file_id IS NULL OR EXISTS (SELECT FROM ops.file f WHERE f.file_id = r.file_id AND f.source_system = $2))

-- name: lineage_received_none
SELECT NULL::text AS feed, 0::bigint AS batch_id, '' AS op, '' AS source_key, 0::bigint AS source_hash,
       now() AS received_at, 0::bigint AS schema_id, 0::bigint AS file_id, 0::bigint AS line, '' AS raw
WHERE $1::text IS NULL AND $2::text IS NULL

-- ---- one row, and where it comes from ----

-- name: lineage_row
SELECT source_system, {id} FROM silver.{table} WHERE {key} = $1::bigint

-- `is_shown`: what this row shows came with it. $3: the row's key; $4: columns whose numbers stay numbers.
-- name: lineage_back
WITH received AS MATERIALIZED ({received}),
t AS (SELECT * FROM silver.{table} WHERE {key} = $3::bigint),
s AS (
    SELECT r.*, {match} AS fits,
           row_number() OVER (PARTITION BY {match} ORDER BY r.received_at DESC, r.batch_id DESC) AS place
    FROM received r, t
), rows AS (
    SELECT s.received_at, s.batch_id,
           {source_row} || jsonb_build_object('is_shown', s.fits AND s.place = 1, 'batch', {source_batch}) AS item
    FROM s ORDER BY s.received_at DESC, s.batch_id DESC LIMIT 200
)
SELECT json_build_object(
    'publication', (SELECT {publication} FROM t),
    'row', (SELECT jsonb_object_agg(c.key, CASE WHEN jsonb_typeof(c.value) = 'number' AND c.key <> ALL ($4::text[])
                                                THEN to_jsonb(c.value::text) ELSE c.value END)
            FROM t, jsonb_each(to_jsonb(t) - '{source_hash,record_hash}'::text[]) AS c),
    'changed_by', (SELECT {row_batch} FROM t),
    'source_rows', coalesce((SELECT jsonb_agg(item ORDER BY received_at DESC, batch_id DESC) FROM rows), '[]'))::text

-- ---- versions ----

-- name: lineage_versions
WITH received AS MATERIALIZED ({received}),
v AS (
    SELECT p.*, to_jsonb(p) AS now_is, lag(to_jsonb(p)) OVER (ORDER BY p.version) AS was
    FROM silver.{table} p WHERE p.{id} = $1 AND p.source_system = $2
)
SELECT json_agg(json_build_object(
    '{key}', v.{key}::text, 'version', v.version, 'effective_date', {effective_date}, 'expiry_date', {expiry_date},
    'is_current', v.is_current, 'is_inferred', v.is_inferred, 'is_deleted', v.is_deleted, 'dq_flags', v.dq_flags,
    'mapping_version', v.mapping_version,
    'values', (SELECT jsonb_object_agg(a.name, v.now_is -> a.name) FROM unnest($3::text[]) AS a(name)),
    'changed', (SELECT coalesce(jsonb_object_agg(a.name, jsonb_build_object('from', v.was -> a.name, 'to', v.now_is -> a.name)),
                                '{}')
                FROM unnest($3::text[] || ARRAY['is_deleted']) AS a(name)
                WHERE v.was IS NOT NULL AND v.was -> a.name IS DISTINCT FROM v.now_is -> a.name),
    'made_by', {made_by},
    'source_row', (SELECT {source_row} FROM received s WHERE s.batch_id = v.made_by_batch
                   ORDER BY s.received_at DESC LIMIT 1),
    'touched_by', {touched_by}) ORDER BY v.version)::text
FROM v

-- ---- finding a patient ----

-- The id that a row bears before it was settled may be given up.
-- name: lineage_find_patient
SELECT coalesce(json_agg(json_build_object(
    'patient_key', p.patient_key::text, 'person_id', l.person_id, 'source_system', p.source_system,
    'source_patient_id', p.source_patient_id, 'version', p.version, 'is_inferred', p.is_inferred,
    'is_deleted', p.is_deleted, 'first_name', p.first_name, 'last_name', p.last_name, 'birth_date', p.birth_date)), '[]')::text
FROM silver.patients p LEFT JOIN silver.person_link l USING (source_patient_id, source_system)
WHERE p.source_patient_id = $1 AND p.source_system = $2 AND p.is_current

-- ---- forward ----

-- name: lineage_feed_entity
SELECT entity FROM ops.feed_entity WHERE feed = $1

-- The batches that a file's rows came with lie between these.
-- name: lineage_file
SELECT f.feed, f.source_system, min(b.batch_id), max(b.batch_id)
FROM ops.file f LEFT JOIN ops.batch b ON b.feed = f.feed
    AND b.committed_at BETWEEN f.received_at AND coalesce(f.finished_at, now()) + interval '1 minute'
WHERE f.file_id = $1::bigint GROUP BY f.feed, f.source_system

-- name: lineage_file_key
SELECT source_key FROM bronze.{raw}
WHERE batch_id BETWEEN $1::bigint AND $2::bigint AND file_id = $3::bigint AND line = $4::bigint
ORDER BY batch_id DESC LIMIT 1

-- A line whose text stands in bronze by another delivery of its claim: whose it is, and its content.
-- name: lineage_file_delivery
SELECT d.key, d.source_hash FROM (
    SELECT t.{id} AS key, t.source_hash FROM silver.{table} t WHERE t.file_id = $1::bigint AND t.line = $2::bigint
    UNION ALL
    SELECT t.{id}, t.source_hash FROM silver.claims_absorbed t WHERE t.file_id = $1::bigint AND t.line = $2::bigint
    UNION ALL
    SELECT q.natural_key, q.source_hash FROM dq.quarantine q WHERE q.file_id = $1::bigint AND q.line = $2::bigint
) AS d WHERE d.key IS NOT NULL LIMIT 1

-- What last took the row to BigQuery, or is about to; NULL: nothing did.
-- name: lineage_publication
(SELECT jsonb_build_object('id', p.publication_id::text, 'state', p.state, 'finished_at', {finished_at})
 FROM ops.batch b JOIN ops.publication p USING (publication_id) WHERE b.batch_id = t.batch_id)

-- $3, $4: a file and a line, or NULL: the rows of that line alone, or, where it has none of its own, of content $5.
-- name: lineage_forward
WITH received AS MATERIALIZED ({received}),
s AS (SELECT * FROM received r WHERE r.feed = {feed}
      AND ($3::bigint IS NULL OR (r.file_id = $3::bigint AND r.line = $4::bigint) OR r.source_hash = $5::bigint)
      ORDER BY r.received_at DESC, r.batch_id DESC LIMIT 200)
SELECT json_build_object(
    'source_rows', coalesce((SELECT jsonb_agg({source_row} || jsonb_build_object('batch', {source_batch})
                                    ORDER BY s.received_at DESC, s.batch_id DESC) FROM s), '[]'),
    'items', coalesce((SELECT jsonb_agg(jsonb_build_object('table', '{table}', 'view', '{view}', 'key', t.{key}::text,
                                        'place', {place}, 'is_deleted', t.is_deleted, 'is_of_line', {is_of_line},
                                        'publication', {publication}) ORDER BY {place})
                       FROM silver.{table} t WHERE t.{id} = $1 AND t.source_system = $2), '[]'),
    'quarantine', coalesce((SELECT jsonb_agg(jsonb_build_object('id', q.quarantine_id::text, 'state', q.state, 'rule', q.rule)
                                             ORDER BY q.quarantine_id)
                            FROM dq.quarantine q
                            WHERE q.natural_key = $1 AND q.feed = {feed} AND q.source_system = $2), '[]'))::text
