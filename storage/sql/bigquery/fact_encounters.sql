CREATE TABLE `{dataset}.fact_encounters` (
    encounter_key INT64 NOT NULL OPTIONS (description = 'surrogate key'),
    source_system STRING OPTIONS (description = 'name of the source in the configuration'),
    source_provider_id STRING OPTIONS (description = 'the hospital\'s id of the provider'),
    source_department_id STRING OPTIONS (description = 'the hospital\'s id of the department'),
    patient_key INT64 OPTIONS (description = 'the patient\'s version valid on the encounter date'),
    provider_key INT64 OPTIONS (description = 'the provider\'s version valid on the encounter date'),
    department_key INT64 OPTIONS (description = 'the department'),
    procedure_key INT64 OPTIONS (description = 'the procedure'),
    encounter_date DATE OPTIONS (description = 'day of the encounter'),
    encounter_type STRING OPTIONS (description = 'inpatient, outpatient, …, in proper case'),
    procedure_code STRING OPTIONS (description = 'procedure code as billed'),
    dq_flags ARRAY<STRING> OPTIONS (description = 'names of the rules this row breaks, sorted'),
    is_deleted BOOL OPTIONS (description = 'the source no longer has this row'),
    source_inserted_at TIMESTAMP OPTIONS (description = 'when the source says the row was made'),
    source_modified_at TIMESTAMP OPTIONS (description = 'the last change of content, by the source\'s clock'),
    batch_id INT64 OPTIONS (description = 'the last batch that changed the row'),
    mapping_version INT64 OPTIONS (description = 'version of the mapping that cleaned the row')
)
PARTITION BY DATE_TRUNC(encounter_date, MONTH)
CLUSTER BY source_system, department_key, patient_key
OPTIONS (description = 'encounters of patients with a hospital', labels = [('profile', 'limited')]);
