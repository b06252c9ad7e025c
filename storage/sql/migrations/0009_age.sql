-- Settle computes ages in its own statement: a call per row cost more than all its joins.
DROP FUNCTION silver.age_on(date, date);
