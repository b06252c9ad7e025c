-- The calendar holds whole years, where they are of our time: a chart by day has no holes, and pages behind the first of
-- a year name no day that is still to be made, so that they may be written before their turn. Days of other years, which
-- are slips mostly, stand there one by one.
CREATE OR REPLACE FUNCTION silver.make_dates(days date[], fiscal_month int, batch bigint) RETURNS SETOF int
LANGUAGE sql AS $$
    WITH named AS (
        SELECT DISTINCT day FROM unnest(days) AS u(day)
        WHERE isfinite(day) AND NOT EXISTS (SELECT FROM silver.dates d WHERE d.date = u.day)
    ), wanted AS (
        SELECT day FROM named
        UNION
        SELECT day::date
        FROM (SELECT DISTINCT extract(year FROM day)::int AS year FROM named) AS years,
             generate_series(make_date(year, 1, 1), make_date(year, 12, 31), interval '1 day') AS s(day)
        WHERE year BETWEEN 1990 AND 2099
    ), missing AS MATERIALIZED (
        SELECT day, silver.is_holiday(day) AS is_holiday FROM wanted
        WHERE NOT EXISTS (SELECT FROM silver.dates d WHERE d.date = wanted.day)
    )
    INSERT INTO silver.dates (date_key, date, year, quarter, month, month_name, iso_week, day_of_week,
                              day_name, is_weekend, is_holiday, is_business_day, fiscal_year,
                              fiscal_quarter, batch_id)
    SELECT to_char(day, 'YYYYMMDD')::int, day, extract(year FROM day), extract(quarter FROM day),
           extract(month FROM day), to_char(day, 'FMMonth'), extract(week FROM day), extract(isodow FROM day),
           to_char(day, 'FMDay'), extract(isodow FROM day) > 5, is_holiday,
           extract(isodow FROM day) <= 5 AND NOT is_holiday, fiscal.year, fiscal.quarter, batch
    FROM missing,
    LATERAL (SELECT extract(year FROM day)::int
                        + (fiscal_month > 1 AND extract(month FROM day) >= fiscal_month)::int AS year,
                    (extract(month FROM day)::int - fiscal_month + 12) % 12 / 3 + 1 AS quarter) AS fiscal
    ORDER BY day
    ON CONFLICT DO NOTHING
    RETURNING date_key
$$;
