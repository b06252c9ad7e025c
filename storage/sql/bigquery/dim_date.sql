CREATE TABLE `{dataset}.dim_date` (
    date_key INT64 NOT NULL OPTIONS (description = 'yyyymmdd'),
    date DATE OPTIONS (description = 'the day'),
    year INT64 OPTIONS (description = 'calendar year'),
    quarter INT64 OPTIONS (description = 'calendar quarter, 1 to 4'),
    month INT64 OPTIONS (description = 'month, 1 to 12'),
    month_name STRING OPTIONS (description = 'January to December'),
    iso_week INT64 OPTIONS (description = 'ISO 8601 week'),
    day_of_week INT64 OPTIONS (description = '1 = Monday to 7 = Sunday'),
    day_name STRING OPTIONS (description = 'Monday to Sunday'),
    is_weekend BOOL OPTIONS (description = 'Saturday or Sunday'),
    is_holiday BOOL OPTIONS (description = 'US federal holiday (5 U.S.C. 6103)'),
    is_business_day BOOL OPTIONS (description = 'neither weekend nor holiday'),
    fiscal_year INT64 OPTIONS (description = 'fiscal year, named by the year it ends in'),
    fiscal_quarter INT64 OPTIONS (description = 'fiscal quarter, 1 to 4'),
    batch_id INT64 OPTIONS (description = 'the last batch that changed the row')
)
OPTIONS (description = 'calendar of every date in use, of whole years from 1990 to 2099', labels = [('profile', 'limited')]);
