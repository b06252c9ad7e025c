-- What quarantine holds of rows of claims files that have no id follows from the order of their files, not from when those were
-- read: every file has an entry of its own for a content, and the last of a content's counts. Until now the file that said it
-- first had the only one.

-- Of its file when the entry was made, of rows without an id: what they are ordered by. NULL: none.
ALTER TABLE dq.quarantine ADD COLUMN file_period text COLLATE "C";
-- What the row was to say is said rightly elsewhere: of a remittance that was made again. It counts no more, whatever becomes of
-- the others of its content.
ALTER TABLE dq.quarantine ADD COLUMN is_mended boolean NOT NULL DEFAULT false;

UPDATE dq.quarantine q SET file_period = nullif(f.period, '') FROM ops.file f
WHERE f.file_id = q.file_id AND q.natural_key IS NULL AND f.period <> '';

-- A file has one of a content: where a mapping had made another, the one that counts, else the newest.
UPDATE dq.quarantine q SET state = 'superseded', withdrawn_at = now(), replay_asked_at = NULL
FROM dq.quarantine other
WHERE other.file_id = q.file_id AND other.source_hash = q.source_hash AND other.feed = q.feed
  AND other.source_system = q.source_system AND q.natural_key IS NULL AND other.natural_key IS NULL
  AND q.state <> 'replayed' AND other.state <> 'replayed' AND q.withdrawn_at IS NULL AND other.withdrawn_at IS NULL
  AND (q.state <> 'superseded', q.quarantine_id) < (other.state <> 'superseded', other.quarantine_id);

-- What ended until now, of a content that nobody holds any more or as a remittance's, had ended for good.
UPDATE dq.quarantine q SET is_mended = true
WHERE q.natural_key IS NULL AND q.file_id IS NOT NULL AND q.state = 'superseded' AND q.withdrawn_at IS NULL
  AND (NOT EXISTS (SELECT FROM dq.quarantine o WHERE o.source_hash = q.source_hash AND o.feed = q.feed
                   AND o.source_system = q.source_system AND o.natural_key IS NULL AND o.state IN ('open', 'dismissed'))
       OR EXISTS (SELECT FROM ops.x12_set s WHERE s.file_id = q.file_id AND q.line BETWEEN s.first_segment AND s.last_segment
                  AND s.state = 'superseded' AND s.reason IS NOT NULL));

-- The last of a content's is the last of this.
CREATE INDEX quarantine_content ON dq.quarantine (source_hash, feed, source_system, file_period NULLS FIRST, file_id, line)
    WHERE natural_key IS NULL AND file_id IS NOT NULL AND state <> 'replayed' AND withdrawn_at IS NULL AND NOT is_mended;
CREATE UNIQUE INDEX quarantine_file_content ON dq.quarantine (file_id, source_hash, feed, source_system)
    WHERE natural_key IS NULL AND file_id IS NOT NULL AND state <> 'replayed' AND withdrawn_at IS NULL;

-- What is asked by an id finds none without one: before it has statistics, PostgreSQL took these for a way to all rows without an
-- id, and read them for every page.
DROP INDEX dq.quarantine_claim;
CREATE INDEX quarantine_claim ON dq.quarantine (feed, natural_key, source_system)
    WHERE natural_key IS NOT NULL AND file_id IS NOT NULL AND state <> 'replayed' AND withdrawn_at IS NULL;
DROP INDEX dq.quarantine_dismissed;
CREATE INDEX quarantine_dismissed ON dq.quarantine (natural_key, feed) WHERE natural_key IS NOT NULL AND dismissed_at IS NOT NULL;

-- A person dismisses a content also where no row of it has an id. That was one entry until now, of whichever file.
CREATE INDEX quarantine_dismissed_content ON dq.quarantine (source_hash, feed, source_system, dismissed_at)
    WHERE natural_key IS NULL AND file_id IS NOT NULL AND dismissed_at IS NOT NULL;
CREATE OR REPLACE FUNCTION dq.dismissed_at(of_feed text, of_source text, of_key text, of_hash bigint) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN of_key IS NULL
        THEN (SELECT max(dismissed_at) FROM dq.quarantine
              WHERE natural_key IS NULL AND feed = of_feed AND source_system = of_source AND source_hash = of_hash
                AND file_id IS NOT NULL AND dismissed_at IS NOT NULL)
        ELSE (SELECT max(dismissed_at) FROM dq.quarantine
              WHERE natural_key = of_key AND feed = of_feed AND source_system = of_source AND source_hash = of_hash
                AND file_id IS NOT NULL AND dismissed_at IS NOT NULL) END
$$;

-- What counted was the first to come, or the last that a mapping made; from now on it is the last of the content.
CREATE TEMP TABLE content_last ON COMMIT DROP AS
SELECT DISTINCT ON (source_hash, feed, source_system) source_hash, feed, source_system, quarantine_id, state
FROM dq.quarantine
WHERE natural_key IS NULL AND file_id IS NOT NULL AND state <> 'replayed' AND withdrawn_at IS NULL AND NOT is_mended
ORDER BY source_hash, feed, source_system, file_period DESC NULLS LAST, file_id DESC, line DESC;
UPDATE dq.quarantine q SET state = 'superseded', replay_asked_at = NULL FROM content_last l
WHERE q.source_hash = l.source_hash AND q.feed = l.feed AND q.source_system = l.source_system AND q.natural_key IS NULL
  AND q.file_id IS NOT NULL AND q.state IN ('open', 'dismissed') AND q.quarantine_id <> l.quarantine_id;
UPDATE dq.quarantine q SET dismissed_at = d.at, state = CASE WHEN d.at IS NULL THEN 'open' ELSE 'dismissed' END
FROM (SELECT quarantine_id, dq.dismissed_at(feed, source_system, NULL, source_hash) AS at
      FROM content_last WHERE state = 'superseded') AS d
WHERE q.quarantine_id = d.quarantine_id;
