-- A conflict that a person looked at and wants to hear no more of: those members, by that rule.
ALTER TABLE silver.person_review ADD COLUMN decided_by text, ADD COLUMN decided_at timestamptz;
