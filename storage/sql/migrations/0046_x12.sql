-- X12: what a remittance or a status says of a claim, the sets it came in, and what concerns no claim.

-- `delivery_kind`: claim (or NULL, from other formats) is a claim as it was sent; remittance and status say of it
-- what became of it, and nothing else. What they do not say settle takes from the claim's other deliveries;
-- `inherited` names those columns. `adjustment_list` is what silver.adjustments is made of.
ALTER TABLE silver.claims ADD COLUMN payer_claim_id text, ADD COLUMN delivery_kind text,
    ADD COLUMN adjustment_list text, ADD COLUMN inherited text;
ALTER TABLE silver.claims_absorbed ADD COLUMN payer_claim_id text, ADD COLUMN delivery_kind text,
    ADD COLUMN adjustment_list text, ADD COLUMN inherited text;
CREATE INDEX claims_partial ON silver.claims (source_claim_id, source_system)
    WHERE delivery_kind IN ('remittance', 'status');
CREATE INDEX claims_absorbed_batch ON silver.claims_absorbed USING brin (batch_id);

-- The past has the columns of the present, then its two batches.
ALTER TABLE silver.claims_past RENAME TO claims_past_before;
CREATE TABLE silver.claims_past (
    LIKE silver.claims INCLUDING DEFAULTS,
    batch_from bigint NOT NULL,
    batch_to bigint NOT NULL
);
INSERT INTO silver.claims_past
SELECT claim_key, source_system, source_claim_id, iteration, is_final, source_transaction_id, source_encounter_id,
       source_patient_id, source_provider_id, source_department_id, source_payer_id, patient_key, provider_key,
       department_key, payer_key, service_date, claim_date, decision_date, claim_amount, paid_amount, deductible,
       coinsurance, copay, claim_status, payment_status, payer_type, coverage_percent, file_id, line, dq_flags,
       is_deleted, source_hash, record_hash, source_inserted_at, source_modified_at, batch_id, mapping_version,
       NULL, NULL, NULL, NULL, batch_from, batch_to
FROM silver.claims_past_before;
DROP TABLE silver.claims_past_before;
CREATE INDEX claims_past_natural ON silver.claims_past (source_claim_id, source_system);

CREATE OR REPLACE VIEW gold.fact_claims AS
SELECT
    c.claim_key, c.source_system, c.source_claim_id, c.iteration, c.is_final,
    c.source_transaction_id, c.source_encounter_id, c.source_patient_id, c.source_provider_id,
    c.source_department_id, c.source_payer_id, e.encounter_key, t.transaction_key, c.patient_key,
    c.provider_key, c.department_key, c.payer_key, c.service_date, c.claim_date, c.decision_date,
    c.claim_amount, c.paid_amount, c.deductible, c.coinsurance, c.copay, c.claim_status,
    c.payment_status, c.payer_type, c.coverage_percent, c.file_id, c.line, c.dq_flags,
    c.is_deleted, c.source_inserted_at, c.source_modified_at, c.batch_id, c.mapping_version,
    c.payer_claim_id, c.delivery_kind, c.inherited
FROM silver.claims c
LEFT JOIN silver.encounters e ON e.source_encounter_id = c.source_encounter_id
    AND e.source_system = c.source_system AND NOT e.is_deleted
LEFT JOIN silver.transactions t ON t.source_transaction_id = c.source_transaction_id
    AND t.source_system = c.source_system AND NOT t.is_deleted
WHERE NOT c.is_deleted;

-- What a remittance does not say and another delivery of the claim may; settle fills it in.
CREATE FUNCTION silver.claim_inheritable() RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT '{source_transaction_id,source_encounter_id,source_patient_id,source_provider_id,source_department_id,source_payer_id,service_date,claim_date,payer_type,payer_claim_id}'::text[]
$$;

-- Of those what a delivery says itself.
CREATE FUNCTION silver.own_of(delivery jsonb, inherited text) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(jsonb_object_agg(name, delivery -> name), '{}')
    FROM unnest(silver.claim_inheritable()) AS name
    WHERE delivery ->> name IS NOT NULL AND name <> ALL (string_to_array(coalesce(inherited, ''), ','))
$$;
GRANT EXECUTE ON FUNCTION silver.claim_inheritable, silver.own_of TO revcycle_daemon;

-- Every transaction set of every file, as it added up, and what became of it.
CREATE TABLE ops.x12_set (
    file_id bigint NOT NULL,
    set_number int NOT NULL,          -- in the file, from 1
    kind text NOT NULL,               -- ST01: 835, 837, 277, 999 …
    version text NOT NULL,
    group_control text NOT NULL,
    set_control text NOT NULL,
    first_segment bigint NOT NULL,    -- a claim's line is a segment of it
    last_segment bigint NOT NULL,
    claims bigint NOT NULL,
    service_lines bigint NOT NULL,
    reversals bigint NOT NULL,
    charged numeric(14,2) NOT NULL,
    paid numeric(14,2) NOT NULL,
    provider_adjusted numeric(14,2) NOT NULL, -- PLB
    check_amount numeric(14,2) NOT NULL,      -- BPR02
    lines_out_of_balance bigint NOT NULL,
    claims_out_of_balance bigint NOT NULL,
    claims_whose_line_charges_differ bigint NOT NULL,
    difference numeric(14,2) NOT NULL,        -- 835: paid - provider_adjusted - check_amount
    state text NOT NULL CHECK (state IN ('posted', 'quarantined')),
    reason text,
    PRIMARY KEY (file_id, set_number)
);

-- What a payer gives or takes beside any claim (PLB): interest, recoupment, forwarding balance.
CREATE TABLE ops.x12_provider_adjustment (
    file_id bigint NOT NULL,
    segment bigint NOT NULL,
    position int NOT NULL,
    source_system text COLLATE "C" NOT NULL,
    provider_id text NOT NULL,
    fiscal_period_end date,
    reason_code text NOT NULL,
    reference text NOT NULL,
    amount numeric(14,2) NOT NULL, -- positive: taken from the payment
    PRIMARY KEY (file_id, segment, position)
);

-- What receivers said of sets that were sent to them (999): by control numbers. '' is the whole group.
CREATE TABLE ops.x12_acknowledgement (
    file_id bigint NOT NULL,
    segment bigint NOT NULL,
    source_system text COLLATE "C" NOT NULL,
    group_control text NOT NULL,
    set_control text NOT NULL,
    code text NOT NULL,            -- IK501, AK901
    acknowledgement text NOT NULL, -- Accepted, Accepted with errors, Partially accepted, Rejected
    PRIMARY KEY (file_id, segment)
);
CREATE INDEX x12_acknowledgement_control ON ops.x12_acknowledgement (group_control, source_system);

-- A claim's acknowledgement: that of the set it was sent in, the set's own before the group's, the last of several.
CREATE VIEW gold.claim_acknowledgements AS
SELECT DISTINCT ON (c.claim_key)
    c.claim_key, c.source_system, c.source_claim_id, c.iteration, a.code, a.acknowledgement, a.file_id
FROM silver.claims c
JOIN ops.x12_set s ON s.file_id = c.file_id AND c.line BETWEEN s.first_segment AND s.last_segment AND s.kind = '837'
JOIN ops.x12_acknowledgement a ON a.source_system = c.source_system AND a.group_control = s.group_control
    AND a.set_control IN (s.set_control, '')
WHERE NOT c.is_deleted
ORDER BY c.claim_key, a.set_control = '', a.file_id DESC, a.segment DESC;
