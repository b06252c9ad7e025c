-- A page's transaction. What it looks up it looks up by an index: a plan that was made while a table was empty reads the
-- whole of it, and stays until the table is analyzed (2,000 files of three rows, read into an empty table: 6 million rows).
-- name: placement_lock_shared
SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true), pg_advisory_xact_lock_shared(7301);

-- Pages of claims of one source, whichever feed they are of. What a claim's iterations are follows from all its deliveries: of two
-- pages that each see only what was there before, one would leave the other's out.
-- name: claims_lock
SELECT pg_advisory_xact_lock(7310, hashtext($1))

-- name: placement_lock_exclusive
SELECT pg_advisory_xact_lock(7301);

-- name: placement_lock_session
SELECT pg_advisory_lock(7301);

-- name: placement_unlock_session
SELECT pg_advisory_unlock(7301);

-- For statements that look few rows up by an index of which the planner expects nothing good: ids in a set of ranges, a
-- key through BRIN's bloom filters. Left alone it reads the whole table, and compiles for it (1.1 s for each seal of a
-- trail of 300,000 lines; 5 s for one row's past out of 1,200,000). Until the transaction ends.
-- name: by_index
SELECT set_config('enable_seqscan', 'off', true), set_config('plan_cache_mode', 'force_custom_plan', true),
       set_config('jit', 'off', true)

-- PostgreSQL itself refuses whatever would write, numbers drawn from sequences too.
-- name: session_read_only
SET default_transaction_read_only = on

-- A transaction that will be rolled back, in a session that may only read.
-- name: transaction_read_write
SET TRANSACTION READ WRITE

-- name: session_read_write
SET default_transaction_read_only = off
