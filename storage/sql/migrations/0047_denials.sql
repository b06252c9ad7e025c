-- Figures that remittances make computable.

-- X12 835 CAS: the patient's deductible, coinsurance and copay, and what the contract's fee leaves of the charge, are no denials.
CREATE FUNCTION kpi.is_no_denial(group_code text, reason_code text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (group_code = 'PR' AND reason_code IN ('1', '2', '3')) OR (group_code = 'CO' AND reason_code = '45')
$$;

-- What the contract takes off a charge: fee schedule (45), capitation (24), negotiated discount (131), sequestration (253).
-- Other reasons of group CO are denials that the provider must bear, and no contract's discount.
CREATE FUNCTION kpi.is_contractual(group_code text, reason_code text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT group_code = 'CO' AND reason_code IN ('24', '45', '131', '253')
$$;

-- Every source that bills, whether a remittance came from it or not, and its adjustments that deny.
CREATE VIEW kpi.denial_rows AS
SELECT s.source_system, a.adjustment_key, a.claim_date, a.group_code, a.reason_code, a.remark_codes, a.amount,
       cardinality(a.dq_flags) > 0 AS is_flagged,
       EXISTS (SELECT FROM silver.adjustments x WHERE x.source_system = s.source_system AND NOT x.is_deleted)
           AS has_adjustments
FROM ops.source s
LEFT JOIN silver.adjustments a ON a.source_system = s.source_system AND NOT a.is_deleted
    AND NOT kpi.is_no_denial(a.group_code, a.reason_code)
WHERE EXISTS (SELECT FROM silver.transactions t WHERE t.source_system = s.source_system AND NOT t.is_deleted)
   OR EXISTS (SELECT FROM silver.adjustments x WHERE x.source_system = s.source_system AND NOT x.is_deleted);

-- Contractual adjustments by the day of the service, as what was billed is.
CREATE VIEW kpi.contractual_rows AS
SELECT a.source_system, coalesce(c.service_date, a.claim_date) AS service_date, a.amount
FROM silver.adjustments a
LEFT JOIN silver.claims c ON c.source_claim_id = a.source_claim_id AND c.source_system = a.source_system
    AND c.iteration = a.iteration AND NOT c.is_deleted
WHERE NOT a.is_deleted AND kpi.is_contractual(a.group_code, a.reason_code);

CREATE VIEW kpi.adjusted_sources AS
SELECT DISTINCT source_system FROM silver.adjustments WHERE NOT is_deleted;

CREATE TYPE kpi.reason AS (
    kpi text,
    definition_version int,
    as_of date,
    month date,
    source_system text,
    method text,       -- count: adjustments less those a reversal took back; amount
    group_code text,
    reason_code text,  -- CARC
    remark_codes text, -- RARC
    numerator numeric,
    denominator numeric,
    value numeric,     -- its share of the month's denials at the source
    flagged_rows bigint,
    missing text
);

CREATE FUNCTION kpi.denial_reasons(as_of date DEFAULT NULL,
                                   by text[] DEFAULT '{month,source_system,group_code,reason_code,remark_codes}')
RETURNS SETOF kpi.reason LANGUAGE sql STABLE AS $$
    WITH sums AS (
        SELECT c.day, CASE WHEN 'month' = ANY(by) THEN kpi._month(a.claim_date) END AS month,
               CASE WHEN 'source_system' = ANY(by) THEN a.source_system END AS source_system,
               CASE WHEN 'group_code' = ANY(by) THEN a.group_code END AS group_code,
               CASE WHEN 'reason_code' = ANY(by) THEN a.reason_code END AS reason_code,
               CASE WHEN 'remark_codes' = ANY(by) THEN a.remark_codes END AS remark_codes,
               sum(sign(a.amount)) AS n, sum(a.amount) AS amount,
               count(*) FILTER (WHERE a.is_flagged) AS flagged, bool_or(a.has_adjustments) AS is_computable
        FROM kpi._day(as_of) AS c(day), kpi.denial_rows a
        WHERE (a.claim_date IS NULL OR a.claim_date <= c.day) AND (a.adjustment_key IS NOT NULL OR NOT a.has_adjustments)
        GROUP BY 1, 2, 3, 4, 5, 6
    )
    SELECT 'denial_reasons', 1, s.day, s.month, s.source_system, m.method, s.group_code, s.reason_code, s.remark_codes,
           m.n, sum(m.n) OVER whole, round(m.n / nullif(sum(m.n) OVER whole, 0), 6), s.flagged,
           CASE WHEN NOT s.is_computable THEN 'adjustments.reason_code' END
    FROM sums s CROSS JOIN LATERAL (VALUES ('count', s.n), ('amount', s.amount)) AS m(method, n)
    WHERE m.n IS DISTINCT FROM 0
    WINDOW whole AS (PARTITION BY m.method, s.month, s.source_system)
$$;
COMMENT ON FUNCTION kpi.denial_reasons IS
    'Adjustments that deny, by group, CARC and RARC (X12 835 CAS); PR-1, PR-2, PR-3 and CO-45 are none';

CREATE FUNCTION kpi.net_collection_rate(as_of date DEFAULT NULL, by text[] DEFAULT '{month,source_system}')
RETURNS SETOF kpi.figure LANGUAGE sql STABLE AS $$
    WITH billed AS (
        SELECT c.day, CASE WHEN 'month' = ANY(by) THEN kpi._month(t.service_date) END AS month,
               CASE WHEN 'source_system' = ANY(by) THEN t.source_system END AS source_system,
               sum(t.paid_amount) AS paid, sum(t.amount) AS amount, count(*) FILTER (WHERE t.is_flagged) AS flagged,
               bool_and(s.source_system IS NOT NULL) AS is_adjusted
        FROM kpi._day(as_of) AS c(day)
        CROSS JOIN kpi.transaction_rows t
        LEFT JOIN kpi.adjusted_sources s ON s.source_system = t.source_system
        WHERE t.service_date IS NULL OR t.service_date <= c.day
        GROUP BY 1, 2, 3
    ), taken_off AS (
        SELECT CASE WHEN 'month' = ANY(by) THEN kpi._month(a.service_date) END AS month,
               CASE WHEN 'source_system' = ANY(by) THEN a.source_system END AS source_system, sum(a.amount) AS amount
        FROM kpi._day(as_of) AS c(day)
        CROSS JOIN kpi.contractual_rows a
        WHERE a.service_date IS NULL OR a.service_date <= c.day
        GROUP BY 1, 2
    ), due AS (
        SELECT b.*, CASE WHEN b.is_adjusted THEN b.amount - coalesce(o.amount, 0) END AS denominator
        FROM billed b LEFT JOIN taken_off o ON o.month IS NOT DISTINCT FROM b.month
                                           AND o.source_system IS NOT DISTINCT FROM b.source_system
    )
    SELECT 'net_collection_rate', 1, d.day, d.month, d.source_system,
           NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
           d.paid, d.denominator, round(d.paid / nullif(d.denominator, 0), 6), d.flagged,
           CASE WHEN NOT d.is_adjusted THEN 'adjustments.amount'
                WHEN coalesce(d.denominator, 0) = 0 THEN 'transactions.amount'
                WHEN d.paid IS NULL THEN 'transactions.paid_amount' END
    FROM due d
$$;
COMMENT ON FUNCTION kpi.net_collection_rate IS
    'Paid / (billed - contractual adjustments) by month of service (HFMA usage: net collection rate); without remittances not computable';

GRANT SELECT ON kpi.denial_rows, kpi.contractual_rows, kpi.adjusted_sources TO revcycle_daemon, revcycle_reader;
GRANT EXECUTE ON FUNCTION kpi.is_no_denial, kpi.is_contractual, kpi.denial_reasons, kpi.net_collection_rate
    TO revcycle_daemon, revcycle_reader;
