CREATE TABLE `{dataset}.fact_adjustments` (
    adjustment_key INT64 NOT NULL OPTIONS (description = 'surrogate key'),
    source_system STRING OPTIONS (description = 'name of the source in the configuration'),
    iteration INT64 OPTIONS (description = 'the claim\'s iteration'),
    service_line INT64 OPTIONS (description = 'service line, 0 for the whole claim'),
    group_code STRING OPTIONS (description = 'X12 CAS01: CO, OA, PI, PR'),
    reason_code STRING OPTIONS (description = 'claim adjustment reason code (CARC)'),
    position INT64 OPTIONS (description = 'position within claim and line'),
    claim_key INT64 OPTIONS (description = 'the claim\'s iteration'),
    claim_date DATE OPTIONS (description = 'day the claim was filed'),
    remark_codes STRING OPTIONS (description = 'remittance advice remark codes (RARC)'),
    amount NUMERIC OPTIONS (description = 'adjusted amount, USD'),
    quantity INT64 OPTIONS (description = 'adjusted quantity'),
    file_id INT64 OPTIONS (description = 'the remittance file'),
    line INT64 OPTIONS (description = 'line in the file'),
    dq_flags ARRAY<STRING> OPTIONS (description = 'names of the rules this row breaks, sorted'),
    is_deleted BOOL OPTIONS (description = 'the source no longer has this row'),
    source_inserted_at TIMESTAMP OPTIONS (description = 'when the source says the row was made'),
    source_modified_at TIMESTAMP OPTIONS (description = 'the last change of content, by the source\'s clock'),
    batch_id INT64 OPTIONS (description = 'the last batch that changed the row'),
    mapping_version INT64 OPTIONS (description = 'version of the mapping that cleaned the row')
)
PARTITION BY DATE_TRUNC(claim_date, MONTH)
CLUSTER BY source_system, group_code
OPTIONS (description = 'adjustments of claims and service lines', labels = [('profile', 'limited')]);
