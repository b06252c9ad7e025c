-- A file that is read anew in another way: what its earlier reading had placed or held, and this one does not hold, goes.

ALTER TABLE ops.file ADD COLUMN rows_withdrawn bigint NOT NULL DEFAULT 0; -- of earlier readings, by the last one
-- The bytes of a file that failed in the middle may come again.
CREATE INDEX file_failed_content ON ops.file (sha256, source_system) WHERE state = 'failed';

-- An entry that ended so is never cleaned again: its file does not say that.
ALTER TABLE dq.quarantine ADD COLUMN withdrawn_at timestamptz;
