-- What reference services answered: kept so that nobody is asked twice, and so that a service that is away is no failure.
CREATE SCHEMA ref;
COMMENT ON SCHEMA ref IS 'answers of reference services, as long as they are good for';

CREATE TABLE ref.npi (
    npi text PRIMARY KEY CHECK (npi ~ '^[0-9]{10}$'),
    -- unusable: something came that says nothing; it is asked again at expires_at
    outcome text NOT NULL CHECK (outcome IN ('found', 'not_found', 'unusable')),
    is_organization boolean NOT NULL DEFAULT false,
    taxonomies text[] NOT NULL DEFAULT '{}', -- the registry's words for what the provider does
    etag text,
    last_modified text,
    fetched_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE ref.npi IS 'what the NPI registry says of a number; no names, no addresses';

-- How a service does, over all runs and daemons: one that fails is left alone until not_before.
CREATE TABLE ref.service (
    name text PRIMARY KEY,
    failures int NOT NULL DEFAULT 0,
    not_before timestamptz,
    answered_at timestamptz,
    error text
);
COMMENT ON TABLE ref.service IS 'reference services: when they last answered, and until when they are left alone';

-- Who waits for a word of the registry, and whose status an answer changes.
CREATE INDEX providers_npi ON silver.providers (npi) WHERE npi IS NOT NULL;

GRANT USAGE ON SCHEMA ref TO revcycle_daemon;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ref TO revcycle_daemon;
ALTER DEFAULT PRIVILEGES IN SCHEMA ref GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO revcycle_daemon;
