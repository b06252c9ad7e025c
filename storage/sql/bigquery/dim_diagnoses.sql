CREATE TABLE `{dataset}.dim_diagnoses` (
    diagnosis_key INT64 NOT NULL OPTIONS (description = 'surrogate key'),
    code STRING OPTIONS (description = 'diagnosis code with its dot'),
    code_system STRING OPTIONS (description = 'ICD10CM'),
    description STRING OPTIONS (description = 'text of the code\'s list'),
    chapter STRING OPTIONS (description = 'ICD-10-CM chapter'),
    reference_status STRING OPTIONS (description = 'listed, unlisted or unchecked'),
    batch_id INT64 OPTIONS (description = 'the last batch that changed the row')
)
OPTIONS (description = 'diagnosis codes in use', labels = [('profile', 'limited')]);
