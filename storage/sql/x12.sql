-- What is kept of an X12 file beside its claims. Amounts come as cents.

-- Of a file that is read anew: its clock may be declared by now, its numbers read otherwise.
-- name: x12_forget
WITH sets AS (DELETE FROM ops.x12_set WHERE file_id = $1::bigint),
acknowledged AS (DELETE FROM ops.x12_acknowledgement WHERE file_id = $1::bigint),
batches AS (DELETE FROM ops.x12_batch_acknowledgement WHERE file_id = $1::bigint),
interchanges AS (DELETE FROM ops.x12_interchange_acknowledgement WHERE file_id = $1::bigint)
DELETE FROM ops.x12_provider_adjustment WHERE file_id = $1::bigint

-- name: x12_note_sets
INSERT INTO ops.x12_set (file_id, set_number, kind, version, group_control, set_control, first_segment, last_segment,
                         claims, service_lines, reversals, charged, paid, provider_adjusted, check_amount,
                         lines_out_of_balance, claims_out_of_balance, claims_whose_line_charges_differ, difference,
                         state, reason, sender, receiver, made_at, ordered_at, payer_id, check_number, check_date,
                         payee_id, reference, interchange_control, interchange_made, billing_providers)
SELECT $1::bigint, s.set_number, s.kind, s.version, s.group_control, s.set_control, s.first_segment, s.last_segment,
       s.claims, s.service_lines, s.reversals, s.charged / 100, s.paid / 100, s.provider_adjusted / 100,
       s.check_amount / 100, s.lines_out_of_balance, s.claims_out_of_balance, s.claims_whose_line_charges_differ,
       s.difference / 100, CASE WHEN s.reason IS NULL THEN 'posted' ELSE 'quarantined' END, s.reason, s.sender,
       s.receiver, timestamptz 'epoch' + s.made_us * interval '1 microsecond',
       timestamptz 'epoch' + s.ordered_us * interval '1 microsecond', s.payer_id, s.check_number, s.check_date, s.payee_id,
       s.reference, s.interchange_control, s.interchange_made, s.billing_providers
FROM jsonb_to_recordset($2::jsonb) AS s(
    set_number int, kind text, version text, group_control text, set_control text, first_segment bigint,
    last_segment bigint, claims bigint, service_lines bigint, reversals bigint, charged numeric, paid numeric,
    provider_adjusted numeric, check_amount numeric, lines_out_of_balance bigint, claims_out_of_balance bigint,
    claims_whose_line_charges_differ bigint, difference numeric, reason text,
    sender text, receiver text, made_us bigint, ordered_us bigint, payer_id text, check_number text, check_date text,
    payee_id text, reference text, interchange_control text, interchange_made text,
    billing_providers jsonb)
ON CONFLICT DO NOTHING

-- Two feeds may be told of one payment.
-- name: x12_lock
SELECT pg_advisory_xact_lock(7309)

-- Of remittances of one payment those of the last made count; which came first does not matter.
-- name: x12_supersede
WITH told AS (
    SELECT s.file_id, s.set_number, s.state,
           row_number() OVER (PARTITION BY s.payment
                              ORDER BY coalesce(s.ordered_at, s.made_at) DESC NULLS LAST, s.made_at DESC NULLS LAST,
                                       f.period COLLATE "C" DESC NULLS LAST, f.sha256 DESC, s.set_number DESC) AS place
    FROM ops.x12_set s JOIN ops.file f USING (file_id)
    WHERE f.source_system = $2 AND s.state <> 'quarantined' AND s.reason IS NULL AND s.remittance IS NOT NULL
      AND s.remittance IN (SELECT remittance FROM ops.x12_set WHERE file_id = $1::bigint)
), changed AS (
    UPDATE ops.x12_set s SET state = CASE t.place WHEN 1 THEN 'posted' ELSE 'superseded' END
    FROM told t
    WHERE s.file_id = t.file_id AND s.set_number = t.set_number AND (t.place = 1) <> (s.state = 'posted')
    RETURNING s.file_id, s.first_segment, s.last_segment, s.state
)
DELETE FROM ops.x12_provider_adjustment p USING changed c
WHERE c.state = 'superseded' AND p.file_id = c.file_id AND p.segment BETWEEN c.first_segment AND c.last_segment

-- Of sets that were posted alone.
-- name: x12_note_providers
INSERT INTO ops.x12_provider_adjustment (file_id, segment, position, source_system, provider_id, fiscal_period_end,
                                         reason_code, reference, amount, payment, number)
SELECT $1::bigint, p.segment, p.position, $2, p.provider_id,
       nullif(p.fiscal_period_end, '')::date,
       p.reason_code, p.reference, p.amount / 100, s.payment, p.number
FROM jsonb_to_recordset($3::jsonb) AS p(set_number int, segment bigint, position int, provider_id text,
                                        fiscal_period_end text, reason_code text, reference text, amount numeric, number int)
JOIN ops.x12_set s ON s.file_id = $1::bigint AND s.set_number = p.set_number AND s.state = 'posted'
ON CONFLICT DO NOTHING

-- name: x12_note_acknowledgements
INSERT INTO ops.x12_acknowledgement (file_id, segment, source_system, group_control, set_control, code, acknowledgement)
SELECT $1::bigint, a.segment, $2, a.group_control, a.set_control, a.code, a.acknowledgement
FROM jsonb_to_recordset($3::jsonb) AS a(set_number int, segment bigint, group_control text, set_control text,
                                        code text, acknowledgement text)
JOIN ops.x12_set s ON s.file_id = $1::bigint AND s.set_number = a.set_number AND s.state = 'posted'
ON CONFLICT DO NOTHING

-- Where some levels of one provider are refused and others not, nobody knows which of his claims are meant: '' is said of him. A
-- provider whose set is refused has no acceptance of his own.
-- name: x12_note_batches
WITH levels AS (
    SELECT *, bool_and(acknowledgement IS NOT DISTINCT FROM 'Rejected')
                  OVER (PARTITION BY set_number, reference, provider_id) AS is_refused
    FROM jsonb_to_recordset($3::jsonb) AS b(set_number int, segment bigint, reference text, provider_id text, code text,
                                            acknowledgement text)
), said AS MATERIALIZED (
    SELECT DISTINCT ON (set_number, reference, provider_id) set_number, segment, reference, provider_id, code,
           CASE WHEN acknowledgement = 'Accepted' OR is_refused THEN acknowledgement ELSE '' END AS acknowledgement
    FROM levels WHERE acknowledgement IS NOT NULL
    ORDER BY set_number, reference, provider_id, levels.acknowledgement DESC, segment
)
INSERT INTO ops.x12_batch_acknowledgement (file_id, segment, source_system, reference, provider_id, code, acknowledgement)
SELECT $1::bigint, b.segment, $2, b.reference, b.provider_id, b.code, b.acknowledgement
FROM said b
JOIN ops.x12_set s ON s.file_id = $1::bigint AND s.set_number = b.set_number AND s.state = 'posted'
WHERE b.provider_id IS NULL OR b.acknowledgement = 'Rejected' OR (b.set_number, b.reference) NOT IN (
    SELECT set_number, reference FROM said WHERE provider_id IS NULL AND acknowledgement = 'Rejected')
ON CONFLICT DO NOTHING

-- name: x12_note_interchanges
INSERT INTO ops.x12_interchange_acknowledgement (file_id, segment, source_system, interchange_control, interchange_made, code,
                                                 note_code, acknowledgement, answered_at)
SELECT $1::bigint, i.segment, $2, i.interchange_control, i.interchange_made, i.code, i.note_code, i.acknowledgement,
       timestamptz 'epoch' + i.answered_us * interval '1 microsecond'
FROM jsonb_to_recordset($3::jsonb) AS i(segment bigint, interchange_control text, interchange_made text, code text,
                                        note_code text, acknowledgement text, answered_us bigint)
ON CONFLICT DO NOTHING

-- A remittance that did not add up, or whose envelope did not fit, was made again since and is right now: what quarantine
-- holds of it is seen to. It may have come after the right one.
-- name: x12_mend
WITH bad AS MATERIALIZED (
    SELECT b.file_id, b.set_number, b.first_segment, b.last_segment
    FROM ops.x12_set b JOIN ops.file bf USING (file_id)
    JOIN ops.x12_set g ON g.remittance = b.remittance AND g.reason IS NULL
    JOIN ops.file gf ON gf.file_id = g.file_id AND gf.source_system = bf.source_system
    WHERE $1::bigint IN (b.file_id, g.file_id) AND b.reason IS NOT NULL
      AND (coalesce(g.ordered_at, g.made_at), g.made_at, gf.sha256, g.set_number)
        > (coalesce(b.ordered_at, b.made_at), b.made_at, bf.sha256, b.set_number)
), ended AS (
    UPDATE ops.x12_set s SET state = 'superseded'
    FROM bad WHERE s.file_id = bad.file_id AND s.set_number = bad.set_number AND s.state = 'quarantined'
)
UPDATE dq.quarantine q SET state = 'superseded', replay_asked_at = NULL, is_mended = q.natural_key IS NULL
FROM bad
WHERE q.file_id = bad.file_id AND q.line BETWEEN bad.first_segment AND bad.last_segment
  AND (q.state IN ('open', 'dismissed')
       OR (q.natural_key IS NULL AND q.state = 'superseded' AND q.withdrawn_at IS NULL AND NOT q.is_mended))
RETURNING q.feed, q.source_system, CASE WHEN q.natural_key IS NULL THEN q.source_hash END
