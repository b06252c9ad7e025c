-- Claims that were posted: their entry in the ledger of files, and the answers that were given.

-- name: posted_enter
INSERT INTO ops.file (source_system, feed, name, period, sha256, size_bytes, state, finished_at, detected)
VALUES ($1, $2, $3, $4, decode($5, 'hex'), $6, 'done', now(), '{"format": "json", "packing": "plain"}')
RETURNING file_id

-- name: posted_find
SELECT encode(request_hash, 'hex'), file_id, answer FROM ops.posted
WHERE token_id = $1::bigint AND key_hash = decode($2, 'hex') AND feed = $3 AND posted_at > now() - interval '1 day'

-- name: posted_forget
DELETE FROM ops.posted WHERE posted_at <= now() - interval '1 day'

-- name: posted_keep
INSERT INTO ops.posted (token_id, key_hash, feed, request_hash, file_id, answer)
VALUES ($1::bigint, decode($2, 'hex'), $3, decode($4, 'hex'), $5::bigint, $6)
