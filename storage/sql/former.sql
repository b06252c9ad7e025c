-- Whose deliveries earlier readings of a file placed, by its lines: sorted once, not looked for by every page.

-- name: former_for
SELECT set_config('revcycled.files', $1, true), set_config('revcycled.source', $2, true), set_config('revcycled.line', $3, true),
       set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)

-- name: former_claims
DECLARE former_claims NO SCROLL CURSOR WITH HOLD FOR
SELECT line, source_claim_id FROM (
    SELECT line, source_claim_id FROM silver.claims
    WHERE file_id = ANY(current_setting('revcycled.files')::bigint[]) AND source_system = current_setting('revcycled.source')
      AND line >= current_setting('revcycled.line')::bigint
    UNION ALL
    SELECT line, source_claim_id FROM silver.claims_absorbed
    WHERE file_id = ANY(current_setting('revcycled.files')::bigint[]) AND source_system = current_setting('revcycled.source')
      AND line >= current_setting('revcycled.line')::bigint
    UNION ALL
    SELECT line, natural_key FROM dq.quarantine
    WHERE file_id = ANY(current_setting('revcycled.files')::bigint[]) AND source_system = current_setting('revcycled.source')
      AND line >= current_setting('revcycled.line')::bigint AND natural_key IS NOT NULL AND withdrawn_at IS NULL
) AS made ORDER BY line

-- name: former_fetch
FETCH FORWARD 1000 FROM former_claims

-- name: former_close
CLOSE former_claims
