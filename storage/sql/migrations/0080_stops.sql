-- Rules with severity stop over several rows or over a feed hold publications while they are broken. What a person approved
-- of one is let pass until it is another: other words of a feed, more rows of a table.
CREATE TABLE dq.stop_approved (
    subject text COLLATE "C" NOT NULL,
    rule text COLLATE "C" NOT NULL,
    found text NOT NULL,
    failed bigint NOT NULL, -- rows; 0 of a rule over a feed
    run_id bigint NOT NULL, -- that was approved
    approved_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subject, rule)
);
COMMENT ON TABLE dq.stop_approved IS 'broken rules with severity stop that a person let publications pass';
