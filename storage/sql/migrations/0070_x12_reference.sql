-- X12: what the sender calls a set of claims (837: BHT03), and what an acknowledgement of claims calls the set it answers (277CA,
-- 005010X214: TRN02 of the receiver's level, loop 2200B): such an answer follows that set's claims, whatever was sent since.
ALTER TABLE ops.x12_set ADD COLUMN reference text;
