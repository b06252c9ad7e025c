-- PostgreSQL compresses a summary's value that is larger than 510 bytes (TOAST_INDEX_TARGET), and does it anew for every row that
-- comes into a summarized range. The Bloom filters had 575 bytes: rows that found room in old pages took PostgreSQL 26 us each,
-- 10 with filters of 496, 7 without any index of ranges. A second file of claims took twice the time of the first. Sized for
-- 400 names a range instead of 466, with one false range in a hundred as before.
-- Bronze tables, which are the daemon's own and grow at their end alone, have it when they are made.
DROP INDEX silver.encounters_ranges, silver.transactions_ranges, silver.claims_ranges;
CREATE INDEX encounters_ranges ON silver.encounters USING brin (batch_id,
    source_patient_id text_bloom_ops (n_distinct_per_range = 400),
    source_provider_id text_bloom_ops (n_distinct_per_range = 400)) WITH (pages_per_range = 16);
CREATE INDEX transactions_ranges ON silver.transactions USING brin (batch_id,
    source_patient_id text_bloom_ops (n_distinct_per_range = 400),
    source_provider_id text_bloom_ops (n_distinct_per_range = 400)) WITH (pages_per_range = 16);
CREATE INDEX claims_ranges ON silver.claims USING brin (batch_id, file_id,
    source_patient_id text_bloom_ops (n_distinct_per_range = 400),
    source_provider_id text_bloom_ops (n_distinct_per_range = 400)) WITH (pages_per_range = 16);
