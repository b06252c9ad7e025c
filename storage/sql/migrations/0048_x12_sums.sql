-- Sums of a set may be larger than any amount: a file that says nonsense goes to quarantine, and its ledger row is kept.
ALTER TABLE ops.x12_set
    ALTER COLUMN charged TYPE numeric(20,2), ALTER COLUMN paid TYPE numeric(20,2),
    ALTER COLUMN provider_adjusted TYPE numeric(20,2), ALTER COLUMN check_amount TYPE numeric(20,2),
    ALTER COLUMN difference TYPE numeric(20,2);
