-- What a receiver says of a whole interchange (TA1), before or without a word on its groups: it names the interchange by what its ISA
-- said, so sets remember theirs.
ALTER TABLE ops.x12_set
    ADD COLUMN interchange_control text, -- ISA13
    ADD COLUMN interchange_made text;    -- ISA09 and ISA10, as they stand there

CREATE TABLE ops.x12_interchange_acknowledgement (
    file_id bigint NOT NULL,
    segment bigint NOT NULL,
    source_system text COLLATE "C" NOT NULL,
    interchange_control text NOT NULL, -- TA101
    interchange_made text NOT NULL,    -- TA102 and TA103
    code text NOT NULL,                -- TA104
    note_code text NOT NULL,           -- TA105: 000, or what was found wrong
    acknowledgement text NOT NULL,     -- Accepted, Accepted with errors, Rejected
    answered_at timestamptz,           -- ISA09 and ISA10 of the interchange that says it
    PRIMARY KEY (file_id, segment)
);
COMMENT ON TABLE ops.x12_interchange_acknowledgement IS 'what receivers said of whole interchanges (TA1)';
CREATE INDEX x12_set_interchange ON ops.x12_set (interchange_control) WHERE kind = '837';

-- As before; and where nobody speaks of the set or its group, what was said of the interchange counts.
CREATE OR REPLACE VIEW gold.claim_acknowledgements AS
WITH sent AS (
    SELECT f.source_system, s.file_id, s.set_number, s.first_segment, s.last_segment, s.group_control, s.set_control, s.sender,
           s.receiver, s.made_at, s.interchange_control, s.interchange_made
    FROM ops.x12_set s JOIN ops.file f USING (file_id) WHERE s.kind = '837'
), answered_set AS (
    SELECT DISTINCT ON (a.file_id, a.segment, sent.set_control)
        a.code, a.acknowledgement, a.file_id, a.segment, (a.set_control = '')::int AS breadth, sent.file_id AS sent_file,
        sent.first_segment, sent.last_segment, sent.made_at AS sent_at, coalesce(s.ordered_at, s.made_at) AS answered_at
    FROM ops.x12_acknowledgement a
    CROSS JOIN LATERAL ops.x12_set_of(a.file_id, a.segment) AS s
    JOIN sent ON sent.source_system = a.source_system AND sent.group_control = a.group_control
        AND a.set_control IN (sent.set_control, '')
        AND (sent.sender IS NULL OR s.sender IS NULL
             OR (sent.sender, sent.receiver) IN ((s.receiver, s.sender), (s.sender, s.receiver)))
        AND (sent.made_at IS NULL OR s.made_at IS NULL OR sent.made_at <= coalesce(s.ordered_at, s.made_at))
    ORDER BY a.file_id, a.segment, sent.set_control, sent.made_at DESC NULLS LAST, sent.file_id DESC, sent.set_number DESC
), answered AS (
    SELECT * FROM answered_set
    UNION ALL
    SELECT a.code, a.acknowledgement, a.file_id, a.segment, 2, sent.file_id, sent.first_segment, sent.last_segment, sent.made_at,
           a.answered_at
    FROM ops.x12_interchange_acknowledgement a
    JOIN sent ON sent.source_system = a.source_system AND sent.interchange_control = a.interchange_control
        AND sent.interchange_made = a.interchange_made
), told AS (
    SELECT c.claim_key, c.source_system, c.source_claim_id, c.iteration, a.code, a.acknowledgement, a.file_id, a.segment,
           a.breadth, a.sent_at, a.answered_at
    FROM silver.claims c
    JOIN answered a ON a.sent_file = c.file_id AND c.line BETWEEN a.first_segment AND a.last_segment
    WHERE NOT c.is_deleted
    UNION ALL
    SELECT c.claim_key, d.source_system, d.source_claim_id, c.iteration, a.code, a.acknowledgement, a.file_id, a.segment,
           a.breadth, a.sent_at, a.answered_at
    FROM silver.claims_absorbed d
    JOIN answered a ON a.sent_file = d.file_id AND d.line BETWEEN a.first_segment AND a.last_segment
    CROSS JOIN LATERAL (
        SELECT side.claim_key, side.iteration
        FROM (
            SELECT n.*, CASE WHEN n.is_after THEN n.iteration - min(n.iteration) OVER one
                             ELSE max(n.iteration) OVER one - n.iteration END AS away
            FROM (
                SELECT s.claim_key, s.iteration,
                       (coalesce(t.ordered_at, s.source_modified_at, '-infinity'), ops.x12_stage(t.kind),
                        coalesce(s.source_modified_at, '-infinity'), s.file_id, s.line)
                     > (coalesce(d.source_modified_at, '-infinity'), 0, coalesce(d.source_modified_at, '-infinity'), d.file_id, d.line)
                           AS is_after,
                       (s.claim_status, s.claim_amount, s.paid_amount, s.deductible, s.coinsurance, s.copay)
                           IS NOT DISTINCT FROM
                       (d.claim_status, d.claim_amount, d.paid_amount, d.deductible, d.coinsurance, d.copay) AS is_like
                FROM silver.claims s
                LEFT JOIN LATERAL ops.x12_set_of(s.file_id, s.line) AS t ON true
                WHERE s.source_claim_id = d.source_claim_id AND s.source_system = d.source_system AND NOT s.is_deleted
            ) AS n WINDOW one AS (PARTITION BY n.is_after)
        ) AS side
        WHERE side.is_like ORDER BY side.away, side.is_after DESC LIMIT 1
    ) AS c
)
SELECT DISTINCT ON (claim_key)
    claim_key, source_system, source_claim_id, iteration, code, acknowledgement, file_id
FROM told
ORDER BY claim_key, sent_at DESC NULLS LAST, breadth, answered_at DESC NULLS LAST, file_id DESC, segment DESC;
