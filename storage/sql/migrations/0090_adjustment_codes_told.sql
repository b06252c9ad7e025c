-- 0068 took the codes of adjustments that show. A delivery that does not show has named codes too, and a settle enters
-- those of every delivery: which codes are known must depend neither on which one shows, nor on when the database was
-- upgraded.
DO $$
DECLARE
    batch bigint;
    n_made bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM silver.claims_absorbed WHERE adjustment_list <> '')
       AND NOT EXISTS (SELECT FROM silver.claims WHERE adjustment_list <> '') THEN
        RETURN;
    END IF;
    batch := nextval('ops.batch_id_seq');
    WITH told AS MATERIALIZED (
        SELECT adjustment_list FROM silver.claims WHERE adjustment_list <> ''
        UNION
        SELECT adjustment_list FROM silver.claims_absorbed WHERE adjustment_list <> ''
    ), named AS MATERIALIZED (
        SELECT DISTINCT l.part[2] AS group_code, l.part[3] AS reason_code, l.part[7] AS remark_codes
        FROM told CROSS JOIN LATERAL (
            SELECT string_to_array(entry, '|') AS part FROM unnest(string_to_array(adjustment_list, ';')) AS entry) AS l
    ), made AS (
        SELECT silver.make_adjustment_codes(array_agg(c.code_system), array_agg(c.code), batch) AS adjustment_code_key
        FROM (SELECT 'CAGC', group_code FROM named
              UNION SELECT 'CARC', reason_code FROM named
              UNION SELECT 'RARC', unnest(string_to_array(remark_codes, ',')) FROM named) AS c(code_system, code)
        WHERE c.code <> ''
    )
    SELECT count(*) INTO n_made FROM made;
    INSERT INTO ops.batch (batch_id, feed, rows_read, rows_changed, rows_quarantined, settled_by)
    SELECT batch, 'settle', 0, n_made, 0, batch WHERE n_made > 0;
END $$;
