-- A 277CA that takes or refuses all claims of a set, or a provider's in it, without naming them is said of them as a 999 is.
ALTER TABLE ops.x12_set ADD COLUMN billing_providers jsonb; -- 837: from which segment on claims are whose (loop 2010AA, NM109)

CREATE TABLE ops.x12_batch_acknowledgement (
    file_id bigint NOT NULL,
    segment bigint NOT NULL,
    source_system text COLLATE "C" NOT NULL,
    reference text NOT NULL,       -- TRN02 of loop 2200B: BHT03 of the 837; '': it names none
    provider_id text,              -- NM109 of the billing provider whose claims are meant, '' where he has none; NULL: all
    code text NOT NULL,            -- STC01
    acknowledgement text NOT NULL, -- Accepted, Rejected; '': this of some claims, that of others, and nobody knows which
    PRIMARY KEY (file_id, segment)
);
COMMENT ON TABLE ops.x12_batch_acknowledgement IS 'what receivers said of sets of claims, and of providers in them, above the claims (277CA)';

-- As before. What a 277CA says of a set is as broad as what a 999 says of it, what it says of a provider is narrower. On one day a
-- set is looked at first (999) and then its claims (277CA). Where a sender names several sets alike, those of the last group before
-- the answer are meant, between the same two parties if there are such: an answer may come from who stands behind the receiver. Of
-- groups of one minute nobody knows which is meant: there a refusal goes before what is said on the same day. Sets in quarantine
-- have no claims that an answer could be of. Analysts read this view without a right to ops, so it calls no function that reads there.
CREATE OR REPLACE VIEW gold.claim_acknowledgements AS
WITH sent AS (
    SELECT f.source_system, s.file_id, s.set_number, s.first_segment, s.last_segment, s.group_control, s.set_control, s.sender,
           s.receiver, s.made_at, s.interchange_control, s.interchange_made, s.reference, s.billing_providers, f.sha256
    FROM ops.x12_set s JOIN ops.file f USING (file_id) WHERE s.kind = '837' AND s.state = 'posted'
), answered_set AS (
    SELECT DISTINCT ON (a.file_id, a.segment, sent.set_control)
        a.code, a.acknowledgement, a.file_id, a.segment, (a.set_control = '')::int AS breadth, sent.file_id AS sent_file,
        sent.first_segment, sent.last_segment, sent.made_at AS sent_at, coalesce(s.ordered_at, s.made_at) AS answered_at,
        s.made_at AS said_at
    FROM ops.x12_acknowledgement a
    JOIN LATERAL (
        SELECT * FROM ops.x12_set x WHERE x.file_id = a.file_id AND x.last_segment >= a.segment ORDER BY x.last_segment LIMIT 1
    ) AS s ON s.first_segment <= a.segment
    JOIN sent ON sent.source_system = a.source_system AND sent.group_control = a.group_control
        AND a.set_control IN (sent.set_control, '')
        AND (sent.sender IS NULL OR s.sender IS NULL
             OR (sent.sender, sent.receiver) IN ((s.receiver, s.sender), (s.sender, s.receiver)))
        AND (sent.made_at IS NULL OR s.made_at IS NULL OR sent.made_at <= coalesce(s.ordered_at, s.made_at))
    ORDER BY a.file_id, a.segment, sent.set_control, sent.made_at DESC NULLS LAST, sent.file_id DESC, sent.set_number DESC
), billed AS (
    SELECT sent.file_id, sent.set_number, run.provider_id, run.first_segment,
           coalesce(lead(run.first_segment) OVER (PARTITION BY sent.file_id, sent.set_number ORDER BY run.first_segment) - 1,
                    sent.last_segment) AS last_segment
    FROM sent CROSS JOIN LATERAL jsonb_to_recordset(sent.billing_providers) AS run(first_segment bigint, provider_id text)
), answered_batch AS (
    SELECT a.code, a.acknowledgement, a.file_id, a.segment, a.provider_id, sent.file_id AS sent_file, sent.set_number,
           sent.first_segment, sent.last_segment, sent.made_at AS sent_at, coalesce(s.ordered_at, s.made_at) AS answered_at,
           s.made_at AS said_at,
           count(*) OVER (PARTITION BY a.file_id, a.segment, sent.made_at)
               > count(*) OVER (PARTITION BY a.file_id, a.segment, sent.made_at, sent.file_id, sent.group_control) AS is_of_several,
           rank() OVER (PARTITION BY a.file_id, a.segment
                        ORDER BY ((sent.sender, sent.receiver) IN ((s.receiver, s.sender), (s.sender, s.receiver))) IS TRUE DESC,
                                 (sent.made_at <= s.made_at) IS TRUE DESC,
                                 sent.made_at DESC NULLS LAST, sent.interchange_made DESC NULLS LAST,
                                 sent.interchange_control DESC NULLS LAST, length(sent.group_control) DESC, sent.group_control DESC,
                                 sent.sha256 DESC) AS place
    FROM ops.x12_batch_acknowledgement a
    JOIN LATERAL (
        SELECT * FROM ops.x12_set x WHERE x.file_id = a.file_id AND x.last_segment >= a.segment ORDER BY x.last_segment LIMIT 1
    ) AS s ON s.first_segment <= a.segment
    JOIN sent ON sent.source_system = a.source_system AND sent.reference = a.reference
        AND (sent.made_at IS NULL OR s.made_at IS NULL OR sent.made_at <= coalesce(s.ordered_at, s.made_at))
    LEFT JOIN (SELECT DISTINCT file_id, set_number, provider_id FROM billed) AS his
        ON his.file_id = sent.file_id AND his.set_number = sent.set_number AND his.provider_id = a.provider_id
    WHERE a.provider_id IS NULL OR his.provider_id <> '' OR sent.billing_providers IS NULL
), answered AS (
    SELECT *, 0 AS is_of_status, false AS is_doubted_refusal FROM answered_set
    UNION ALL
    SELECT a.code, a.acknowledgement, a.file_id, a.segment, 2, sent.file_id, sent.first_segment, sent.last_segment, sent.made_at,
           a.answered_at, a.answered_at, 0, false
    FROM ops.x12_interchange_acknowledgement a
    JOIN sent ON sent.source_system = a.source_system AND sent.interchange_control = a.interchange_control
        AND sent.interchange_made = a.interchange_made
    UNION ALL
    SELECT code, acknowledgement, file_id, segment, 0, sent_file, first_segment, last_segment, sent_at, answered_at, said_at, 1,
           is_of_several AND acknowledgement = 'Rejected'
    FROM answered_batch WHERE place = 1 AND provider_id IS NULL
    UNION ALL
    SELECT a.code, a.acknowledgement, a.file_id, a.segment, -1, a.sent_file, b.first_segment, b.last_segment, a.sent_at,
           a.answered_at, a.said_at, 1, a.is_of_several AND a.acknowledgement = 'Rejected'
    FROM answered_batch a
    JOIN billed b ON b.file_id = a.sent_file AND b.set_number = a.set_number AND b.provider_id = a.provider_id
    WHERE a.place = 1 AND a.provider_id <> ''
), told AS (
    SELECT c.claim_key, c.source_system, c.source_claim_id, c.iteration, a.code, a.acknowledgement, a.file_id, a.segment,
           a.breadth, a.sent_at, a.answered_at, a.is_of_status, a.is_doubted_refusal, a.said_at
    FROM silver.claims c
    JOIN answered a ON a.sent_file = c.file_id AND c.line BETWEEN a.first_segment AND a.last_segment
    WHERE NOT c.is_deleted
    UNION ALL
    SELECT c.claim_key, d.source_system, d.source_claim_id, c.iteration, a.code, a.acknowledgement, a.file_id, a.segment,
           a.breadth, a.sent_at, a.answered_at, a.is_of_status, a.is_doubted_refusal, a.said_at
    FROM silver.claims_absorbed d
    JOIN answered a ON a.sent_file = d.file_id AND d.line BETWEEN a.first_segment AND a.last_segment
    CROSS JOIN LATERAL (
        SELECT side.claim_key, side.iteration
        FROM (
            SELECT n.*, CASE WHEN n.is_after THEN n.iteration - min(n.iteration) OVER one
                             ELSE max(n.iteration) OVER one - n.iteration END AS away
            FROM (
                SELECT s.claim_key, s.iteration,
                       (coalesce(t.ordered_at, s.source_modified_at, '-infinity'),
                        CASE t.kind WHEN '277' THEN 1 WHEN '835' THEN 2 ELSE 0 END, coalesce(s.source_modified_at, '-infinity'), s.file_id, s.line)
                     > (coalesce(d.source_modified_at, '-infinity'), 0, coalesce(d.source_modified_at, '-infinity'), d.file_id, d.line)
                           AS is_after,
                       (s.claim_status, s.claim_amount, s.paid_amount, s.deductible, s.coinsurance, s.copay)
                           IS NOT DISTINCT FROM
                       (d.claim_status, d.claim_amount, d.paid_amount, d.deductible, d.coinsurance, d.copay) AS is_like
                FROM silver.claims s
                LEFT JOIN LATERAL (
                    SELECT * FROM ops.x12_set x
                    WHERE x.file_id = s.file_id AND x.last_segment >= s.line ORDER BY x.last_segment LIMIT 1
                ) AS t ON t.first_segment <= s.line
                WHERE s.source_claim_id = d.source_claim_id AND s.source_system = d.source_system AND NOT s.is_deleted
            ) AS n WINDOW one AS (PARTITION BY n.is_after)
        ) AS side
        WHERE side.is_like ORDER BY side.away, side.is_after DESC LIMIT 1
    ) AS c
)
SELECT claim_key, source_system, source_claim_id, iteration, code, acknowledgement, file_id
FROM (
    SELECT DISTINCT ON (t.claim_key)
        t.claim_key, t.source_system, t.source_claim_id, t.iteration, t.code, t.acknowledgement, t.file_id
    FROM told t JOIN ops.file f USING (file_id)
    ORDER BY t.claim_key, t.sent_at DESC NULLS LAST, t.breadth, t.answered_at DESC NULLS LAST, t.is_of_status DESC,
             t.is_doubted_refusal DESC, t.said_at DESC NULLS LAST, f.sha256 DESC, t.segment DESC
) AS last_told
WHERE acknowledgement <> '';
