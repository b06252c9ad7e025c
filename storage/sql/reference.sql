-- Reference data: who is to be asked for, what came, what silver says of it.

-- Numbers that silver names and nobody has a good answer for, in their order; a check digit that fails asks nobody.
-- name: reference_npi_pending
SELECT p.npi, r.etag, r.last_modified
FROM (SELECT DISTINCT npi FROM silver.providers WHERE npi > $1 AND npi_status <> 'bad_check_digit') AS p
LEFT JOIN ref.npi r USING (npi)
WHERE r.npi IS NULL OR r.expires_at <= now()
ORDER BY p.npi LIMIT $2::int

-- An answer that says nothing leaves an earlier one as it is.
-- name: reference_npi_write
INSERT INTO ref.npi AS r (npi, outcome, is_organization, taxonomies, etag, last_modified, expires_at)
VALUES ($1, $2, $3::boolean, $4::text[], $5, $6, now() + $7::bigint * interval '1 millisecond')
ON CONFLICT (npi) DO UPDATE SET
    outcome = CASE excluded.outcome WHEN 'unusable' THEN r.outcome ELSE excluded.outcome END,
    is_organization = CASE excluded.outcome WHEN 'unusable' THEN r.is_organization ELSE excluded.is_organization END,
    taxonomies = CASE excluded.outcome WHEN 'unusable' THEN r.taxonomies ELSE excluded.taxonomies END,
    etag = CASE excluded.outcome WHEN 'unusable' THEN r.etag ELSE excluded.etag END,
    last_modified = CASE excluded.outcome WHEN 'unusable' THEN r.last_modified ELSE excluded.last_modified END,
    fetched_at = CASE excluded.outcome WHEN 'unusable' THEN r.fetched_at ELSE excluded.fetched_at END,
    expires_at = excluded.expires_at

-- The service said that what it told before still holds.
-- name: reference_npi_renew
UPDATE ref.npi SET fetched_at = now(), expires_at = now() + $2::bigint * interval '1 millisecond' WHERE npi = $1

-- What hospitals say that such a provider does, beside what the registry says. $1: these numbers; NULL: those whose
-- status nobody has told yet.
-- name: reference_npi_claims
SELECT DISTINCT p.npi, p.specialization, r.outcome, array_to_string(r.taxonomies, E'\n')
FROM silver.providers p JOIN ref.npi r USING (npi)
WHERE p.npi_status <> 'bad_check_digit' AND r.outcome <> 'unusable'
  AND (p.npi = ANY($1::text[]) OR ($1::text[] IS NULL AND p.npi_status = 'unchecked'))
LIMIT $2::int

-- Whether there are such, of the second kind.
-- name: reference_npi_untold
SELECT EXISTS (SELECT FROM silver.providers p JOIN ref.npi r USING (npi)
               WHERE p.npi_status = 'unchecked' AND r.outcome <> 'unusable')

-- In place, every version: what a register says of a number is no history of the hospital's.
-- name: reference_npi_apply
UPDATE silver.providers p SET npi_status = d.status, batch_id = $1::bigint
FROM unnest($2::text[], $3::text[], $4::text[]) AS d(npi, specialization, status)
WHERE p.npi = d.npi AND p.specialization IS NOT DISTINCT FROM d.specialization
  AND p.npi_status <> 'bad_check_digit' AND p.npi_status <> d.status

-- Codes of the list $3 that silver names and nobody has a good answer for, in their order.
-- name: reference_code_pending
SELECT s.code, r.etag, r.last_modified
FROM silver.{table} s LEFT JOIN ref.code r USING (code_system, code)
WHERE s.code_system = $3 AND s.code > $1 AND ref.is_formed(s.code_system, s.code)
  AND (r.code IS NULL OR r.expires_at <= now())
ORDER BY s.code LIMIT $2::int

-- An answer that says nothing leaves an earlier one as it is, but for when it runs out.
-- name: reference_code_write
WITH said AS (
    INSERT INTO ref.code AS r (code_system, code, outcome, description, category, etag, last_modified, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, now() + $8::bigint * interval '1 millisecond')
    ON CONFLICT (code_system, code) DO UPDATE SET
        outcome = excluded.outcome, description = excluded.description, category = excluded.category,
        etag = excluded.etag, last_modified = excluded.last_modified, fetched_at = excluded.fetched_at,
        expires_at = excluded.expires_at
    WHERE excluded.outcome <> 'unusable'
    RETURNING r.code
)
UPDATE ref.code SET expires_at = now() + $8::bigint * interval '1 millisecond'
WHERE code_system = $1 AND code = $2 AND NOT EXISTS (SELECT FROM said)

-- name: reference_code_renew
UPDATE ref.code SET fetched_at = now(), expires_at = now() + $3::bigint * interval '1 millisecond'
WHERE code_system = $1 AND code = $2

-- Rows of the list $1 that do not say what is known, with what they should say. A file is a whole list: what is not in it
-- is not listed.
-- name: reference_code_wanted
SELECT s.{key} AS key, s.code, r.description, r.category, t.status
FROM silver.{table} s
LEFT JOIN ref.code r USING (code_system, code)
LEFT JOIN ref.list l USING (code_system)
CROSS JOIN LATERAL (SELECT ref.status_of(s.code_system, s.code, coalesce(
    r.outcome, CASE WHEN l.name IS NOT NULL THEN 'not_found' END)) AS status) AS t
WHERE s.code_system = $1
  AND (s.description, s.{group}, s.reference_status) IS DISTINCT FROM (r.description, r.category, t.status)

-- name: reference_code_untold
SELECT EXISTS ({wanted})

-- $2: of these codes; NULL: of all, $3 at most.
-- name: reference_code_tell
UPDATE silver.{table} s
SET description = w.description, {group} = w.category, reference_status = w.status, batch_id = $4::bigint
FROM (SELECT * FROM ({wanted}) AS w WHERE $2::text[] IS NULL OR w.code = ANY($2::text[]) LIMIT $3::int) AS w
WHERE w.key = s.{key}

-- ---- files ----

-- name: reference_list_kept
SELECT EXISTS (SELECT FROM ref.list WHERE name = $1 AND encode(sha256, 'hex') = $2)

-- name: reference_list_write
INSERT INTO ref.list (name, code_system, sha256, row_count) VALUES ($1, $2, decode($3, 'hex'), $4::bigint)
ON CONFLICT (name) DO UPDATE SET sha256 = excluded.sha256, row_count = excluded.row_count, loaded_at = now()

-- A file's rows are arrays: $2 codes, $3 descriptions, $4 categories, $5 lines; $1 the list.
-- name: reference_code_conflict
SELECT min(line), max(line) FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[]) AS u(code, description, category, line)
WHERE $1::text IS NOT NULL
GROUP BY upper(code) HAVING count(DISTINCT (description, category)) > 1
ORDER BY 1 LIMIT 1

-- name: reference_code_clear
DELETE FROM ref.code WHERE code_system = $1

-- name: reference_code_fill
INSERT INTO ref.code (code_system, code, outcome, description, category, expires_at)
SELECT DISTINCT ON (upper(code)) $1, upper(code), 'found', description, category, 'infinity'
FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[]) AS u(code, description, category, line)
ORDER BY upper(code), line

-- $2 aliases, $3 names, $4 types, $5 sources, $6 lines.
-- name: reference_payer_conflict
SELECT min(line), max(line)
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[]) AS u(alias, payer_name, payer_type, source, line)
WHERE $1::text IS NOT NULL
GROUP BY ref.fold(alias), source HAVING count(DISTINCT (payer_name, payer_type)) > 1
ORDER BY 1 LIMIT 1

-- name: reference_payer_clear
DELETE FROM ref.payer

-- name: reference_payer_fill
INSERT INTO ref.payer (alias, source_system, payer_name, payer_type)
SELECT DISTINCT ON (ref.fold(alias), source) ref.fold(alias), coalesce(source, ''), payer_name, payer_type
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[]) AS u(alias, payer_name, payer_type, source, line)
WHERE $1::text IS NOT NULL AND ref.fold(alias) <> ''
ORDER BY ref.fold(alias), source, line

-- Payers that do not say what the file says, with what they should say. By their name before their id, an alias of their
-- own source's before one of everybody's. What the file does not name is called as before.
-- Folded once a payer (OFFSET 0 keeps the planner from doing it once an alias).
-- name: reference_payer_wanted
SELECT w.* FROM (
    SELECT p.payer_key AS key, p.payer_name AS was_name, p.payer_type AS was_type, p.reference_status AS was_status,
           CASE WHEN a.payer_name IS NULL THEN 'unlisted' ELSE 'listed' END AS status,
           coalesce(a.payer_name, o.payer_name) AS payer_name, coalesce(a.payer_type, o.payer_type) AS payer_type
    FROM (SELECT payer_key, source_system, payer_name, payer_type, reference_status, ref.fold(name) AS by_name,
                 ref.fold(source_payer_id) AS by_id FROM silver.payers OFFSET 0) AS p
    LEFT JOIN ref.payer_before b USING (payer_key)
    CROSS JOIN LATERAL (SELECT
        CASE WHEN p.reference_status = 'listed' THEN b.payer_name ELSE p.payer_name END AS payer_name,
        CASE WHEN p.reference_status = 'listed' THEN b.payer_type ELSE p.payer_type END AS payer_type) AS o
    LEFT JOIN ref.payer n ON n.alias = p.by_name AND n.source_system = p.source_system
    LEFT JOIN ref.payer m ON m.alias = p.by_name AND m.source_system = ''
    LEFT JOIN ref.payer i ON i.alias = p.by_id AND i.source_system = p.source_system
    LEFT JOIN ref.payer j ON j.alias = p.by_id AND j.source_system = ''
    CROSS JOIN LATERAL (SELECT coalesce(n.payer_name, m.payer_name, i.payer_name, j.payer_name) AS payer_name,
        CASE WHEN n.alias IS NOT NULL THEN n.payer_type WHEN m.alias IS NOT NULL THEN m.payer_type
             WHEN i.alias IS NOT NULL THEN i.payer_type ELSE j.payer_type END AS payer_type) AS a
) AS w
WHERE (w.was_name, w.was_type, w.was_status) IS DISTINCT FROM (w.payer_name, w.payer_type, w.status)

-- Until the file was read once nothing is known.
-- name: reference_payer_untold
SELECT EXISTS (SELECT FROM ref.list WHERE name = 'payers') AND EXISTS ({wanted})

-- $1 at most. What a payer was called by its hospital is remembered as long as the file calls it otherwise; a row that the
-- hospital changed since is not listed, and is remembered anew.
-- name: reference_payer_tell
WITH wanted AS MATERIALIZED (
    SELECT * FROM ({wanted}) AS w WHERE EXISTS (SELECT FROM ref.list WHERE name = 'payers') LIMIT $1::int
), remembered AS (
    INSERT INTO ref.payer_before (payer_key, payer_name, payer_type)
    SELECT key, was_name, was_type FROM wanted WHERE status = 'listed' AND was_status IS DISTINCT FROM 'listed'
    ON CONFLICT (payer_key) DO UPDATE SET payer_name = excluded.payer_name, payer_type = excluded.payer_type
), forgotten AS (
    DELETE FROM ref.payer_before b USING wanted w WHERE b.payer_key = w.key AND w.status <> 'listed'
)
UPDATE silver.payers p
SET payer_name = w.payer_name, payer_type = w.payer_type, reference_status = w.status, batch_id = $2::bigint
FROM wanted w WHERE w.key = p.payer_key

-- name: reference_service_rest
SELECT coalesce(ceil(extract(epoch FROM not_before - now()) * 1000), 0)::bigint FROM ref.service WHERE name = $1

-- name: reference_service_answered
INSERT INTO ref.service (name, answered_at) VALUES ($1, now())
ON CONFLICT (name) DO UPDATE SET failures = 0, not_before = NULL, answered_at = now(), error = NULL

-- Half a minute, doubled with every failure up to an hour, and up to half as much more ($4, of 1000), so that many
-- houses do not come back together; or as long as the service wished ($2, ms).
-- name: reference_service_failed
INSERT INTO ref.service AS s (name, failures, not_before, error)
VALUES ($1, 1, now() + greatest($2::bigint, 30 * (1000 + $4::int / 2)) * interval '1 millisecond', $3)
ON CONFLICT (name) DO UPDATE SET failures = s.failures + 1, error = excluded.error,
    not_before = now() + greatest($2::bigint, least(3600, 30 * 2 ^ least(s.failures, 10)) * (1000 + $4::int / 2))
                         * interval '1 millisecond'
