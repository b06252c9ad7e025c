-- Sums of a set may be larger than any amount in it: one that did not fit stopped its file, and those behind it, for good.
ALTER TABLE ops.x12_set
    ALTER COLUMN charged TYPE numeric(20,2), ALTER COLUMN paid TYPE numeric(20,2),
    ALTER COLUMN provider_adjusted TYPE numeric(20,2), ALTER COLUMN check_amount TYPE numeric(20,2),
    ALTER COLUMN difference TYPE numeric(20,2);

-- Whose adjustments a file without any shows in the place of.
CREATE INDEX claims_absorbed_partial ON silver.claims_absorbed (source_claim_id, source_system)
    WHERE delivery_kind IN ('remittance', 'status');

-- Went with the table that 0046 made anew: each settle read the whole past.
CREATE INDEX claims_past_batch ON silver.claims_past USING brin (batch_to);

-- Where 0050 was applied before 0046 it had not all columns of claims.
DO $$
DECLARE
    columns text;
BEGIN
    SELECT string_agg(CASE column_name WHEN 'batch_id' THEN 'b.batch_id' ELSE 't.' || quote_ident(column_name) END,
                      ', ' ORDER BY ordinal_position)
    INTO columns FROM information_schema.columns WHERE table_schema = 'silver' AND table_name = 'claims';
    EXECUTE format($f$
        CREATE OR REPLACE FUNCTION silver.claims_known_at(instant timestamptz) RETURNS SETOF silver.claims
        LANGUAGE sql STABLE AS $body$
            SELECT %1$s
            FROM silver.claims t LEFT JOIN ops.placed p ON p.key = t.claim_key AND p.entity = 'claims'
            JOIN ops.batch b ON b.batch_id = coalesce(p.batch_id, t.batch_id)
            WHERE b.committed_at <= instant
            UNION ALL
            SELECT %1$s
            FROM silver.claims_past t JOIN ops.batch b ON b.batch_id = t.batch_from
            JOIN ops.batch e ON e.batch_id = t.batch_to
            WHERE b.committed_at <= instant AND e.committed_at > instant
        $body$
    $f$, columns);
END $$;
