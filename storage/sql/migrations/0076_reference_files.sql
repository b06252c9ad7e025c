-- Lists that the customer keeps: codes whose texts nobody may ship, and how payers are spelled.
CREATE TABLE ref.list (
    name text PRIMARY KEY,        -- as in the configuration
    code_system text UNIQUE,      -- of ref.code, whose rows are the file's; NULL: ref.payer
    sha256 bytea NOT NULL,        -- of the file
    row_count bigint NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ref.list IS 'files of reference data, as last read';

-- A payer's name as people compare it: letters and digits, whatever stands between.
CREATE FUNCTION ref.fold(name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT btrim(regexp_replace(lower(name), '[^[:alnum:]]+', ' ', 'g'))
$$;

CREATE TABLE ref.payer (
    alias text NOT NULL,                     -- folded
    source_system text NOT NULL DEFAULT '',  -- '': whoever says it
    payer_name text NOT NULL,
    payer_type text,
    PRIMARY KEY (alias, source_system)
);
COMMENT ON TABLE ref.payer IS 'how payers are called, and what they are, by the customer''s file';

-- What the hospital called a payer that is called by ref.payer now.
CREATE TABLE ref.payer_before (
    payer_key bigint PRIMARY KEY,
    payer_name text,
    payer_type text
);

GRANT EXECUTE ON FUNCTION ref.fold TO revcycle_daemon;
GRANT SELECT, INSERT, UPDATE, DELETE ON ref.list, ref.payer, ref.payer_before TO revcycle_daemon;
