-- How far the server's clock was ahead of the daemon's when the position was taken, in microseconds. NULL: not asked yet, or
-- the feed has no cursor. A daemon that starts finds by it that the clock was set back while none ran, though it may have
-- passed the position since.
ALTER TABLE ops.cursor ADD COLUMN clock_ahead_us bigint;
