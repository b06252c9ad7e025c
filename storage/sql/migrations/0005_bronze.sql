-- One field of a packed raw row (storage/bronze.h): \N is NULL, \\ \t \n \r are what they say.
-- A byte that PostgreSQL's text cannot hold stays as it was escaped: \x00, \xff.
CREATE FUNCTION ops.bronze_field(raw text, place int) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT CASE
        WHEN field = '\N' THEN NULL
        WHEN strpos(field, '\') = 0 THEN field
        ELSE (SELECT string_agg(replace(replace(replace(part, '\t', E'\t'), '\n', E'\n'), '\r', E'\r'), '\' ORDER BY n)
              FROM unnest(string_to_array(field, '\\')) WITH ORDINALITY AS parts(part, n))
    END
    FROM (SELECT split_part(raw, E'\t', place) AS field) AS f
$$;
GRANT EXECUTE ON FUNCTION ops.bronze_field TO revcycle_daemon;
