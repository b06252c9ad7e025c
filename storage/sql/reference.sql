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

-- Rows of the list $1 that do not say what is known, with what they should say.
-- name: reference_code_wanted
SELECT s.{key} AS key, s.code, r.description, r.category, ref.status_of(s.code_system, s.code, r.outcome) AS status
FROM silver.{table} s LEFT JOIN ref.code r USING (code_system, code)
WHERE s.code_system = $1
  AND (s.description, s.{group}, s.reference_status)
      IS DISTINCT FROM (r.description, r.category, ref.status_of(s.code_system, s.code, r.outcome))

-- name: reference_code_untold
SELECT EXISTS ({wanted})

-- $2: of these codes; NULL: of all, $3 at most.
-- name: reference_code_tell
UPDATE silver.{table} s
SET description = w.description, {group} = w.category, reference_status = w.status, batch_id = $4::bigint
FROM (SELECT * FROM ({wanted}) AS w WHERE $2::text[] IS NULL OR w.code = ANY($2::text[]) LIMIT $3::int) AS w
WHERE w.key = s.{key}

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
