-- Cleaning again from bronze. {raw} is a quoted name in schema bronze; {table}, {id} come from the entity table.

-- name: again_schemas
SELECT s.schema_id, c.name, c.type
FROM ops.feed_schema s, unnest(s.columns, s.types) WITH ORDINALITY AS c(name, type, position)
WHERE s.feed = $1 ORDER BY s.schema_id DESC, c.position

-- name: again_blocks
SELECT coalesce(pg_relation_size(to_regclass($1)), 0) / current_setting('block_size')::bigint

-- The raw rows of a stretch of bronze that a clean row was made of, as they lie there: behind $1, before $2. One
-- content stands once, whatever the number of its copies. LATERAL with LIMIT asks row by row: another plan
-- would read the whole table for every page.
-- name: again_stored
WITH found AS (
    SELECT r.ctid AS place, r.source_key, r.source_hash, r.schema_id, r.raw,
           sum(pg_column_size(r.raw)) OVER (ORDER BY r.ctid) - pg_column_size(r.raw) AS bytes_before
    FROM bronze.{raw} r
    CROSS JOIN LATERAL (SELECT FROM silver.{table} t
                        WHERE t.{id} = r.source_key AND t.source_system = $3 AND t.source_hash = r.source_hash
                        LIMIT 1) AS s
    WHERE r.ctid > $1::tid AND r.ctid < $2::tid AND r.op <> 'delete'
    ORDER BY r.ctid LIMIT $4::bigint
), page AS (
    SELECT * FROM found WHERE bytes_before < $5::bigint
)
SELECT DISTINCT ON (schema_id, source_key, source_hash) schema_id, 0, source_key, source_hash, raw,
       (SELECT max(place) FROM page)::text
FROM page ORDER BY schema_id, source_key, source_hash

-- Open entries behind $3, in their order, with the row as it was received; without it where bronze has it no more.
-- Which of two rows of one id counts was decided at the source. $6: asked for; $7: whether a clean row was made of their
-- content. Of those the text was received before the entry was made, and is looked for by its key.
-- name: again_held
SELECT q.quarantine_id, r.schema_id, r.source_key, r.source_hash, r.raw
FROM (
    SELECT * FROM dq.quarantine e
    WHERE feed = $1 AND source_system = $2 AND state = 'open' AND quarantine_id > $3::bigint AND rule <> $5
      AND (NOT $6::boolean OR replay_asked_at IS NOT NULL)
      AND ($7::boolean IS NULL OR $7::boolean = EXISTS (
          SELECT FROM silver.{table} t WHERE t.{id} = e.natural_key AND t.source_system = e.source_system
            AND t.source_hash = e.source_hash))
    ORDER BY quarantine_id LIMIT $4::bigint
) AS q
LEFT JOIN LATERAL (
    (SELECT * FROM bronze.{raw} b
     WHERE NOT coalesce($7::boolean, false) AND b.batch_id = q.batch_id AND b.source_hash = q.source_hash
       AND b.source_key IS NOT DISTINCT FROM q.natural_key
     LIMIT 1)
    UNION ALL
    (SELECT * FROM bronze.{raw} b
     WHERE $7::boolean AND b.source_key = q.natural_key AND b.source_hash = q.source_hash AND b.op <> 'delete'
     LIMIT 1)
) AS r ON true
ORDER BY q.quarantine_id

-- name: again_due
SELECT coalesce((SELECT remapped_at IS NULL FROM ops.feed_mapping WHERE feed = $1 ORDER BY mapping_version DESC LIMIT 1), false),
       EXISTS (SELECT FROM dq.quarantine WHERE feed = $1 AND replay_asked_at IS NOT NULL)

-- Of claims also those that count no more since they were asked for.
-- name: again_asked
SELECT coalesce(array_agg(quarantine_id ORDER BY quarantine_id), '{}')::text,
       coalesce(array_agg(replay_asked_at ORDER BY quarantine_id), '{}')::text
FROM dq.quarantine WHERE feed = $1 AND replay_asked_at IS NOT NULL

-- Who asks once more while they are cleaned may have mended something meanwhile.
-- name: again_asked_done
UPDATE dq.quarantine q SET replay_asked_at = NULL FROM unnest($1::bigint[], $2::timestamptz[]) AS a(quarantine_id, at)
WHERE q.quarantine_id = a.quarantine_id AND q.replay_asked_at = a.at

-- name: again_done
UPDATE ops.feed_mapping SET remapped_at = now() WHERE feed = $1 AND mapping_version <= $2 AND remapped_at IS NULL

-- name: again_sources
SELECT DISTINCT source_system FROM ops.file WHERE feed = $1 AND source_system <> '' ORDER BY 1

-- name: again_for
SELECT set_config('revcycled.feed', $1, true), set_config('revcycled.source', $2, true),
       set_config('revcycled.rules', $3, true), set_config('revcycled.asked', $4, true)

-- Every delivery of a claims feed with the text it was made of: those that silver knows, and those that were never
-- placed because they were unusable, also where a later one is held or placed by now, but for what was dismissed. Text that
-- its neighbour had already is not in bronze once more: the neighbour's serves. Claim by claim; sorted once, not for every page.
-- When entries were asked for, their claims whole: what a claim's iterations are follows from all its deliveries; and contents
-- without an id whole, with every file that says them. Their text is taken once, for any number of files.
-- name: again_deliveries
DECLARE again_deliveries NO SCROLL CURSOR WITH HOLD FOR
WITH placed AS (
    SELECT source_claim_id, source_hash, file_id, line FROM silver.claims
    WHERE source_system = current_setting('revcycled.source') AND NOT is_deleted
    UNION ALL
    SELECT source_claim_id, source_hash, file_id, line FROM silver.claims_absorbed
    WHERE source_system = current_setting('revcycled.source') AND NOT is_deleted
), entry AS (
    SELECT DISTINCT ON (file_id, line) file_id, line, natural_key, source_hash, quarantine_id, mapping_version
    FROM dq.quarantine
    WHERE feed = current_setting('revcycled.feed') AND source_system = current_setting('revcycled.source')
      AND file_id IS NOT NULL AND state <> 'replayed' AND withdrawn_at IS NULL
      AND rule <> ALL (current_setting('revcycled.rules')::text[])
    ORDER BY file_id, line, state <> 'superseded' DESC, quarantine_id DESC
), dismissed AS ( -- an entry that a page added while a person dismissed its content bears no date
    SELECT DISTINCT coalesce(natural_key, '') AS id, source_hash FROM dq.quarantine
    WHERE feed = current_setting('revcycled.feed') AND source_system = current_setting('revcycled.source')
      AND file_id IS NOT NULL AND dismissed_at IS NOT NULL
), wanted AS ( -- FULL JOIN is never made row by row, however few entries are expected
    SELECT coalesce(p.source_claim_id, e.natural_key) AS claim_id, coalesce(p.source_hash, e.source_hash) AS source_hash,
           file_id, line, p.source_claim_id IS NOT NULL AS is_placed, e.quarantine_id, e.mapping_version
    FROM placed p FULL JOIN entry e USING (file_id, line)
    LEFT JOIN dismissed d ON d.id = coalesce(e.natural_key, '') AND d.source_hash = e.source_hash
    WHERE p.source_claim_id IS NOT NULL OR d.id IS NULL
), asked AS (
    SELECT quarantine_id, natural_key, source_hash FROM dq.quarantine
    WHERE feed = current_setting('revcycled.feed') AND source_system = current_setting('revcycled.source')
      AND replay_asked_at IS NOT NULL
), found AS (
    SELECT DISTINCT ON (w.claim_id, w.file_id, w.line) w.*, f.period, f.sha256, r.schema_id, r.raw
    FROM wanted w
    JOIN ops.file f ON f.file_id = w.file_id AND f.feed = current_setting('revcycled.feed')
    JOIN (
        SELECT source_key, source_hash, file_id, line, batch_id, schema_id, raw FROM bronze.{raw} WHERE source_key IS NOT NULL
        UNION ALL
        (SELECT DISTINCT ON (source_hash) source_key, source_hash, file_id, line, batch_id, schema_id, raw
         FROM bronze.{raw} WHERE source_key IS NULL ORDER BY source_hash, schema_id DESC, batch_id)
    ) AS r ON r.source_hash = w.source_hash AND r.source_key IS NOT DISTINCT FROM w.claim_id
    WHERE NOT current_setting('revcycled.asked')::boolean OR w.quarantine_id IN (SELECT quarantine_id FROM asked)
       OR w.claim_id IN (SELECT natural_key FROM asked)
       OR (w.claim_id IS NULL AND w.source_hash IN (SELECT source_hash FROM asked WHERE natural_key IS NULL))
    ORDER BY w.claim_id, w.file_id, w.line, (r.file_id = w.file_id AND r.line = w.line) DESC, r.batch_id
)
SELECT claim_id, source_hash, schema_id, raw, file_id, line, period, sha256, is_placed, coalesce(quarantine_id, 0),
       coalesce(mapping_version, 0), claim_id IS NULL OR lead(claim_id) OVER sorted IS DISTINCT FROM claim_id
FROM found WINDOW sorted AS (ORDER BY claim_id, file_id, line)
ORDER BY claim_id, file_id, line

-- name: again_fetch
FETCH FORWARD {n} FROM again_deliveries

-- name: again_close
CLOSE again_deliveries
