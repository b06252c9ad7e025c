-- Claims: every delivery stored, those that show in silver.claims, the others in claims_absorbed.

-- In the order of the ids, whose places count from 1.
-- name: claim_look_up
SELECT n.claim, d.is_shown, d.claim_key, d.iteration, d.is_final, d.file_id, d.line,
       (extract(epoch FROM d.source_modified_at) * 1000000)::bigint, f.period, f.sha256,
       d.source_hash, d.record_hash, d.claim_status,
       (d.claim_amount * 100)::bigint, (d.paid_amount * 100)::bigint, (d.deductible * 100)::bigint,
       (d.coinsurance * 100)::bigint, (d.copay * 100)::bigint,
       (extract(epoch FROM d.source_inserted_at) * 1000000)::bigint, coalesce(f.feed <> $3, false),
       (extract(epoch FROM s.ordered_at) * 1000000)::bigint, ops.x12_stage(s.kind), s.first_segment, s.payment, s.reference
FROM unnest($1::text[]) WITH ORDINALITY AS n(id, claim) CROSS JOIN LATERAL (
    SELECT true AS is_shown, c.* FROM silver.claims c
    WHERE c.source_claim_id = n.id AND c.source_system = $2
    UNION ALL
    SELECT false, a.* FROM silver.claims_absorbed a
    WHERE a.source_claim_id = n.id AND a.source_system = $2
    OFFSET 0
) d LEFT JOIN ops.file f ON f.file_id = d.file_id
LEFT JOIN LATERAL ops.x12_set_of(d.file_id, d.line) AS s ON true
ORDER BY n.claim

-- May any claim of a page be stored: does anything of the source stand from its least to its greatest id? No more rows are
-- looked at than the page has ids, for other sources bear the same ones; where there are more than that, it may. A delivery
-- that does not show stands beside one that does. And: are the page's files made of sets?
-- name: claim_glance
SELECT EXISTS (SELECT FROM (SELECT source_system FROM silver.claims WHERE source_claim_id BETWEEN $1 AND $2
                            ORDER BY source_claim_id LIMIT $4::bigint) AS near WHERE source_system = $3)
       OR (SELECT count(*) FROM (SELECT FROM silver.claims WHERE source_claim_id BETWEEN $1 AND $2
                                 ORDER BY source_claim_id LIMIT $4::bigint) AS near) = $4::bigint,
       EXISTS (SELECT FROM ops.x12_set WHERE file_id = ANY ($5::bigint[]))

-- Of rows that are not stored yet: `row` counts from 1.
-- name: claim_sets
SELECT u.row, (extract(epoch FROM s.ordered_at) * 1000000)::bigint, ops.x12_stage(s.kind), s.first_segment, s.payment, s.reference
FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS u(file_id, line, row)
CROSS JOIN LATERAL ops.x12_set_of(u.file_id, u.line) AS s

-- Rows whose iteration shows another delivery from now on; their key passes to it. What they are called
-- and what settle wrote in them belongs to the iteration, not to the delivery that is remembered. Where they
-- were last published is kept for the next publication.
-- name: claim_retire
WITH gone AS (
    DELETE FROM silver.claims c WHERE c.claim_key = ANY($1::bigint[]) RETURNING c
), kept AS (
    INSERT INTO silver.claims_absorbed
    SELECT (jsonb_populate_record(g.c, jsonb_build_object(
        'claim_key', 0, 'iteration', 0, 'is_final', false, 'patient_key', NULL, 'provider_key', NULL,
        'department_key', NULL, 'payer_key', NULL,
        'dq_flags', ARRAY(SELECT flag FROM unnest((g.c).dq_flags) AS flag
                          WHERE flag !~ '^(orphan_.*|claim_.*_mismatch|possible_duplicate|age_out_of_range)$'
                          ORDER BY flag)))).*
    FROM gone g
), moved AS (
    INSERT INTO ops.moved (table_name, key, old_date, batch_id)
    SELECT 'claims', (g.c).claim_key, (g.c).claim_date, $2::bigint FROM gone g
)
SELECT count(*) FROM gone

-- What these rows were, before they become something else or nothing.
-- name: claim_past
WITH placed AS (
    DELETE FROM ops.placed WHERE key = ANY($1::bigint[]) AND entity = 'claims' RETURNING key, batch_id
)
INSERT INTO silver.claims_past
SELECT c.*, coalesce(p.batch_id, c.batch_id), $2::bigint
FROM silver.claims c LEFT JOIN placed p ON p.key = c.claim_key WHERE c.claim_key = ANY($1::bigint[])

-- Numbers change places, and (claim, iteration) is unique at every moment: first out of the way.
-- name: claim_step_aside
UPDATE silver.claims SET iteration = -iteration WHERE claim_key = ANY($1::bigint[])

-- name: claim_renumber
UPDATE silver.claims c SET iteration = u.iteration, is_final = u.is_final = 1, batch_id = $4
FROM unnest($1::bigint[], $2::int[], $3::int[]) AS u(claim_key, iteration, is_final)
WHERE c.claim_key = u.claim_key

-- Absorbed deliveries that show from now on.
-- name: claim_prepare
UPDATE silver.claims_absorbed a
SET claim_key = u.claim_key, iteration = u.iteration, is_final = u.is_final = 1, batch_id = $8
FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::int[], $7::int[])
     AS u(file_id, line, claim_key, iteration, is_final)
WHERE a.source_claim_id = ANY($1::text[]) AND a.source_system = $2
  AND a.file_id = u.file_id AND a.line = u.line

-- name: claim_revive
WITH gone AS (
    DELETE FROM silver.claims_absorbed a
    USING unnest($3::bigint[], $4::bigint[]) AS u(file_id, line)
    WHERE a.source_claim_id = ANY($1::text[]) AND a.source_system = $2
      AND a.file_id = u.file_id AND a.line = u.line
    RETURNING a.*
)
INSERT INTO silver.claims SELECT * FROM gone

-- Cleaned again: rows whose content is another now. They are copied in anew, under their key where they still show;
-- their flags come back, for those that settle alone can tell.
-- name: claim_withdraw
WITH gone AS (
    DELETE FROM silver.claims c WHERE c.claim_key = ANY($1::bigint[]) RETURNING c
), moved AS (
    INSERT INTO ops.moved (table_name, key, old_date, batch_id)
    SELECT 'claims', (g.c).claim_key, (g.c).claim_date, $2::bigint FROM gone g
)
SELECT (g.c).claim_key, array_to_string((g.c).dq_flags, ',') FROM gone g

-- name: claim_note_withdrawn
INSERT INTO ops.claim_withdrawn (source_claim_id, source_system, batch_id)
SELECT DISTINCT u.id, $2, $3::bigint FROM unnest($1::text[]) AS u(id)

-- name: claim_withdraw_absorbed
DELETE FROM silver.claims_absorbed a
USING unnest($3::bigint[], $4::bigint[]) AS u(file_id, line)
WHERE a.source_claim_id = ANY($1::text[]) AND a.source_system = $2
  AND a.file_id = u.file_id AND a.line = u.line
