-- A hospital's table held against silver (rules, section 5). Of the source, in MySQL's words:

-- The least key behind so many rows: a chunk ends with it.
-- name: reconcile_chunk_end
SELECT {keys} FROM {table} WHERE {keyed} AND {range} ORDER BY {key} LIMIT 1 OFFSET {rows}

-- LIMIT keeps the server from computing the hash once for every mention. A row whose text is longer than the
-- server's packet has no hash there.
-- name: reconcile_count_there
SELECT (h.hash >> 52) & 4095, COUNT(*), SUM((h.hash >> 8) & 17592186044415)
FROM (SELECT {hash} AS hash FROM {table} WHERE {range} LIMIT 18446744073709551615) AS h GROUP BY 1

-- name: reconcile_read_there
SELECT {keys}, {hash} AS revcycle_hash FROM {table} WHERE {range}
HAVING revcycle_hash IS NULL OR (revcycle_hash >> 52) & 4095 IN ({buckets})

-- name: reconcile_read_keys
SELECT {columns} FROM {table} WHERE {keyed} AND ({keys})

-- Of MariaDB and MySQL alike; a server that was restored elsewhere has another name, port or directory.
-- name: reconcile_server
SELECT SHA2(CONCAT_WS('|', @@hostname, @@port, @@server_id, @@datadir), 256)

-- From here on PostgreSQL. What stands in `here` counts as here: current rows, and in place of a row what
-- quarantine holds of it. $1 source, $2 feeds whose rows share the table.
-- name: reconcile_here
SELECT s.{id} AS id, s.source_hash AS hash FROM silver.{table} s
WHERE s.source_system = $1 AND s.source_hash IS NOT NULL AND NOT s.is_deleted AND {current}
  AND NOT EXISTS (SELECT FROM dq.quarantine q WHERE q.natural_key = s.{id} AND q.feed = ANY($2::text[])
                  AND q.source_system = $1 AND q.state IN ('open', 'dismissed'))
UNION ALL
(SELECT DISTINCT ON (natural_key, CASE WHEN natural_key IS NULL THEN source_hash END) natural_key, source_hash
 FROM dq.quarantine WHERE feed = ANY($2::text[]) AND source_system = $1 AND state IN ('open', 'dismissed')
 ORDER BY natural_key, CASE WHEN natural_key IS NULL THEN source_hash END, quarantine_id DESC)

-- name: reconcile_has_more_rows
SELECT count(*) > $2::bigint FROM (
    SELECT FROM silver.{table} s WHERE s.source_system = $1 AND s.source_hash IS NOT NULL AND {current}
    LIMIT $2::bigint + 1) AS seen

-- name: reconcile_count_here
SELECT (h.hash >> 52) & 4095, count(*), sum((h.hash >> 8) & 17592186044415)::bigint FROM ({here}) h GROUP BY 1

-- Keys are texts of hexadecimal digits: what MySQL holds need not be a text to PostgreSQL.
-- name: reconcile_tables
CREATE TEMP TABLE IF NOT EXISTS reconcile_there (is_own boolean NOT NULL, hash bigint, key text[]);
CREATE TEMP TABLE IF NOT EXISTS reconcile_here (id text COLLATE "C", hash bigint NOT NULL);
CREATE TEMP TABLE IF NOT EXISTS reconcile_unlike (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text COLLATE "C", key text[]);
CREATE TEMP TABLE IF NOT EXISTS reconcile_found (id text COLLATE "C" PRIMARY KEY);
TRUNCATE reconcile_there, reconcile_here, reconcile_unlike, reconcile_found RESTART IDENTITY;

-- name: reconcile_keep_there
INSERT INTO reconcile_there (is_own, hash, key)
SELECT $1, u.hash, string_to_array(u.key, ',') FROM unnest($2::bigint[], $3::text[]) AS u(hash, key)

-- name: reconcile_keep_here
INSERT INTO reconcile_here (id, hash)
SELECT h.id, h.hash FROM ({here}) h WHERE (h.hash >> 52) & 4095 = ANY($3::bigint[])

-- Equal hashes are equal rows. Two rows of equal content are one row here.
-- name: reconcile_unlike_there
INSERT INTO reconcile_unlike (key)
SELECT DISTINCT t.key FROM reconcile_there t
WHERE t.is_own AND t.key IS NOT NULL AND NOT EXISTS (SELECT FROM reconcile_here h WHERE h.hash = t.hash)

-- Looked at with them: rows that are kept out because another one held their id, and rows that were unfit for
-- another mapping than today's.
-- name: reconcile_unlike_here
INSERT INTO reconcile_unlike (id)
SELECT h.id FROM reconcile_here h
WHERE h.id IS NOT NULL AND NOT EXISTS (SELECT FROM reconcile_there t WHERE t.hash = h.hash)
UNION
SELECT q.natural_key FROM dq.quarantine q
WHERE q.feed = $1 AND q.state IN ('open', 'dismissed') AND q.natural_key IS NOT NULL
  AND (q.rule = $2 OR q.mapping_version <> $3::int)

-- name: reconcile_mapping_version
SELECT coalesce(max(mapping_version), 0) FROM ops.feed_mapping WHERE feed = $1

-- name: reconcile_next_keys
SELECT n, array_to_string(key, ',') FROM reconcile_unlike WHERE n > $1::bigint AND key IS NOT NULL
ORDER BY n LIMIT $2::int

-- name: reconcile_next_ids
SELECT u.n, u.id FROM reconcile_unlike u
WHERE u.n > $1::bigint AND u.id IS NOT NULL AND NOT EXISTS (SELECT FROM reconcile_found f WHERE f.id = u.id)
ORDER BY u.n LIMIT $2::int

-- name: reconcile_found
INSERT INTO reconcile_found SELECT DISTINCT id FROM unnest($1::text[]) AS u(id) WHERE id IS NOT NULL
ON CONFLICT DO NOTHING

-- Of rows as the source has them, those that are not here: neither with this content nor, under their id, as
-- another row of the same page. A surrogate where the id is here with another content.
-- name: reconcile_look
SELECT n, key, is_held, hash FROM (
    SELECT l.*, bool_or(is_here) OVER (PARTITION BY id, CASE WHEN id IS NULL THEN n END) AS id_is_here FROM (
        SELECT u.n, u.id, s.{key} AS key, s.source_hash AS hash, q.is_held,
               coalesce((s.source_hash = u.hash AND NOT q.is_held) OR q.is_this, false) AS is_here
        FROM unnest($3::text[], $4::bigint[]) WITH ORDINALITY AS u(id, hash, n)
        LEFT JOIN silver.{table} s ON s.{id} = u.id AND s.source_system = $1 AND s.source_hash IS NOT NULL
            AND NOT s.is_deleted AND {current}
        CROSS JOIN LATERAL (
            SELECT EXISTS (SELECT FROM dq.quarantine e WHERE e.natural_key = u.id AND e.feed = $2
                           AND e.source_system = $1 AND e.state IN ('open', 'dismissed')) AS is_held,
                   EXISTS (SELECT FROM dq.quarantine e WHERE e.source_hash = u.hash AND e.feed = $2
                           AND e.source_system = $1 AND e.state IN ('open', 'dismissed')) AS is_this) q
    ) AS l
) AS looked WHERE NOT id_is_here ORDER BY n

-- Entries of rows without an id whose content the source has no more.
-- name: reconcile_gone_contents
UPDATE dq.quarantine q SET state = 'superseded', replay_asked_at = NULL FROM reconcile_here h
WHERE h.id IS NULL AND q.source_hash = h.hash AND q.natural_key IS NULL AND q.feed = $1
  AND q.state IN ('open', 'dismissed')
  AND NOT EXISTS (SELECT FROM reconcile_there t WHERE t.hash = h.hash OR t.hash IS NULL)

-- name: reconcile_count_gone_contents
SELECT count(*) FROM reconcile_here h
WHERE h.id IS NULL AND NOT EXISTS (SELECT FROM reconcile_there t WHERE t.hash = h.hash OR t.hash IS NULL)

-- ---- what is gone ----

-- name: reconcile_forget_gone
DELETE FROM ops.gone WHERE feed = $1

-- name: reconcile_forget_run
DELETE FROM ops.gone WHERE run_id = $1

-- name: reconcile_keep_gone
INSERT INTO ops.gone (run_id, feed, id, key)
SELECT $1, $2, u.id, s.{key} FROM unnest($4::text[]) AS u(id)
LEFT JOIN silver.{table} s ON s.{id} = u.id AND s.source_system = $3 AND s.source_hash IS NOT NULL
    AND NOT s.is_deleted AND {current}
ON CONFLICT DO NOTHING

-- name: reconcile_keep_all_gone
INSERT INTO ops.gone (run_id, feed, id, key)
SELECT $1, $2, u.id, s.{key}
FROM (SELECT DISTINCT id FROM reconcile_unlike n
      WHERE id IS NOT NULL AND NOT EXISTS (SELECT FROM reconcile_found f WHERE f.id = n.id)) AS u
LEFT JOIN silver.{table} s ON s.{id} = u.id AND s.source_system = $3 AND s.source_hash IS NOT NULL
    AND NOT s.is_deleted AND {current}
ON CONFLICT DO NOTHING

-- name: reconcile_count_gone
SELECT count(*), count(key) FROM ops.gone WHERE run_id = $1

-- name: reconcile_next_gone
SELECT id FROM ops.gone WHERE run_id = $1 AND id > $2 ORDER BY id LIMIT $3::int

-- name: reconcile_gone_keys
SELECT coalesce(json_agg(key::text ORDER BY key), '[]')::text
FROM (SELECT key FROM ops.gone WHERE run_id = $1 AND key IS NOT NULL ORDER BY key LIMIT $2::int) AS g

-- ---- who answered, and what was found ----

-- name: reconcile_server_seen
SELECT server = $2 FROM ops.source_server WHERE feed = $1

-- name: reconcile_server_keep
INSERT INTO ops.source_server (feed, server) VALUES ($1, $2)
ON CONFLICT (feed) DO UPDATE SET server = EXCLUDED.server, seen_at = now()

-- name: reconcile_record
INSERT INTO ops.reconciliation (subject, run_id, started_at, differences, difference, details)
VALUES ($1, $2::bigint, to_timestamp($3::float8 / 1000000), $4::bigint, $5, $6::jsonb)

-- name: reconcile_age
SELECT greatest(1, extract(epoch FROM now() - finished_at) * 1000000)::bigint FROM ops.reconciliation
WHERE subject = $1 ORDER BY reconciliation_id DESC LIMIT 1

-- name: reconcile_lines
SELECT subject, coalesce(difference, 'no difference'), details->>'rows_here', details->>'rows_there',
    (SELECT string_agg(k, ' ') FROM jsonb_array_elements_text(details->'keys'->'differing') AS k),
    (SELECT string_agg(k, ' ') FROM jsonb_array_elements_text(details->'keys'->'gone') AS k),
    differences > 0 AND NOT coalesce((details->>'repaired')::boolean, false)
FROM ops.reconciliation
WHERE run_id = ANY($1::bigint[])
   OR (subject = 'bigquery' AND started_at >= to_timestamp($2::float8 / 1000000))
ORDER BY run_id IS NULL, subject
