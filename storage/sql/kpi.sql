-- Figures as they were: ops.kpi_snapshot. {figure} is a function of schema kpi.

-- Has something been settled, told by a list, which is such a batch, or decided of persons, which figures have not seen? Each is
-- written under the placement lock, alone, with a number that was taken there.
-- name: kpi_is_due
SELECT EXISTS (
    SELECT FROM unnest('{settle,persons}'::text[]) AS f(feed)
    LEFT JOIN ops.kpi_asked a USING (feed)
    WHERE EXISTS (SELECT FROM ops.batch b WHERE b.feed = f.feed AND b.batch_id > coalesce(a.batch_id, -1)))

-- What figures that are asked from now on see.
-- name: kpi_seen
SELECT jsonb_object_agg(f.feed, coalesce((SELECT max(b.batch_id) FROM ops.batch b WHERE b.feed = f.feed), 0))
FROM unnest('{settle,persons}'::text[]) AS f(feed)

-- name: kpi_asked
INSERT INTO ops.kpi_asked AS a (feed, batch_id)
SELECT key, value::bigint FROM jsonb_each_text($1::jsonb)
ON CONFLICT (feed) DO UPDATE SET batch_id = greatest(a.batch_id, EXCLUDED.batch_id)

-- A figure is asked behind the one that another run of the job is writing.
-- name: kpi_lock
SELECT pg_advisory_xact_lock(7304)

-- One snapshot, if it says something else than the newest of the same definition and date. Rows are in an
-- order of their own content, so that equal figures are equal texts. What a code means is no figure: another edition of a
-- list is none that moved.
-- name: kpi_snapshot
WITH asked AS (
    SELECT f.kpi, f.definition_version, f.as_of,
           jsonb_agg(jsonb_strip_nulls(r.said - ARRAY['kpi', 'definition_version', 'as_of', 'value', 'missing'])
                     || jsonb_build_object('value', f.value, 'missing', f.missing)
                     ORDER BY f.month, f.source_system, r.said::text) AS result
    FROM kpi.{figure}(NULL, $1::text[]) AS f
    CROSS JOIN LATERAL (SELECT to_jsonb(f) - ARRAY['group_text', 'reason_text', 'remark_texts'] AS said) AS r
    GROUP BY f.kpi, f.definition_version, f.as_of
), newest AS (
    SELECT DISTINCT ON (s.kpi) s.kpi, s.result
    FROM ops.kpi_snapshot s JOIN asked USING (kpi, definition_version)
    WHERE s.as_of IS NOT DISTINCT FROM asked.as_of
    ORDER BY s.kpi, s.known_at DESC
)
INSERT INTO ops.kpi_snapshot (kpi, definition_version, as_of, result)
SELECT a.kpi, a.definition_version, a.as_of, a.result
FROM asked a LEFT JOIN newest n USING (kpi)
WHERE n.result IS DISTINCT FROM a.result
