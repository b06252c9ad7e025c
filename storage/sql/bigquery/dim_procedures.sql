CREATE TABLE `{dataset}.dim_procedures` (
    procedure_key INT64 NOT NULL OPTIONS (description = 'surrogate key'),
    code STRING OPTIONS (description = 'procedure code'),
    code_system STRING OPTIONS (description = 'CPT, HCPCS, ICD10PCS or LOCAL'),
    description STRING OPTIONS (description = 'NULL where no licence or list gives it'),
    category STRING OPTIONS (description = 'category of the code\'s list'),
    reference_status STRING OPTIONS (description = 'listed, unlisted or unchecked'),
    batch_id INT64 OPTIONS (description = 'the last batch that changed the row')
)
OPTIONS (description = 'procedure codes in use', labels = [('profile', 'limited')]);
