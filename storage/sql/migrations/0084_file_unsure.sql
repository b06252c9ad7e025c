-- Files of which claims were cleaned again: which of them says nothing that shows any more is asked once, behind the last of
-- them, not for every page.
CREATE TABLE ops.file_unsure (
    file_id bigint PRIMARY KEY
);
COMMENT ON TABLE ops.file_unsure IS 'files whose claims were cleaned again, until it is asked whether they are superseded';
