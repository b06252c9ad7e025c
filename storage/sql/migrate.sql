-- name: migrate_lock
SELECT pg_advisory_lock(7300)

-- name: migrate_unlock
SELECT pg_advisory_unlock(7300)

-- name: migrate_ledger
CREATE TABLE IF NOT EXISTS public.revcycle_migration (
    name text PRIMARY KEY,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)

-- name: migrate_applied
SELECT sha256 = encode(sha256(convert_to($2, 'UTF8')), 'hex') FROM public.revcycle_migration WHERE name = $1

-- name: migrate_record
INSERT INTO public.revcycle_migration (name, sha256)
VALUES ($1, encode(sha256(convert_to($2, 'UTF8')), 'hex'))

-- The newest alone does not tell: one with a lower number may have come later.
-- name: migrate_newest
SELECT coalesce(max(name), ''), count(*) FROM public.revcycle_migration
