-- A patient bears an id from the first row on: place draws one, and settle puts another person's in its place where the
-- two are one. So linking writes the rows of those who are linked, not all.

-- Small letters and digits, without accents, blanks and punctuation; letters of other scripts stay. What most
-- names and streets are made of goes the short way.
CREATE OR REPLACE FUNCTION silver.person_word(written text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT nullif(CASE
        WHEN written ~ '^[A-Za-z0-9]*$' THEN lower(written)
        WHEN written ~ '^[A-Za-z0-9 .,''#-]*$' THEN translate(lower(written), ' .,''#-', '')
        ELSE regexp_replace(lower(translate(normalize(written, NFD), 'ØøŁłĐđ', 'ooLlDd')),
                            '[^a-z0-9\u0100-\u02ff\u0370-\uffff]', '', 'g') END, '')
$$;

-- And what the row is called, and the id that it bears.
CREATE OR REPLACE VIEW silver.person_evidence AS
SELECT p.source_patient_id, p.source_system, p.ssn AS ssn_written, silver.person_ssn(p.ssn) AS ssn, p.birth_date,
       silver.person_digits(p.birth_date) AS birth_digits,
       silver.person_word(p.first_name) AS first_name, left(silver.person_word(p.first_name), 1) AS first_initial,
       left(silver.person_word(p.middle_name), 1) AS middle_initial, silver.person_word(p.last_name) AS last_name,
       nullif(p.gender, 'Unknown') AS gender, p.phone, lower(p.email) AS email,
       silver.person_word(p.address) AS street, silver.person_word(p.city) AS city, lower(p.state) AS state,
       left(p.zip, 5) AS zip, silver.person_word(p.member_id) AS member_id, p.patient_key, p.person_id AS borne
FROM silver.patients p WHERE p.is_current;
