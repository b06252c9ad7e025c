CREATE TABLE `{dataset}.dim_adjustment_codes` (
    adjustment_code_key INT64 NOT NULL OPTIONS (description = 'surrogate key'),
    code STRING OPTIONS (description = 'as adjustments bear it'),
    code_system STRING OPTIONS (description = 'CAGC (group codes), CARC (reason codes) or RARC (remark codes)'),
    description STRING OPTIONS (description = 'text of the code\'s list; NULL where none gives it'),
    category STRING OPTIONS (description = 'category of the code\'s list'),
    reference_status STRING OPTIONS (description = 'listed, unlisted or unchecked'),
    batch_id INT64 OPTIONS (description = 'the last batch that changed the row')
)
OPTIONS (description = 'codes of adjustments in use', labels = [('profile', 'limited')]);
