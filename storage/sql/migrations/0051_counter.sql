-- What was seen of a feed's counter, the older of two first: its greatest values, and when. A position is the greatest
-- value of one look-back ago, which a daemon that has just started, or runs --once, could not know of itself.
ALTER TABLE ops.cursor ADD COLUMN counter_values text[], ADD COLUMN counter_seen timestamptz[];
