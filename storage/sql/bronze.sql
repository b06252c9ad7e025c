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
CREATE INDEX IF NOT EXISTS {ranges} ON bronze.{raw} USING brin (batch_id, source_key text_bloom_ops)
    WITH (pages_per_range = 16)

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
