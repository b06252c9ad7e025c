-- Entries that a person wants cleaned again: the feed's next run begins with them, so that a stop in between loses none.
ALTER TABLE dq.quarantine ADD COLUMN replay_asked_at timestamptz;
CREATE INDEX quarantine_asked ON dq.quarantine (feed, source_system) WHERE replay_asked_at IS NOT NULL;
