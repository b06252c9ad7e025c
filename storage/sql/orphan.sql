-- Orphans as the flags of the rows in force show them (storage/orphan.c), against the list of those known. All of them, not
-- those of the newest batches: batches commit out of order.

-- name: orphan_begin
CREATE TEMP TABLE orphan_now (entity text, key bigint, orphan text, source_system text, batch_id bigint) ON COMMIT DROP

-- name: orphan_find
INSERT INTO orphan_now
SELECT '{table}', t.{key}, flag, t.source_system, t.batch_id
FROM silver.{table} t CROSS JOIN LATERAL unnest(t.dq_flags) AS flag
WHERE t.dq_flags && '{flags}'::text[] AND flag = ANY ('{flags}'::text[]) AND {current}

-- name: orphan_resolve
UPDATE dq.orphan o SET resolved_at = now()
WHERE resolved_at IS NULL
  AND NOT EXISTS (SELECT FROM orphan_now n WHERE (n.key, n.entity, n.orphan) = (o.key, o.entity, o.orphan))

-- name: orphan_add
INSERT INTO dq.orphan (entity, key, orphan, source_system, first_seen_at)
SELECT n.entity, n.key, n.orphan, n.source_system, coalesce(b.committed_at, now())
FROM orphan_now n LEFT JOIN ops.batch b USING (batch_id)
WHERE NOT EXISTS (SELECT FROM dq.orphan o
                  WHERE o.resolved_at IS NULL AND (n.key, n.entity, n.orphan) = (o.key, o.entity, o.orphan))
ORDER BY n.entity, n.key, n.orphan

-- name: orphan_counts
SELECT entity, orphan, sum(open) FROM dq.orphans GROUP BY entity, orphan ORDER BY entity, orphan
