-- What settle needs: ways to find the rows it must look at again, and the rules that are one row's own.

-- Facts whose parent has not come; it is looked for among these alone.
CREATE INDEX encounters_orphan ON silver.encounters (source_department_id, source_system)
    WHERE 'orphan_department' = ANY (dq_flags);
CREATE INDEX transactions_orphan_department ON silver.transactions (source_department_id, source_system)
    WHERE 'orphan_department' = ANY (dq_flags);
CREATE INDEX transactions_orphan_encounter ON silver.transactions (source_encounter_id, source_system)
    WHERE 'orphan_encounter' = ANY (dq_flags);
CREATE INDEX claims_orphan_department ON silver.claims (source_department_id, source_system)
    WHERE 'orphan_department' = ANY (dq_flags);
CREATE INDEX claims_orphan_encounter ON silver.claims (source_encounter_id, source_system)
    WHERE 'orphan_encounter' = ANY (dq_flags);
CREATE INDEX adjustments_orphan ON silver.adjustments (source_claim_id, source_system)
    WHERE 'orphan_claim' = ANY (dq_flags);

-- Evidence of who is one person (rules, section 7).
CREATE INDEX patients_ssn ON silver.patients (ssn) WHERE is_current AND ssn IS NOT NULL;
CREATE INDEX patients_birth_phone ON silver.patients (birth_date, phone) WHERE is_current AND phone IS NOT NULL;

-- Which rows of a page were replaced, by the batch that did it.
CREATE INDEX encounters_past_batch ON silver.encounters_past USING brin (batch_to);
CREATE INDEX transactions_past_batch ON silver.transactions_past USING brin (batch_to);
CREATE INDEX claims_past_batch ON silver.claims_past USING brin (batch_to);
CREATE INDEX departments_past_batch ON silver.departments_past USING brin (batch_to);

CREATE FUNCTION silver.is_settle_flag(flag text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT flag LIKE 'orphan\_%' OR flag IN ('age_out_of_range', 'claim_date_mismatch',
        'claim_department_mismatch', 'claim_encounter_mismatch', 'claim_link_mismatch',
        'claim_patient_mismatch', 'claim_provider_mismatch', 'possible_duplicate')
$$;

-- Place's flags as they are, settle's as found now, sorted.
CREATE FUNCTION silver.merge_flags(standing text[], found text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY(
        SELECT flag FROM (
            SELECT flag FROM unnest(standing) AS s(flag) WHERE NOT silver.is_settle_flag(flag)
            UNION SELECT flag FROM unnest(found) AS f(flag)) AS flags
        ORDER BY flag COLLATE "C")
$$;

-- CPT: five digits, or four and F, T or U; HCPCS level II: a letter and four digits; ICD-10-PCS: seven
-- characters without I and O. What fits none is the hospital's own.
CREATE FUNCTION silver.procedure_system(code text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT CASE
        WHEN code ~ '^[0-9]{4}[0-9FTU]$' THEN 'CPT'
        WHEN code ~ '^[A-V][0-9]{4}$' THEN 'HCPCS'
        WHEN code ~ '^[0-9A-HJ-NP-Z]{7}$' THEN 'ICD10PCS'
        ELSE 'LOCAL'
    END
$$;

-- 5 U.S.C. 6103(a), each from the year it was first kept.
CREATE FUNCTION silver.is_holiday_proper(day date) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE extract(month FROM day)
        WHEN 1 THEN extract(day FROM day) = 1
            OR (extract(isodow FROM day) = 1 AND extract(day FROM day) BETWEEN 15 AND 21 AND day >= '1986-01-01')
        WHEN 2 THEN extract(isodow FROM day) = 1 AND extract(day FROM day) BETWEEN 15 AND 21
        WHEN 5 THEN extract(isodow FROM day) = 1 AND extract(day FROM day) >= 25
        WHEN 6 THEN extract(day FROM day) = 19 AND day >= '2021-06-17'
        WHEN 7 THEN extract(day FROM day) = 4
        WHEN 9 THEN extract(isodow FROM day) = 1 AND extract(day FROM day) <= 7
        WHEN 10 THEN extract(isodow FROM day) = 1 AND extract(day FROM day) BETWEEN 8 AND 14
        WHEN 11 THEN extract(day FROM day) = 11
            OR (extract(isodow FROM day) = 4 AND extract(day FROM day) BETWEEN 22 AND 28)
        WHEN 12 THEN extract(day FROM day) = 25
        ELSE false
    END
$$;

-- A holiday on Saturday is kept on Friday (5 U.S.C. 6103(b)), one on Sunday on Monday (E.O. 11582).
CREATE FUNCTION silver.is_holiday(day date) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT silver.is_holiday_proper(day)
        OR (extract(isodow FROM day) = 5 AND silver.is_holiday_proper(day + 1))
        OR (extract(isodow FROM day) = 1 AND silver.is_holiday_proper(day - 1))
$$;

-- Whole years; who was born on 29 February counts on 1 March. NULL when negative or over 120.
CREATE FUNCTION silver.age_on(birth date, day date) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT CASE WHEN day >= birth AND date_part('year', age(day, birth)) <= 120
                THEN date_part('year', age(day, birth))::int END
$$;

GRANT EXECUTE ON FUNCTION silver.is_settle_flag, silver.merge_flags, silver.procedure_system,
    silver.is_holiday_proper, silver.is_holiday, silver.age_on TO revcycle_daemon;
