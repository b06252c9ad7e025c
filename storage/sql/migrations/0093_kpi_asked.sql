-- What figures have seen. By clocks, a daemon's of their run against the store's of a decision, news were taken for seen, and
-- what was seen for news. Batches of one of these feeds are written one at a time, so that what comes later has a greater number.
CREATE TABLE ops.kpi_asked (
    feed text COLLATE "C" PRIMARY KEY, -- of ops.batch: settle, persons
    batch_id bigint NOT NULL           -- its newest when figures were last asked to the end; 0: it had none
);
COMMENT ON TABLE ops.kpi_asked IS 'up to which batch figures have been asked';
