-- How good the rows in force are, by feed and dimension: taken after a settle, kept where it changed.

CREATE TABLE dq.score_taken (
    taken_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    taken_at timestamptz NOT NULL DEFAULT now(),
    run_id bigint NOT NULL,
    batch_id bigint -- the newest that it knew
);
CREATE TABLE dq.score (
    feed text COLLATE "C" NOT NULL,
    dimension text COLLATE "C" NOT NULL, -- one of the six, or overall
    taken_id bigint NOT NULL REFERENCES dq.score_taken,
    n_rules int NOT NULL,
    checked bigint NOT NULL,
    failed bigint NOT NULL,
    score numeric(7,6), -- NULL: nothing to be checked
    definition_version int NOT NULL DEFAULT 1,
    PRIMARY KEY (feed, dimension, taken_id)
);
COMMENT ON TABLE dq.score IS
    'shares of checks passed, each rule of a dimension weighing the same, each dimension the same in overall; a line where a score changed';

-- As of the newest look: rows that each rule was asked of and that break it, rows of each column that say something.
CREATE TABLE dq.rule_count (
    feed text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    rule text COLLATE "C" NOT NULL,
    dimension text NOT NULL,
    checked bigint NOT NULL,
    failed bigint NOT NULL,
    PRIMARY KEY (feed, subject, rule)
);
CREATE TABLE dq.column_fill (
    feed text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    column_name text COLLATE "C" NOT NULL,
    rows bigint NOT NULL,
    filled bigint NOT NULL,
    is_expected boolean NOT NULL, -- counts for completeness, where the feed fills it at all
    PRIMARY KEY (feed, subject, column_name)
);

CREATE VIEW dq.score_now AS
SELECT DISTINCT ON (feed, dimension) feed, dimension, n_rules, checked, failed, score, definition_version, taken_at, run_id
FROM dq.score JOIN dq.score_taken USING (taken_id) ORDER BY feed, dimension, taken_id DESC;

-- What every row should say; the rest may rightly be empty (a middle name, the date of a payment to come).
CREATE FUNCTION dq.is_expected(subject text, column_name text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT column_name = ANY (CASE subject
        WHEN 'patients' THEN '{first_name,last_name,ssn,birth_date,gender,phone,address,city,state,zip}'::text[]
        WHEN 'providers' THEN '{first_name,last_name,specialization,source_department_id,npi}'
        WHEN 'departments' THEN '{name}'
        WHEN 'encounters' THEN '{source_patient_id,source_provider_id,source_department_id,encounter_date,encounter_type,procedure_code}'
        WHEN 'transactions' THEN '{source_patient_id,source_encounter_id,source_provider_id,source_department_id,source_payer_id,service_date,amount,paid_amount,procedure_code,diagnosis_code}'
        WHEN 'claims' THEN '{source_patient_id,source_transaction_id,source_payer_id,service_date,claim_date,claim_amount,paid_amount,claim_status}'
        ELSE '{}' END)
$$;

-- "99 % of 10,000 patients": SELECT * FROM dq.accepted WHERE entity = 'patients'. Received: what a source ever sent a usable
-- or unusable row of; accepted: of which nothing is held back.
CREATE VIEW dq.accepted AS
WITH row AS (
    SELECT 'patients' AS entity, source_system, source_patient_id AS id, 0 AS held
    FROM silver.patients WHERE is_current AND NOT is_inferred
    UNION ALL SELECT 'providers', source_system, source_provider_id, 0 FROM silver.providers WHERE is_current AND NOT is_inferred
    UNION ALL SELECT 'departments', source_system, source_department_id, 0 FROM silver.departments WHERE NOT is_inferred
    UNION ALL SELECT 'encounters', source_system, source_encounter_id, 0 FROM silver.encounters
    UNION ALL SELECT 'transactions', source_system, source_transaction_id, 0 FROM silver.transactions
    UNION ALL SELECT 'claims', source_system, source_claim_id, 0 FROM silver.claims
    UNION ALL
    SELECT e.entity, q.source_system, coalesce(q.natural_key, '#' || q.source_hash), 1
    FROM dq.quarantine q JOIN ops.feed_entity e USING (feed) WHERE q.state IN ('open', 'dismissed')
), one AS (
    SELECT entity, source_system, id, max(held) AS held FROM row GROUP BY entity, source_system, id
)
SELECT entity, source_system, count(*) AS received, count(*) - sum(held) AS accepted,
       round((count(*) - sum(held)) / count(*)::numeric, 6) AS share
FROM one GROUP BY entity, source_system;
COMMENT ON VIEW dq.accepted IS 'rows accepted of rows received, each row counted once however often it came';

-- How many members have how many versions.
CREATE VIEW dq.scd_versions AS
SELECT entity, source_system, versions, count(*) AS members
FROM (SELECT 'patients' AS entity, source_system, source_patient_id AS id, count(*) AS versions
      FROM silver.patients WHERE NOT is_inferred GROUP BY 2, 3
      UNION ALL
      SELECT 'providers', source_system, source_provider_id, count(*)
      FROM silver.providers WHERE NOT is_inferred GROUP BY 2, 3) AS member
GROUP BY entity, source_system, versions;

GRANT EXECUTE ON FUNCTION dq.is_expected TO revcycle_daemon;
