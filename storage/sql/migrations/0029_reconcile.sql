-- A source held against silver (rules, section 5): the run that did it, and its report.
ALTER TABLE ops.reconciliation ADD COLUMN run_id bigint;
CREATE INDEX reconciliation_run ON ops.reconciliation (run_id);

-- Rows that a reconcile found gone at the source, until they are deleted. Those of a held run wait here for a
-- person: exactly these are deleted when the run is approved.
CREATE TABLE ops.gone (
    run_id bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    feed text NOT NULL,
    key bigint,                             -- the surrogate; NULL: in quarantine alone
    PRIMARY KEY (run_id, id)
);
CREATE INDEX gone_feed ON ops.gone (feed);

-- Which server answered at the last reconcile that ended well: what another one lacks is not taken for deleted.
CREATE TABLE ops.source_server (
    feed text PRIMARY KEY,
    server text NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now()
);
