-- What is kept of an X12 file beside its claims. Amounts come as cents.

-- name: x12_note_sets
INSERT INTO ops.x12_set (file_id, set_number, kind, version, group_control, set_control, first_segment, last_segment,
                         claims, service_lines, reversals, charged, paid, provider_adjusted, check_amount,
                         lines_out_of_balance, claims_out_of_balance, claims_whose_line_charges_differ, difference,
                         state, reason)
SELECT $1::bigint, s.set_number, s.kind, s.version, s.group_control, s.set_control, s.first_segment, s.last_segment,
       s.claims, s.service_lines, s.reversals, s.charged / 100, s.paid / 100, s.provider_adjusted / 100,
       s.check_amount / 100, s.lines_out_of_balance, s.claims_out_of_balance, s.claims_whose_line_charges_differ,
       s.difference / 100, CASE WHEN s.reason IS NULL THEN 'posted' ELSE 'quarantined' END, s.reason
FROM jsonb_to_recordset($2::jsonb) AS s(
    set_number int, kind text, version text, group_control text, set_control text, first_segment bigint,
    last_segment bigint, claims bigint, service_lines bigint, reversals bigint, charged numeric, paid numeric,
    provider_adjusted numeric, check_amount numeric, lines_out_of_balance bigint, claims_out_of_balance bigint,
    claims_whose_line_charges_differ bigint, difference numeric, reason text)
ON CONFLICT DO NOTHING

-- Of sets that were posted alone. A date that is none is left out.
-- name: x12_note_providers
INSERT INTO ops.x12_provider_adjustment (file_id, segment, position, source_system, provider_id, fiscal_period_end,
                                         reason_code, reference, amount)
SELECT $1::bigint, p.segment, p.position, $2, p.provider_id,
       CASE WHEN p.fiscal_period_end ~ '^[0-9]{4}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|30|31)$'
            THEN to_date(left(p.fiscal_period_end, 6), 'YYYYMM') + right(p.fiscal_period_end, 2)::int - 1 END,
       p.reason_code, p.reference, p.amount / 100
FROM jsonb_to_recordset($3::jsonb) AS p(set_number int, segment bigint, position int, provider_id text,
                                        fiscal_period_end text, reason_code text, reference text, amount numeric)
JOIN ops.x12_set s ON s.file_id = $1::bigint AND s.set_number = p.set_number AND s.state = 'posted'
ON CONFLICT DO NOTHING

-- name: x12_note_acknowledgements
INSERT INTO ops.x12_acknowledgement (file_id, segment, source_system, group_control, set_control, code, acknowledgement)
SELECT $1::bigint, a.segment, $2, a.group_control, a.set_control, a.code, a.acknowledgement
FROM jsonb_to_recordset($3::jsonb) AS a(set_number int, segment bigint, group_control text, set_control text,
                                        code text, acknowledgement text)
JOIN ops.x12_set s ON s.file_id = $1::bigint AND s.set_number = a.set_number AND s.state = 'posted'
ON CONFLICT DO NOTHING
