-- Settle: everything that depends on other feeds' rows (rules, section 6). storage/settle.c runs these
-- in the order written here, in one transaction under the exclusive placement lock. Temporary tables
-- hold the scope: rows of unsettled batches and the rows those affect.

-- name: settle_is_due
SELECT EXISTS (SELECT FROM ops.batch WHERE settled_by IS NULL)

-- Rows that nobody is about to tell of: their run has ended, or its daemon has, whoever has the job now.
-- name: settle_is_called
SELECT EXISTS (
    SELECT FROM ops.batch b
    WHERE b.settled_by IS NULL
      AND NOT EXISTS (SELECT FROM ops.run r JOIN ops.job j ON j.name = r.job
                      WHERE r.run_id = b.run_id AND r.state IN ('queued', 'running', 'waiting') AND j.lease_until > now()))

-- Plans are made for the scope as it is, never for an average one.
-- name: settle_session
SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('work_mem', '128MB', true),
       set_config('jit', 'off', true)

-- Without statistics on freshly loaded tables nested loops look cheap; over a large scope they never are.
-- name: settle_session_large
SELECT set_config('enable_nestloop', 'off', true), set_config('enable_mergejoin', 'off', true)

-- name: settle_session_small
SELECT set_config('enable_nestloop', 'on', true), set_config('enable_mergejoin', 'on', true)

-- name: settle_run
CREATE TEMP TABLE settle_run ON COMMIT DROP AS
SELECT $1::bigint AS batch_id, $2::bigint AS run_id, $3::int AS fiscal_month

-- `corrects`: some rows of the batch replace others that facts may have been placed by.
-- name: settle_batches
CREATE TEMP TABLE settle_batch ON COMMIT DROP AS
SELECT batch_id, rows_changed > rows_new AS corrects FROM ops.batch WHERE settled_by IS NULL
UNION ALL
SELECT batch_id, false FROM settle_run -- what the claims' deliveries give one another, below

-- name: settle_unsettled
SELECT coalesce(sum(rows_changed), 0), coalesce(min(batch_id), 0), coalesce(max(batch_id), 0)
FROM settle_batch LEFT JOIN ops.batch USING (batch_id)

-- ---- what the deliveries of a claim give one another: before anything looks at the claims ----

-- Claims that were delivered since, and that a remittance or a status is, or was, part of. Most houses have none: then
-- nothing is read.
-- name: settle_posted
CREATE TEMP TABLE settle_posted ON COMMIT DROP AS
WITH span AS (SELECT min(batch_id) AS first, max(batch_id) AS last FROM settle_batch),
touched AS MATERIALIZED (
    SELECT DISTINCT source_claim_id, source_system
    FROM (SELECT source_claim_id, source_system, batch_id FROM silver.claims
          WHERE batch_id BETWEEN (SELECT first FROM span) AND (SELECT last FROM span)
          UNION ALL
          SELECT source_claim_id, source_system, batch_id FROM silver.claims_absorbed
          WHERE batch_id BETWEEN (SELECT first FROM span) AND (SELECT last FROM span)
          UNION ALL
          SELECT source_claim_id, source_system, batch_id FROM ops.claim_withdrawn) AS d
    JOIN settle_batch USING (batch_id)
    WHERE (SELECT EXISTS (SELECT FROM silver.claims WHERE delivery_kind IN ('remittance', 'status'))
               OR EXISTS (SELECT FROM silver.claims_absorbed WHERE delivery_kind IN ('remittance', 'status'))
               OR EXISTS (SELECT FROM silver.adjustments))
)
SELECT t.source_claim_id, t.source_system FROM touched t
JOIN silver.claims c ON c.source_claim_id = t.source_claim_id AND c.source_system = t.source_system
WHERE c.delivery_kind IN ('remittance', 'status')
UNION
SELECT t.source_claim_id, t.source_system FROM touched t
JOIN silver.claims_absorbed c ON c.source_claim_id = t.source_claim_id AND c.source_system = t.source_system
WHERE c.delivery_kind IN ('remittance', 'status')
UNION
SELECT t.source_claim_id, t.source_system FROM touched t
JOIN silver.adjustments a ON a.source_claim_id = t.source_claim_id AND a.source_system = t.source_system

-- name: settle_forget_withdrawn
DELETE FROM ops.claim_withdrawn WHERE batch_id IN (SELECT batch_id FROM settle_batch)

-- The deliveries of those claims in their order, which is that of transform/iteration.c (but for reversals behind their
-- correction in one set: both say of the claim what is inherited here); without those of remittances that were
-- made again and tell of the claim there. (NULL is oldest.) An answer that names the set it answers sits behind that set's claim:
-- `before`, the last one sent before it, else `first`.
-- name: settle_deliveries
CREATE TEMP TABLE settle_delivery ON COMMIT DROP AS
WITH delivery AS (
    SELECT true AS is_shown, c.* FROM settle_posted JOIN silver.claims c USING (source_claim_id, source_system)
    UNION ALL
    SELECT false, a.* FROM settle_posted JOIN silver.claims_absorbed a USING (source_claim_id, source_system)
), seated AS (
    SELECT d.*, s.payment, s.set_number, s.reference, ops.x12_stage(s.kind) AS stage,
           row_number() OVER (PARTITION BY d.source_claim_id, d.source_system
                              ORDER BY coalesce(s.ordered_at, d.source_modified_at) NULLS FIRST, ops.x12_stage(s.kind),
                                       d.source_modified_at NULLS FIRST, f.period COLLATE "C" NULLS FIRST,
                                       f.sha256 NULLS FIRST, coalesce(s.first_segment, 0), d.line) AS seat
    FROM delivery d LEFT JOIN ops.file f USING (file_id)
    LEFT JOIN LATERAL ops.x12_set_of(d.file_id, d.line) AS s ON true
), answering AS (
    SELECT *, max(seat) FILTER (WHERE stage = 0) OVER (named ORDER BY seat) AS before,
           min(seat) FILTER (WHERE stage = 0) OVER named AS first
    FROM seated WINDOW named AS (PARTITION BY source_claim_id, source_system, reference)
), counted AS (
    SELECT *, CASE WHEN payment IS NOT NULL THEN first_value(seat) OVER told
                   WHEN stage = 1 AND reference IS NOT NULL THEN coalesce(before, first, seat)
                   ELSE seat END AS first_seat,
           payment IS NOT NULL AND (file_id, set_number) <> (last_value(file_id) OVER told, last_value(set_number) OVER told)
               AS is_superseded
    FROM answering
    WINDOW told AS (PARTITION BY source_claim_id, source_system, payment ORDER BY seat
                    ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
)
SELECT *, row_number() OVER (PARTITION BY source_claim_id, source_system ORDER BY first_seat, stage, seat) AS place
FROM counted WHERE NOT is_superseded

-- Transactions that such claims named by what they had inherited, and name no more: no past row says so.
-- name: settle_released
CREATE TEMP TABLE settle_released (source_transaction_id text COLLATE "C", source_system text COLLATE "C") ON COMMIT DROP

-- A remittance says what became of a claim, not whose it is. A column that it does not say is the nearest earlier
-- delivery's that says it, else the nearest later one's; `inherited` names those columns, so that what a delivery says
-- itself is known in every order of arrival. Amounts and status are never inherited: they make the iteration.
-- name: settle_inherit
WITH said AS MATERIALIZED (
    SELECT claim_key, is_shown, delivery_kind, source_claim_id, source_system, place,
           silver.own_of(to_jsonb(d), inherited) AS says
    FROM settle_delivery d
), found AS MATERIALIZED (
    SELECT t.claim_key, u.name, t.says -> u.name IS NOT NULL AS is_own,
           coalesce(t.says ->> u.name,
                    (array_agg(o.says ->> u.name ORDER BY o.place DESC)
                         FILTER (WHERE o.place < t.place AND o.says -> u.name IS NOT NULL))[1],
                    (array_agg(o.says ->> u.name ORDER BY o.place)
                         FILTER (WHERE o.place > t.place AND o.says -> u.name IS NOT NULL))[1]) AS value
    FROM said t
    JOIN said o USING (source_claim_id, source_system)
    CROSS JOIN unnest(silver.claim_inheritable()) AS u(name)
    WHERE t.is_shown AND t.delivery_kind IN ('remittance', 'status')
    GROUP BY t.claim_key, t.says, u.name
), whole AS MATERIALIZED (
    SELECT claim_key, jsonb_object_agg(name, value) AS row,
           string_agg(name, ',' ORDER BY name) FILTER (WHERE NOT is_own AND value IS NOT NULL) AS inherited
    FROM found GROUP BY claim_key
), filled AS MATERIALIZED (
    SELECT c.claim_key, c.source_system, c.source_transaction_id AS old_transaction_id, c.claim_date AS old_date,
           c.batch_id AS was_batch_id, w.inherited, n.source_transaction_id,
           n.source_encounter_id, n.source_patient_id, n.source_provider_id, n.source_department_id, n.source_payer_id,
           n.service_date, n.claim_date, n.payer_type, n.payer_claim_id
    FROM whole w JOIN silver.claims c USING (claim_key)
    CROSS JOIN LATERAL jsonb_populate_record(NULL::silver.claims, w.row) AS n
    WHERE (c.inherited, c.source_transaction_id, c.source_encounter_id, c.source_patient_id, c.source_provider_id,
           c.source_department_id, c.source_payer_id, c.service_date, c.claim_date, c.payer_type, c.payer_claim_id)
          IS DISTINCT FROM
          (w.inherited, n.source_transaction_id, n.source_encounter_id, n.source_patient_id, n.source_provider_id,
           n.source_department_id, n.source_payer_id, n.service_date, n.claim_date, n.payer_type, n.payer_claim_id)
), moved AS (
    INSERT INTO ops.moved (table_name, key, old_date, batch_id)
    SELECT 'claims', f.claim_key, f.old_date, r.batch_id FROM filled f CROSS JOIN settle_run r
    WHERE f.claim_date IS DISTINCT FROM f.old_date
), released AS (
    INSERT INTO settle_released (source_transaction_id, source_system)
    SELECT old_transaction_id, source_system FROM filled WHERE old_transaction_id IS DISTINCT FROM source_transaction_id
), placed AS (
    INSERT INTO ops.placed (key, entity, batch_id)
    SELECT claim_key, 'claims', was_batch_id FROM filled ON CONFLICT DO NOTHING
)
UPDATE silver.claims t
SET inherited = f.inherited, source_transaction_id = f.source_transaction_id,
    source_encounter_id = f.source_encounter_id, source_patient_id = f.source_patient_id,
    source_provider_id = f.source_provider_id, source_department_id = f.source_department_id,
    source_payer_id = f.source_payer_id, service_date = f.service_date, claim_date = f.claim_date,
    payer_type = f.payer_type, payer_claim_id = f.payer_claim_id, batch_id = (SELECT batch_id FROM settle_run)
FROM filled f WHERE t.claim_key = f.claim_key

-- The adjustments that these claims' iterations have: of the delivery that shows, when it tells of any, else of the last
-- that does among those of equal status and amounts. (A billing system tells in its own file what the remittance said: that
-- file may show, and knows no adjustments.) Runs of such neighbours are the iterations of transform/iteration.c.
-- name: settle_adjusted
CREATE TEMP TABLE settle_adjusted ON COMMIT DROP AS
WITH begun AS (
    SELECT *, (claim_status, claim_amount, paid_amount, deductible, coinsurance, copay) IS DISTINCT FROM
              (lag(claim_status) OVER one, lag(claim_amount) OVER one, lag(paid_amount) OVER one, lag(deductible) OVER one,
               lag(coinsurance) OVER one, lag(copay) OVER one) AS begins
    FROM settle_delivery WINDOW one AS (PARTITION BY source_claim_id, source_system ORDER BY place)
), numbered AS (
    SELECT *, count(*) FILTER (WHERE begins) OVER (PARTITION BY source_claim_id, source_system ORDER BY place) AS run
    FROM begun
), shown AS (
    SELECT *, max(iteration) FILTER (WHERE is_shown AND NOT is_deleted) OVER one AS shown_iteration,
           max(claim_key) FILTER (WHERE is_shown) OVER one AS shown_key
    FROM numbered WINDOW one AS (PARTITION BY source_claim_id, source_system, run)
), telling AS MATERIALIZED (
    SELECT DISTINCT ON (source_claim_id, source_system, run) *
    FROM shown
    WHERE shown_iteration IS NOT NULL AND (adjustment_list IS NOT NULL OR (is_shown AND delivery_kind = 'remittance'))
    ORDER BY source_claim_id, source_system, run, is_shown DESC, place DESC
)
SELECT DISTINCT ON (c.source_claim_id, c.source_system, c.shown_iteration, l.part[1]::int, l.part[2], l.part[3], l.part[4]::int)
       c.source_system, c.source_claim_id, c.shown_iteration AS iteration, l.part[1]::int AS service_line,
       l.part[2] AS group_code, l.part[3] AS reason_code, l.part[4]::int AS position, s.claim_date,
       nullif(l.part[7], '') AS remark_codes, round(l.part[5]::numeric / 100, 2) AS amount,
       CASE WHEN l.part[6] ~ '^-?[0-9]{1,9}([.][0-9]*)?$' THEN round(l.part[6]::numeric)::int END AS quantity,
       c.file_id, c.line, c.source_inserted_at, c.source_modified_at, c.mapping_version
FROM telling c
JOIN silver.claims s ON s.claim_key = c.shown_key -- its day may be inherited
CROSS JOIN LATERAL (
    SELECT string_to_array(entry, '|') AS part FROM unnest(string_to_array(c.adjustment_list, ';')) AS entry
    WHERE entry ~ '^[0-9]{1,6}[|][^|]*[|][^|]*[|][0-9]{1,6}[|]-?[0-9]{1,14}[|][^|]*[|]') AS l

-- name: settle_adjustments_gone
WITH gone AS (
    DELETE FROM silver.adjustments a USING settle_posted p
    WHERE a.source_claim_id = p.source_claim_id AND a.source_system = p.source_system
      AND NOT EXISTS (SELECT FROM settle_adjusted e
                      WHERE (e.source_claim_id, e.source_system, e.iteration, e.service_line, e.group_code,
                             e.reason_code, e.position)
                          = (a.source_claim_id, a.source_system, a.iteration, a.service_line, a.group_code,
                             a.reason_code, a.position))
    RETURNING a
), past AS (
    INSERT INTO silver.adjustments_past SELECT (g.a).*, (g.a).batch_id, r.batch_id FROM gone g CROSS JOIN settle_run r
)
INSERT INTO ops.moved (table_name, key, old_date, batch_id)
SELECT 'adjustments', (g.a).adjustment_key, (g.a).claim_date, r.batch_id FROM gone g CROSS JOIN settle_run r

-- name: settle_adjustments_changed
WITH changed AS MATERIALIZED (
    SELECT a AS old, e.claim_date, e.remark_codes, e.amount, e.quantity, e.file_id, e.line, e.source_inserted_at,
           e.source_modified_at, e.mapping_version
    FROM settle_adjusted e JOIN silver.adjustments a USING (source_claim_id, source_system, iteration, service_line,
                                                            group_code, reason_code, position)
    WHERE (a.claim_date, a.remark_codes, a.amount, a.quantity, a.file_id, a.line)
          IS DISTINCT FROM (e.claim_date, e.remark_codes, e.amount, e.quantity, e.file_id, e.line)
), past AS (
    INSERT INTO silver.adjustments_past
    SELECT (c.old).*, (c.old).batch_id, r.batch_id FROM changed c CROSS JOIN settle_run r
), moved AS (
    INSERT INTO ops.moved (table_name, key, old_date, batch_id)
    SELECT 'adjustments', (c.old).adjustment_key, (c.old).claim_date, r.batch_id FROM changed c CROSS JOIN settle_run r
    WHERE c.claim_date IS DISTINCT FROM (c.old).claim_date
)
UPDATE silver.adjustments a
SET claim_date = c.claim_date, remark_codes = c.remark_codes, amount = c.amount, quantity = c.quantity,
    file_id = c.file_id, line = c.line, source_inserted_at = c.source_inserted_at,
    source_modified_at = c.source_modified_at, mapping_version = c.mapping_version,
    batch_id = (SELECT batch_id FROM settle_run)
FROM changed c WHERE a.adjustment_key = (c.old).adjustment_key

-- name: settle_adjustments_new
WITH missing AS MATERIALIZED (
    SELECT e.*, row_number() OVER () AS place
    FROM settle_adjusted e
    WHERE NOT EXISTS (SELECT FROM silver.adjustments a
                      WHERE (e.source_claim_id, e.source_system, e.iteration, e.service_line, e.group_code,
                             e.reason_code, e.position)
                          = (a.source_claim_id, a.source_system, a.iteration, a.service_line, a.group_code,
                             a.reason_code, a.position))
)
INSERT INTO silver.adjustments (adjustment_key, source_system, source_claim_id, iteration, service_line, group_code,
                                reason_code, position, claim_date, remark_codes, amount, quantity, file_id, line,
                                source_inserted_at, source_modified_at, batch_id, mapping_version)
SELECT k.key, m.source_system, m.source_claim_id, m.iteration, m.service_line, m.group_code, m.reason_code, m.position,
       m.claim_date, m.remark_codes, m.amount, m.quantity, m.file_id, m.line, m.source_inserted_at,
       m.source_modified_at, r.batch_id, m.mapping_version
FROM missing m
JOIN silver.take_keys('silver.adjustment_key_seq', (SELECT count(*) FROM missing)) AS k USING (place)
CROSS JOIN settle_run r

-- The rows of those batches: few are copied once ($1, $2: the least and the greatest batch, for the index), many are
-- read where they are.
-- name: settle_rows_few
CREATE TEMP TABLE settle_row_{table} ON COMMIT DROP AS
SELECT * FROM silver.{table}
WHERE batch_id BETWEEN $1::bigint AND $2::bigint AND batch_id IN (SELECT batch_id FROM settle_batch)

-- Does a table have any? By the index: a table without would be read whole.
-- name: settle_has_rows
SELECT EXISTS (SELECT FROM silver.{table}
               WHERE batch_id BETWEEN $1::bigint AND $2::bigint AND batch_id IN (SELECT batch_id FROM settle_batch))

-- name: settle_session_by_index
SELECT set_config('enable_seqscan', 'off', true)

-- name: settle_session_by_any_way
SELECT set_config('enable_seqscan', 'on', true)

-- Not by settle_batch, which has these batches and settle's own (the placement lock keeps others away): workers of a
-- parallel plan cannot see temporary tables.
-- name: settle_rows_many
CREATE TEMP VIEW settle_row_{table} AS
SELECT * FROM silver.{table} WHERE batch_id IN (SELECT batch_id FROM ops.batch WHERE settled_by IS NULL)

-- Of tables that this settle has written already, for what claims give one another: its own batch too.
-- name: settle_rows_posted
CREATE TEMP VIEW settle_row_{table} AS
SELECT * FROM silver.{table} WHERE batch_id IN (SELECT batch_id FROM settle_batch)

-- What is joined with it needs no look at all, and the planner sees that.
-- name: settle_rows_none
CREATE TEMP VIEW settle_row_{table} AS SELECT * FROM silver.{table} WHERE false

-- A view goes with no transaction's end.
-- name: settle_rows_drop
DROP VIEW settle_row_{table}

-- `is_changed`: others may have seen the member as it was before.
-- name: settle_scope_members
CREATE TEMP TABLE settle_{table} ON COMMIT DROP AS
SELECT {key}, {id} AS id, source_system, b.corrects AS is_changed
FROM settle_row_{table} JOIN settle_batch b USING (batch_id)

-- name: settle_scope
CREATE TEMP TABLE settle_{table} ON COMMIT DROP AS
SELECT {key}, {id} AS id, source_system, true AS is_changed FROM settle_row_{table}

-- By which transaction claims are found: what those of these batches name, and what they name no more. One that stays behind its
-- claim misleads nobody (0100_claim_transaction.sql). To ask what is there takes half the time of
-- ON CONFLICT, and nobody else writes.
-- name: settle_claims_name
INSERT INTO ops.claim_transaction (source_transaction_id, source_system, claim_key)
SELECT source_transaction_id, source_system, claim_key FROM settle_row_claims c
WHERE source_transaction_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM ops.claim_transaction n
    WHERE n.claim_key = c.claim_key AND n.source_transaction_id = c.source_transaction_id AND n.source_system = c.source_system)
ORDER BY 1, 2, 3

-- name: settle_claims_named
WITH named AS MATERIALIZED (
    SELECT source_transaction_id, source_system, claim_key
    FROM (SELECT source_transaction_id, source_system FROM silver.claims_past
          WHERE batch_to IN (SELECT batch_id FROM settle_batch)
          UNION
          SELECT source_transaction_id, source_system FROM settle_released) AS p
    JOIN ops.claim_transaction USING (source_transaction_id, source_system)
), gone AS MATERIALIZED (
    SELECT n.* FROM named n LEFT JOIN silver.claims c USING (claim_key)
    WHERE c.source_transaction_id IS DISTINCT FROM n.source_transaction_id
)
DELETE FROM ops.claim_transaction n USING gone AS g
WHERE n.source_transaction_id = g.source_transaction_id AND n.source_system = g.source_system AND n.claim_key = g.claim_key

-- Of encounters and transactions those alone that place could not tell all of (storage/member.h): a key that
-- is missing says so. Everything else about them that may be wrong is found by the statements of `spread`.
-- name: settle_scope_encounters
CREATE TEMP TABLE settle_encounters ON COMMIT DROP AS
SELECT encounter_key, source_encounter_id AS id, source_system, true AS is_changed
FROM settle_row_encounters
WHERE patient_key IS NULL OR provider_key IS NULL OR department_key IS NULL OR procedure_key IS NULL

-- name: settle_scope_transactions
CREATE TEMP TABLE settle_transactions ON COMMIT DROP AS
SELECT transaction_key, source_transaction_id AS id, source_system, true AS is_changed
FROM settle_row_transactions
WHERE patient_key IS NULL OR provider_key IS NULL OR department_key IS NULL OR procedure_key IS NULL
   OR diagnosis_key IS NULL OR payer_key IS NULL OR payment_status IS NULL

-- Place guesses whether the encounters of a large page are there: where it guessed wrong. In a table of its own, for
-- no statement that writes silver or into a table that exists has a parallel plan.
-- name: settle_guessed
CREATE TEMP TABLE settle_guessed ON COMMIT DROP AS
SELECT t.transaction_key, t.source_transaction_id AS id, t.source_system
FROM settle_row_transactions t
LEFT JOIN silver.encounters e
    ON e.source_encounter_id = t.source_encounter_id AND e.source_system = t.source_system AND NOT e.is_deleted
WHERE ('orphan_encounter' = ANY (t.dq_flags))
      <> (t.source_encounter_id IS NOT NULL AND e.source_encounter_id IS NULL)

-- name: settle_scope_guessed
INSERT INTO settle_transactions
SELECT transaction_key, id, source_system, true FROM settle_guessed
WHERE transaction_key NOT IN (SELECT transaction_key FROM settle_transactions)

-- name: settle_analyze
ANALYZE settle_{table}

-- ---- members that facts name ----

-- name: settle_named
CREATE TEMP TABLE settle_named ON COMMIT DROP AS
SELECT DISTINCT source_system, source_patient_id, source_provider_id, source_department_id,
       NULL::text COLLATE "C" AS source_payer_id
FROM settle_encounters JOIN silver.encounters USING (encounter_key, source_system)
UNION
SELECT source_system, source_patient_id, source_provider_id, source_department_id, source_payer_id
FROM settle_transactions JOIN silver.transactions USING (transaction_key, source_system)
UNION
SELECT source_system, source_patient_id, source_provider_id, source_department_id, source_payer_id
FROM settle_claims JOIN silver.claims USING (claim_key, source_system)
UNION -- and those that only a delivery names which does not show any more, or never did: whether it did hangs on the order
SELECT source_system, source_patient_id, source_provider_id, source_department_id, source_payer_id
FROM silver.claims_absorbed JOIN settle_batch USING (batch_id)
WHERE batch_id BETWEEN (SELECT min(batch_id) FROM settle_batch) AND (SELECT max(batch_id) FROM settle_batch)
UNION
SELECT source_system, NULL, NULL, NULL, source_payer_id
FROM settle_patients JOIN silver.patients USING (patient_key, source_system)

-- name: settle_infer_patients
WITH missing AS MATERIALIZED (
    SELECT source_system, source_patient_id, row_number() OVER () AS place
    FROM (SELECT DISTINCT source_system, source_patient_id FROM settle_named
          WHERE source_patient_id IS NOT NULL) AS named
    WHERE NOT EXISTS (SELECT FROM silver.patients p WHERE p.source_patient_id = named.source_patient_id
                      AND p.source_system = named.source_system)
), made AS (
    INSERT INTO silver.patients (patient_key, source_system, source_patient_id, person_id, effective_date,
                                 expiry_date, is_current, version, is_inferred, batch_id, made_by_batch)
    SELECT silver.patient_key(k.key), source_system, source_patient_id, gen_random_uuid(),
           timestamptz '0001-01-01 00:00:00+00', timestamptz '9999-12-31 00:00:00+00', true, 1, true,
           (SELECT batch_id FROM settle_run), (SELECT batch_id FROM settle_run)
    FROM missing
    JOIN silver.take_keys('silver.patient_key_seq', (SELECT count(*) FROM missing)) AS k USING (place)
    RETURNING patient_key, source_patient_id, source_system
)
INSERT INTO settle_patients SELECT patient_key, source_patient_id, source_system, false FROM made

-- name: settle_infer_providers
WITH missing AS MATERIALIZED (
    SELECT source_system, source_provider_id, row_number() OVER () AS place
    FROM (SELECT DISTINCT source_system, source_provider_id FROM settle_named
          WHERE source_provider_id IS NOT NULL) AS named
    WHERE NOT EXISTS (SELECT FROM silver.providers p WHERE p.source_provider_id = named.source_provider_id
                      AND p.source_system = named.source_system)
)
INSERT INTO silver.providers (provider_key, source_system, source_provider_id, effective_date,
                              expiry_date, is_current, version, is_inferred, batch_id, made_by_batch)
SELECT k.key, source_system, source_provider_id, timestamptz '0001-01-01 00:00:00+00',
       timestamptz '9999-12-31 00:00:00+00', true, 1, true, r.batch_id, r.batch_id
FROM missing
JOIN silver.take_keys('silver.provider_key_seq', (SELECT count(*) FROM missing)) AS k USING (place)
CROSS JOIN settle_run r

-- name: settle_infer_departments
WITH missing AS MATERIALIZED (
    SELECT source_system, source_department_id, row_number() OVER () AS place
    FROM (SELECT DISTINCT source_system, source_department_id FROM settle_named
          WHERE source_department_id IS NOT NULL) AS named
    WHERE NOT EXISTS (SELECT FROM silver.departments d
                      WHERE d.source_department_id = named.source_department_id
                        AND d.source_system = named.source_system)
)
INSERT INTO silver.departments (department_key, source_system, source_department_id, is_inferred, batch_id)
SELECT k.key, source_system, source_department_id, true, (SELECT batch_id FROM settle_run)
FROM missing
JOIN silver.take_keys('silver.department_key_seq', (SELECT count(*) FROM missing)) AS k USING (place)

-- Payers, codes and dates are made by place; here for rows that wait for their first settle.
-- name: settle_make_payers
SELECT silver.make_payers(array_agg(source_system), array_agg(source_payer_id), (SELECT batch_id FROM settle_run))
FROM (SELECT DISTINCT source_system, source_payer_id FROM settle_named WHERE source_payer_id IS NOT NULL) AS named

-- name: settle_make_procedures
SELECT silver.make_procedures(array_agg(code), (SELECT batch_id FROM settle_run))
FROM (SELECT procedure_code AS code FROM settle_encounters JOIN silver.encounters USING (encounter_key)
      UNION
      SELECT procedure_code FROM settle_transactions JOIN silver.transactions USING (transaction_key)) AS named
WHERE code IS NOT NULL

-- name: settle_make_diagnoses
SELECT silver.make_diagnoses(array_agg(diagnosis_code), (SELECT batch_id FROM settle_run))
FROM (SELECT DISTINCT diagnosis_code FROM settle_transactions JOIN silver.transactions USING (transaction_key)
      WHERE diagnosis_code IS NOT NULL) AS named

-- Of every delivery that tells of adjustments, not of those alone that show: which codes were named must not depend on the
-- order of the files.
-- name: settle_make_adjustment_codes
WITH told AS MATERIALIZED (
    SELECT adjustment_list FROM settle_posted JOIN silver.claims USING (source_claim_id, source_system)
    UNION
    SELECT adjustment_list FROM settle_posted JOIN silver.claims_absorbed USING (source_claim_id, source_system)
), named AS MATERIALIZED (
    SELECT DISTINCT l.part[2] AS group_code, l.part[3] AS reason_code, l.part[7] AS remark_codes
    FROM told CROSS JOIN LATERAL (
        SELECT string_to_array(entry, '|') AS part FROM unnest(string_to_array(adjustment_list, ';')) AS entry) AS l
    UNION
    SELECT group_code, reason_code, remark_codes FROM settle_adjustments JOIN silver.adjustments USING (adjustment_key)
)
SELECT silver.make_adjustment_codes(array_agg(c.code_system), array_agg(c.code), (SELECT batch_id FROM settle_run))
FROM (SELECT 'CAGC', group_code FROM named
      UNION SELECT 'CARC', reason_code FROM named
      UNION SELECT 'RARC', unnest(string_to_array(remark_codes, ',')) FROM named) AS c(code_system, code)
WHERE c.code <> ''

-- name: settle_make_dates
SELECT silver.make_dates(array_agg(day), (SELECT fiscal_month FROM settle_run), (SELECT batch_id FROM settle_run))
FROM (
    SELECT encounter_date AS day FROM settle_encounters JOIN silver.encounters USING (encounter_key)
    UNION SELECT birth_date FROM settle_patients JOIN silver.patients USING (patient_key)
    UNION SELECT d.day FROM settle_transactions JOIN silver.transactions USING (transaction_key),
                            LATERAL (VALUES (visit_date), (service_date), (paid_date)) AS d(day)
    UNION SELECT d.day FROM settle_claims JOIN silver.claims USING (claim_key),
                            LATERAL (VALUES (service_date), (claim_date), (decision_date)) AS d(day)
    UNION SELECT d.day FROM silver.claims_absorbed JOIN settle_batch USING (batch_id), -- as with members
                            LATERAL (VALUES (service_date), (claim_date), (decision_date)) AS d(day)
    WHERE batch_id BETWEEN (SELECT min(batch_id) FROM settle_batch) AND (SELECT max(batch_id) FROM settle_batch)
    UNION SELECT claim_date FROM settle_adjustments JOIN silver.adjustments USING (adjustment_key)) AS used
WHERE day IS NOT NULL

-- Another start of the fiscal year in the configuration moves every date.
-- name: settle_move_fiscal_year
UPDATE silver.dates
SET fiscal_year = fiscal.new_year, fiscal_quarter = fiscal.new_quarter, batch_id = fiscal.batch_id
FROM (SELECT d.date_key AS key, r.batch_id,
             d.year + (r.fiscal_month > 1 AND d.month >= r.fiscal_month)::int AS new_year,
             (d.month - r.fiscal_month + 12) % 12 / 3 + 1 AS new_quarter
      FROM silver.dates d CROSS JOIN settle_run r) AS fiscal
WHERE date_key = fiscal.key
  AND (fiscal_year, fiscal_quarter) IS DISTINCT FROM (fiscal.new_year, fiscal.new_quarter)

-- ---- rows that others' rows affect: {table} are affected, {cause} affects ----

-- Facts of patients and providers that got versions or corrections.
-- name: settle_spread_members
INSERT INTO settle_{table}
SELECT DISTINCT f.{key}, f.{id}, f.source_system, false
FROM settle_{cause} s JOIN silver.{table} f ON f.{cause_id} = s.id AND f.source_system = s.source_system
WHERE s.is_changed AND f.{key} NOT IN (SELECT {key} FROM settle_{table})

-- Facts that waited for their department.
-- name: settle_spread_departments
INSERT INTO settle_{table}
SELECT DISTINCT f.{key}, f.{id}, f.source_system, false
FROM settle_departments s
JOIN silver.{table} f ON f.source_department_id = s.id AND f.source_system = s.source_system
    AND 'orphan_department' = ANY (f.dq_flags)
WHERE s.is_changed AND f.{key} NOT IN (SELECT {key} FROM settle_{table})

-- Facts that waited for their encounter, and those whose encounter went.
-- name: settle_spread_came
INSERT INTO settle_{table}
SELECT DISTINCT f.{key}, f.{id}, f.source_system, false
FROM settle_row_encounters s
JOIN silver.{table} f ON f.source_encounter_id = s.source_encounter_id AND f.source_system = s.source_system
    AND 'orphan_encounter' = ANY (f.dq_flags)
WHERE f.{key} NOT IN (SELECT {key} FROM settle_{table})

-- name: settle_spread_went
INSERT INTO settle_{table}
SELECT DISTINCT f.{key}, f.{id}, f.source_system, false
FROM settle_row_encounters s
JOIN silver.{table} f ON f.source_encounter_id = s.source_encounter_id AND f.source_system = s.source_system
WHERE s.is_deleted AND f.{key} NOT IN (SELECT {key} FROM settle_{table})

-- Transactions that claims name, or named before.
-- name: settle_spread_claimed
INSERT INTO settle_transactions
SELECT f.transaction_key, f.source_transaction_id, f.source_system, false
FROM (SELECT source_transaction_id, source_system FROM settle_row_claims
      UNION
      SELECT source_transaction_id, source_system FROM silver.claims_past
      WHERE batch_to IN (SELECT batch_id FROM settle_batch)
      UNION
      SELECT source_transaction_id, source_system FROM settle_released) s
JOIN silver.transactions f USING (source_transaction_id, source_system)
WHERE f.transaction_key NOT IN (SELECT transaction_key FROM settle_transactions)

-- Claims of transactions. What is asked of ops.claim_transaction, here and below, is asked before silver.claims: joined in
-- one, the planner may join by the source alone, for its equality holds between all of them.
-- name: settle_spread_named
WITH named AS MATERIALIZED (
    SELECT claim_key, source_transaction_id
    FROM settle_row_transactions JOIN ops.claim_transaction USING (source_transaction_id, source_system)
)
INSERT INTO settle_claims
SELECT DISTINCT f.claim_key, f.source_claim_id, f.source_system, false
FROM named JOIN silver.claims f USING (claim_key, source_transaction_id)
WHERE f.claim_key NOT IN (SELECT claim_key FROM settle_claims)

-- name: settle_spread_adjustments
INSERT INTO settle_adjustments
SELECT DISTINCT f.adjustment_key, f.source_claim_id, f.source_system, false
FROM settle_row_claims s
JOIN silver.adjustments f ON f.source_claim_id = s.source_claim_id AND f.source_system = s.source_system
WHERE f.adjustment_key NOT IN (SELECT adjustment_key FROM settle_adjustments)

-- The same content under another id, within a source: possible_duplicate. Contents that may stand twice: those
-- that rows of these batches and of the scope have now or had before; after a large load, all that do.
-- {current}: versions in force, final iterations, what is not deleted.
-- name: settle_hashes
CREATE TEMP TABLE settle_hash_{table} ON COMMIT DROP AS
SELECT t.record_hash FROM settle_row_{table} t WHERE t.record_hash IS NOT NULL

-- name: settle_hashes_facts
CREATE TEMP TABLE settle_hash_{table} ON COMMIT DROP AS
SELECT t.record_hash FROM settle_row_{table} t WHERE t.record_hash IS NOT NULL
UNION ALL
SELECT t.record_hash FROM settle_{table} JOIN silver.{table} t USING ({key}) WHERE t.record_hash IS NOT NULL
UNION ALL
SELECT record_hash FROM silver.{table}_past
WHERE batch_to IN (SELECT batch_id FROM settle_batch) AND record_hash IS NOT NULL

-- Versions are corrected in place, so what a content was before is not kept: all that is flagged is
-- looked at again.
-- name: settle_hashes_flagged
INSERT INTO settle_hash_{table}
SELECT record_hash FROM silver.{table}
WHERE 'possible_duplicate' = ANY (dq_flags) AND record_hash IS NOT NULL AND EXISTS (SELECT FROM settle_row_{table})

-- Sorted in parallel as integers: half the work of hashing 16 bytes each, nearly all of which stand once
-- (1,000,000: 0.9 s of CPU on all cores instead of 2.0). Two contents may share one; settle_twins compares them whole.
-- name: settle_session_sort
SELECT set_config('enable_hashagg', 'off', true)

-- name: settle_session_hash
SELECT set_config('enable_hashagg', 'on', true)

-- name: settle_repeated
CREATE TEMP TABLE settle_repeated_{table} ON COMMIT DROP AS
SELECT hash_record_extended(ROW(t.record_hash), 0) AS hash FROM silver.{table} t
WHERE t.record_hash IS NOT NULL AND {current} AND EXISTS (SELECT FROM settle_row_{table})
GROUP BY 1 HAVING count(*) > 1

-- Of a table that has no row in these batches only what is in the scope.
-- name: settle_hashes_all
CREATE TEMP TABLE settle_hash_{table} ON COMMIT DROP AS
SELECT t.record_hash FROM silver.{table} t
WHERE t.record_hash IS NOT NULL AND {current}
  AND hash_record_extended(ROW(t.record_hash), 0) IN (SELECT hash FROM settle_repeated_{table})
UNION ALL
SELECT record_hash FROM silver.{table}
WHERE 'possible_duplicate' = ANY (dq_flags) AND record_hash IS NOT NULL AND EXISTS (SELECT FROM settle_row_{table})
UNION ALL
SELECT t.record_hash FROM settle_{table} JOIN silver.{table} t USING ({key})
WHERE t.record_hash IS NOT NULL AND NOT EXISTS (SELECT FROM settle_row_{table})

-- name: settle_hashes_analyze
ANALYZE settle_hash_{table}

-- name: settle_twins
CREATE TEMP TABLE settle_twin_{table} ON COMMIT DROP AS
SELECT t.source_system, t.record_hash
FROM silver.{table} t
WHERE t.record_hash IN (SELECT record_hash FROM settle_hash_{table}) AND {current}
GROUP BY t.source_system, t.record_hash
HAVING min(t.{id}) <> max(t.{id})

-- Those whose flag is not what it should be.
-- name: settle_spread_twins
INSERT INTO settle_{table}
SELECT t.{key}, t.{id}, t.source_system, false
FROM silver.{table} t
WHERE t.record_hash IN (SELECT record_hash FROM settle_hash_{table})
  AND ('possible_duplicate' = ANY (t.dq_flags))
      <> ({current} AND (t.source_system, t.record_hash) IN (SELECT source_system, record_hash FROM settle_twin_{table}))
  AND t.{key} NOT IN (SELECT {key} FROM settle_{table})

-- Who may be another person now (storage/sql/person.sql).
-- name: settle_persons_changed
INSERT INTO person_found SELECT DISTINCT id, source_system FROM settle_patients

-- All versions of those whose rows bear another id than their person's.
-- name: settle_moved
INSERT INTO settle_patients
SELECT p.patient_key, p.source_patient_id, p.source_system, false
FROM person_moved JOIN silver.patients p USING (source_patient_id, source_system)
WHERE p.patient_key NOT IN (SELECT patient_key FROM settle_patients)

-- ---- settle's columns: one statement a table, writing only what differs; who placed a fact is kept (ops.placed) ----

-- What a patient may have of settle's flags is possible_duplicate alone. Few rows of a first load are due: those of
-- persons with several.
-- name: settle_write_patients
WITH due AS MATERIALIZED (
    SELECT found.*
    FROM (SELECT p.patient_key, p.person_id AS borne, p.payer_key AS old_payer_key, p.dq_flags, l.person_id,
                 CASE WHEN p.source_payer_id IS NULL THEN -1 ELSE y.payer_key END AS payer_key,
                 w.record_hash IS NOT NULL AND p.is_current AND NOT p.is_deleted AS is_twin
          FROM settle_patients JOIN silver.patients p USING (patient_key, source_system)
          LEFT JOIN silver.person_link l USING (source_patient_id, source_system)
          LEFT JOIN silver.payers y ON y.source_payer_id = p.source_payer_id AND y.source_system = p.source_system
          LEFT JOIN settle_twin_patients w ON w.record_hash = p.record_hash AND w.source_system = p.source_system
         ) AS found
    WHERE (borne, old_payer_key, 'possible_duplicate' = ANY (dq_flags)) IS DISTINCT FROM (person_id, payer_key, is_twin)
)
UPDATE silver.patients p
SET person_id = n.person_id, payer_key = n.payer_key, batch_id = (SELECT batch_id FROM settle_run),
    dq_flags = silver.merge_flags(n.dq_flags, CASE WHEN n.is_twin THEN '{possible_duplicate}'::text[] ELSE '{}' END)
FROM due n
WHERE p.patient_key = n.patient_key

-- name: settle_write_providers
WITH found AS MATERIALIZED (
    SELECT p.provider_key, silver.merge_flags(p.dq_flags,
               CASE WHEN w.record_hash IS NOT NULL AND p.is_current AND NOT p.is_deleted
                    THEN '{possible_duplicate}'::text[] ELSE '{}' END) AS merged
    FROM settle_providers JOIN silver.providers p USING (provider_key, source_system)
    LEFT JOIN settle_twin_providers w ON w.record_hash = p.record_hash AND w.source_system = p.source_system
)
UPDATE silver.providers p
SET dq_flags = n.merged, batch_id = (SELECT batch_id FROM settle_run)
FROM found n
WHERE p.provider_key = n.provider_key AND p.dq_flags IS DISTINCT FROM n.merged

-- A fact points at the version valid at the last microsecond of its day in the source's zone: begun
-- before the day's end, not over before it. Older than the first version, or without a day: the first.
-- name: settle_write_encounters
WITH found AS MATERIALIZED (
    SELECT f.encounter_key, f.dq_flags, f.batch_id,
           f.patient_key AS was_patient_key, f.provider_key AS was_provider_key, f.department_key AS
           was_department_key, f.procedure_key AS was_procedure_key,
           CASE WHEN f.source_patient_id IS NULL THEN -1 ELSE p.patient_key END AS patient_key,
           CASE WHEN f.source_provider_id IS NULL THEN -1 ELSE v.provider_key END AS provider_key,
           CASE WHEN f.source_department_id IS NULL THEN -1 ELSE d.department_key END AS department_key,
           CASE WHEN f.procedure_code IS NULL THEN -1 ELSE c.procedure_key END AS procedure_key,
           array_remove(ARRAY[CASE WHEN p.is_inferred THEN 'orphan_patient' END,
                              CASE WHEN v.is_inferred THEN 'orphan_provider' END,
                              CASE WHEN d.is_inferred THEN 'orphan_department' END,
                              CASE WHEN w.record_hash IS NOT NULL AND NOT f.is_deleted
                                   THEN 'possible_duplicate' END], NULL) AS found
    FROM (SELECT e.*, (e.encounter_date + 1)::timestamp AT TIME ZONE coalesce(z.timezone, 'UTC') AS day_end
          FROM settle_encounters JOIN silver.encounters e USING (encounter_key, source_system)
          LEFT JOIN ops.source z USING (source_system)) f
    LEFT JOIN silver.patients p
        ON p.source_patient_id = f.source_patient_id AND p.source_system = f.source_system
        AND ((p.effective_date < f.day_end AND p.expiry_date >= f.day_end)
             OR (p.version = 1 AND (f.day_end <= p.effective_date) IS NOT FALSE))
    LEFT JOIN silver.providers v
        ON v.source_provider_id = f.source_provider_id AND v.source_system = f.source_system
        AND ((v.effective_date < f.day_end AND v.expiry_date >= f.day_end)
             OR (v.version = 1 AND (f.day_end <= v.effective_date) IS NOT FALSE))
    LEFT JOIN silver.departments d
        ON d.source_department_id = f.source_department_id AND d.source_system = f.source_system
    LEFT JOIN silver.procedures c
        ON c.code = f.procedure_code AND c.code_system = silver.procedure_system(c.code)
    LEFT JOIN settle_twin_encounters w ON w.record_hash = f.record_hash AND w.source_system = f.source_system
), flags AS MATERIALIZED (
    SELECT dq_flags, found, silver.merge_flags(dq_flags, found) AS merged FROM found GROUP BY dq_flags, found
), changed AS MATERIALIZED (
    SELECT n.*, g.merged FROM found n JOIN flags g USING (dq_flags, found)
    WHERE (n.was_patient_key, n.was_provider_key, n.was_department_key, n.was_procedure_key, n.dq_flags)
          IS DISTINCT FROM
          (n.patient_key, n.provider_key, n.department_key, n.procedure_key, g.merged)
), placed AS (
    INSERT INTO ops.placed (key, entity, batch_id)
    SELECT encounter_key, 'encounters', batch_id FROM changed ON CONFLICT DO NOTHING
)
UPDATE silver.encounters t
SET patient_key = n.patient_key, provider_key = n.provider_key, department_key = n.department_key,
    procedure_key = n.procedure_key, dq_flags = n.merged, batch_id = (SELECT batch_id FROM settle_run)
FROM changed n WHERE t.encounter_key = n.encounter_key

-- Which final claims name the transactions in scope: do all say Denied, does one bear the claim id that
-- the transaction has?
-- name: settle_claimed
CREATE TEMP TABLE settle_claimed ON COMMIT DROP AS
WITH asked AS MATERIALIZED (
    SELECT t.transaction_key, t.source_transaction_id, t.source_system, t.source_claim_id
    FROM settle_transactions JOIN silver.transactions t USING (transaction_key, source_system)
), named AS MATERIALIZED (
    SELECT a.transaction_key, source_transaction_id, a.source_claim_id, claim_key
    FROM asked a JOIN ops.claim_transaction USING (source_transaction_id, source_system)
)
SELECT n.transaction_key, bool_and(coalesce(c.claim_status = 'Denied', false)) AS all_denied,
       bool_or(coalesce(c.source_claim_id = n.source_claim_id, false)) AS bears_it
FROM named n JOIN silver.claims c USING (claim_key, source_transaction_id)
WHERE c.is_final AND NOT c.is_deleted
GROUP BY n.transaction_key

-- Age in whole years; who was born on 29 February counts on 1 March. NULL when negative or over 120.
-- name: settle_write_transactions
WITH found AS MATERIALIZED (
    SELECT f.transaction_key, f.dq_flags, f.batch_id,
           f.patient_key AS was_patient_key, f.provider_key AS was_provider_key, f.department_key AS
           was_department_key, f.procedure_key AS was_procedure_key, f.diagnosis_key AS
           was_diagnosis_key, f.payer_key AS was_payer_key, f.payment_status AS was_payment_status,
           f.patient_age AS was_patient_age,
           CASE WHEN f.source_patient_id IS NULL THEN -1 ELSE p.patient_key END AS patient_key,
           CASE WHEN f.source_provider_id IS NULL THEN -1 ELSE v.provider_key END AS provider_key,
           CASE WHEN f.source_department_id IS NULL THEN -1 ELSE d.department_key END AS department_key,
           CASE WHEN f.procedure_code IS NULL THEN -1 ELSE c.procedure_key END AS procedure_key,
           CASE WHEN f.diagnosis_code IS NULL THEN -1 ELSE i.diagnosis_key END AS diagnosis_key,
           CASE WHEN f.source_payer_id IS NULL THEN -1 ELSE y.payer_key END AS payer_key,
           CASE WHEN f.amount IS NULL OR f.paid_amount IS NULL OR f.amount <= 0 THEN 'Pending'
                WHEN f.paid_amount >= f.amount THEN 'Paid'
                WHEN f.paid_amount > 0 THEN 'Partial'
                WHEN m.all_denied THEN 'Denied'
                ELSE 'Pending' END AS payment_status,
           CASE WHEN f.service_date >= p.birth_date
                 AND date_part('year', age(f.service_date::timestamp, p.birth_date::timestamp)) <= 120
                THEN date_part('year', age(f.service_date::timestamp, p.birth_date::timestamp))::int
           END AS patient_age,
           array_remove(ARRAY[CASE WHEN f.service_date < p.birth_date
                                     OR date_part('year', age(f.service_date::timestamp,
                                                              p.birth_date::timestamp)) > 120
                                   THEN 'age_out_of_range' END,
                              CASE WHEN f.source_claim_id IS NOT NULL AND m.bears_it IS NOT TRUE
                                   THEN 'claim_link_mismatch' END,
                              CASE WHEN p.is_inferred THEN 'orphan_patient' END,
                              CASE WHEN v.is_inferred THEN 'orphan_provider' END,
                              CASE WHEN d.is_inferred THEN 'orphan_department' END,
                              CASE WHEN f.source_encounter_id IS NOT NULL AND e.encounter_key IS NULL
                                   THEN 'orphan_encounter' END,
                              CASE WHEN w.record_hash IS NOT NULL AND NOT f.is_deleted
                                   THEN 'possible_duplicate' END], NULL) AS found
    FROM (SELECT t.*, (t.service_date + 1)::timestamp AT TIME ZONE coalesce(z.timezone, 'UTC') AS day_end
          FROM settle_transactions JOIN silver.transactions t USING (transaction_key, source_system)
          LEFT JOIN ops.source z USING (source_system)) f
    LEFT JOIN silver.patients p
        ON p.source_patient_id = f.source_patient_id AND p.source_system = f.source_system
        AND ((p.effective_date < f.day_end AND p.expiry_date >= f.day_end)
             OR (p.version = 1 AND (f.day_end <= p.effective_date) IS NOT FALSE))
    LEFT JOIN silver.providers v
        ON v.source_provider_id = f.source_provider_id AND v.source_system = f.source_system
        AND ((v.effective_date < f.day_end AND v.expiry_date >= f.day_end)
             OR (v.version = 1 AND (f.day_end <= v.effective_date) IS NOT FALSE))
    LEFT JOIN silver.departments d
        ON d.source_department_id = f.source_department_id AND d.source_system = f.source_system
    LEFT JOIN silver.procedures c
        ON c.code = f.procedure_code AND c.code_system = silver.procedure_system(c.code)
    LEFT JOIN silver.diagnoses i ON i.code = f.diagnosis_code AND i.code_system = 'ICD10CM'
    LEFT JOIN silver.payers y ON y.source_payer_id = f.source_payer_id AND y.source_system = f.source_system
    LEFT JOIN silver.encounters e
        ON e.source_encounter_id = f.source_encounter_id AND e.source_system = f.source_system
        AND NOT e.is_deleted
    LEFT JOIN settle_claimed m ON m.transaction_key = f.transaction_key
    LEFT JOIN settle_twin_transactions w ON w.record_hash = f.record_hash AND w.source_system = f.source_system
), flags AS MATERIALIZED (
    SELECT dq_flags, found, silver.merge_flags(dq_flags, found) AS merged FROM found GROUP BY dq_flags, found
), changed AS MATERIALIZED (
    SELECT n.*, g.merged FROM found n JOIN flags g USING (dq_flags, found)
    WHERE (n.was_patient_key, n.was_provider_key, n.was_department_key, n.was_procedure_key,
           n.was_diagnosis_key, n.was_payer_key, n.was_payment_status, n.was_patient_age, n.dq_flags)
          IS DISTINCT FROM
          (n.patient_key, n.provider_key, n.department_key, n.procedure_key, n.diagnosis_key, n.payer_key,
           n.payment_status, n.patient_age, g.merged)
), placed AS (
    INSERT INTO ops.placed (key, entity, batch_id)
    SELECT transaction_key, 'transactions', batch_id FROM changed ON CONFLICT DO NOTHING
)
UPDATE silver.transactions t
SET patient_key = n.patient_key, provider_key = n.provider_key, department_key = n.department_key,
    procedure_key = n.procedure_key, diagnosis_key = n.diagnosis_key, payer_key = n.payer_key,
    payment_status = n.payment_status, patient_age = n.patient_age, dq_flags = n.merged,
    batch_id = (SELECT batch_id FROM settle_run)
FROM changed n WHERE t.transaction_key = n.transaction_key

-- A claim and its transaction disagree where both say something, and not the same.
-- name: settle_write_claims
WITH found AS MATERIALIZED (
    SELECT f.claim_key, f.dq_flags, f.batch_id,
           f.patient_key AS was_patient_key, f.provider_key AS was_provider_key, f.department_key AS
           was_department_key, f.payer_key AS was_payer_key,
           CASE WHEN f.source_patient_id IS NULL THEN -1 ELSE p.patient_key END AS patient_key,
           CASE WHEN f.source_provider_id IS NULL THEN -1 ELSE v.provider_key END AS provider_key,
           CASE WHEN f.source_department_id IS NULL THEN -1 ELSE d.department_key END AS department_key,
           CASE WHEN f.source_payer_id IS NULL THEN -1 ELSE y.payer_key END AS payer_key,
           array_remove(ARRAY[CASE WHEN f.source_patient_id <> t.source_patient_id
                                   THEN 'claim_patient_mismatch' END,
                              CASE WHEN f.source_encounter_id <> t.source_encounter_id
                                   THEN 'claim_encounter_mismatch' END,
                              CASE WHEN f.source_provider_id <> t.source_provider_id
                                   THEN 'claim_provider_mismatch' END,
                              CASE WHEN f.service_date <> t.service_date THEN 'claim_date_mismatch' END,
                              CASE WHEN f.source_department_id <> t.source_department_id
                                   THEN 'claim_department_mismatch' END,
                              CASE WHEN p.is_inferred THEN 'orphan_patient' END,
                              CASE WHEN v.is_inferred THEN 'orphan_provider' END,
                              CASE WHEN d.is_inferred THEN 'orphan_department' END,
                              CASE WHEN f.source_encounter_id IS NOT NULL AND e.encounter_key IS NULL
                                   THEN 'orphan_encounter' END,
                              CASE WHEN f.source_transaction_id IS NOT NULL AND t.transaction_key IS NULL
                                   THEN 'orphan_transaction' END,
                              CASE WHEN w.record_hash IS NOT NULL AND f.is_final AND NOT f.is_deleted
                                   THEN 'possible_duplicate' END], NULL) AS found
    FROM (SELECT c.*, (coalesce(c.service_date, c.claim_date) + 1)::timestamp
                      AT TIME ZONE coalesce(z.timezone, 'UTC') AS day_end
          FROM settle_claims JOIN silver.claims c USING (claim_key, source_system)
          LEFT JOIN ops.source z USING (source_system)) f
    LEFT JOIN silver.patients p
        ON p.source_patient_id = f.source_patient_id AND p.source_system = f.source_system
        AND ((p.effective_date < f.day_end AND p.expiry_date >= f.day_end)
             OR (p.version = 1 AND (f.day_end <= p.effective_date) IS NOT FALSE))
    LEFT JOIN silver.providers v
        ON v.source_provider_id = f.source_provider_id AND v.source_system = f.source_system
        AND ((v.effective_date < f.day_end AND v.expiry_date >= f.day_end)
             OR (v.version = 1 AND (f.day_end <= v.effective_date) IS NOT FALSE))
    LEFT JOIN silver.departments d
        ON d.source_department_id = f.source_department_id AND d.source_system = f.source_system
    LEFT JOIN silver.payers y ON y.source_payer_id = f.source_payer_id AND y.source_system = f.source_system
    LEFT JOIN silver.encounters e
        ON e.source_encounter_id = f.source_encounter_id AND e.source_system = f.source_system
        AND NOT e.is_deleted
    LEFT JOIN silver.transactions t
        ON t.source_transaction_id = f.source_transaction_id AND t.source_system = f.source_system
        AND NOT t.is_deleted
    LEFT JOIN settle_twin_claims w ON w.record_hash = f.record_hash AND w.source_system = f.source_system
), flags AS MATERIALIZED (
    SELECT dq_flags, found, silver.merge_flags(dq_flags, found) AS merged FROM found GROUP BY dq_flags, found
), changed AS MATERIALIZED (
    SELECT n.*, g.merged FROM found n JOIN flags g USING (dq_flags, found)
    WHERE (n.was_patient_key, n.was_provider_key, n.was_department_key, n.was_payer_key, n.dq_flags)
          IS DISTINCT FROM
          (n.patient_key, n.provider_key, n.department_key, n.payer_key, g.merged)
), placed AS (
    INSERT INTO ops.placed (key, entity, batch_id)
    SELECT claim_key, 'claims', batch_id FROM changed ON CONFLICT DO NOTHING
)
UPDATE silver.claims t
SET patient_key = n.patient_key, provider_key = n.provider_key, department_key = n.department_key,
    payer_key = n.payer_key, dq_flags = n.merged, batch_id = (SELECT batch_id FROM settle_run)
FROM changed n WHERE t.claim_key = n.claim_key

-- name: settle_write_adjustments
WITH found AS MATERIALIZED (
    SELECT a.adjustment_key, a.batch_id, a.dq_flags, silver.merge_flags(a.dq_flags,
               CASE WHEN c.claim_key IS NULL THEN '{orphan_claim}'::text[] ELSE '{}' END) AS merged
    FROM settle_adjustments JOIN silver.adjustments a USING (adjustment_key, source_system)
    LEFT JOIN silver.claims c ON c.source_claim_id = a.source_claim_id AND c.source_system = a.source_system
        AND c.iteration = a.iteration AND NOT c.is_deleted
), changed AS MATERIALIZED (
    SELECT * FROM found WHERE dq_flags IS DISTINCT FROM merged
), placed AS (
    INSERT INTO ops.placed (key, entity, batch_id)
    SELECT adjustment_key, 'adjustments', batch_id FROM changed ON CONFLICT DO NOTHING
)
UPDATE silver.adjustments a
SET dq_flags = n.merged, batch_id = (SELECT batch_id FROM settle_run)
FROM changed n
WHERE a.adjustment_key = n.adjustment_key

-- ---- ledgers ----

-- Per flag of settle's: rows it looked at, rows that bear it.
-- name: settle_results
INSERT INTO dq.result (batch_id, feed, rule, checked, failed)
SELECT r.batch_id, 'settle', found.rule, sum(found.checked), sum(found.failed)
FROM settle_run r, (
    SELECT flag.rule, max(s.checked) AS checked, sum(s.n) AS failed
    FROM (
        SELECT 1 AS place, dq_flags, count(*) AS n, sum(count(*)) OVER () AS checked
        FROM settle_transactions JOIN silver.transactions USING (transaction_key) GROUP BY dq_flags
        UNION ALL
        SELECT 2, dq_flags, count(*), sum(count(*)) OVER ()
        FROM settle_claims JOIN silver.claims USING (claim_key) GROUP BY dq_flags
        UNION ALL
        SELECT 3, dq_flags, count(*), sum(count(*)) OVER ()
        FROM settle_encounters JOIN silver.encounters USING (encounter_key) GROUP BY dq_flags
        UNION ALL
        SELECT 4, dq_flags, count(*), sum(count(*)) OVER ()
        FROM settle_patients JOIN silver.patients USING (patient_key) GROUP BY dq_flags
    ) AS s, unnest(s.dq_flags) AS flag(rule)
    WHERE silver.is_settle_flag(flag.rule)
    GROUP BY s.place, flag.rule) AS found
GROUP BY r.batch_id, found.rule

-- Facts of changed members are right now; what pages remember of those members is not (storage/member.h).
-- name: settle_member_change
UPDATE ops.member_change SET batch_id = (SELECT batch_id FROM settle_run)
WHERE EXISTS (SELECT FROM settle_patients WHERE is_changed) OR EXISTS (SELECT FROM settle_providers WHERE is_changed)
   OR EXISTS (SELECT FROM settle_departments WHERE is_changed)

-- name: settle_count
SELECT (SELECT count(*) FROM settle_encounters) + (SELECT count(*) FROM settle_transactions)
     + (SELECT count(*) FROM settle_claims) + (SELECT count(*) FROM settle_patients)
     + (SELECT count(*) FROM settle_providers)

-- name: settle_batch_close
UPDATE ops.batch SET settled_by = $1::bigint
WHERE batch_id IN (SELECT batch_id FROM settle_batch UNION ALL SELECT $1::bigint)
