-- Ids that are held by a row which its source spells otherwise (' q' for q), by feed: only such.
-- Two spellings of one id are two rows; this tells which of them silver shows.
CREATE TABLE ops.id_spelling (
    id text COLLATE "C" NOT NULL,
    feed text NOT NULL,
    spelling text COLLATE "C" NOT NULL,
    PRIMARY KEY (id, feed)
);
