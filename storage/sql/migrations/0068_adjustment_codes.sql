-- Codes of adjustments (X12 835: CAS, LQ, MIA, MOA): which were named, and what they mean. Group codes have texts of our
-- own; those of reasons (CARC) and remarks (RARC) are X12's and come from files of the customer's (ref.list).
CREATE SEQUENCE silver.adjustment_code_key_seq INCREMENT 10000; -- a block of keys per nextval
CREATE TABLE silver.adjustment_codes (
    adjustment_code_key bigint PRIMARY KEY,
    code text COLLATE "C" NOT NULL,
    code_system text NOT NULL, -- CAGC (groups), CARC (reasons), RARC (remarks)
    description text,
    category text,
    reference_status text,
    batch_id bigint NOT NULL
);
CREATE UNIQUE INDEX adjustment_codes_natural ON silver.adjustment_codes (code, code_system);
CREATE INDEX adjustment_codes_batch ON silver.adjustment_codes USING brin (batch_id);

-- X12 data element 1033 has five. The sentences are ours; what each means is in CMS's Medicare Claims Processing Manual
-- (Pub. 100-04), chapter 22, section 60.1, and, of PI and CR, in the guides 005010X221 and 004010X091.
CREATE FUNCTION silver.group_code_text(code text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE code
        WHEN 'CO' THEN 'contractual obligation: by contract or rule the provider bears it, and may not bill the patient'
        WHEN 'PR' THEN 'patient responsibility: the patient, or who else insures them, may be billed'
        WHEN 'OA' THEN 'other adjustment: neither the contract''s nor the patient''s'
        WHEN 'PI' THEN 'payer initiated reduction: the payer''s decision, without a contract that says so'
        WHEN 'CR' THEN 'correction or reversal of an earlier decision'
    END
$$;

-- $1 and $2 go together; what is known already stays as it is.
CREATE FUNCTION silver.make_adjustment_codes(systems text[], codes text[], batch bigint) RETURNS SETOF bigint
LANGUAGE sql AS $$
    WITH missing AS MATERIALIZED (
        SELECT code_system, code, CASE code_system WHEN 'CAGC' THEN silver.group_code_text(code) END AS description,
               row_number() OVER (ORDER BY code_system COLLATE "C", code COLLATE "C") AS place
        FROM (SELECT DISTINCT code_system, code FROM unnest(systems, codes) AS u(code_system, code)) AS named
        WHERE NOT EXISTS (SELECT FROM silver.adjustment_codes c
                          WHERE c.code = named.code AND c.code_system = named.code_system)
    )
    INSERT INTO silver.adjustment_codes (adjustment_code_key, code, code_system, description, reference_status, batch_id)
    SELECT k.key, code, code_system, description, CASE WHEN description IS NULL THEN 'unlisted' ELSE 'listed' END, batch
    FROM missing
    JOIN silver.take_keys('silver.adjustment_code_key_seq', (SELECT count(*) FROM missing)) AS k USING (place)
    ORDER BY place
    ON CONFLICT DO NOTHING
    RETURNING adjustment_code_key
$$;
GRANT EXECUTE ON FUNCTION silver.group_code_text, silver.make_adjustment_codes TO revcycle_daemon;

-- Those of adjustments that are here already, in a batch as a settle's.
DO $$
DECLARE
    batch bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM silver.adjustments) THEN
        RETURN;
    END IF;
    batch := nextval('ops.batch_id_seq');
    PERFORM silver.make_adjustment_codes(array_agg(n.code_system), array_agg(n.code), batch)
    FROM (SELECT 'CAGC', group_code FROM silver.adjustments
          UNION SELECT 'CARC', reason_code FROM silver.adjustments
          UNION SELECT 'RARC', unnest(string_to_array(remark_codes, ',')) FROM silver.adjustments) AS n(code_system, code)
    WHERE n.code <> '';
    INSERT INTO ops.batch (batch_id, feed, rows_read, rows_changed, rows_quarantined, settled_by)
    SELECT batch, 'settle', 0, count(*), 0, batch FROM silver.adjustment_codes;
END $$;

-- No unknown member: adjustments bear codes, not keys.
CREATE VIEW gold.dim_adjustment_codes AS
SELECT adjustment_code_key, code, code_system, description, category, reference_status, batch_id
FROM silver.adjustment_codes;

-- ---- texts beside the codes of the figure ----

CREATE VIEW kpi.adjustment_texts AS
SELECT code_system, code, description FROM silver.adjustment_codes WHERE description IS NOT NULL;
GRANT SELECT ON kpi.adjustment_texts TO revcycle_daemon, revcycle_reader;

-- NULL where no list gives one; of several remarks those that one gives, each behind its code.
ALTER TYPE kpi.reason ADD ATTRIBUTE group_text text, ADD ATTRIBUTE reason_text text, ADD ATTRIBUTE remark_texts text;

CREATE FUNCTION kpi._remark_texts(codes text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(t.code || ': ' || t.description, '; ' ORDER BY u.place)
    FROM kpi.adjustment_texts t
    CROSS JOIN LATERAL (SELECT strpos(',' || codes || ',', ',' || t.code || ',') AS place) AS u
    WHERE t.code_system = 'RARC' AND u.place > 0
$$;
GRANT EXECUTE ON FUNCTION kpi._remark_texts TO revcycle_daemon, revcycle_reader;

CREATE OR REPLACE FUNCTION kpi.denial_reasons(as_of date DEFAULT NULL,
                                   by text[] DEFAULT '{month,source_system,group_code,reason_code,remark_codes}')
RETURNS SETOF kpi.reason LANGUAGE sql STABLE AS $$
    WITH sums AS (
        SELECT c.day, CASE WHEN 'month' = ANY(by) THEN kpi._month(a.claim_date) END AS month,
               CASE WHEN 'source_system' = ANY(by) THEN a.source_system END AS source_system,
               CASE WHEN 'group_code' = ANY(by) THEN a.group_code END AS group_code,
               CASE WHEN 'reason_code' = ANY(by) THEN a.reason_code END AS reason_code,
               CASE WHEN 'remark_codes' = ANY(by) THEN a.remark_codes END AS remark_codes,
               sum(sign(a.amount)) AS n, sum(a.amount) AS amount,
               count(*) FILTER (WHERE a.is_flagged) AS flagged, bool_or(a.has_adjustments) AS is_computable
        FROM kpi._day(as_of) AS c(day), kpi.denial_rows a
        WHERE (a.claim_date IS NULL OR a.claim_date <= c.day) AND (a.adjustment_key IS NOT NULL OR NOT a.has_adjustments)
        GROUP BY 1, 2, 3, 4, 5, 6
    )
    SELECT 'denial_reasons', 1, s.day, s.month, s.source_system, m.method, s.group_code, s.reason_code, s.remark_codes,
           m.n, sum(m.n) OVER whole, round(m.n / nullif(sum(m.n) OVER whole, 0), 6), s.flagged,
           CASE WHEN NOT s.is_computable THEN 'adjustments.reason_code' END,
           g.description, r.description, kpi._remark_texts(s.remark_codes)
    FROM sums s CROSS JOIN LATERAL (VALUES ('count', s.n), ('amount', s.amount)) AS m(method, n)
    LEFT JOIN kpi.adjustment_texts g ON g.code_system = 'CAGC' AND g.code = s.group_code
    LEFT JOIN kpi.adjustment_texts r ON r.code_system = 'CARC' AND r.code = s.reason_code
    WHERE m.n IS DISTINCT FROM 0
    WINDOW whole AS (PARTITION BY m.method, s.month, s.source_system)
$$;
