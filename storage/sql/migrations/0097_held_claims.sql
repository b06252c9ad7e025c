-- What quarantine holds of a claim follows from the order of its deliveries, not from when they were read: January's file that
-- comes late ends nothing of February's. Every unusable row of a claims file that has an id is an entry; one of a claim's counts.

-- When the row says that it was changed; NULL: it does not, or it was held before this column was there.
ALTER TABLE dq.quarantine ADD COLUMN source_modified_at timestamptz;

-- A person dismisses a content, wherever it is said again: an entry of it that counts is `dismissed`.
ALTER TABLE dq.quarantine ADD COLUMN dismissed_at timestamptz;
UPDATE dq.quarantine SET dismissed_at = now() WHERE state = 'dismissed';
CREATE INDEX quarantine_dismissed ON dq.quarantine (natural_key, feed) WHERE dismissed_at IS NOT NULL;
CREATE FUNCTION dq.dismissed_at(of_feed text, of_source text, of_key text, of_hash bigint) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT max(dismissed_at) FROM dq.quarantine
    WHERE natural_key = of_key AND feed = of_feed AND source_system = of_source AND source_hash = of_hash
      AND file_id IS NOT NULL AND dismissed_at IS NOT NULL
$$;
GRANT EXECUTE ON FUNCTION dq.dismissed_at TO revcycle_daemon;

-- A place has one entry: of those that a file read anew left there the newest.
UPDATE dq.quarantine q
SET withdrawn_at = now(), state = 'superseded', replay_asked_at = NULL
FROM dq.quarantine newer
WHERE q.file_id = newer.file_id AND q.line = newer.line AND q.feed = newer.feed AND q.source_system = newer.source_system
  AND q.quarantine_id < newer.quarantine_id AND q.natural_key IS NOT NULL AND newer.natural_key IS NOT NULL
  AND q.state <> 'replayed' AND newer.state <> 'replayed' AND q.withdrawn_at IS NULL AND newer.withdrawn_at IS NULL;

-- Whatever its state, for an entry may count again.
CREATE INDEX quarantine_claim ON dq.quarantine (feed, natural_key, source_system)
    WHERE file_id IS NOT NULL AND state <> 'replayed' AND withdrawn_at IS NULL;
-- Every page asks whether its feed has any.
CREATE INDEX quarantine_held ON dq.quarantine (feed, natural_key) WHERE state IN ('open', 'dismissed');
-- A file that is read anew asks page by page for what it held of these lines.
DROP INDEX dq.quarantine_file;
CREATE INDEX quarantine_file ON dq.quarantine (file_id, line) WHERE file_id IS NOT NULL;
