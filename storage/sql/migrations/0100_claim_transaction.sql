-- Which claims name a transaction. Settle alone asks that, and what a page of transactions is not told it tells afterwards: so
-- settle keeps it, for all rows of its batches at once and in their order, where an index of silver.claims was written row by row
-- by every page: a tenth of the time in which a claims file is placed. An entry may be older than its claim: who asks looks at the
-- claim as well.
CREATE TABLE ops.claim_transaction (
    source_transaction_id text COLLATE "C" NOT NULL,
    source_system text COLLATE "C" NOT NULL,
    claim_key bigint NOT NULL,
    PRIMARY KEY (source_transaction_id, source_system, claim_key)
);
COMMENT ON TABLE ops.claim_transaction IS 'claims by the transaction that they name, as of the last settle';
INSERT INTO ops.claim_transaction
SELECT source_transaction_id, source_system, claim_key FROM silver.claims WHERE source_transaction_id IS NOT NULL ORDER BY 1, 2, 3;
DROP INDEX silver.claims_transaction;
