-- A row without a readable id has no key; its content stands for it. One open entry for it, too.
-- Every new version of a mapping had added another: the newest stays.
UPDATE dq.quarantine q SET state = 'superseded'
WHERE q.state = 'open' AND q.natural_key IS NULL AND EXISTS (
    SELECT FROM dq.quarantine newer
    WHERE newer.source_hash = q.source_hash AND newer.feed = q.feed AND newer.source_system = q.source_system
      AND newer.natural_key IS NULL AND newer.state = 'open' AND newer.quarantine_id > q.quarantine_id);

CREATE UNIQUE INDEX quarantine_open_content ON dq.quarantine (source_hash, feed, source_system)
    WHERE state = 'open' AND natural_key IS NULL;
