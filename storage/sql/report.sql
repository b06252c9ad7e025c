-- What the API shows of the ledgers. A list's first column is the key a page goes on after, its second the
-- item as JSON; $1 is how many, $2 the key of the last item seen or NULL. Times are RFC 3339 in UTC, ids texts.
-- Lists are ordered by the table's column, with its table's name: the column of the answer that is called the same is
-- a text, and would put 9 before 10.

-- name: report_limit
SET statement_timeout = '25s'

-- name: report_runs
SELECT run_id::text, json_build_object(
    'id', run_id::text, 'job', job, 'mode', mode, 'dry_run', dry_run, 'trigger', trigger, 'state', state,
    'attempt', attempt,
    'queued_at', to_char(queued_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'started_at', to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'finished_at', to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'rows_read', rows_read, 'rows_changed', rows_changed, 'rows_quarantined', rows_quarantined, 'steps', steps,
    'error', CASE WHEN error IS NOT NULL THEN
        json_build_object('code', error_code, 'detail', error, 'hint', nullif(hint, '')) END)::text
FROM ops.run
WHERE ($2::bigint IS NULL OR run_id < $2::bigint)
  AND ($3::text IS NULL OR job = $3) AND ($4::text IS NULL OR state = $4)
  AND ($5::timestamptz IS NULL OR queued_at >= $5::timestamptz)
ORDER BY run.run_id DESC LIMIT $1::int

-- name: report_run
SELECT run_id::text, json_build_object(
    'id', run_id::text, 'job', job, 'mode', mode, 'dry_run', dry_run, 'trigger', trigger, 'state', state,
    'attempt', attempt,
    'queued_at', to_char(queued_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'started_at', to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'finished_at', to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'rows_read', rows_read, 'rows_changed', rows_changed, 'rows_quarantined', rows_quarantined, 'steps', steps,
    'error', CASE WHEN error IS NOT NULL THEN
        json_build_object('code', error_code, 'detail', error, 'hint', nullif(hint, '')) END)::text
FROM ops.run WHERE run_id = $1::bigint

-- name: report_files
SELECT file_id::text, json_build_object(
    'id', file_id::text, 'source_system', source_system, 'feed', feed, 'name', name,
    'sha256', encode(sha256, 'hex'), 'size_bytes', size_bytes, 'state', state, 'period', period,
    'received_at', to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'finished_at', to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'rows_read', rows_read, 'rows_new', rows_new, 'rows_corrected', rows_corrected, 'rows_same', rows_same,
    'rows_flagged', rows_flagged, 'rows_quarantined', rows_quarantined, 'rows_withdrawn', rows_withdrawn,
    'error', error)::text
FROM ops.file
WHERE ($2::bigint IS NULL OR file_id < $2::bigint)
  AND ($3::text IS NULL OR feed = $3) AND ($4::text IS NULL OR state = $4)
ORDER BY file.file_id DESC LIMIT $1::int

-- name: report_file
SELECT file_id::text, json_build_object(
    'id', file_id::text, 'source_system', source_system, 'feed', feed, 'name', name,
    'sha256', encode(sha256, 'hex'), 'size_bytes', size_bytes, 'state', state, 'period', period,
    'received_at', to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'finished_at', to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'rows_read', rows_read, 'rows_new', rows_new, 'rows_corrected', rows_corrected, 'rows_same', rows_same,
    'rows_flagged', rows_flagged, 'rows_quarantined', rows_quarantined, 'rows_withdrawn', rows_withdrawn,
    'quarantined_by_rule', coalesce(held.by_rule, '{}'),
    'quarantined', coalesce((SELECT jsonb_agg(item - 'reason' ORDER BY place)
                             FROM jsonb_array_elements(held.items) WITH ORDINALITY AS e(item, place)), '[]'),
    'quarantined_unlisted', coalesce(held.unlisted, 0), 'error', error, 'detected', detected)::text
FROM ops.file
CROSS JOIN LATERAL dq.held_of_file(CASE WHEN state IN ('done', 'superseded', 'failed') THEN file_id END) AS held
WHERE file_id = $1::bigint

-- One feed: what its table was seen to be, its cursor, and every drift of it, the newest first.
-- name: report_feed
SELECT json_build_object(
    'schema', (
        SELECT json_build_object('id', s.schema_id::text,
            'seen_at', to_char(s.seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'columns', (SELECT json_agg(json_build_object('name', c.name, 'type', c.type) ORDER BY c.position)
                        FROM unnest(s.columns, s.types) WITH ORDINALITY AS c(name, type, position)),
            'primary_key', f.primary_key, 'full_due', f.full_due)
        FROM ops.feed_agreed f JOIN ops.feed_schema s USING (schema_id) WHERE f.feed = $1),
    'cursor', json_build_object('column', $2::text,
        'phase', (SELECT phase FROM ops.cursor WHERE feed = $1),
        'position', (SELECT position FROM ops.cursor WHERE feed = $1),
        'moved_at', (SELECT to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
                     FROM ops.cursor WHERE feed = $1)),
    'drift', coalesce((
        SELECT json_agg(json_build_object('id', d.drift_id::text, 'kind', d.kind, 'column', nullif(d.column_name, ''),
            'was', nullif(d.was, ''), 'now', nullif(d.is_now, ''), 'contract', d.contract, 'state', d.state,
            'sentence', d.sentence, 'run', d.run_id::text,
            'seen_at', to_char(d.seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'ended_at', to_char(d.ended_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
            ORDER BY d.drift_id DESC)
        FROM (SELECT * FROM ops.feed_drift WHERE feed = $1 ORDER BY drift_id DESC LIMIT 100) AS d), '[]'))::text

-- name: report_quarantine
WITH counts AS (
    SELECT feed, rule, state, count(*) AS n, (count(*) + sum(further))::bigint AS n_rows,
        min(created_at) AS first_at, max(created_at) AS last_at,
        max(quarantine_id) AS newest, feed || E'\x1f' || rule || E'\x1f' || state AS key
    FROM dq.quarantine WHERE ($3::text IS NULL OR feed = $3)
    GROUP BY feed, rule, state)
SELECT key, json_build_object('feed', feed, 'rule', rule, 'state', state, 'count', n, 'rows', n_rows,
    'newest_id', newest::text,
    'first_at', to_char(first_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'last_at', to_char(last_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))::text
FROM counts WHERE ($2::text IS NULL OR key COLLATE "C" > $2) ORDER BY key COLLATE "C" LIMIT $1::int

-- name: report_quarantined_row
SELECT quarantine_id::text, json_build_object(
    'id', quarantine_id::text, 'feed', feed, 'source_system', source_system, 'natural_key', natural_key,
    'raw', raw, 'rule', rule, 'reason', reason, 'file_id', file_id::text, 'line', line,
    'further', further, 'further_lines', coalesce(further_lines, '{}'), 'state', state,
    'mapping_version', mapping_version, 'batch_id', batch_id::text,
    'created_at', to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))::text
FROM dq.quarantine WHERE quarantine_id = $1::bigint

-- name: report_quality
WITH feeds AS (
    SELECT feed, sum(rows_read) AS received, sum(rows_quarantined) AS quarantined, sum(rows_flagged) AS flagged,
        max(committed_at) AS last_at
    FROM ops.batch WHERE feed NOT IN ('settle', 'persons') GROUP BY feed),
rules AS (
    SELECT feed, json_agg(json_build_object('rule', rule, 'checked', checked, 'failed', failed) ORDER BY rule) AS rules
    FROM (SELECT feed, rule, sum(checked) AS checked, sum(failed) AS failed FROM dq.result GROUP BY feed, rule) AS r
    GROUP BY feed)
SELECT feed, json_build_object('feed', feed, 'received', received, 'accepted', received - quarantined,
    'quarantined', quarantined, 'flagged', flagged,
    'score', round((received - quarantined)::numeric / nullif(received, 0), 6),
    'rules', coalesce(rules, '[]'::json),
    'overall', (SELECT n.score FROM dq.score_now n WHERE n.feed = feeds.feed AND n.dimension = 'overall'),
    'dimensions', coalesce((
        SELECT json_object_agg(n.dimension, json_build_object('score', n.score, 'rules', n.n_rules, 'checked', n.checked,
                   'failed', n.failed,
                   'taken_at', to_char(n.taken_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) ORDER BY n.dimension)
        FROM dq.score_now n WHERE n.feed = feeds.feed AND n.dimension <> 'overall'), '{}'),
    'trend', coalesce((
        SELECT json_agg(json_build_object('at', to_char(t.taken_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                   'run', t.run_id::text, 'dimension', t.dimension, 'score', t.score) ORDER BY t.taken_id, t.dimension)
        FROM (SELECT s.taken_id, k.taken_at, k.run_id, s.dimension, s.score
              FROM dq.score s JOIN dq.score_taken k USING (taken_id) WHERE s.feed = feeds.feed
              ORDER BY s.taken_id DESC, s.dimension LIMIT 200) AS t), '[]'),
    'columns', coalesce((
        SELECT json_agg(json_build_object('entity', c.subject, 'column', c.column_name, 'rows', c.rows, 'filled', c.filled,
                   'is_expected', c.is_expected) ORDER BY c.subject, c.column_name)
        FROM dq.column_fill c WHERE c.feed = feeds.feed), '[]'),
    'last_at', to_char(last_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))::text
FROM feeds LEFT JOIN rules USING (feed)
WHERE ($2::text IS NULL OR feed COLLATE "C" > $2) ORDER BY feed COLLATE "C" LIMIT $1::int

-- The rules in force at the last settle: rows that were asked and that break them, as of the last look; `found`: of feeds.
-- name: report_rules
SELECT key, json_build_object(
    'name', name, 'subject', subject, 'kind', kind, 'scope', scope, 'dimension', dimension, 'severity', severity,
    'says', says, 'definition', definition,
    'since', to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'checked', checked, 'failed', failed, 'is_broken', is_broken, 'found', found,
    'broken_since', CASE WHEN is_broken THEN to_char(found_since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END
    )::text
FROM (SELECT r.*, f.is_broken, f.found, f.since AS found_since, r.subject || E'\x1f' || r.name AS key, c.checked, c.failed
      FROM dq.rule r
      LEFT JOIN (SELECT subject, rule, sum(checked) AS checked, sum(failed) AS failed FROM dq.rule_count
                 GROUP BY subject, rule) AS c ON (c.subject, c.rule) = (r.subject, r.name)
      LEFT JOIN dq.feed_rule f ON r.scope = 'feed' AND (f.feed, f.rule) = (r.subject, r.name)) AS rules
WHERE ($2::text IS NULL OR key COLLATE "C" > $2) ORDER BY key COLLATE "C" LIMIT $1::int

-- The data quality assessment: what was accepted, scores with their past, what breaks which rule, how columns are filled, how
-- many versions members have. Names and numbers, no row values.
-- name: report_assessment
SELECT json_build_object(
    'taken_at', (SELECT to_char(max(taken_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') FROM dq.score_taken),
    'accepted', (SELECT coalesce(json_agg(json_build_object('entity', entity, 'source_system', source_system,
                     'received', received, 'accepted', accepted, 'share', share) ORDER BY entity, source_system), '[]')
                 FROM dq.accepted),
    'feeds', (SELECT coalesce(json_agg(json_build_object('feed', f.feed,
        'scores', (SELECT json_agg(json_build_object('dimension', n.dimension, 'score', n.score, 'rules', n.n_rules,
                       'checked', n.checked, 'failed', n.failed) ORDER BY n.dimension = 'overall' DESC, n.dimension)
                   FROM dq.score_now n WHERE n.feed = f.feed AND n.score IS NOT NULL),
        'trend', (SELECT json_agg(json_build_object('at', to_char(t.taken_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                      'score', t.score) ORDER BY t.taken_id)
                  FROM (SELECT s.taken_id, k.taken_at, s.score FROM dq.score s JOIN dq.score_taken k USING (taken_id)
                        WHERE s.feed = f.feed AND s.dimension = 'overall' AND s.score IS NOT NULL
                        ORDER BY s.taken_id DESC LIMIT 60) AS t),
        'broken', (SELECT coalesce(json_agg(json_build_object('rule', c.rule, 'subject', c.subject, 'dimension', c.dimension,
                       'checked', c.checked, 'failed', c.failed, 'severity', r.severity, 'says', coalesce(r.says,
                       CASE WHEN c.rule = 'columns_filled' THEN 'columns that every row should fill are filled' END))
                       ORDER BY c.failed DESC, c.rule), '[]')
                   FROM dq.rule_count c LEFT JOIN dq.rule r ON (r.subject, r.name) = (c.subject, c.rule)
                   WHERE c.feed = f.feed AND c.failed > 0),
        'columns', (SELECT coalesce(json_agg(json_build_object('subject', c.subject, 'column', c.column_name, 'rows', c.rows,
                        'filled', c.filled, 'is_expected', c.is_expected) ORDER BY c.subject, c.column_name), '[]')
                    FROM dq.column_fill c WHERE c.feed = f.feed)) ORDER BY f.feed), '[]')
        FROM (SELECT DISTINCT feed FROM dq.score_now WHERE score IS NOT NULL) AS f),
    'versions', (SELECT coalesce(json_agg(json_build_object('entity', entity, 'source_system', source_system,
                     'versions', versions, 'members', members) ORDER BY entity, source_system, versions), '[]')
                 FROM dq.scd_versions),
    'orphans', (SELECT coalesce(json_agg(json_build_object('entity', entity, 'orphan', orphan, 'source_system', source_system,
                    'open', open, 'resolved', resolved, 'older_than_a_day', older_than_a_day,
                    'older_than_a_week', older_than_a_week,
                    'oldest_at', to_char(oldest_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
                    ORDER BY entity, orphan, source_system), '[]') FROM dq.orphans),
    'quarantine', (SELECT coalesce(json_agg(json_build_object('feed', feed, 'rule', rule, 'rows', n) ORDER BY feed, rule), '[]')
                   FROM (SELECT feed, rule, (count(*) + sum(further))::bigint AS n FROM dq.quarantine WHERE state = 'open'
                         GROUP BY feed, rule) AS q)
    )::text

-- Rows whose parent is missing, by surrogate key, the oldest first; of those that are resolved only when asked for.
-- name: report_orphans
SELECT orphan_id::text, json_build_object(
    'id', orphan_id::text, 'entity', entity, 'key', key::text, 'orphan', orphan, 'source_system', source_system,
    'state', CASE WHEN resolved_at IS NULL THEN 'open' ELSE 'resolved' END,
    'first_seen_at', to_char(first_seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'resolved_at', to_char(resolved_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'age_s', floor(extract(epoch FROM coalesce(resolved_at, now()) - first_seen_at))::bigint)::text
FROM dq.orphan
WHERE ($2::bigint IS NULL OR orphan_id > $2::bigint) AND ($3::text IS NULL OR entity = $3) AND ($4::text IS NULL OR orphan = $4)
  AND (resolved_at IS NOT NULL) = (coalesce($5, 'open') = 'resolved')
ORDER BY orphan.orphan_id LIMIT $1::int

-- name: report_publications
SELECT publication_id::text, json_build_object(
    'id', publication_id::text, 'state', state,
    'claimed_at', to_char(claimed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'finished_at', to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'tables', tables, 'error', error)::text
FROM ops.publication
WHERE ($2::bigint IS NULL OR publication_id < $2::bigint)
ORDER BY publication.publication_id DESC LIMIT $1::int

-- name: report_reconciliations
SELECT reconciliation_id::text, json_build_object(
    'id', reconciliation_id::text, 'subject', subject, 'run', run_id::text,
    'started_at', to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'finished_at', to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'differences', differences, 'difference', difference,
    'tables', CASE WHEN run_id IS NULL THEN details ELSE '{}' END,
    'rows', CASE WHEN run_id IS NOT NULL THEN details END)::text
FROM ops.reconciliation
WHERE ($2::bigint IS NULL OR reconciliation_id < $2::bigint)
ORDER BY reconciliation.reconciliation_id DESC LIMIT $1::int

-- The figures are the set-returning functions of schema kpi whose first argument is the date as of which they
-- are asked; their comments say what they mean.
-- name: report_kpis
SELECT proname::text, json_build_object('kpi', proname, 'description', obj_description(oid, 'pg_proc'))::text
FROM pg_proc
WHERE pronamespace = 'kpi'::regnamespace AND proretset AND pronargs >= 1 AND proargtypes[0] = 'date'::regtype
  AND pronargs - pronargdefaults <= 1 AND proname NOT LIKE '\_%' AND ($2::text IS NULL OR proname > $2)
ORDER BY proname LIMIT $1::int

-- name: report_kpi_exists
SELECT proname::text FROM pg_proc
WHERE pronamespace = 'kpi'::regnamespace AND proretset AND pronargs >= 1 AND proargtypes[0] = 'date'::regtype
  AND pronargs - pronargdefaults <= 1 AND proname NOT LIKE '\_%' AND proname = $1

-- A word that is no dimension of the figures.
-- name: report_kpi_no_dimension
SELECT word FROM unnest($1::text[]) AS word
WHERE word NOT IN (
    SELECT attname FROM pg_attribute
    WHERE attrelid IN ('kpi.figure'::regclass, 'kpi.reason'::regclass) AND attnum > 0 AND attname NOT IN
        ('kpi', 'definition_version', 'as_of', 'numerator', 'denominator', 'value', 'flagged_rows', 'missing',
         'group_text', 'reason_text', 'remark_texts'))
LIMIT 1

-- $1 as of, $2 and $3 the months between which. Numbers go out as texts: money keeps its two decimals.
-- name: report_kpi
SELECT coalesce(json_agg(item), '[]')::text, min(item ->> 'as_of')
FROM (
    SELECT (SELECT jsonb_object_agg(key, CASE WHEN jsonb_typeof(value) = 'number' AND key IN
                ('numerator', 'denominator', 'value') THEN to_jsonb(value::text) ELSE value END)
            FROM jsonb_each(to_jsonb(figure))) AS item
    FROM kpi.{figure}({arguments}) AS figure) AS items
WHERE ($2::date IS NULL OR item ->> 'month' IS NULL OR (item ->> 'month')::date >= $2::date)
  AND ($3::date IS NULL OR item ->> 'month' IS NULL OR (item ->> 'month')::date <= $3::date)

-- name: report_audit
SELECT audit_id::text, json_build_object(
    'id', audit_id::text, 'at', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'who', actor, 'action', action, 'object', object, 'request_id', request_id, 'outcome', outcome,
    'details', details)::text
FROM ops.audit
WHERE ($2::bigint IS NULL OR audit_id < $2::bigint)
  AND ($3::text IS NULL OR actor = $3) AND ($4::timestamptz IS NULL OR at >= $4::timestamptz)
  AND ($5::text IS NULL OR object = $5)
ORDER BY audit.audit_id DESC LIMIT $1::int

-- Conflicts between patients: who they are, and whose person each is now.
-- name: report_person_reviews
SELECT r.review_id::text, json_build_object(
    'id', r.review_id::text, 'rule', r.rule, 'conflict', r.conflict, 'state', r.state,
    'created_at', to_char(r.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'members', (
        SELECT json_agg(json_build_object('source_system', l.source_system, 'source_patient_id', l.source_patient_id,
                                          'person_id', l.person_id::text) ORDER BY named.place)
        FROM unnest(r.members) WITH ORDINALITY AS named(member, place)
        JOIN silver.person_link l ON l.source_system = split_part(named.member, '|', 1)
            AND l.source_patient_id = substr(named.member, strpos(named.member, '|') + 1)))::text
FROM silver.person_review r
WHERE r.state = 'open' AND ($2::bigint IS NULL OR r.review_id > $2::bigint)
ORDER BY r.review_id LIMIT $1::int

-- A patient by the surrogate: the hospital's number is in no answer.
-- name: report_holds
SELECT hold_id::text, shown FROM ops.hold_shown
WHERE ($2::bigint IS NULL OR hold_id < $2::bigint) AND ($3::text IS NULL OR is_in_force = ($3 = 'in_force'))
ORDER BY hold_id DESC LIMIT $1::int

-- name: report_hold
SELECT hold_id::text, shown FROM ops.hold_shown WHERE hold_id = $1::bigint
