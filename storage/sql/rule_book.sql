-- The rules in force (storage/rule_book.c). Eight arrays: subjects, names, kinds, scopes, dimensions, severities, sentences,
-- definitions.

-- name: rule_book_differs
WITH given AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
), known AS (
    SELECT subject, name, kind, scope, dimension, severity, says, definition FROM dq.rule
)
SELECT EXISTS (TABLE given EXCEPT TABLE known) OR EXISTS (TABLE known EXCEPT TABLE given)

-- Rules over several rows that went: rows bear their flags still. Subjects, names, scopes.
-- name: rule_book_gone
SELECT subject, name FROM dq.rule r
WHERE scope = 'set' AND NOT EXISTS (
    SELECT FROM unnest($1::text[], $2::text[], $3::text[]) AS given(subject, name, scope)
    WHERE (given.subject, given.name, given.scope) = (r.subject, r.name, r.scope))
ORDER BY subject, name

-- name: rule_book_forget
DELETE FROM dq.rule r
WHERE NOT EXISTS (
    SELECT FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
         AS given(subject, name, kind, scope, dimension, severity, says, definition)
    WHERE (given.subject, given.name, given.kind, given.scope, given.dimension, given.severity, given.says, given.definition)
        = (r.subject, r.name, r.kind, r.scope, r.dimension, r.severity, r.says, r.definition))

-- name: rule_book_write
INSERT INTO dq.rule (subject, name, kind, scope, dimension, severity, says, definition)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
ON CONFLICT DO NOTHING

-- name: rule_book_feed_rules_forget
DELETE FROM dq.feed_rule f
WHERE NOT EXISTS (SELECT FROM dq.rule r WHERE r.scope = 'feed' AND (r.subject, r.name) = (f.feed, f.rule))

-- Was the rule there before with the same meaning? What it says to people is no part of it.
-- name: rule_book_knows
SELECT EXISTS (SELECT FROM dq.rule WHERE (subject, name, definition) = ($1, $2, $3))
