-- Which server the position was taken from, by a hash of its host, port and server_id. NULL: not asked yet, or the feed has
-- no cursor. Kept here, another one that answers in its place is noticed by a daemon that starts then, too.
ALTER TABLE ops.cursor ADD COLUMN server bigint;
