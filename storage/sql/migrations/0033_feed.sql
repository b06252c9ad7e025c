-- What a feed's table is agreed to be, and every time it was found to be something else.

-- `schema_id`: the columns that are read. `full_due`: rows read under an earlier list are to be read again.
CREATE TABLE ops.feed_agreed (
    feed text PRIMARY KEY,
    schema_id bigint NOT NULL REFERENCES ops.feed_schema,
    primary_key text[] NOT NULL,
    read_by text NOT NULL DEFAULT '', -- the feed's key and cursor; '' is not known
    full_due boolean NOT NULL DEFAULT false,
    agreed_at timestamptz NOT NULL DEFAULT now()
);

-- `column_name` '' is the table. State: evolved, taken over; discarded, gone on without it; frozen, the feed stands
-- still because of it; mended, what was discarded or frozen is no more.
CREATE TABLE ops.feed_drift (
    drift_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    feed text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('column_added', 'column_dropped', 'column_renamed', 'column_retyped',
        'column_narrowed', 'key_changed', 'table_missing')),
    column_name text NOT NULL,
    was text NOT NULL,
    is_now text NOT NULL,
    contract text NOT NULL CHECK (contract IN ('evolve', 'freeze', 'discard')),
    state text NOT NULL CHECK (state IN ('evolved', 'discarded', 'frozen', 'mended')),
    sentence text NOT NULL,
    run_id bigint,
    seen_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
CREATE INDEX feed_drift_feed ON ops.feed_drift (feed, drift_id);
CREATE UNIQUE INDEX feed_drift_stands ON ops.feed_drift (feed, kind, column_name, was, is_now, state)
    WHERE ended_at IS NULL;
