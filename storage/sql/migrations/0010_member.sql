-- Place fills in the keys it can see (rules, section 3, step 6): what it needs for that, and what lets settle
-- look at the rest alone.

-- Rows of a page that were not there before. A page of new rows alone corrects nothing that others saw.
ALTER TABLE ops.batch ADD COLUMN rows_new bigint NOT NULL DEFAULT 0;

-- The last settle that saw versions, corrections or filled members: what a page remembers of members from
-- before it may be wrong.
CREATE TABLE ops.member_change (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    batch_id bigint NOT NULL
);
INSERT INTO ops.member_change (batch_id) VALUES (0);

-- Every index costs a first load of 1,000,000 rows about a second, so a fact table has one for all that is found
-- by ranges of pages: batches, and the facts of a patient or a provider. Small ranges: a patient's few facts are
-- scattered, and each brings a range with it.
DROP INDEX silver.encounters_patient, silver.encounters_provider, silver.encounters_batch,
    silver.transactions_patient, silver.transactions_provider, silver.transactions_batch,
    silver.claims_patient, silver.claims_provider, silver.claims_batch, silver.claims_file;
CREATE INDEX encounters_ranges ON silver.encounters USING brin (batch_id, source_patient_id text_bloom_ops,
    source_provider_id text_bloom_ops) WITH (pages_per_range = 16);
CREATE INDEX transactions_ranges ON silver.transactions USING brin (batch_id, source_patient_id text_bloom_ops,
    source_provider_id text_bloom_ops) WITH (pages_per_range = 16);
CREATE INDEX claims_ranges ON silver.claims USING brin (batch_id, file_id, source_patient_id text_bloom_ops,
    source_provider_id text_bloom_ops) WITH (pages_per_range = 16);
-- That a department arrives after its facts were settled is rare enough for a scan.
DROP INDEX silver.encounters_orphan, silver.transactions_orphan_department, silver.claims_orphan_department;

-- Members that a fact alone makes: code and name, no more. Pages of several feeds may name the same new
-- one at once: the second waits for the first, and both go by ascending code, so that neither waits for
-- the other in a circle. The keys of what was made are returned.

CREATE FUNCTION silver.make_payers(systems text[], ids text[], batch bigint) RETURNS SETOF bigint
LANGUAGE sql AS $$
    WITH missing AS MATERIALIZED (
        SELECT system, id, row_number() OVER (ORDER BY id COLLATE "C", system COLLATE "C") AS place
        FROM (SELECT DISTINCT system, id FROM unnest(systems, ids) AS u(system, id)) AS named
        WHERE NOT EXISTS (SELECT FROM silver.payers p WHERE p.source_payer_id = id AND p.source_system = system)
    )
    INSERT INTO silver.payers (payer_key, source_system, source_payer_id, name, payer_name, reference_status,
                               batch_id)
    SELECT k.key, system, id, id, id, 'unlisted', batch
    FROM missing JOIN silver.take_keys('silver.payer_key_seq', (SELECT count(*) FROM missing)) AS k USING (place)
    ORDER BY place
    ON CONFLICT DO NOTHING
    RETURNING payer_key
$$;

CREATE FUNCTION silver.make_procedures(codes text[], batch bigint) RETURNS SETOF bigint
LANGUAGE sql AS $$
    WITH missing AS MATERIALIZED (
        SELECT code, silver.procedure_system(code) AS code_system,
               row_number() OVER (ORDER BY code COLLATE "C") AS place
        FROM (SELECT DISTINCT code FROM unnest(codes) AS u(code)) AS named
        WHERE NOT EXISTS (SELECT FROM silver.procedures p WHERE p.code = named.code
                          AND p.code_system = silver.procedure_system(named.code))
    )
    INSERT INTO silver.procedures (procedure_key, code, code_system, reference_status, batch_id)
    SELECT k.key, code, code_system, 'unlisted', batch
    FROM missing
    JOIN silver.take_keys('silver.procedure_key_seq', (SELECT count(*) FROM missing)) AS k USING (place)
    ORDER BY place
    ON CONFLICT DO NOTHING
    RETURNING procedure_key
$$;

CREATE FUNCTION silver.make_diagnoses(codes text[], batch bigint) RETURNS SETOF bigint
LANGUAGE sql AS $$
    WITH missing AS MATERIALIZED (
        SELECT code, row_number() OVER (ORDER BY code COLLATE "C") AS place
        FROM (SELECT DISTINCT code FROM unnest(codes) AS u(code)) AS named
        WHERE NOT EXISTS (SELECT FROM silver.diagnoses d WHERE d.code = named.code AND d.code_system = 'ICD10CM')
    )
    INSERT INTO silver.diagnoses (diagnosis_key, code, code_system, reference_status, batch_id)
    SELECT k.key, code, 'ICD10CM', 'unlisted', batch
    FROM missing
    JOIN silver.take_keys('silver.diagnosis_key_seq', (SELECT count(*) FROM missing)) AS k USING (place)
    ORDER BY place
    ON CONFLICT DO NOTHING
    RETURNING diagnosis_key
$$;

-- Every date in use; the fiscal year is named by the year it ends in.
CREATE FUNCTION silver.make_dates(days date[], fiscal_month int, batch bigint) RETURNS SETOF int
LANGUAGE sql AS $$
    WITH missing AS MATERIALIZED (
        SELECT day, silver.is_holiday(day) AS is_holiday
        FROM (SELECT DISTINCT day FROM unnest(days) AS u(day)) AS named
        WHERE NOT EXISTS (SELECT FROM silver.dates d WHERE d.date = named.day)
    )
    INSERT INTO silver.dates (date_key, date, year, quarter, month, month_name, iso_week, day_of_week,
                              day_name, is_weekend, is_holiday, is_business_day, fiscal_year,
                              fiscal_quarter, batch_id)
    SELECT to_char(day, 'YYYYMMDD')::int, day, extract(year FROM day), extract(quarter FROM day),
           extract(month FROM day), to_char(day, 'FMMonth'), extract(week FROM day), extract(isodow FROM day),
           to_char(day, 'FMDay'), extract(isodow FROM day) > 5, is_holiday,
           extract(isodow FROM day) <= 5 AND NOT is_holiday, fiscal.year, fiscal.quarter, batch
    FROM missing,
    LATERAL (SELECT extract(year FROM day)::int
                        + (fiscal_month > 1 AND extract(month FROM day) >= fiscal_month)::int AS year,
                    (extract(month FROM day)::int - fiscal_month + 12) % 12 / 3 + 1 AS quarter) AS fiscal
    ORDER BY day
    ON CONFLICT DO NOTHING
    RETURNING date_key
$$;

GRANT EXECUTE ON FUNCTION silver.make_payers, silver.make_procedures, silver.make_diagnoses,
    silver.make_dates TO revcycle_daemon;
