CREATE TABLE `{dataset}.dim_patients` (
    patient_key INT64 NOT NULL OPTIONS (description = 'surrogate key of this version'),
    source_system STRING OPTIONS (description = 'name of the source in the configuration'),
    person_id STRING OPTIONS (description = 'one id per human being across hospitals'),
    birth_date DATE OPTIONS (description = 'date of birth'),
    gender STRING OPTIONS (description = 'Male, Female, Other or Unknown'),
    city STRING OPTIONS (description = 'city'),
    state STRING OPTIONS (description = 'USPS two-letter state'),
    zip STRING OPTIONS (description = 'ZIP or ZIP+4'),
    source_payer_id STRING OPTIONS (description = 'the hospital\'s id of the payer'),
    payer_key INT64 OPTIONS (description = 'payer of the patient'),
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
OPTIONS (description = 'patients of every hospital, one row per version', labels = [('profile', 'limited')]);
