-- What was unusable or doubtful, and why.

CREATE TABLE dq.quarantine (
    quarantine_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    feed text NOT NULL,
    source_system text NOT NULL,
    natural_key text COLLATE "C",
    raw jsonb NOT NULL,
    rule text NOT NULL,
    reason text NOT NULL,
    file_id bigint,
    line bigint,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'replayed', 'superseded', 'dismissed')),
    source_hash bigint NOT NULL,
    mapping_version int NOT NULL,
    batch_id bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX quarantine_open ON dq.quarantine (natural_key, feed, source_system)
    WHERE state = 'open'; -- a files feed serves several sources, and their ids collide
CREATE INDEX quarantine_hash ON dq.quarantine (source_hash, feed) WHERE state IN ('open', 'dismissed');

-- Per batch and rule: rows checked, rows that broke it.
CREATE TABLE dq.result (
    batch_id bigint NOT NULL,
    feed text NOT NULL,
    rule text NOT NULL,
    checked bigint NOT NULL,
    failed bigint NOT NULL,
    PRIMARY KEY (batch_id, feed, rule)
);
