-- A version says who made it: its batch_id is the last batch that touched it, which may have closed or corrected
-- it. NULL for versions older than this migration.
ALTER TABLE silver.patients ADD COLUMN made_by_batch bigint;
ALTER TABLE silver.providers ADD COLUMN made_by_batch bigint;

-- Which table a feed's rows become: the way back from a clean row to what was received.
CREATE TABLE ops.feed_entity (
    feed text COLLATE "C" PRIMARY KEY,
    entity text NOT NULL
);
