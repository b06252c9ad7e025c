-- A file is superseded when nothing that it said of its claims shows any more, in whichever order files were read.

CREATE INDEX claims_absorbed_file ON silver.claims_absorbed (file_id, line);

-- What hung on the order until now.
WITH saying AS (
    SELECT file_id FROM silver.claims
    UNION
    SELECT a.file_id FROM silver.claims_absorbed a JOIN silver.claims c USING (source_claim_id, source_system, record_hash)
), told AS (
    SELECT f.file_id, CASE WHEN s.file_id IS NULL AND EXISTS (SELECT FROM silver.claims_absorbed a WHERE a.file_id = f.file_id)
                           THEN 'superseded' ELSE 'done' END AS state
    FROM ops.file f LEFT JOIN saying s USING (file_id) WHERE f.state IN ('done', 'superseded')
)
UPDATE ops.file f SET state = t.state FROM told t WHERE f.file_id = t.file_id AND f.state <> t.state;
