-- Who is one person (rules, section 7): rules from configuration, decisions of people, explanations.

-- `linked_at` and `run_id` say when the rule came to hold, `joined_at` since when the person is this one.
ALTER TABLE silver.person_link ADD COLUMN joined_at timestamptz NOT NULL DEFAULT now();
UPDATE silver.person_link SET joined_at = linked_at;
ALTER TABLE silver.person_alias ADD COLUMN run_id bigint, ADD COLUMN made_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX person_alias_person ON silver.person_alias (person_id);
ALTER TABLE silver.person_review ADD COLUMN conflict text NOT NULL DEFAULT 'birth_date';
COMMENT ON COLUMN silver.person_review.conflict IS
    'what contradicts the rule: birth_date, ssn, shared, split, or many: more groups than are compared';
CREATE INDEX person_review_members ON silver.person_review USING gin (members);

-- The rules in force at the last settle, strongest first. Others in the configuration link everybody anew.
CREATE TABLE silver.person_rule (
    place int PRIMARY KEY,
    name text NOT NULL UNIQUE,
    attributes text[] NOT NULL
);

-- What people decided; it outlives every settle. Members of side 0 and side 1 of a split are never
-- linked by rule; the members of one merge are one person whatever the rules say.
CREATE SEQUENCE silver.person_decision_seq;
CREATE TABLE silver.person_split (
    split_id bigint NOT NULL,
    side int NOT NULL CHECK (side IN (0, 1)),
    source_system text COLLATE "C" NOT NULL,
    source_patient_id text COLLATE "C" NOT NULL,
    actor text NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source_patient_id, source_system, split_id)
);
CREATE INDEX person_split_id ON silver.person_split (split_id);
CREATE TABLE silver.person_merge (
    merge_id bigint NOT NULL,
    source_system text COLLATE "C" NOT NULL,
    source_patient_id text COLLATE "C" NOT NULL,
    actor text NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source_patient_id, source_system, merge_id)
);
CREATE INDEX person_merge_id ON silver.person_merge (merge_id);

-- Evidence is found by one of these three: every rule names one of them.
DROP INDEX silver.patients_birth_phone;
CREATE INDEX patients_birth ON silver.patients (birth_date) WHERE is_current AND birth_date IS NOT NULL;
CREATE INDEX patients_phone ON silver.patients (phone) WHERE is_current AND phone IS NOT NULL;

-- Small letters and digits, without accents, blanks and punctuation; letters of other scripts stay.
CREATE FUNCTION silver.person_word(written text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT nullif(CASE WHEN written ~ '^[A-Za-z0-9]*$' THEN lower(written)
        ELSE regexp_replace(lower(translate(normalize(written, NFD), 'ØøŁłĐđ', 'ooLlDd')),
                            '[^a-z0-9\u0100-\u02ff\u0370-\uffff]', '', 'g') END, '')
$$;

-- A social security number that may be one: 000-, 666- and 9xx- were never given out.
CREATE FUNCTION silver.person_ssn(written text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN written !~ '^(000|666|9)' THEN written END
$$;

-- The eight digits of a date in ascending order: equal when some were exchanged.
CREATE FUNCTION silver.person_digits(day date) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT string_agg(digit, '' ORDER BY digit COLLATE "C")
    FROM regexp_split_to_table(replace(day::text, '-', ''), '') AS digit
$$;

-- One digit differs, or two neighbours are exchanged.
CREATE FUNCTION silver.person_near(a text, b text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT length(a) = length(b) AND (count(*) <= 1 OR
        (count(*) = 2 AND max(i) - min(i) = 1 AND substr(a, min(i), 1) = substr(b, max(i), 1)
                      AND substr(a, max(i), 1) = substr(b, min(i), 1)))
    FROM generate_series(1, length(a)) AS i WHERE substr(a, i, 1) <> substr(b, i, 1)
$$;

-- Why two groups cannot be one person, NULL when nothing is against it. Groups hold what their members
-- have: `splits` are ids of decisions times two plus the side, `opposites` the other side's.
CREATE FUNCTION silver.person_contradiction(births text[], other_births text[], ssns text[], other_ssns text[],
                                            splits bigint[], other_opposites bigint[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN splits && other_opposites THEN 'split'
        WHEN births <> '{}' AND other_births <> '{}' AND NOT births && other_births THEN 'birth_date'
        WHEN ssns <> '{}' AND other_ssns <> '{}' AND NOT ssns && other_ssns
             AND NOT EXISTS (SELECT FROM unnest(ssns) AS a, unnest(other_ssns) AS b
                             WHERE silver.person_near(a, b)) THEN 'ssn'
    END
$$;

-- The attributes that rules may name (transform/person.h), of everybody's current version; a tombstone
-- keeps its links.
CREATE VIEW silver.person_evidence AS
SELECT p.source_patient_id, p.source_system, p.ssn AS ssn_written, silver.person_ssn(p.ssn) AS ssn, p.birth_date,
       silver.person_digits(p.birth_date) AS birth_digits,
       silver.person_word(p.first_name) AS first_name, left(silver.person_word(p.first_name), 1) AS first_initial,
       left(silver.person_word(p.middle_name), 1) AS middle_initial, silver.person_word(p.last_name) AS last_name,
       nullif(p.gender, 'Unknown') AS gender, p.phone, lower(p.email) AS email,
       silver.person_word(p.address) AS street, silver.person_word(p.city) AS city, lower(p.state) AS state,
       left(p.zip, 5) AS zip, silver.person_word(p.member_id) AS member_id
FROM silver.patients p WHERE p.is_current;

GRANT EXECUTE ON FUNCTION silver.person_word, silver.person_ssn, silver.person_digits, silver.person_near, silver.person_contradiction
    TO revcycle_daemon;
