-- Rows that name a parent which is not there: since when, and until when. The flags say which are there now; the quality job
-- keeps this list by them.
CREATE TABLE dq.orphan (
    orphan_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entity text NOT NULL,
    key bigint NOT NULL,  -- the row's surrogate
    orphan text NOT NULL, -- the flag: orphan_patient, …
    source_system text NOT NULL,
    first_seen_at timestamptz NOT NULL,
    resolved_at timestamptz
);
CREATE UNIQUE INDEX orphan_open ON dq.orphan (key, entity, orphan) WHERE resolved_at IS NULL;
COMMENT ON TABLE dq.orphan IS 'rows whose parent is missing: first_seen_at is when the batch was committed that made them so';

CREATE VIEW dq.orphans AS
SELECT entity, orphan, source_system, count(*) FILTER (WHERE resolved_at IS NULL) AS open,
       count(*) FILTER (WHERE resolved_at IS NOT NULL) AS resolved,
       min(first_seen_at) FILTER (WHERE resolved_at IS NULL) AS oldest_at,
       count(*) FILTER (WHERE resolved_at IS NULL AND first_seen_at < now() - interval '1 day') AS older_than_a_day,
       count(*) FILTER (WHERE resolved_at IS NULL AND first_seen_at < now() - interval '7 days') AS older_than_a_week
FROM dq.orphan GROUP BY entity, orphan, source_system;
