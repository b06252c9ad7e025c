-- Claims of which a delivery was withdrawn, for the settle that comes: no row of theirs may be left to say so, and what the
-- delivery gave to others, adjustments above all, has to go with it.
CREATE TABLE ops.claim_withdrawn (
    source_claim_id text COLLATE "C" NOT NULL,
    source_system text COLLATE "C" NOT NULL,
    batch_id bigint NOT NULL
);
COMMENT ON TABLE ops.claim_withdrawn IS 'claims of which a delivery was withdrawn since the last settle';
