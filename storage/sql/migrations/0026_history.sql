-- Instants at which a source showed a member's version once more, unchanged: they make no version. They are kept for
-- what is told later of the time between: a version that slots in there ends where the old content was seen again.
CREATE TABLE silver.member_seen (
    source_id text COLLATE "C" NOT NULL,
    source_system text COLLATE "C" NOT NULL,
    entity text COLLATE "C" NOT NULL,
    seen_at timestamptz NOT NULL,
    is_inferred boolean NOT NULL,   -- our clock's instant, not the source's
    PRIMARY KEY (source_id, source_system, entity, seen_at)
);

-- Of how many patients or providers a page changed which attribute: new versions, and corrections in place.
CREATE TABLE ops.batch_attribute (
    batch_id bigint NOT NULL,
    attribute text NOT NULL,
    versions bigint NOT NULL,
    corrected bigint NOT NULL,
    PRIMARY KEY (batch_id, attribute)
);
