CREATE TABLE `{dataset}.dim_departments` (
    department_key INT64 NOT NULL OPTIONS (description = 'surrogate key'),
    source_system STRING OPTIONS (description = 'name of the source in the configuration'),
    source_department_id STRING OPTIONS (description = 'the hospital\'s id of the department'),
    name STRING OPTIONS (description = 'name of the department'),
    is_inferred BOOL OPTIONS (description = 'made from a fact that names it; its own row has not arrived'),
    dq_flags ARRAY<STRING> OPTIONS (description = 'names of the rules this row breaks, sorted'),
    is_deleted BOOL OPTIONS (description = 'the source no longer has this row'),
    source_inserted_at TIMESTAMP OPTIONS (description = 'when the source says the row was made'),
    source_modified_at TIMESTAMP OPTIONS (description = 'the last change of content, by the source\'s clock'),
    batch_id INT64 OPTIONS (description = 'the last batch that changed the row'),
    mapping_version INT64 OPTIONS (description = 'version of the mapping that cleaned the row')
)
OPTIONS (description = 'departments of every hospital', labels = [('profile', 'limited')]);
