-- The rules in force: those built in, one line for each entity, and those of the configuration. Settle keeps them here, with
-- the flags of rules over several rows: what another definition or a rule that went has left is mended by the next settle.
CREATE TABLE dq.rule (
    subject text COLLATE "C" NOT NULL, -- an entity; of a rule over a feed its name
    name text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    scope text NOT NULL CHECK (scope IN ('row', 'set', 'feed')),
    dimension text NOT NULL CHECK (dimension IN ('completeness', 'validity', 'uniqueness', 'consistency', 'timeliness', 'integrity')),
    severity text NOT NULL CHECK (severity IN ('flag', 'quarantine', 'stop')),
    says text NOT NULL,
    definition text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subject, name)
);
COMMENT ON TABLE dq.rule IS 'the rules in force at the last settle; says: what holds of a good row, for people';

-- How a feed stands to its rules, as of the last look: freshness, volume.
CREATE TABLE dq.feed_rule (
    feed text COLLATE "C" NOT NULL,
    rule text COLLATE "C" NOT NULL,
    is_broken boolean NOT NULL,
    since timestamptz NOT NULL DEFAULT now(), -- when it came to be so
    found text NOT NULL,                      -- what was looked at, in a sentence
    PRIMARY KEY (feed, rule)
);
-- A run's rows are compared with those of the runs before it.
CREATE INDEX batch_feed ON ops.batch (feed, batch_id);

-- A rule's name among the sorted flags of a row, or not.
CREATE FUNCTION silver.set_flag(standing text[], name text, bears boolean) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY(
        SELECT flag FROM (SELECT flag FROM unnest(standing) AS s(flag) WHERE flag <> name
                          UNION ALL SELECT name WHERE bears) AS flags
        ORDER BY flag COLLATE "C")
$$;
GRANT EXECUTE ON FUNCTION silver.set_flag TO revcycle_daemon;
