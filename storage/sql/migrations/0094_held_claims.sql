-- Of a claim that quarantine holds, what counts follows from the order of its deliveries and not from when they were read:
-- a correction of January that comes after February's does not end what is held of February.

-- When the row says that it was changed; NULL: it does not, or it was held before this column was there.
ALTER TABLE dq.quarantine ADD COLUMN source_modified_at timestamptz;
CREATE INDEX quarantine_claim ON dq.quarantine (natural_key, feed)
    WHERE file_id IS NOT NULL AND state <> 'replayed' AND withdrawn_at IS NULL;
CREATE INDEX quarantine_superseded ON dq.quarantine (feed)
    WHERE state = 'superseded' AND file_id IS NOT NULL AND withdrawn_at IS NULL;

-- Of these claims of a feed the entry that counts: the last one held, unless a usable delivery of the feed stands behind it.
CREATE FUNCTION dq.held_claims(of_feed text, of_source text, ids text[]) RETURNS TABLE (quarantine_id bigint)
LANGUAGE sql STABLE AS $$
    SELECT h.quarantine_id
    FROM (
        SELECT DISTINCT ON (q.natural_key) q.quarantine_id, q.natural_key,
               coalesce(q.source_modified_at, '-infinity') AS modified, coalesce(f.period, '') COLLATE "C" AS period, f.sha256, q.line
        FROM dq.quarantine q JOIN ops.file f USING (file_id)
        WHERE q.natural_key = ANY (ids) AND q.feed = of_feed AND q.source_system = of_source
          AND q.state <> 'replayed' AND q.withdrawn_at IS NULL
        ORDER BY q.natural_key, 3 DESC, 4 DESC, 5 DESC, 6 DESC, q.quarantine_id DESC
    ) AS h
    WHERE NOT EXISTS (
        SELECT FROM (
            SELECT source_modified_at, file_id, line FROM silver.claims c
            WHERE c.source_claim_id = h.natural_key AND c.source_system = of_source AND NOT c.is_deleted
            UNION ALL
            SELECT source_modified_at, file_id, line FROM silver.claims_absorbed a
            WHERE a.source_claim_id = h.natural_key AND a.source_system = of_source AND NOT a.is_deleted
        ) AS d JOIN ops.file g USING (file_id)
        WHERE g.feed = of_feed
          AND (coalesce(d.source_modified_at, '-infinity'), coalesce(g.period, '') COLLATE "C", g.sha256, d.line)
              > (h.modified, h.period, h.sha256, h.line))
$$;
GRANT EXECUTE ON FUNCTION dq.held_claims TO revcycle_daemon;
