-- A mapping that differs from the one before it wants everything cleaned again from bronze (rules, section 2). NULL:
-- that was not done yet.
ALTER TABLE ops.feed_mapping ADD COLUMN remapped_at timestamptz;
UPDATE ops.feed_mapping SET remapped_at = now();
