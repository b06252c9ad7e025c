-- Rows as received. {raw} and {view} are quoted names in schema bronze.

-- name: bronze_create
CREATE TABLE IF NOT EXISTS bronze.{raw} (
    batch_id bigint NOT NULL,
    op text NOT NULL,                 -- insert, update, delete, reject
    source_key text COLLATE "C",
    source_hash bigint NOT NULL,
    received_at timestamptz NOT NULL,
    schema_id bigint NOT NULL,
    file_id bigint,
    line bigint,
    raw text NOT NULL                 -- fields joined by tabs, with COPY's escapes
);
CREATE INDEX IF NOT EXISTS {ranges} ON bronze.{raw} USING brin (batch_id, source_key text_bloom_ops (n_distinct_per_range = 400))
    WITH (pages_per_range = 16)

-- Texts of rows that had no id, once more, under that which is found by now.
-- name: bronze_write_texts
INSERT INTO bronze.{raw} (batch_id, op, source_key, source_hash, received_at, schema_id, file_id, line, raw)
SELECT $1::bigint, 'insert', u.id, u.source_hash, 'epoch'::timestamptz + $2::bigint * interval '1 microsecond', u.schema_id,
       nullif(u.file_id, 0), nullif(u.line, 0), u.raw
FROM unnest($3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[])
     AS u(id, source_hash, schema_id, file_id, line, raw)

-- name: bronze_columns
SELECT s.schema_id, c.position, c.name
FROM ops.feed_schema s, unnest(s.columns) WITH ORDINALITY AS c(name, position)
WHERE s.feed = $1 ORDER BY s.schema_id, c.position

-- name: bronze_view
DROP VIEW IF EXISTS bronze.{view};
CREATE VIEW bronze.{view} AS
SELECT {columns} batch_id, op, source_hash, received_at, file_id, line, schema_id FROM bronze.{raw}

-- Ranges of a table that its index has no summary of yet are read whole: one row's past would cost a scan.
-- name: bronze_summarize
SELECT brin_summarize_new_values(to_regclass($1))

-- name: bronze_patience
SELECT set_config('lock_timeout', $1, false)

-- The newest content of rows by their keys, some of its columns: as storage/hexkey.h has them, NULL when one of
-- them is.
-- name: bronze_find_fields
SELECT b.source_key, (
    SELECT CASE WHEN count(*) = count(f.field)
                THEN string_agg(encode(convert_to(f.field, 'UTF8'), 'hex'), ',' ORDER BY c.n) END
    FROM unnest($3::text[]) WITH ORDINALITY AS c(name, n),
         LATERAL (SELECT ops.bronze_field(b.raw, array_position(s.columns, c.name)) AS field) f), b.batch_id
FROM (SELECT DISTINCT ON (source_key) source_key, schema_id, raw, batch_id FROM bronze.{raw}
      WHERE source_key = ANY($2::text[]) AND op <> 'delete' ORDER BY source_key, batch_id DESC) b
JOIN ops.feed_schema s ON s.schema_id = b.schema_id AND s.feed = $1
