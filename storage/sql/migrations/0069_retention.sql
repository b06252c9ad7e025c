-- Retention (rules, section 10): what may go by its age, and what a legal hold keeps.

-- How long an entry is kept counts from its end, not from its beginning: one that was open for years was in use. Of
-- those that have ended already nobody wrote down when.
ALTER TABLE dq.quarantine ADD COLUMN ended_at timestamptz;
UPDATE dq.quarantine SET ended_at = now() WHERE state IN ('replayed', 'superseded');
CREATE FUNCTION dq.note_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.ended_at := CASE WHEN NEW.state IN ('replayed', 'superseded') THEN now() END;
    RETURN NEW;
END $$;
CREATE TRIGGER note_end BEFORE UPDATE OF state ON dq.quarantine
    FOR EACH ROW WHEN (NEW.state <> OLD.state) EXECUTE FUNCTION dq.note_end();
CREATE INDEX quarantine_ended ON dq.quarantine (quarantine_id) WHERE ended_at IS NOT NULL;

-- What a raw row of a feed says. `now`: what is true, so that a newer copy of a key replaces the older one. `past`: rows
-- of one key stand beside each other. `mixed`: rows became another table's before. `unknown`: it did not run since this
-- column is here. Of `now` alone raw rows are ever deleted, and once `past` or `mixed` a feed stays that.
ALTER TABLE ops.feed_entity ADD COLUMN tells text NOT NULL DEFAULT 'unknown'
    CHECK (tells IN ('unknown', 'now', 'past', 'mixed'));

-- Nothing under a hold is deleted by retention. A hold is released, never removed.
CREATE TABLE ops.hold (
    hold_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('source', 'feed', 'patient', 'person')),
    source_system text COLLATE "C" CHECK ((kind IN ('source', 'patient')) = (source_system IS NOT NULL)),
    feed text COLLATE "C" CHECK ((kind = 'feed') = (feed IS NOT NULL)),
    source_patient_id text COLLATE "C" CHECK ((kind = 'patient') = (source_patient_id IS NOT NULL)),
    person_id uuid CHECK ((kind = 'person') = (person_id IS NOT NULL)),
    reason text NOT NULL,
    set_by text NOT NULL,
    set_at timestamptz NOT NULL DEFAULT now(),
    released_by text,
    released_at timestamptz
);
-- Who was the person when the hold was set: they stay held, whatever they are linked with later.
CREATE TABLE ops.hold_member (
    hold_id bigint NOT NULL REFERENCES ops.hold,
    source_system text COLLATE "C" NOT NULL,
    source_patient_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (hold_id, source_system, source_patient_id)
);
REVOKE DELETE, TRUNCATE ON ops.hold, ops.hold_member FROM revcycle_daemon;

-- Patients under a hold by now: themselves, as members of then, or of who the person is today under whatever id.
CREATE VIEW ops.held_patient AS
SELECT h.source_system, h.source_patient_id FROM ops.hold h WHERE h.kind = 'patient' AND h.released_at IS NULL
UNION
SELECT m.source_system, m.source_patient_id FROM ops.hold_member m JOIN ops.hold h USING (hold_id) WHERE h.released_at IS NULL
UNION
SELECT l.source_system, l.source_patient_id
FROM ops.hold h LEFT JOIN silver.person_alias a ON a.old_id = h.person_id
JOIN silver.person_link l ON l.person_id IN (h.person_id, a.person_id)
WHERE h.kind = 'person' AND h.released_at IS NULL;

-- Months of the trail of which every line is older than `age`, and whether all of them are sealed. The daemon's role may
-- have no month dropped that is younger than six years (45 CFR 164.316(b)(2)(i)), whatever it asks for, and none while
-- anything is under a hold: a month's lines cannot be told apart.
CREATE FUNCTION ops.audit_months_due(age interval) RETURNS TABLE (partition text, lines bigint, is_sealed boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    month record;
BEGIN
    IF EXISTS (SELECT FROM ops.hold WHERE released_at IS NULL) THEN
        RETURN;
    END IF;
    FOR month IN
        SELECT c.relname AS name
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'ops.audit'::regclass
          AND substring(pg_get_expr(c.relpartbound, c.oid) FROM $re$TO \('([^']+)'\)$re$)::timestamptz
              <= now() - greatest(age, interval '6 years')
        ORDER BY 1
    LOOP
        partition := month.name;
        EXECUTE format('WITH line AS (SELECT audit_id FROM ops.%I),
                        span AS (SELECT coalesce(range_agg(int8range(audit_id, audit_id, ''[]'')), ''{}'') AS ids FROM line),
                        sealed AS (SELECT coalesce(range_agg(s.ids), ''{}'') AS ids FROM ops.audit_seal s, span WHERE s.ids && span.ids)
                        SELECT count(*), coalesce(bool_and(line.audit_id <@ sealed.ids), true) FROM line, sealed', month.name)
        INTO lines, is_sealed;
        RETURN NEXT;
    END LOOP;
END $$;

CREATE FUNCTION ops.audit_retire_month(partition text, age interval) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
BEGIN
    LOCK TABLE ops.hold IN SHARE ROW EXCLUSIVE MODE;
    IF NOT EXISTS (SELECT FROM ops.audit_months_due(age) d WHERE d.partition = audit_retire_month.partition AND d.is_sealed) THEN
        RAISE EXCEPTION 'ops.% may not be dropped', partition USING ERRCODE = '55000';
    END IF;
    RETURN ops.audit_drop_month(partition);
END $$;
REVOKE ALL ON FUNCTION ops.audit_months_due, ops.audit_retire_month FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.audit_months_due, ops.audit_retire_month TO revcycle_daemon;
