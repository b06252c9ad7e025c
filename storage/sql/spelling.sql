-- Ids whose row is not spelled as the id itself (storage/spelling.h).

-- name: spelling_any
SELECT EXISTS (SELECT FROM ops.id_spelling WHERE feed = $1)

-- name: spelling_find
SELECT id, spelling FROM ops.id_spelling WHERE id = ANY($2::text[]) AND feed = $1

-- Who holds an id now is held in quarantine no more. NULL for a row that is spelled as its id.
-- name: spelling_take
WITH taken AS (
    SELECT * FROM unnest($2::text[], $3::text[], $4::text[]) AS t(id, spelling, entry)
), by_itself AS (
    DELETE FROM ops.id_spelling s USING taken t WHERE s.id = t.id AND s.feed = $1 AND t.spelling IS NULL
), by_another AS (
    INSERT INTO ops.id_spelling (id, feed, spelling) SELECT id, $1, spelling FROM taken WHERE spelling IS NOT NULL
    ON CONFLICT (id, feed) DO UPDATE SET spelling = EXCLUDED.spelling
)
UPDATE dq.quarantine q SET state = 'superseded' FROM taken t
WHERE q.natural_key = t.entry AND q.feed = $1 AND q.rule = $5 AND q.state = 'open'
