-- What a publication must remember to go on after a crash (rules, section 8) and what it cost, for the
-- governor's caps.
ALTER TABLE ops.publication
    ADD COLUMN attempt int NOT NULL DEFAULT 1,           -- of its apply job
    ADD COLUMN is_rebuild boolean NOT NULL DEFAULT false,
    ADD COLUMN load_jobs bigint NOT NULL DEFAULT 0,
    ADD COLUMN bytes_sent bigint NOT NULL DEFAULT 0,
    ADD COLUMN bytes_billed bigint NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX publication_one_at_a_time ON ops.publication ((true))
    WHERE state IN ('claimed', 'staged');
CREATE INDEX moved_publication ON ops.moved (publication_id, table_name);
GRANT SELECT, UPDATE ON SEQUENCE ops.publication_publication_id_seq TO revcycle_daemon;
