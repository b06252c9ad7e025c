-- X12: a set's place in the order of its claims' deliveries, and the payment that a remittance tells of.
ALTER TABLE ops.x12_set
    ADD COLUMN sender text,            -- GS02
    ADD COLUMN receiver text,          -- GS03
    ADD COLUMN made_at timestamptz,    -- GS04 and GS05, by the clock that the feed's pattern declares, else the hospital's
    ADD COLUMN ordered_at timestamptz, -- of a payer whose clock nobody declared: when the day of made_at was over everywhere
    ADD COLUMN payer_id text,          -- 835: TRN03, else the payer's number or name
    ADD COLUMN check_number text,      -- TRN02
    ADD COLUMN check_date text,        -- BPR16
    ADD COLUMN payee_id text,          -- N1*PE: number, else name
    -- the same in a remittance that the payer corrected
    ADD COLUMN remittance text GENERATED ALWAYS AS (payer_id || '|' || check_number || '|' || check_date || '|' || payee_id) STORED,
    -- the same in one that was made again
    ADD COLUMN payment text GENERATED ALWAYS AS (payer_id || '|' || check_number || '|' || check_date || '|' || payee_id
                                                 || '|' || check_amount::text) STORED,
    DROP CONSTRAINT x12_set_state_check,
    -- superseded: a remittance that was made again since, or, where it did not add up, again and rightly
    ADD CONSTRAINT x12_set_state_check CHECK (state IN ('posted', 'quarantined', 'superseded'));
CREATE INDEX x12_set_segment ON ops.x12_set (file_id, last_segment);
CREATE INDEX x12_set_remittance ON ops.x12_set (remittance) WHERE remittance IS NOT NULL;
CREATE INDEX x12_set_sent ON ops.x12_set (group_control) WHERE kind = '837';

-- The set that a segment stands in: sets of a file do not overlap.
CREATE FUNCTION ops.x12_set_of(of_file bigint, of_segment bigint) RETURNS SETOF ops.x12_set
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT s.* FROM (
        SELECT * FROM ops.x12_set
        WHERE file_id = of_file AND last_segment >= of_segment ORDER BY last_segment LIMIT 1
    ) AS s WHERE s.first_segment <= of_segment
$$;

-- 0 sent, 1 acknowledged, 2 adjudicated: what was made at one instant happened in this order.
CREATE FUNCTION ops.x12_stage(kind text) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE kind WHEN '277' THEN 1 WHEN '835' THEN 2 ELSE 0 END
$$;
GRANT EXECUTE ON FUNCTION ops.x12_set_of, ops.x12_stage TO revcycle_daemon;

-- What a payer gives or takes counts once per payment, however often and by whichever file it was told.
ALTER TABLE ops.x12_provider_adjustment ADD COLUMN payment text, ADD COLUMN number int;
CREATE UNIQUE INDEX x12_provider_adjustment_payment ON ops.x12_provider_adjustment (source_system, payment, number)
    WHERE payment IS NOT NULL;

-- A claim's acknowledgement: that of the set it was sent in, the set's own before the group's, the last of several. Of the
-- two parties that the set went between, and, for control numbers come round again, of the last set before it.
CREATE OR REPLACE VIEW gold.claim_acknowledgements AS
WITH sent AS (
    SELECT f.source_system, s.file_id, s.set_number, s.first_segment, s.last_segment, s.group_control, s.set_control, s.sender,
           s.receiver, s.made_at
    FROM ops.x12_set s JOIN ops.file f USING (file_id) WHERE s.kind = '837'
), answered AS (
    SELECT DISTINCT ON (a.file_id, a.segment, sent.set_control)
        a.code, a.acknowledgement, a.file_id, a.segment, a.set_control = '' AS is_of_group, sent.file_id AS sent_file,
        sent.first_segment, sent.last_segment, coalesce(s.ordered_at, s.made_at) AS answered_at
    FROM ops.x12_acknowledgement a
    CROSS JOIN LATERAL ops.x12_set_of(a.file_id, a.segment) AS s
    JOIN sent ON sent.source_system = a.source_system AND sent.group_control = a.group_control
        AND a.set_control IN (sent.set_control, '')
        AND (sent.sender IS NULL OR s.sender IS NULL
             OR (sent.sender, sent.receiver) IN ((s.receiver, s.sender), (s.sender, s.receiver)))
        AND (sent.made_at IS NULL OR s.made_at IS NULL OR sent.made_at <= coalesce(s.ordered_at, s.made_at))
    ORDER BY a.file_id, a.segment, sent.set_control, sent.made_at DESC NULLS LAST, sent.file_id DESC, sent.set_number DESC
)
SELECT DISTINCT ON (c.claim_key)
    c.claim_key, c.source_system, c.source_claim_id, c.iteration, a.code, a.acknowledgement, a.file_id
FROM silver.claims c
JOIN answered a ON a.sent_file = c.file_id AND c.line BETWEEN a.first_segment AND a.last_segment
WHERE NOT c.is_deleted
ORDER BY c.claim_key, a.is_of_group, a.answered_at DESC NULLS LAST, a.file_id DESC, a.segment DESC;
