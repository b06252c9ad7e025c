-- name: token_add
INSERT INTO ops.token (name, sha256, scopes)
VALUES ($1, decode($2, 'hex'), (SELECT array_agg(DISTINCT scope ORDER BY scope) FROM unnest($3::text[]) AS scope))

-- name: token_list
SELECT token_id, name, array_to_string(scopes, ','), encode(sha256, 'hex')
FROM ops.token WHERE revoked_at IS NULL ORDER BY token_id

-- name: token_revoke
UPDATE ops.token SET revoked_at = now() WHERE name = $1 AND revoked_at IS NULL
