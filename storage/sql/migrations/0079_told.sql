-- Runs that whoever collects lineage has not been told of: their daemon was killed before it could, or its events wait.
ALTER TABLE ops.run ADD COLUMN is_untold boolean NOT NULL DEFAULT false;
CREATE INDEX run_untold ON ops.run (run_id) WHERE is_untold;
