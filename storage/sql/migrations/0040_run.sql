-- A run that was to change nothing is tried again as such.
ALTER TABLE ops.run ADD COLUMN dry_run boolean NOT NULL DEFAULT false;
