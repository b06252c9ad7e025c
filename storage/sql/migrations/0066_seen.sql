-- The ledger of files from the moment they are seen, and files that are read once more.

-- A name waits once; what is read again keeps its row.
CREATE UNIQUE INDEX file_seen ON ops.file (feed, name) WHERE state = 'seen';
-- Files by their name: what lies in receiving/ after a crash, what is left where it is.
CREATE INDEX file_name ON ops.file (feed, name);
-- What a file's report lists.
CREATE INDEX quarantine_file ON dq.quarantine (file_id) WHERE file_id IS NOT NULL;

ALTER TABLE ops.file
    ADD COLUMN readings int NOT NULL DEFAULT 0,      -- how often it was put back to be read again
    ADD COLUMN replay_asked_at timestamptz;          -- a person wants that; until it is done
CREATE INDEX file_replay ON ops.file (feed) WHERE replay_asked_at IS NOT NULL;
