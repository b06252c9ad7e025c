-- A 277CA that takes or refuses all claims of a set, or a provider's in it, without naming them is said of them as a 999 is.
ALTER TABLE ops.x12_set ADD COLUMN billing_providers jsonb; -- 837: from which segment on claims are whose (loop 2010AA, NM109)

CREATE TABLE ops.x12_batch_acknowledgement (
    file_id bigint NOT NULL,
    segment bigint NOT NULL,
    source_system text COLLATE "C" NOT NULL,
    reference text NOT NULL,       -- TRN02 of loop 2200B: BHT03 of the 837; '': it names none
    provider_id text,              -- NM109 of the billing provider whose claims are meant, '' where he has none; NULL: all
    code text NOT NULL,            -- STC01
    acknowledgement text NOT NULL, -- Accepted, Rejected
    PRIMARY KEY (file_id, segment)
);
COMMENT ON TABLE ops.x12_batch_acknowledgement IS 'what receivers said of sets of claims, and of providers in them, above the claims (277CA)';
CREATE INDEX x12_set_sent_reference ON ops.x12_set (reference) WHERE kind = '837';

-- As before. What a 277CA says of a set is as broad as what a 999 says of it, what it says of a provider is narrower. On one day a
-- set is looked at first (999) and then its claims (277CA). Where a sender names several sets alike, those of the last group before
-- the answer are meant, between the same two parties if there are such: an answer may come from who stands behind the receiver.
CREATE OR REPLACE VIEW gold.claim_acknowledgements AS
WITH sent AS (
    SELECT f.source_system, s.file_id, s.set_number, s.first_segment, s.last_segment, s.group_control, s.set_control, s.sender,
           s.receiver, s.made_at, s.interchange_control, s.interchange_made, s.reference, s.billing_providers, f.sha256
    FROM ops.x12_set s JOIN ops.file f USING (file_id) WHERE s.kind = '837'
), answered_set AS (
    SELECT DISTINCT ON (a.file_id, a.segment, sent.set_control)
        a.code, a.acknowledgement, a.file_id, a.segment, (a.set_control = '')::int AS breadth, sent.file_id AS sent_file,
        sent.first_segment, sent.last_segment, sent.made_at AS sent_at, coalesce(s.ordered_at, s.made_at) AS answered_at,
        s.made_at AS said_at
    FROM ops.x12_acknowledgement a
    CROSS JOIN LATERAL ops.x12_set_of(a.file_id, a.segment) AS s
    JOIN sent ON sent.source_system = a.source_system AND sent.group_control = a.group_control
        AND a.set_control IN (sent.set_control, '')
        AND (sent.sender IS NULL OR s.sender IS NULL
             OR (sent.sender, sent.receiver) IN ((s.receiver, s.sender), (s.sender, s.receiver)))
        AND (sent.made_at IS NULL OR s.made_at IS NULL OR sent.made_at <= coalesce(s.ordered_at, s.made_at))
    ORDER BY a.file_id, a.segment, sent.set_control, sent.made_at DESC NULLS LAST, sent.file_id DESC, sent.set_number DESC
), answered_batch AS (
    SELECT a.code, a.acknowledgement, a.file_id, a.segment, a.provider_id, sent.file_id AS sent_file, sent.first_segment,
           sent.last_segment, sent.billing_providers, sent.made_at AS sent_at, coalesce(s.ordered_at, s.made_at) AS answered_at,
           s.made_at AS said_at,
           rank() OVER (PARTITION BY a.file_id, a.segment
                        ORDER BY ((sent.sender, sent.receiver) IN ((s.receiver, s.sender), (s.sender, s.receiver))) IS TRUE DESC,
                                 sent.made_at DESC NULLS LAST, sent.interchange_made DESC NULLS LAST,
                                 sent.interchange_control DESC NULLS LAST, sent.group_control DESC, sent.sha256 DESC) AS place
    FROM ops.x12_batch_acknowledgement a
    CROSS JOIN LATERAL ops.x12_set_of(a.file_id, a.segment) AS s
    JOIN sent ON sent.source_system = a.source_system AND sent.reference = a.reference
        AND (sent.made_at IS NULL OR s.made_at IS NULL OR sent.made_at <= coalesce(s.ordered_at, s.made_at))
), answered AS (
    SELECT *, 0 AS is_of_status FROM answered_set
    UNION ALL
    SELECT a.code, a.acknowledgement, a.file_id, a.segment, 2, sent.file_id, sent.first_segment, sent.last_segment, sent.made_at,
           a.answered_at, a.answered_at, 0
    FROM ops.x12_interchange_acknowledgement a
    JOIN sent ON sent.source_system = a.source_system AND sent.interchange_control = a.interchange_control
        AND sent.interchange_made = a.interchange_made
    UNION ALL
    SELECT code, acknowledgement, file_id, segment, 0, sent_file, first_segment, last_segment, sent_at, answered_at, said_at, 1
    FROM answered_batch WHERE place = 1 AND provider_id IS NULL
    UNION ALL
    SELECT a.code, a.acknowledgement, a.file_id, a.segment, -1, a.sent_file, run.first_segment, run.last_segment, a.sent_at,
           a.answered_at, a.said_at, 1
    FROM answered_batch a
    CROSS JOIN LATERAL (
        SELECT r.provider_id, r.first_segment,
               coalesce(lead(r.first_segment) OVER (ORDER BY r.first_segment) - 1, a.last_segment) AS last_segment
        FROM jsonb_to_recordset(a.billing_providers) AS r(first_segment bigint, provider_id text)
    ) AS run
    WHERE a.place = 1 AND a.provider_id <> '' AND run.provider_id = a.provider_id
), told AS (
    SELECT c.claim_key, c.source_system, c.source_claim_id, c.iteration, a.code, a.acknowledgement, a.file_id, a.segment,
           a.breadth, a.sent_at, a.answered_at, a.is_of_status, a.said_at
    FROM silver.claims c
    JOIN answered a ON a.sent_file = c.file_id AND c.line BETWEEN a.first_segment AND a.last_segment
    WHERE NOT c.is_deleted
    UNION ALL
    SELECT c.claim_key, d.source_system, d.source_claim_id, c.iteration, a.code, a.acknowledgement, a.file_id, a.segment,
           a.breadth, a.sent_at, a.answered_at, a.is_of_status, a.said_at
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
SELECT DISTINCT ON (t.claim_key)
    t.claim_key, t.source_system, t.source_claim_id, t.iteration, t.code, t.acknowledgement, t.file_id
FROM told t JOIN ops.file f USING (file_id)
ORDER BY t.claim_key, t.sent_at DESC NULLS LAST, t.breadth, t.answered_at DESC NULLS LAST, t.is_of_status DESC,
         t.said_at DESC NULLS LAST, f.sha256 DESC, t.segment DESC;
