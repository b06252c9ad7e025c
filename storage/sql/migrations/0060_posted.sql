-- Answers to claims that were posted with an Idempotency-Key, committed with their rows: whoever did not get the
-- answer asks again, and nothing is placed twice. Of the key only its SHA-256 is kept, for a day.
CREATE TABLE ops.posted (
    feed text NOT NULL,
    token_id bigint NOT NULL,
    key_hash bytea NOT NULL,
    request_hash bytea NOT NULL, -- of method, target and body
    file_id bigint NOT NULL,     -- its entry in ops.file
    answer text NOT NULL,        -- outcomes by number of row, never a value
    posted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (token_id, key_hash, feed)
);
CREATE INDEX posted_age ON ops.posted (posted_at);
