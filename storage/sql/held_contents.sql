-- What quarantine holds of rows of claims files that have no id.

-- Of contents of a page, each with the files that it may have been read of: what is held of them with it, at most one.
-- ORDER BY keeps it on the index of files and contents: where few entries are expected, another reads all that a file holds. It is
-- the first at the content or behind, looked at afterwards: a comparison of rows ends no scan where a later column decides, and
-- with one from above, a content that is not held was looked for to the end of its file's.
-- name: held_contents_look_up
SELECT n.content, q.line, q.quarantine_id, q.source_hash, q.mapping_version, q.rule = $5,
       q.file_period IS NOT DISTINCT FROM n.period, q.further > 0
FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::text[]) AS n(content, file_id, source_hash, period)
CROSS JOIN LATERAL (
    SELECT * FROM dq.quarantine
    WHERE (file_id, source_hash, feed, source_system) >= (n.file_id, n.source_hash, $6, $7)
      AND file_id IS NOT NULL AND natural_key IS NULL AND state <> 'replayed' AND withdrawn_at IS NULL
    ORDER BY file_id, source_hash, feed, source_system LIMIT 1
) AS q
WHERE q.file_id = n.file_id AND q.source_hash = n.source_hash AND q.feed = $6 AND q.source_system = $7
ORDER BY n.content, q.line, q.quarantine_id

-- Further lines of the file that say what an entry does: more of them, or all that there are so far. No more than $5 are named.
-- name: held_contents_further
UPDATE dq.quarantine q
SET further = n.further + CASE WHEN n.is_more THEN q.further ELSE 0 END,
    further_lines = nullif((CASE WHEN n.is_more THEN q.further_lines END || n.lines::bigint[])[1:$5::int], '{}')
FROM unnest($1::bigint[], $2::boolean[], $3::bigint[], $4::text[]) AS n(entry, is_more, further, lines)
WHERE q.quarantine_id = n.entry
  AND (n.is_more OR (q.further, q.further_lines) IS DISTINCT FROM (n.further, nullif(n.lines, '{}')::bigint[]))

-- Of each content the entry that counts and the one that is to, where they differ. Either is found in an index, however many
-- entries there are. (`|| ''` and num_nulls: else PostgreSQL, before it has statistics, takes an index for the one that counts
-- which finds all that count.)
-- name: held_contents
SELECT counting.quarantine_id, last.quarantine_id
FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::bigint[]) AS u(feed, source_system, source_hash)) AS n
LEFT JOIN LATERAL (
    SELECT quarantine_id FROM dq.quarantine
    WHERE source_hash = n.source_hash AND feed = n.feed AND source_system = n.source_system AND natural_key IS NULL
      AND file_id IS NOT NULL AND state <> 'replayed' AND withdrawn_at IS NULL AND NOT is_mended
    ORDER BY file_period DESC NULLS LAST, file_id DESC, line DESC LIMIT 1
) AS last ON true
LEFT JOIN LATERAL (
    SELECT quarantine_id FROM dq.quarantine
    WHERE source_hash = n.source_hash AND feed || '' = n.feed AND source_system = n.source_system AND num_nulls(natural_key) = 1
      AND file_id IS NOT NULL AND state IN ('open', 'dismissed')
    OFFSET 0
) AS counting ON true
WHERE counting.quarantine_id IS DISTINCT FROM last.quarantine_id
