-- What lists of codes say of the codes that silver names; as ref.npi, for procedures and diagnoses.
CREATE TABLE ref.code (
    code_system text NOT NULL,
    code text COLLATE "C" NOT NULL,
    -- unusable: something came that says nothing; it is asked again at expires_at
    outcome text NOT NULL CHECK (outcome IN ('found', 'not_found', 'unusable')),
    description text,
    category text, -- of a procedure; of a diagnosis its chapter
    etag text,
    last_modified text,
    fetched_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (code_system, code)
);
COMMENT ON TABLE ref.code IS 'what lists say of codes that silver names';

-- ICD-10-CM: a letter, a digit, a digit or letter, a dot, up to four more. As icd10_is_formed() in C: what has another
-- form is asked of nobody.
CREATE FUNCTION silver.is_icd10cm(code text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT code ~ '^[A-Z][0-9][0-9A-Z](\.[0-9A-Z]{1,4})?$'
$$;

-- Procedures have their system by their form; of diagnoses there is one.
CREATE FUNCTION ref.is_formed(code_system text, code text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT code_system <> 'ICD10CM' OR silver.is_icd10cm(code)
$$;

-- reference_status by what a list said; NULL: nothing yet. No list has what has not the form of its codes.
CREATE FUNCTION ref.status_of(code_system text, code text, outcome text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN outcome = 'found' THEN 'listed'
        WHEN outcome = 'not_found' OR NOT ref.is_formed(code_system, code) THEN 'unlisted'
        ELSE 'unchecked'
    END
$$;

GRANT EXECUTE ON FUNCTION silver.is_icd10cm, ref.is_formed, ref.status_of TO revcycle_daemon;
GRANT SELECT, INSERT, UPDATE, DELETE ON ref.code TO revcycle_daemon;
