-- The audit trail sealed, and ready for retention (rules, section 10).
--
-- Months become partitions, so that retention can drop whole ones. What is there already becomes the first
-- partition as it stands: its key is built anew, no row is copied.
ALTER TABLE ops.audit RENAME TO audit_before;
ALTER TABLE ops.audit_before RENAME CONSTRAINT audit_pkey TO audit_before_pkey_old;
ALTER TRIGGER audit_append_only ON ops.audit_before RENAME TO append_only;

DO $$
DECLARE
    next_id bigint;
    month_end timestamptz := date_trunc('month', now(), 'UTC') + interval '1 month';
BEGIN
    LOCK TABLE ops.audit_before IN ACCESS EXCLUSIVE MODE;
    -- The ids go on: one that was drawn is never drawn again.
    SELECT CASE WHEN is_called THEN last_value + 1 ELSE last_value END INTO next_id FROM ops.audit_audit_id_seq;
    ALTER TABLE ops.audit_before ALTER audit_id DROP IDENTITY;
    ALTER TABLE ops.audit_before DROP CONSTRAINT audit_before_pkey_old;
    EXECUTE format('CREATE TABLE ops.audit (
        audit_id bigint GENERATED ALWAYS AS IDENTITY (START WITH %s),
        at timestamptz NOT NULL DEFAULT clock_timestamp(),
        actor text NOT NULL,
        action text NOT NULL,
        object text NOT NULL,
        request_id text,
        outcome text NOT NULL,
        details jsonb NOT NULL DEFAULT ''{}'',
        PRIMARY KEY (audit_id, at)
    ) PARTITION BY RANGE (at)', next_id);
    EXECUTE format('ALTER TABLE ops.audit ATTACH PARTITION ops.audit_before FOR VALUES FROM (MINVALUE) TO (%L)',
                   month_end);
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ops.audit
    FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change();
CREATE INDEX audit_object ON ops.audit (object, audit_id);
CREATE INDEX audit_actor ON ops.audit (actor, audit_id);

-- For what no month was made for: a daemon that is asked to write is never refused.
CREATE TABLE ops.audit_other PARTITION OF ops.audit DEFAULT;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ops.audit_other
    FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change();

-- Makes the partitions of this month and the next three, those that are not there. A month of which lines stand
-- in audit_other already keeps them there.
CREATE FUNCTION ops.audit_make_months() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    month timestamptz;
    name text;
    n_made int := 0;
BEGIN
    FOR ahead IN 0..3 LOOP
        month := date_trunc('month', now(), 'UTC') + make_interval(months => ahead);
        name := 'audit_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM');
        CONTINUE WHEN to_regclass('ops.' || name) IS NOT NULL
            OR EXISTS (SELECT FROM ops.audit_other o WHERE o.at >= month AND o.at < month + interval '1 month');
        BEGIN
            EXECUTE format('CREATE TABLE ops.%I PARTITION OF ops.audit FOR VALUES FROM (%L) TO (%L)',
                           name, month, month + interval '1 month');
        EXCEPTION WHEN invalid_object_definition THEN
            CONTINUE; -- audit_before holds it
        END;
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ops.%I
                        FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change()', name);
        EXECUTE format('REVOKE ALL ON ops.%I FROM revcycle_daemon', name);
        n_made := n_made + 1;
    END LOOP;
    RETURN n_made;
END $$;
REVOKE ALL ON FUNCTION ops.audit_make_months FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.audit_make_months TO revcycle_daemon;

-- One seal binds the lines that were committed and in no seal yet, by an HMAC over them and the seal before
-- (storage/audit_seal.h). `top`: every id up to it is in a seal, or in `open`, or is nobody's for good. `open`: ids
-- that a transaction which was under way may still commit.
CREATE TABLE ops.audit_seal (
    seal_id bigint PRIMARY KEY,         -- 1, 2, 3 … without gaps
    sealed_at timestamptz NOT NULL,
    key_id text NOT NULL,               -- which key, not the key
    ids int8multirange NOT NULL,
    n_lines int NOT NULL,
    top bigint NOT NULL,
    open int8multirange NOT NULL,
    digests bytea NOT NULL,             -- 8 bytes of each line's HMAC, in the order of ids: to name a changed one
    lines_hmac bytea NOT NULL,          -- over the HMACs of all lines
    hmac bytea NOT NULL                 -- over all of the above and the hmac of the seal before
);
CREATE INDEX audit_seal_ids ON ops.audit_seal USING gist (ids);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ops.audit_seal
    FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change();

-- Retention: the owner drops a month of which every line is sealed; the seals stay, and a line says which ids went.
CREATE FUNCTION ops.audit_drop_month(partition text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone int8multirange;
    n_lines bigint;
    n_unsealed bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = 'ops.audit'::regclass
                   AND inhrelid = to_regclass(format('ops.%I', partition))) THEN
        RAISE EXCEPTION 'ops.% is no month of the audit trail', partition USING ERRCODE = '42704';
    END IF;
    EXECUTE format('LOCK TABLE ops.%I IN ACCESS EXCLUSIVE MODE', partition);
    EXECUTE format('SELECT count(*), coalesce(range_agg(int8range(audit_id, audit_id, ''[]'')), ''{}'') FROM ops.%I',
                   partition) INTO n_lines, gone;
    EXECUTE format('SELECT count(*) FROM ops.%I a WHERE NOT a.audit_id <@ (SELECT coalesce(range_agg(s.ids), ''{}'')
                    FROM ops.audit_seal s WHERE s.ids && $1)', partition) INTO n_unsealed USING gone;
    IF n_unsealed > 0 THEN
        RAISE EXCEPTION '% lines of ops.% are not sealed yet', n_unsealed, partition USING ERRCODE = '55000';
    END IF;
    -- What that month says of months dropped before it is said again.
    EXECUTE format('SELECT $1 + coalesce(range_agg((details ->> ''ids'')::int8multirange), ''{}'') FROM ops.%I
                    WHERE action = ''audit.retire''', partition) INTO gone USING gone;
    EXECUTE format('DROP TABLE ops.%I', partition);
    INSERT INTO ops.audit (actor, action, object, outcome, details)
    VALUES (session_user, 'audit.retire', partition, 'done', jsonb_build_object('lines', n_lines, 'ids', gone::text));
    RETURN n_lines;
END $$;
REVOKE ALL ON FUNCTION ops.audit_drop_month FROM PUBLIC;
CREATE INDEX audit_retired ON ops.audit (audit_id) WHERE action = 'audit.retire';

-- The daemon's role: INSERT and SELECT, on the trail as a whole and not on its parts; the id in use is read to know
-- that nothing was written.
REVOKE ALL ON ops.audit_before, ops.audit_other FROM revcycle_daemon;
REVOKE UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON ops.audit, ops.audit_seal FROM revcycle_daemon;
GRANT SELECT, INSERT ON ops.audit, ops.audit_seal TO revcycle_daemon;
GRANT USAGE, SELECT ON SEQUENCE ops.audit_audit_id_seq TO revcycle_daemon;
SELECT ops.audit_make_months();
