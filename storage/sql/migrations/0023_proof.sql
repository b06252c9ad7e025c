-- The database that was restored is another one from its first publication on (rules, section 8): the daemon
-- may begin an epoch, and may not choose or change it otherwise.
CREATE FUNCTION ops.begin_epoch() RETURNS uuid
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE ops.database SET epoch = gen_random_uuid() RETURNING epoch
$$;
REVOKE ALL ON FUNCTION ops.begin_epoch FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.begin_epoch TO revcycle_daemon;

-- Is a rebuild owed? Asked at every quiet poll.
CREATE INDEX publication_rebuild ON ops.publication (publication_id) WHERE is_rebuild;

-- What two sides that must be equal were found to be: a proof, or the differences.
CREATE TABLE ops.reconciliation (
    reconciliation_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject text NOT NULL,                          -- 'bigquery': gold against the published tables
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL DEFAULT now(),
    differences bigint NOT NULL,                    -- parts that differ; 0: proven equal
    difference text CHECK ((difference IS NULL) = (differences = 0)), -- as a sentence
    details jsonb NOT NULL,                         -- per table: partitions, sums of both sides, what differs
    bytes_billed bigint NOT NULL DEFAULT 0
);
CREATE INDEX reconciliation_subject ON ops.reconciliation (subject, reconciliation_id);

-- What BigQuery did for runs that no publication and no comparison accounts for: held, failed, given back.
CREATE TABLE ops.bigquery_cost (
    hour timestamptz PRIMARY KEY,
    load_jobs bigint NOT NULL,
    bytes_billed bigint NOT NULL
);
