-- A row without an id has no entry where an earlier line of its file says the same: that line's entry tells of it.

-- How many further lines of the file say what the entry does, and which the first of them are (HELD_LINES_MOST); NULL: none. Of
-- what was read before they are not known.
ALTER TABLE dq.quarantine ADD COLUMN further bigint NOT NULL DEFAULT 0, ADD COLUMN further_lines bigint[];

-- Which rows of a file quarantine took: how many by rule, the first thousand lines as {line, rule, reason, further, further_lines},
-- and how many rows have no item there. Every row is in `by_rule` once, and once an item, one of an item's `further`, or one of
-- these. What its bytes were found to hold when they were read and failed stands with that row of the ledger. ORDER BY keeps both on
-- the index, however small the table was.
CREATE FUNCTION dq.held_of_file(of_file bigint, OUT by_rule jsonb, OUT items jsonb, OUT unlisted bigint)
LANGUAGE sql STABLE STRICT AS $$
    WITH reading AS MATERIALIZED (
        SELECT of_file AS id
        UNION ALL
        SELECT o.file_id FROM ops.file f JOIN ops.file o ON o.sha256 = f.sha256 AND o.source_system = f.source_system
        WHERE f.file_id = of_file AND o.file_id <> of_file AND o.state = 'failed'
          AND (f.state IN ('done', 'superseded') OR (f.state = 'failed' AND o.file_id < of_file))
    ), counted AS (
        SELECT q.rule, (count(*) + sum(q.further))::bigint AS n FROM reading r
        CROSS JOIN LATERAL (
            SELECT rule, further FROM dq.quarantine WHERE file_id = r.id AND withdrawn_at IS NULL ORDER BY line OFFSET 0
        ) AS q GROUP BY q.rule
    ), entry AS (
        SELECT q.*, coalesce(sum(1 + coalesce(cardinality(q.further_lines), 0)) OVER (
                        ORDER BY q.line, q.quarantine_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)::int AS before
        FROM reading r
        CROSS JOIN LATERAL (
            SELECT quarantine_id, line, rule, reason, further, further_lines FROM dq.quarantine
            WHERE file_id = r.id AND withdrawn_at IS NULL ORDER BY line LIMIT 1000
        ) AS q
    ), item AS (
        SELECT line, quarantine_id, further, jsonb_build_object('line', line, 'rule', rule, 'reason', reason)
                   || CASE WHEN further > 0 THEN jsonb_build_object('further', further, 'further_lines',
                                                                    coalesce(further_lines[1:999 - before], '{}')) ELSE '{}' END AS shown
        FROM entry WHERE before < 1000
    )
    SELECT coalesce((SELECT jsonb_object_agg(rule, n) FROM counted), '{}'),
           coalesce((SELECT jsonb_agg(shown ORDER BY line, quarantine_id) FROM item), '[]'),
           coalesce((SELECT sum(n) FROM counted), 0)::bigint - coalesce((SELECT sum(1 + further) FROM item), 0)::bigint
$$;
REVOKE ALL ON FUNCTION dq.held_of_file FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dq.held_of_file TO revcycle_daemon;
