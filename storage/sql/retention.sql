-- What is older than it is kept, and needed by nobody. docs/architecture.md says what may never go, and why.
-- {raw} is a quoted name in schema bronze; {table}, {id} come from the entity table; {needed} and {held} are the pieces
-- of retention_needed and its like.

-- The instant before which things are old, by the store's clock: one for the whole run.
-- name: retention_before
SELECT (now() - $1::bigint * interval '1 millisecond')::text

-- Feeds of which a newer copy of a key replaces the older one, and that have a table.
-- name: retention_feeds
SELECT f.feed, f.entity FROM ops.feed_entity f
WHERE f.tells = 'now' AND EXISTS (SELECT FROM ops.feed_schema s WHERE s.feed = f.feed)
ORDER BY f.feed

-- What the holds in force are, so that a page can tell whether they are still those that its rows were chosen under.
-- name: retention_holds
SELECT coalesce(max(hold_id), 0) || ' ' ||
       (SELECT coalesce(md5(string_agg(md5(source_system || '|' || source_patient_id), ''
                                               ORDER BY source_system, source_patient_id)), '')
        FROM ops.held_patient) FROM ops.hold

-- In a transaction: until it ends nobody sets a hold, and no other retention deletes.
-- name: retention_lock_holds
LOCK TABLE ops.hold IN SHARE ROW EXCLUSIVE MODE

-- In a transaction: until it ends the feed places no page.
-- name: retention_lock_feed
SELECT 1 FROM ops.cursor WHERE feed = $1 FOR UPDATE

-- ---- raw rows ----

-- Of raw row c: a row of silver was made of it, as remap and lineage find it, in whichever version or delivery.
-- name: retention_needed
  AND NOT EXISTS (SELECT FROM silver.{table} t WHERE t.{id} = c.source_key AND t.source_hash = c.source_hash)
  AND NOT EXISTS (SELECT FROM dq.quarantine q WHERE q.source_hash = c.source_hash AND q.feed = $1
                  AND (q.state IN ('open', 'dismissed')
                       OR (q.state = 'superseded' AND q.file_id IS NOT NULL AND q.withdrawn_at IS NULL)))

-- name: retention_needed_by_version
  AND NOT EXISTS (SELECT FROM silver.{table} t WHERE t.{id} = c.source_key AND t.made_by_batch = c.batch_id)

-- name: retention_needed_by_claim
  AND NOT EXISTS (SELECT FROM silver.{table} t
                  WHERE t.{id} = c.source_key AND t.file_id = c.file_id AND t.line = c.line)
  AND NOT EXISTS (SELECT FROM silver.claims_absorbed t WHERE t.{id} = c.source_key AND t.source_hash = c.source_hash)
  AND NOT EXISTS (SELECT FROM silver.claims_absorbed t
                  WHERE t.{id} = c.source_key AND t.file_id = c.file_id AND t.line = c.line)

-- Ids of rows that a hold on a patient keeps: of the patient.
-- name: retention_held_patients
SELECT p.source_system, p.source_patient_id AS id FROM ops.held_patient p

-- Of facts that name the patient, or ever did.
-- name: retention_held_facts
SELECT t.source_system, t.{id} AS id FROM silver.{table} t
JOIN ops.held_patient p ON p.source_patient_id = t.source_patient_id AND p.source_system = t.source_system
UNION
SELECT t.source_system, t.{id} FROM silver.{table}_past t
JOIN ops.held_patient p ON p.source_patient_id = t.source_patient_id AND p.source_system = t.source_system

-- name: retention_held_claims
UNION
SELECT t.source_system, t.{id} FROM silver.claims_absorbed t
JOIN ops.held_patient p ON p.source_patient_id = t.source_patient_id AND p.source_system = t.source_system

-- name: retention_held_none
SELECT NULL::text COLLATE "C" AS source_system, NULL::text COLLATE "C" AS id WHERE false

-- Whose a row is that was refused, or that silver does not know, only its text tells: while anybody of its source is
-- held, such rows are.
-- name: retention_whose_facts
  AND NOT ((c.op = 'reject' OR c.source_key IS NULL
            OR NOT EXISTS (SELECT FROM silver.{table} t WHERE t.{id} = c.source_key AND t.source_system = c.source_system))
           AND EXISTS (SELECT FROM ops.held_patient p WHERE p.source_system = c.source_system))

-- name: retention_whose_patients
  AND NOT (c.source_key IS NULL AND EXISTS (SELECT FROM ops.held_patient p WHERE p.source_system = c.source_system))

-- Rows of feed $1 received before $2 that may go. The newest content of each key stays, also behind a later deletion;
-- of claims that of each source, whose ids collide.
-- name: retention_raw
WITH copy AS (
    SELECT b.ctid AS place, b.batch_id, b.op, b.source_key, b.source_hash, b.received_at, b.file_id, b.line,
           CASE WHEN b.file_id IS NULL THEN split_part($1, '.', 1) ELSE coalesce(f.source_system, '') END COLLATE "C"
           AS source_system
    FROM bronze.{raw} b LEFT JOIN ops.file f ON f.file_id = b.file_id
), newest AS (
    SELECT source_key, source_system, max(batch_id) AS batch_id FROM copy
    WHERE op <> 'delete' AND source_key IS NOT NULL GROUP BY 1, 2
), held AS ({held})
SELECT c.place, c.batch_id, c.source_hash, c.source_system
FROM copy c LEFT JOIN newest n ON n.source_key = c.source_key AND n.source_system = c.source_system
WHERE c.received_at < $2::timestamptz AND (c.source_key IS NULL OR c.batch_id < n.batch_id){needed}
  AND NOT EXISTS (SELECT FROM ops.hold h WHERE h.released_at IS NULL AND (h.feed = $1
                  OR (h.kind = 'source' AND h.source_system = c.source_system)))
  AND NOT EXISTS (SELECT FROM held h WHERE h.id = c.source_key AND h.source_system = c.source_system){whose}

-- name: retention_raw_count
SELECT count(*) FROM ({raw_rows}) r

-- name: retention_raw_table
CREATE TEMP TABLE IF NOT EXISTS retention_raw (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, place tid, batch_id bigint NOT NULL, source_hash bigint NOT NULL,
    source_system text COLLATE "C" NOT NULL);
TRUNCATE retention_raw RESTART IDENTITY

-- As they lie there.
-- name: retention_raw_choose
INSERT INTO retention_raw (place, batch_id, source_hash, source_system) SELECT * FROM ({raw_rows}) r ORDER BY place

-- Those of $3 to $4. What needs and who holds them is asked once more: the feed has placed pages since they were chosen.
-- name: retention_raw_delete
WITH held AS ({held})
DELETE FROM bronze.{raw} c USING retention_raw v
WHERE v.n BETWEEN $3::bigint AND $4::bigint AND c.ctid = v.place AND c.batch_id = v.batch_id
  AND c.source_hash = v.source_hash AND c.received_at < $2::timestamptz{needed}
  AND NOT EXISTS (SELECT FROM held h WHERE h.id = c.source_key AND h.source_system = v.source_system)

-- ---- quarantine ----

-- Entries that ended before $1. Of files' rows those that were replaced stay: all deliveries of a claim tell
-- what its iterations are. So do those whose content a person dismissed, wherever else it is said: it may be said again.
-- name: retention_quarantine
SELECT q.quarantine_id AS id FROM dq.quarantine q LEFT JOIN ops.feed_entity e ON e.feed = q.feed
WHERE q.ended_at < $1::timestamptz
  AND (q.state = 'replayed' OR (q.state = 'superseded' AND (q.file_id IS NULL OR q.withdrawn_at IS NOT NULL)))
  AND (q.file_id IS NULL OR q.dismissed_at IS NULL)
  AND NOT EXISTS (SELECT FROM ops.hold h WHERE h.released_at IS NULL AND (h.feed = q.feed
                  OR (h.kind = 'source' AND h.source_system = q.source_system)))
  AND NOT (coalesce(e.entity, '') NOT IN ('providers', 'departments', 'payers') AND EXISTS (
      SELECT FROM ops.held_patient p WHERE p.source_system = q.source_system
        AND (coalesce(e.entity, '') <> 'patients' OR q.natural_key IS NULL OR q.natural_key = p.source_patient_id)))

-- name: retention_quarantine_delete
DELETE FROM dq.quarantine WHERE quarantine_id = ANY($1::bigint[])

-- ---- proofs and runs ----

-- name: retention_proofs
SELECT c.reconciliation_id AS id FROM ops.reconciliation c
WHERE c.finished_at < $1::timestamptz
  AND c.reconciliation_id < (SELECT max(n.reconciliation_id) FROM ops.reconciliation n WHERE n.subject = c.subject)
  AND NOT EXISTS (SELECT FROM ops.hold h WHERE h.released_at IS NULL AND (h.feed = c.subject
                  OR (h.kind = 'source' AND starts_with(c.subject, h.source_system || '.'))))

-- name: retention_proofs_delete
DELETE FROM ops.reconciliation WHERE reconciliation_id = ANY($1::bigint[])

-- Runs that ended before $1 and that nothing names which stays: no page or settle that they committed (a row's lineage
-- ends there), no link of a person, no proof, nothing that waits for a person, nothing seen of a table. Each job's last stays.
-- name: retention_runs
SELECT r.run_id AS id FROM ops.run r
WHERE r.finished_at < $1::timestamptz AND r.state IN ('succeeded', 'failed', 'canceled')
  AND r.run_id < (SELECT max(n.run_id) FROM ops.run n WHERE n.job = r.job)
  AND NOT EXISTS (SELECT FROM ops.batch b WHERE b.run_id = r.run_id)
  AND NOT EXISTS (SELECT FROM silver.person_link l WHERE l.run_id = r.run_id)
  AND NOT EXISTS (SELECT FROM silver.person_alias a WHERE a.run_id = r.run_id)
  AND NOT EXISTS (SELECT FROM ops.feed_drift d WHERE d.run_id = r.run_id)
  AND NOT EXISTS (SELECT FROM ops.gone g WHERE g.run_id = r.run_id)
  AND NOT EXISTS (SELECT FROM ops.reconciliation c WHERE c.run_id = r.run_id AND c.reconciliation_id NOT IN ({proofs}))
  AND NOT EXISTS (SELECT FROM ops.hold h WHERE h.released_at IS NULL AND (r.job IN (h.feed, 'reconcile.' || h.feed)
                  OR (h.kind = 'source' AND (starts_with(r.job, h.source_system || '.')
                                             OR starts_with(r.job, 'reconcile.' || h.source_system || '.')))))

-- name: retention_runs_delete
DELETE FROM ops.run WHERE run_id = ANY($1::bigint[])

-- ---- any of the ledgers, whose rows {ledger} chooses ----

-- name: retention_ledger_count
SELECT count(*) FROM ({ledger}) l

-- The next ones behind $2, at most $3.
-- name: retention_ledger_page
SELECT l.id FROM ({ledger}) l WHERE l.id > $2::bigint ORDER BY l.id LIMIT $3::bigint

-- ---- the audit trail ----

-- name: retention_months
SELECT partition, lines FROM ops.audit_months_due($1::bigint * interval '1 millisecond') WHERE is_sealed

-- name: retention_months_unsealed
SELECT count(*) FROM ops.audit_months_due($1::bigint * interval '1 millisecond') WHERE NOT is_sealed

-- name: retention_month_drop
SELECT ops.audit_retire_month($1, $2::bigint * interval '1 millisecond')
