CREATE TABLE `{dataset}.dim_payers` (
    payer_key INT64 NOT NULL OPTIONS (description = 'surrogate key'),
    source_system STRING OPTIONS (description = 'name of the source in the configuration'),
    source_payer_id STRING OPTIONS (description = 'the hospital\'s id of the payer'),
    name STRING OPTIONS (description = 'name in the hospital\'s words'),
    payer_name STRING OPTIONS (description = 'one spelling across hospitals'),
    payer_type STRING OPTIONS (description = 'NULL unless a reference list gives it'),
    reference_status STRING OPTIONS (description = 'listed, unlisted or unchecked'),
    dq_flags ARRAY<STRING> OPTIONS (description = 'names of the rules this row breaks, sorted'),
    is_deleted BOOL OPTIONS (description = 'the source no longer has this row'),
    source_inserted_at TIMESTAMP OPTIONS (description = 'when the source says the row was made'),
    source_modified_at TIMESTAMP OPTIONS (description = 'the last change of content, by the source\'s clock'),
    batch_id INT64 OPTIONS (description = 'the last batch that changed the row'),
    mapping_version INT64 OPTIONS (description = 'version of the mapping that cleaned the row')
)
OPTIONS (description = 'insurers and other payers', labels = [('profile', 'limited')]);
