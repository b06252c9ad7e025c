-- What was known at an instant: silver.<table>_known_at(instant) is silver.<table> as its pages had left it then.

-- Which batch placed a row that settle has written in since: settle stamps what it writes with its own batch, so that it
-- is published again, and says nothing new of the row itself. A row that is not listed was placed by the batch it bears.
CREATE TABLE ops.placed (
    key bigint NOT NULL,
    entity text COLLATE "C" NOT NULL,
    batch_id bigint NOT NULL,
    PRIMARY KEY (key, entity)
);

-- Written at the end of a page: nearer to its commit than the beginning of the transaction.
ALTER TABLE ops.batch ALTER COLUMN committed_at SET DEFAULT clock_timestamp();

-- The columns that settle owns are as it left them last before the row changed. `batch_id` is the batch that placed the
-- row. Rows that the source had lost by then are marked is_deleted, as in the table.
DO $$
DECLARE
    entity text;
    columns text;
BEGIN
    FOREACH entity IN ARRAY '{departments,payers,encounters,transactions,claims,adjustments}'::text[] LOOP
        SELECT string_agg(CASE column_name WHEN 'batch_id' THEN 'b.batch_id' ELSE 't.' || quote_ident(column_name) END,
                          ', ' ORDER BY ordinal_position)
        INTO columns FROM information_schema.columns WHERE table_schema = 'silver' AND table_name = entity;
        EXECUTE format($f$
            CREATE FUNCTION silver.%2$I(instant timestamptz) RETURNS SETOF silver.%1$I LANGUAGE sql STABLE AS $body$
                SELECT %5$s
                FROM silver.%1$I t LEFT JOIN ops.placed p ON p.key = t.%4$I AND p.entity = %1$L
                JOIN ops.batch b ON b.batch_id = coalesce(p.batch_id, t.batch_id)
                WHERE b.committed_at <= instant
                UNION ALL
                SELECT %5$s
                FROM silver.%3$I t JOIN ops.batch b ON b.batch_id = t.batch_from
                JOIN ops.batch e ON e.batch_id = t.batch_to
                WHERE b.committed_at <= instant AND e.committed_at > instant
            $body$
        $f$, entity, entity || '_known_at', entity || '_past', left(entity, -1) || '_key', columns);
        EXECUTE format('COMMENT ON FUNCTION silver.%I(timestamptz) IS %L', entity || '_known_at',
                       format('silver.%s as its pages had left it at an instant; the columns that settle owns as it left '
                              'them last before the row changed', entity));
    END LOOP;
END $$;
