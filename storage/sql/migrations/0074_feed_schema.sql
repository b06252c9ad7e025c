-- Lists of columns are told apart by a hash: a header of several hundred long names is no entry that an index takes.

-- What no index may call, for it could be set otherwise, is the same whatever is set: text of text[].
CREATE FUNCTION ops.schema_hash(columns text[], types text[]) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT pg_catalog.sha256(pg_catalog.convert_to($1::text || $2::text, 'UTF8'))
$$;
GRANT EXECUTE ON FUNCTION ops.schema_hash TO revcycle_daemon;
ALTER TABLE ops.feed_schema DROP CONSTRAINT feed_schema_feed_columns_types_key;
CREATE UNIQUE INDEX feed_schema_content ON ops.feed_schema (feed, ops.schema_hash(columns, types));
