-- What each publication changed, and when: a line for each table of each.
SELECT p.publication_id, p.published_at, p.as_of, t.name AS table_name, t.changed, t.row_count, t.checksum
FROM `{dataset}._publications` p CROSS JOIN UNNEST(p.tables) AS t
