-- What receivers said of a claim's set (999) was lost when another delivery of its iteration shows: a 277CA that accepts the claim
-- says the same of it, and is newer. A delivery that does not show is of the iteration of its neighbours with its status and
-- amounts (transform/iteration.c). Of several sets of one iteration the last sent that was answered.
CREATE OR REPLACE VIEW gold.claim_acknowledgements AS
WITH sent AS (
    SELECT f.source_system, s.file_id, s.set_number, s.first_segment, s.last_segment, s.group_control, s.set_control, s.sender,
           s.receiver, s.made_at
    FROM ops.x12_set s JOIN ops.file f USING (file_id) WHERE s.kind = '837'
), answered AS (
    SELECT DISTINCT ON (a.file_id, a.segment, sent.set_control)
        a.code, a.acknowledgement, a.file_id, a.segment, a.set_control = '' AS is_of_group, sent.file_id AS sent_file,
        sent.first_segment, sent.last_segment, sent.made_at AS sent_at, coalesce(s.ordered_at, s.made_at) AS answered_at
    FROM ops.x12_acknowledgement a
    CROSS JOIN LATERAL ops.x12_set_of(a.file_id, a.segment) AS s
    JOIN sent ON sent.source_system = a.source_system AND sent.group_control = a.group_control
        AND a.set_control IN (sent.set_control, '')
        AND (sent.sender IS NULL OR s.sender IS NULL
             OR (sent.sender, sent.receiver) IN ((s.receiver, s.sender), (s.sender, s.receiver)))
        AND (sent.made_at IS NULL OR s.made_at IS NULL OR sent.made_at <= coalesce(s.ordered_at, s.made_at))
    ORDER BY a.file_id, a.segment, sent.set_control, sent.made_at DESC NULLS LAST, sent.file_id DESC, sent.set_number DESC
), told AS (
    SELECT c.claim_key, c.source_system, c.source_claim_id, c.iteration, a.code, a.acknowledgement, a.file_id, a.segment,
           a.is_of_group, a.sent_at, a.answered_at
    FROM silver.claims c
    JOIN answered a ON a.sent_file = c.file_id AND c.line BETWEEN a.first_segment AND a.last_segment
    WHERE NOT c.is_deleted
    UNION ALL
    SELECT c.claim_key, d.source_system, d.source_claim_id, c.iteration, a.code, a.acknowledgement, a.file_id, a.segment,
           a.is_of_group, a.sent_at, a.answered_at
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
ORDER BY claim_key, sent_at DESC NULLS LAST, is_of_group, answered_at DESC NULLS LAST, file_id DESC, segment DESC;
