-- Sources that leave a configuration, and sources that are called otherwise.

ALTER TABLE ops.source
    ADD COLUMN owner text,                    -- the daemon whose configuration named it last
    ADD COLUMN retired_at timestamptz,        -- no configuration names it any more; its rows stay
    ADD COLUMN renamed_to text COLLATE "C";   -- its rows bear that name; nobody reads under the old one by mistake

-- A source gets another name, with all that bears it: rows, their past, bronze, cursors, ledgers, files, jobs.
-- Surrogates stay. What BigQuery holds of it is given back to the next publication, whatever row stands in it, for
-- a row's batch_id tells since when it is what it is, and a name changes nothing of that. Left as they were said:
-- the audit trail and the snapshots of figures.
--
-- Found by the catalog: what has a column `source_system` or `feed` follows, so that a table of a later migration
-- does, too. Runs with the caller's rights: the daemon owns bronze, and may write the rest.

CREATE FUNCTION ops.is_feed_of(feed text, old_name text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT starts_with(feed, old_name || '.') OR starts_with(feed, 'reconcile.' || old_name || '.')
$$;

CREATE FUNCTION ops.feed_renamed(feed text, old_name text, new_name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN starts_with(feed, old_name || '.') THEN new_name || substr(feed, length(old_name) + 1)
                WHEN starts_with(feed, 'reconcile.' || old_name || '.')
                THEN 'reconcile.' || new_name || substr(feed, length('reconcile.' || old_name) + 1)
                ELSE feed END
$$;

-- "source|id" of persons' lists, in the order in which settle writes them.
CREATE FUNCTION silver.members_renamed(members text[], old_name text, new_name text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY(
        SELECT n.member FROM unnest(members) AS m(member)
        CROSS JOIN LATERAL (SELECT CASE WHEN starts_with(m.member, old_name || '|')
                                        THEN new_name || substr(m.member, length(old_name) + 1) ELSE m.member END) AS n(member)
        ORDER BY split_part(n.member, '|', 1) COLLATE "C", substr(n.member, strpos(n.member, '|')) COLLATE "C")
$$;

CREATE FUNCTION ops.rename_relations(old_name text, new_name text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    relation record;
BEGIN
    FOR relation IN SELECT c.relname FROM pg_catalog.pg_class c
        WHERE c.relnamespace = 'bronze'::regnamespace AND c.relkind IN ('r', 'v', 'i')
          AND starts_with(c.relname, old_name || '__') LOOP
        EXECUTE format('ALTER TABLE bronze.%I RENAME TO %I', relation.relname,
                       new_name || substr(relation.relname, length(old_name) + 1));
    END LOOP;
END $$;

-- What a publication would carry no more gets into the next one: every batch that stands on a row of the source.
CREATE FUNCTION ops.publish_source_again(old_name text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    entity text;
BEGIN
    FOREACH entity IN ARRAY ARRAY['patients', 'providers', 'departments', 'payers', 'encounters', 'transactions',
                                  'claims', 'adjustments'] LOOP
        EXECUTE format('UPDATE ops.batch SET publication_id = NULL WHERE publication_id IS NOT NULL AND batch_id IN '
                       '(SELECT DISTINCT batch_id FROM silver.%I WHERE source_system = $1)', entity) USING old_name;
    END LOOP;
END $$;

CREATE FUNCTION ops.rename_rows(old_name text, new_name text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    place record;
    n bigint;
    total bigint := 0;
BEGIN
    FOR place IN
        SELECT c.oid::regclass AS relation, a.attname AS name, a.attname = 'source_system' AS is_source
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace IN ('ops'::regnamespace, 'dq'::regnamespace, 'silver'::regnamespace)
          AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND NOT a.attisdropped AND a.atttypid = 'text'::regtype
          AND c.relname <> 'source' AND c.relname NOT LIKE 'audit%'
          AND (a.attname IN ('source_system', 'feed', 'job')
               OR (c.relname, a.attname) IN (('job', 'name'), ('alert', 'subject'))) LOOP
        IF place.is_source THEN
            EXECUTE format('UPDATE %s SET source_system = $2 WHERE source_system = $1', place.relation)
                USING old_name, new_name;
            GET DIAGNOSTICS n = ROW_COUNT;
            total := total + n;
        ELSE
            EXECUTE format('UPDATE %s SET %I = ops.feed_renamed(%2$I, $1, $2) WHERE ops.is_feed_of(%2$I, $1)',
                           place.relation, place.name) USING old_name, new_name;
        END IF;
    END LOOP;
    UPDATE silver.person_review SET members = silver.members_renamed(members, old_name, new_name)
    WHERE members <> silver.members_renamed(members, old_name, new_name);
    RETURN total;
END $$;

-- The whole, in the caller's transaction: rows renamed; NULL: there is no such source, or it has its new name
-- already. Waits for pages under way, and for a settle.
CREATE FUNCTION ops.rename_source(old_name text, new_name text, daemon text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    holder text;
    total bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(7301);
    PERFORM FROM ops.source s WHERE s.source_system = old_name AND s.renamed_to IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    DELETE FROM ops.source s WHERE s.source_system = new_name AND s.renamed_to IS NOT NULL;
    IF EXISTS (SELECT FROM ops.source s WHERE s.source_system = new_name) THEN
        RAISE EXCEPTION 'source % cannot be called %: another source of that name has rows', old_name, new_name
            USING ERRCODE = '42710';
    END IF;
    SELECT j.owner INTO holder FROM ops.job j
    WHERE ops.is_feed_of(j.name, old_name) AND j.owner <> daemon AND j.lease_until > now() LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'source % cannot be called %: another daemon reads it', old_name, new_name USING ERRCODE = '55P03';
    END IF;
    PERFORM ops.publish_source_again(old_name);
    total := ops.rename_rows(old_name, new_name);
    PERFORM ops.rename_relations(old_name, new_name);
    INSERT INTO ops.source (source_system, timezone, owner)
    SELECT new_name, s.timezone, daemon FROM ops.source s WHERE s.source_system = old_name;
    UPDATE ops.source s SET renamed_to = new_name, retired_at = now() WHERE s.source_system = old_name;
    UPDATE ops.member_change SET batch_id = nextval('ops.batch_id_seq'); -- what pages remember bears the old name
    INSERT INTO ops.audit (actor, action, object, outcome, details)
    VALUES ('pipeline', 'source.rename', new_name, 'done', jsonb_build_object('from', old_name, 'rows', total));
    RETURN total;
END $$;

GRANT EXECUTE ON FUNCTION ops.is_feed_of, ops.feed_renamed, silver.members_renamed, ops.rename_relations,
    ops.publish_source_again, ops.rename_rows, ops.rename_source TO revcycle_daemon;
