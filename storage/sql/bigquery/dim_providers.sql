CREATE TABLE `{dataset}.dim_providers` (
    provider_key INT64 NOT NULL OPTIONS (description = 'surrogate key of this version'),
    source_system STRING OPTIONS (description = 'name of the source in the configuration'),
    source_provider_id STRING OPTIONS (description = 'the hospital\'s id of the provider'),
    first_name STRING OPTIONS (description = 'given name'),
    last_name STRING OPTIONS (description = 'family name'),
    specialization STRING OPTIONS (description = 'specialty in the hospital\'s words'),
    source_department_id STRING OPTIONS (description = 'the hospital\'s id of the department'),
    npi STRING OPTIONS (description = 'national provider identifier, ten digits'),
    npi_status STRING OPTIONS (description = 'valid, bad_check_digit, not_found, mismatch or unchecked'),
    effective_date TIMESTAMP OPTIONS (description = 'start of this version, inclusive'),
    expiry_date TIMESTAMP OPTIONS (description = 'end of this version, exclusive; 9999-12-31 while current'),
    is_current BOOL OPTIONS (description = 'this is the version in force'),
    version INT64 OPTIONS (description = '1, 2, … per source and id'),
    is_inferred BOOL OPTIONS (description = 'made from a fact that names it; its own row has not arrived'),
    dq_flags ARRAY<STRING> OPTIONS (description = 'names of the rules this row breaks, sorted'),
    is_deleted BOOL OPTIONS (description = 'the source no longer has this row'),
    source_inserted_at TIMESTAMP OPTIONS (description = 'when the source says the row was made'),
    source_modified_at TIMESTAMP OPTIONS (description = 'the last change of content, by the source\'s clock'),
    batch_id INT64 OPTIONS (description = 'the last batch that changed the row'),
    mapping_version INT64 OPTIONS (description = 'version of the mapping that cleaned the row')
)
OPTIONS (description = 'physicians and other providers, one row per version', labels = [('profile', 'limited')]);
