-- The database that was restored is another one from its first publication on (rules, section 8): the daemon
-- may begin an epoch, and may not choose or change it otherwise.
CREATE FUNCTION ops.begin_epoch() RETURNS uuid
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE ops.database SET epoch = gen_random_uuid() RETURNING epoch
$$;
REVOKE ALL ON FUNCTION ops.begin_epoch FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.begin_epoch TO revcycle_daemon;

-- Is a rebuild owed? Asked at every quiet poll.
CREATE INDEX publication_rebuild ON ops.publication (publication_id) WHERE is_rebuild;
