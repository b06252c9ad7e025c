-- name: placement_lock_shared
SELECT pg_advisory_xact_lock_shared(7301);

-- name: placement_lock_exclusive
SELECT pg_advisory_xact_lock(7301);

-- name: placement_lock_session
SELECT pg_advisory_lock(7301);

-- name: placement_unlock_session
SELECT pg_advisory_unlock(7301);
