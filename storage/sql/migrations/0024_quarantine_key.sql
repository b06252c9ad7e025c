-- Every page asks which of its keys are held; without this it reads the whole quarantine.
CREATE INDEX quarantine_key ON dq.quarantine (natural_key, feed) WHERE state IN ('open', 'dismissed');
