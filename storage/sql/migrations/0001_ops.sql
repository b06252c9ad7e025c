-- Ledgers: what exists, what ran, what was read, what was sent.

CREATE SCHEMA ops;
CREATE SCHEMA bronze;
CREATE SCHEMA silver;
CREATE SCHEMA dq;
CREATE SCHEMA gold;
CREATE SCHEMA kpi;

-- Which database this is: a restored copy gets a new epoch before it may publish (rules, section 8).
CREATE TABLE ops.database (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    epoch uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO ops.database DEFAULT VALUES;

-- Keys made here and never shown: 'patient_key' permutes surrogates (rules, section 9).
CREATE TABLE ops.secret (
    name text PRIMARY KEY,
    value bytea NOT NULL
);
INSERT INTO ops.secret
SELECT 'patient_key', decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex');

-- What SQL must know of a source; the daemon keeps it equal to the configuration.
CREATE TABLE ops.source (
    source_system text COLLATE "C" PRIMARY KEY,
    timezone text NOT NULL
);

CREATE TABLE ops.job (
    name text PRIMARY KEY,
    kind text NOT NULL,
    feed text,
    schedule text NOT NULL DEFAULT '',
    paused boolean NOT NULL DEFAULT false,
    paused_by text,
    paused_at timestamptz,
    owner text,                          -- the daemon that holds the lease
    epoch bigint NOT NULL DEFAULT 0,     -- rises with every change of owner
    lease_until timestamptz,
    last_run_id bigint,
    last_success_at timestamptz
);

CREATE TABLE ops.run (
    run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job text NOT NULL,
    mode text NOT NULL,
    trigger text NOT NULL,
    state text NOT NULL CHECK (state IN
        ('queued', 'running', 'waiting', 'held', 'succeeded', 'failed', 'canceled')),
    attempt int NOT NULL DEFAULT 1,
    queued_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    rows_read bigint NOT NULL DEFAULT 0,
    rows_changed bigint NOT NULL DEFAULT 0,
    rows_quarantined bigint NOT NULL DEFAULT 0,
    steps jsonb NOT NULL DEFAULT '[]',
    range_from timestamptz,
    range_to timestamptz,
    error_code text,
    error_class text,
    error text,
    hint text
);
CREATE INDEX run_job ON ops.run (job, run_id);

-- One committed page, or one settle.
CREATE SEQUENCE ops.batch_id_seq;
CREATE TABLE ops.batch (
    batch_id bigint PRIMARY KEY,
    run_id bigint,
    feed text NOT NULL,
    rows_read bigint NOT NULL,
    rows_changed bigint NOT NULL,
    rows_flagged bigint NOT NULL DEFAULT 0,
    rows_quarantined bigint NOT NULL,
    settled_by bigint,
    publication_id bigint,
    committed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX batch_unsettled ON ops.batch (batch_id) WHERE settled_by IS NULL;
CREATE INDEX batch_unpublished ON ops.batch (batch_id) WHERE publication_id IS NULL;
CREATE INDEX batch_publication ON ops.batch (publication_id);

-- Where a feed stands. `phase` load: key pages from `load_key` on; follow: from `position` on.
-- `page` rises by one with every page: the fence of rules section 3 compares it and the epoch.
CREATE TABLE ops.cursor (
    feed text PRIMARY KEY,
    epoch bigint NOT NULL DEFAULT 0,
    page bigint NOT NULL DEFAULT 0,
    phase text NOT NULL DEFAULT 'load' CHECK (phase IN ('load', 'follow')),
    load_key text[],
    position text,
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- The columns a feed's raw rows were read with; bronze rows name it.
CREATE TABLE ops.feed_schema (
    schema_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    feed text NOT NULL,
    columns text[] NOT NULL,
    types text[] NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (feed, columns, types)
);

CREATE TABLE ops.feed_mapping (
    feed text NOT NULL,
    mapping_version int NOT NULL,
    fingerprint bytea NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (feed, mapping_version)
);

CREATE TABLE ops.file (
    file_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_system text NOT NULL,
    feed text NOT NULL,
    name text NOT NULL,
    sha256 bytea,
    size_bytes bigint,
    state text NOT NULL CHECK (state IN
        ('seen', 'receiving', 'done', 'failed', 'duplicate', 'superseded')),
    received_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    rows_read bigint NOT NULL DEFAULT 0,
    rows_new bigint NOT NULL DEFAULT 0,
    rows_corrected bigint NOT NULL DEFAULT 0,
    rows_same bigint NOT NULL DEFAULT 0,
    rows_flagged bigint NOT NULL DEFAULT 0,
    rows_quarantined bigint NOT NULL DEFAULT 0,
    period text,
    detected jsonb NOT NULL DEFAULT '{}',
    error text
);
CREATE UNIQUE INDEX file_content ON ops.file (sha256, source_system)
    WHERE state IN ('receiving', 'done', 'superseded');

-- A row that left a partition of BigQuery: where it was last published (rules, section 8).
CREATE TABLE ops.moved (
    table_name text NOT NULL,
    key bigint NOT NULL,
    old_date date,
    batch_id bigint NOT NULL,
    publication_id bigint
);
CREATE INDEX moved_unpublished ON ops.moved (table_name) WHERE publication_id IS NULL;

CREATE TABLE ops.publication (
    publication_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    state text NOT NULL CHECK (state IN
        ('claimed', 'staged', 'applied', 'succeeded', 'held', 'abandoned')),
    claimed_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    tables jsonb NOT NULL DEFAULT '{}',
    error text
);

CREATE TABLE ops.kpi_snapshot (
    kpi text NOT NULL,
    definition_version int NOT NULL,
    as_of date,
    known_at timestamptz NOT NULL DEFAULT now(),
    result jsonb NOT NULL
);
CREATE INDEX kpi_snapshot_kpi ON ops.kpi_snapshot (kpi, known_at);

CREATE TABLE ops.token (
    token_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    sha256 bytea NOT NULL UNIQUE,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);

CREATE TABLE ops.alert (
    alert_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    subject text NOT NULL,
    sentence text NOT NULL,
    raised_at timestamptz NOT NULL DEFAULT now(),
    cleared_at timestamptz
);
CREATE UNIQUE INDEX alert_firing ON ops.alert (kind, subject) WHERE cleared_at IS NULL;

-- Who did what, when; nothing here is ever changed or removed by the daemon.
CREATE TABLE ops.audit (
    audit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL,
    action text NOT NULL,
    object text NOT NULL,
    request_id text,
    outcome text NOT NULL,
    details jsonb NOT NULL DEFAULT '{}'
);
CREATE FUNCTION ops.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = '42501';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ops.audit
    FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change();
